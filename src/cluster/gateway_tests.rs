use super::*;

fn gateway(kind: GatewayKind, buffer_max: Option<u32>) -> Gateway {
    Gateway::new(GatewaySettings {
        kind,
        buffer_max,
        buffer_timeout: None,
        max_in_flight_per_pod: None,
        request_timeout: None,
        response_header_timeout: None,
        retries: if kind == GatewayKind::Istio { 2 } else { 0 },
        target_labels: Vec::new(),
        own_labels: vec![("inference_pool".to_owned(), "pool".to_owned())],
    })
}

#[test]
fn requests_are_held_in_order_and_no_more_than_allowed() {
    let mut own = gateway(GatewayKind::Generic, Some(2));
    assert!(own.hold(RequestId(7)));
    assert!(own.hold(RequestId(3)));
    assert!(!own.hold(RequestId(9)));
    own.ended(RequestId(9), GatewayEnd::Answered { status: 429, flag: "-", began: false });
    assert_eq!(own.release(), Some(RequestId(7)));
    assert!(own.hold(RequestId(1)));
    own.ended(RequestId(3), GatewayEnd::Left { held: true, began: false });
    assert_eq!((own.release(), own.release()), (Some(RequestId(1)), None));
}

#[test]
fn saturation_is_the_mean_over_pods_of_the_fuller_measure() {
    let mut own = gateway(GatewayKind::EppFlowControl, None);
    let (one, two) = (PodId(1), PodId(2));
    let at = SimTime::from_millis;
    assert_eq!(own.saturation(at(0), &[]), 1.0, "no pods");
    assert_eq!(own.saturation(at(0), &[one]), 1.0, "never polled");
    own.polled(at(0), &[one, two], &[(one, 2, 0.4), (two, 0, 0.2)]);
    assert_eq!(own.saturation(at(0), &[one]), 0.5, "0.4/0.8 above 2/5");
    assert_eq!(own.saturation(at(0), &[one, two]), 0.375);
    assert_eq!(own.saturation(at(200), &[two]), 0.25, "200 ms old");
    assert_eq!(own.saturation(at(201), &[one, two]), 1.0, "older");
    own.polled(at(201), &[one, two], &[(one, 10, 0.0)]);
    assert_eq!(own.saturation(at(201), &[one, two]), 1.5, "two answers no more");
    own.polled(at(202), &[one], &[]);
    assert_eq!(own.saturation(at(202), &[two]), 1.0, "forgotten");
}

#[test]
fn every_end_has_a_place_in_the_counters() {
    for kind in [GatewayKind::Istio, GatewayKind::KedaHttp] {
        for began in [false, true] {
            let flags = [
                (kind.status_when_refused(), "UF"),
                (504, "UT"),
                if kind == GatewayKind::Istio { (503, "UH") } else { (kind.status_when_full(), "-") },
            ];
            let answered =
                flags.map(|(status, flag)| GatewayEnd::Answered { status, flag, began: began && flag == "UT" });
            let others = [
                GatewayEnd::Completed,
                GatewayEnd::Rejected,
                GatewayEnd::Cut { began },
                GatewayEnd::Left { held: false, began },
                GatewayEnd::Left { held: true, began: false },
            ];
            let mut own = gateway(kind, None);
            for end in answered.into_iter().chain(others) {
                own.arrived();
                own.ended(RequestId(1), end);
            }
            let counted: f64 =
                own.expose(&[]).iter().skip(if kind == GatewayKind::Istio { 1 } else { 2 }).flatten().sum();
            assert_eq!(counted, 8.0, "{kind:?}");
        }
    }
}

#[test]
fn a_series_begins_when_its_labels_are_first_used() {
    for (_, kind) in GatewayKind::ALL {
        let mut own = gateway(kind, None);
        let names = own.exposition().series.len();
        assert_eq!(own.expose(&[]).len(), names, "{kind:?}");
        let there = own.expose(&[]).iter().flatten().count();
        // The count of ready pods, and Envoy's counter of a cluster.
        let always = usize::from(matches!(kind, GatewayKind::EppFlowControl | GatewayKind::Istio));
        assert_eq!(there, always, "{kind:?}");
    }
}

#[test]
fn the_averages_stay_when_the_last_pod_goes_and_the_count_falls() {
    let mut own = gateway(GatewayKind::EppFlowControl, None);
    assert_eq!(own.expose(&[]), [None, Some(0.0), None, None]);
    assert_eq!(own.expose(&[(4, 0.5), (0, 0.25)]), [None, Some(2.0), Some(2.0), Some(0.375)]);
    own.arrived();
    own.hold(RequestId(1));
    assert_eq!(own.expose(&[]), [Some(1.0), Some(0.0), Some(2.0), Some(0.375)]);
}
