//! Flapping in full: events, turns, periods, starts, classes, and whether the load asked for it (verdicts.md 1).

#[path = "report_builder/mod.rs"]
mod report_builder;

use kedasim::analysis::{
    FlapClass, Need, Period, ReversalKind, elasticity, flap_demand, flapping, summarize, summarize_with_need,
};
use kedasim::record::{LoadStep, RunRecord, ScaleSource, TimelineRow};
use kedasim::scenario::AnalysisSettings;
use kedasim::units::SimDuration;
use report_builder::{Builder, at};

const W: SimDuration = SimDuration::from_secs(600);

fn worked_example() -> Builder {
    Builder::new(1, 3600)
        .scaled(100, 1, 2, ScaleSource::Hpa)
        .scaled(400, 2, 1, ScaleSource::Hpa)
        .scaled(700, 1, 3, ScaleSource::Hpa)
        .scaled(2000, 3, 2, ScaleSource::Hpa)
        .scaled(2100, 2, 3, ScaleSource::Hpa)
}

#[test]
fn every_reversal_of_the_worked_example_has_kind_turn_time_and_amplitude() {
    let found = flapping(&worked_example().0, W);
    let turns: Vec<_> = found
        .turns
        .iter()
        .map(|own| (own.new.t.as_secs_floor(), own.kind, own.turn_time().as_secs_f64(), own.amplitude(), own.is_flap))
        .collect();
    assert_eq!(
        turns,
        [
            (400, ReversalKind::Peak, 300.0, 1, true),
            (700, ReversalKind::Dip, 300.0, 1, true),
            (2000, ReversalKind::Peak, 1300.0, 1, false),
            (2100, ReversalKind::Dip, 100.0, 1, true),
        ]
    );
    let levels: Vec<_> = found.turns.iter().map(|own| (own.level_before, own.level_turn, own.level_after)).collect();
    assert_eq!(levels, [(1, 2, 1), (2, 1, 3), (1, 3, 2), (3, 2, 3)]);
    assert_eq!((found.starts, found.churned_replicas, found.kept_starts, found.censored_starts), (4, 3, 1, 0));
    assert_eq!((found.starts_per_hour, found.max_starts_in_10min), (4.0, 2));
    assert_eq!(found.amplitudes(), Some((1, 1.0)));
}

#[test]
fn a_scale_event_carries_its_decision() {
    let record =
        Builder::new(1, 3600).sync(85, 9.0, 1, 1).sync(100, 9.0, 1, 2).sync(400, 4.0, 2, 1).sync(415, 4.0, 1, 1);
    let record = record.scaled(100, 1, 2, ScaleSource::Hpa).scaled(400, 2, 1, ScaleSource::Hpa).0;
    let turn = flapping(&record, W).turns[0];
    assert_eq!((turn.old.decision, turn.new.decision), (Some(1), Some(2)));
    assert_eq!((turn.old.source, turn.new.source), (ScaleSource::Hpa, ScaleSource::Hpa));
}

/// Two replicas from each of `ups` for `held` seconds.
fn pulses(ups: &[u64], held: u64, end: u64) -> RunRecord {
    let mut builder = Builder::new(1, end);
    for up in ups {
        builder = builder.scaled(*up, 1, 2, ScaleSource::Hpa).scaled(up + held, 2, 1, ScaleSource::Hpa);
    }
    builder.0
}

#[test]
fn up_flaps_at_even_distances_are_a_cycle_and_others_are_not() {
    let period = |ups: &[u64]| flapping(&pulses(ups, 100, 9000), W).period;
    // The first up is no flap: three up flaps begin at the second.
    assert_eq!(period(&[100, 416, 732, 1048]), Period::Regular(SimDuration::from_secs(316)));
    assert_eq!(period(&[100, 416, 732]), Period::None, "two up flaps are one distance");
    assert_eq!(period(&[100, 300, 700, 840, 1500]), Period::Irregular);
    // A pause longer than the window ends a burst; the distance over it does not count.
    assert_eq!(period(&[0, 300, 600, 900, 5000, 5300, 5600, 5900]), Period::Regular(SimDuration::from_secs(300)));
}

#[test]
fn a_pod_that_served_less_than_its_start_took_was_started_in_vain() {
    let record = Builder::new(1, 3600)
        .pod(0, Some(0), Some((50, 60)), 0) // there before the run
        .pod(100, Some(200), Some((299, 310)), 0)
        .pod(100, Some(200), Some((300, 310)), 0) // served as long as its start took
        .pod(100, None, Some((150, 160)), 0)
        .pod(100, None, None, 0);
    assert_eq!(flapping(&record.0, W).wasted_starts, 2);
    let starts = record.scaled(100, 1, 4, ScaleSource::Hpa).requests(1, 0);
    let findings = summarize(&starts.0, &AnalysisSettings::default()).verdict.findings;
    let found = findings.iter().find(|finding| finding.code == "wasted-starts").expect("two of three");
    assert!(found.message.starts_with("2 of 3 started replicas"), "{}", found.message);
}

#[test]
fn a_class_needs_its_bounds() {
    let class = |record: &RunRecord| {
        let verdict = summarize(record, &AnalysisSettings::default()).flap_verdict;
        (verdict.class, verdict.decided)
    };
    // No flap: 3.69 / T is at most 1 from 3.69 h on.
    assert_eq!(class(&Builder::new(1, 3 * 3600).0), (FlapClass::Stable, false));
    let mut clean = Builder::new(1, 13_320).0;
    assert_eq!(class(&clean), (FlapClass::Stable, true));
    clean.info.fixed_replicas = true;
    assert_eq!(class(&clean), (FlapClass::Stable, false), "what cannot scale proves nothing");
    let regular = |distance: usize, hours: u64| {
        let ups: Vec<u64> = (600..hours * 3600).step_by(distance).collect();
        pulses(&ups, 300, hours * 3600)
    };
    assert_eq!(class(&regular(1200, 2)), (FlapClass::Jittery, false));
    assert_eq!(class(&regular(450, 8)), (FlapClass::Flapping, true));
}

fn steady(record: &mut RunRecord, tokens: f64) {
    let step = LoadStep { requests: tokens / 100.0, generated_tokens: tokens, ..LoadStep::default() };
    record.loop_info.load.law = Some(vec![step]);
}

#[test]
fn with_steady_traffic_every_reversal_is_spurious() {
    for tokens in [1.0, 4.9, 7.0, 12.0, 40.0] {
        let mut record = worked_example().0;
        steady(&mut record, tokens);
        let demand = summarize(&record, &AnalysisSettings::default()).demand;
        assert_eq!((demand.justified_flaps, demand.spurious_flaps), (0, 3), "{tokens}");
        assert_eq!(demand.reversal_excess, 4.0);
        assert!(demand.provenance.contains("mean offered load / s0-prometheus's 5"), "{}", demand.provenance);
    }
}

#[test]
fn a_dip_is_justified_when_the_need_was_low_and_comes_back() {
    let record = Builder::new(3, 7200).scaled(1000, 3, 1, ScaleSource::Hpa).scaled(1500, 1, 3, ScaleSource::Hpa).0;
    let justified = |steps: &[(u64, i32)]| {
        let need = Need::new("given", steps.iter().map(|(from, count)| (at(*from), *count)));
        flap_demand(&record, &flapping(&record, W), &need).justified
    };
    // The loop answers within 120 + 15 + 60 s.
    assert_eq!(justified(&[(0, 3), (900, 1), (1400, 3)]), [true]);
    assert_eq!(justified(&[(0, 3), (1100, 1), (1400, 3)]), [false], "it was needed when it went");
    assert_eq!(justified(&[(0, 3), (900, 1), (1200, 3)]), [false], "it came back late");
    assert_eq!(justified(&[(0, 3), (900, 1)]), [false], "nobody needed it back");
    assert_eq!(justified(&[(0, 3)]), [false]);
}

#[test]
fn a_dip_shorter_than_a_start_counts_even_when_the_load_asked_for_it() {
    let record = Builder::new(2, 3600).scaled(1000, 2, 1, ScaleSource::Hpa).scaled(1050, 1, 2, ScaleSource::Hpa).0;
    let need = Need::new("given", [(at(0), 2), (at(900), 1), (at(1020), 2)]);
    let demand = flap_demand(&record, &flapping(&record, W), &need);
    assert_eq!((demand.justified_flaps, demand.uneconomic_flaps, demand.faulty_flaps), (1, 1, 1));
}

#[test]
fn flaps_that_the_load_asks_for_are_no_flapping() {
    let mut builder = Builder::new(1, 4 * 3600).requests(1, 0);
    let mut steps = vec![(at(0), 1)];
    for start in (600..4 * 3600 - 900).step_by(900) {
        builder = builder.scaled(start + 60, 1, 2, ScaleSource::Hpa).scaled(start + 500, 2, 1, ScaleSource::Hpa);
        steps.extend([(at(start), 2), (at(start + 400), 1)]);
    }
    let bursty = summarize_with_need(&builder.0, &AnalysisSettings::default(), &Need::new("given", steps));
    let codes: Vec<&str> = bursty.verdict.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["follows-bursty-load"]);
    assert!(bursty.verdict.findings[0].message.contains("all asked for by the load"));
    let constant = summarize_with_need(&builder.0, &AnalysisSettings::default(), &Need::new("given", [(at(0), 1)]));
    assert_eq!(constant.verdict.findings[0].code, "flapping");
}

#[test]
fn without_a_law_the_need_follows_what_was_sent_and_not_its_noise() {
    let row = |t: u64, offered_rps: f64| TimelineRow {
        t: at(t),
        offered_rps,
        spec_replicas: 1,
        status_replicas: 1,
        ready_replicas: 1,
        triggers: Vec::new().into(),
        running: 0,
        waiting: 0,
        kv_usage: 0.0,
        ttft_p95: None,
    };
    let mut record = Builder::new(1, 7200).0;
    // 100 tokens each; 0.04 requests per second, in the second hour 0.14: 4 and 14 tokens per second, threshold 5.
    record.timeline.rows = (5..=7200)
        .step_by(5)
        .map(|t| row(t, if t % 25 == 0 { if t <= 3600 { 0.2 } else { 0.7 } } else { 0.0 }))
        .collect();
    record.requests.total = 648;
    record.tokens.generated = 64_800;
    let need = Need::of_load(&record, W, 1.0);
    assert_eq!((need.at(at(1000)), need.at(at(6000))), (1, 3));
    assert_eq!(need.reversals(at(0)), 0);
    assert!(need.provenance().contains("smoothed over 10m"), "{}", need.provenance());
    record.loop_info.queries.clear();
    let proportional = Need::of_load(&record, W, 2.0);
    // 0.14 / 0.045 is 3.1 replicas: not more than 3 by a standard deviation.
    assert_eq!((proportional.at(at(1000)), proportional.at(at(6000))), (1, 3));
    assert!(proportional.provenance().contains("no trigger counts work"), "{}", proportional.provenance());
}

#[test]
fn elasticity_of_a_run_counts_ready_pods_against_the_need() {
    let record = Builder::new(1, 600).pod(0, Some(0), None, 0).pod(300, Some(450), None, 0).0;
    let need = Need::new("given", [(at(0), 1), (at(300), 2)]);
    let found = elasticity(&record, &need).expect("forty steps");
    assert!((found.under_time - 0.25).abs() < 1e-12 && found.over_time == 0.0, "{found:?}");
    assert!((found.under_provisioning - 0.125).abs() < 1e-12, "{found:?}");
    assert_eq!(found.jitter_per_hour, 0.0);
    assert!((found.instability - 2.0 / 39.0).abs() < 1e-12, "{found:?}");
}

#[test]
fn a_clean_run_is_called_stable_only_when_it_was_long_enough() {
    let text = |seconds| {
        let record = Builder::new(1, seconds).requests(10, 0).0;
        let summary = summarize(&record, &AnalysisSettings::default());
        kedasim::report::summary_text_with(&[], &record, &summary)
    };
    let short = text(1800);
    assert!(short.contains("no flap seen (0..7.4/h at 95 % in 0.5 h)") && !short.contains("stable, "), "{short}");
    assert!(text(4 * 3600).contains("stable, no flap seen (0..0.9/h at 95 % in 4 h)"), "{}", text(4 * 3600));
}
