//! What `analysis` concludes from hand-made records: worked examples and vectors of verdicts.md, edge cases of its 1.3.

#[path = "report_builder/mod.rs"]
mod report_builder;

use kedasim::analysis::{
    Finding, GateStatus, ScalingDoubt, Summary, VerdictStatus, flap_window, flapping, gpu_hours, gpu_hours_with_window,
    rate_interval, summarize,
};
use kedasim::record::{
    DecisionRecord, Event, EventKind, KedaPoll, OpenRequest, RunRecord, ScaleSource, SelectorRecord,
};
use kedasim::scenario::{AnalysisSettings, GateLimit, SloLimit, SloMetric};
use kedasim::units::{Severity, SimDuration};
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
fn the_worked_example_of_flap_arithmetic() {
    let flapping = flapping(&worked_example().0, W);
    assert_eq!((flapping.ups, flapping.downs), (3, 2));
    assert_eq!((flapping.reversals, flapping.flaps), (4, 3));
    assert_eq!(flapping.flaps_per_hour, 3.0);
    assert_eq!(flapping.churned_replicas, 3);
    assert_eq!(flapping.censored_starts, 0);
    assert_eq!(flapping.moves.iter().map(|scale_move| scale_move.size).collect::<Vec<_>>(), [1, -1, 2, -1, 1]);
}

#[test]
fn poisson_bounds_are_the_exact_ones() {
    let table = [
        (0, 0.0, 3.69),
        (1, 0.025, 5.57), // one flap in a 30-min run means 0.05..11.1 per hour
        (3, 0.62, 8.77),
        (10, 4.80, 18.39),
    ];
    for (flaps, low, high) in table {
        let (found_low, found_high) = rate_interval(flaps, 1.0);
        assert!((found_low - low).abs() < 0.005, "{flaps}: {found_low}");
        assert!((found_high - high).abs() < 0.005, "{flaps}: {found_high}");
    }
    let (low, high) = rate_interval(1, 0.5);
    assert!((low - 0.05).abs() < 0.005 && (high - 11.1).abs() < 0.05, "{low}..{high}");
}

#[test]
fn consecutive_events_of_one_sign_are_one_move() {
    let record = Builder::new(1, 3600).scaled(100, 1, 2, ScaleSource::Hpa).scaled(115, 2, 3, ScaleSource::Hpa).scaled(
        900,
        3,
        2,
        ScaleSource::Hpa,
    );
    let flapping = flapping(&record.0, W);
    assert_eq!((flapping.reversals, flapping.flaps, flapping.moves.len()), (1, 0, 2));
    assert_eq!((flapping.moves[0].start, flapping.moves[0].end, flapping.moves[0].size), (at(100), at(115), 2));
}

#[test]
fn a_turn_time_of_exactly_the_window_is_a_flap() {
    let turn = |down| Builder::new(1, 3600).scaled(100, 1, 2, ScaleSource::Hpa).scaled(down, 2, 1, ScaleSource::Hpa);
    assert_eq!(flapping(&turn(700).0, W).flaps, 1);
    assert_eq!(flapping(&turn(701).0, W).flaps, 0);
}

#[test]
fn the_direction_before_the_warmup_ends_is_remembered() {
    let mut record = worked_example().0;
    record.info.warmup = SimDuration::from_secs(500);
    let flapping = flapping(&record, W);
    // The event at 700 turns the one at 400, which lies in the warm-up.
    assert_eq!((flapping.ups, flapping.downs, flapping.reversals, flapping.flaps), (2, 1, 3, 2));
    assert!((flapping.flaps_per_hour - 2.0 * 3600.0 / 3100.0).abs() < 1e-12);
}

#[test]
fn bounds_at_the_first_sync_are_set_up_and_later_reset_the_direction() {
    let set_up = Builder::new(0, 3600)
        .sync(15, 0.0, 1, 1)
        .sync(30, 0.0, 1, 1)
        .scaled(15, 0, 2, ScaleSource::Bounds)
        .scaled(300, 2, 1, ScaleSource::Hpa);
    let set_up = flapping(&set_up.0, W);
    assert_eq!((set_up.ups, set_up.downs, set_up.reversals, set_up.churned_replicas), (0, 1, 0, 0));

    let edited = Builder::new(1, 3600)
        .scaled(100, 1, 3, ScaleSource::Hpa)
        .scaled(200, 3, 2, ScaleSource::Bounds)
        .scaled(300, 2, 3, ScaleSource::Hpa);
    let edited = flapping(&edited.0, W);
    assert_eq!((edited.ups, edited.downs, edited.reversals), (2, 1, 0));
}

#[test]
fn a_run_without_events_has_a_rate_of_zero_with_its_interval() {
    let flapping = flapping(&Builder::new(1, 1800).0, W);
    assert_eq!(flapping.flaps_per_hour, 0.0);
    assert!((flapping.flaps_per_hour_interval.1 - 7.4).abs() < 0.05);
}

#[test]
fn young_starts_at_the_end_are_censored_not_churned() {
    let flapping = flapping(&Builder::new(1, 1000).scaled(500, 1, 3, ScaleSource::Hpa).0, W);
    assert_eq!((flapping.censored_starts, flapping.churned_replicas), (2, 0));
}

#[test]
fn the_flap_window_follows_slow_starts() {
    assert_eq!(flap_window(SimDuration::from_secs(60)), W);
    assert_eq!(flap_window(SimDuration::from_secs(400)), SimDuration::from_secs(800));
}

#[test]
fn time_to_first_scale_up_counts_from_the_start_of_traffic() {
    let mut builder = Builder::new(1, 3600);
    builder.0.events.push(Event { t: at(30), kind: EventKind::TrafficStarted });
    let flapping = flapping(&builder.scaled(100, 1, 2, ScaleSource::Hpa).0, W);
    assert_eq!(flapping.time_to_first_scale_up, Some(SimDuration::from_secs(70)));
}

#[test]
fn billed_hours_are_the_sum_of_the_phases() {
    let record = Builder::new(1, 3600)
        .pod(0, Some(60), None, 1800) // still there at the end
        .pod(600, Some(960), Some((2400, 2430)), 900)
        .pod(1200, None, Some((1500, 1500)), 0) // never Ready
        .0;
    let hours = gpu_hours(&record, 2);
    let seconds = |hours: f64| (hours * 3600.0 / 2.0).round() as u64;
    assert_eq!(seconds(hours.billed), 3600 + 1830 + 300);
    assert_eq!(seconds(hours.starting), 60 + 360 + 300);
    assert_eq!(seconds(hours.serving), 1800 + 900);
    assert_eq!(seconds(hours.idle), 1740 + 540);
    assert_eq!(seconds(hours.draining), 30);
    assert_eq!(gpu_hours(&record, 0).billed, 0.0);
}

#[test]
fn hours_cost_and_tokens_are_of_the_measured_interval() {
    let mut builder = Builder::new(2, 3600)
        .pod(0, Some(60), None, 2655) // three quarters of its time Ready
        .pod(0, Some(60), Some((1700, 1730)), 1000) // gone in the warm-up
        .pod(1750, Some(1850), None, 500); // Ready after it
    builder.0.info.warmup = SimDuration::from_secs(1800);
    builder.0.tokens.generated_completed = 500_000;
    let hours = gpu_hours(&builder.0, 1);
    let seconds = |hours: f64| (hours * 3600.0).round() as u64;
    assert_eq!(seconds(hours.billed), 1800 + 1800);
    assert_eq!((seconds(hours.starting), seconds(hours.draining)), (50, 0));
    assert_eq!((seconds(hours.serving), seconds(hours.idle)), (1350 + 500, 450 + 1250));
    let priced = AnalysisSettings { gpu_hour_price: Some(2.0), ..AnalysisSettings::default() };
    let summary = summarize(&builder.0, &priced);
    assert_eq!((summary.cost_total, summary.cost_per_million_tokens), (Some(2.0), Some(4.0)));
}

#[test]
fn flapping_wastes_short_lives_and_needless_starts() {
    // The worked example's pods: churned are the start at 100 (its whole life), the first at 700 (its start only) and the
    // one at 2100 (its start only).
    let record = worked_example()
        .pod(0, Some(60), None, 0)
        .pod(100, Some(160), Some((400, 430)), 0)
        .pod(700, Some(760), None, 0)
        .pod(700, Some(770), Some((2000, 2030)), 0)
        .pod(2100, Some(2180), None, 0)
        .0;
    let wasted = gpu_hours_with_window(&record, 1, W).wasted_by_flapping * 3600.0;
    assert_eq!(wasted.round() as u64, 330 + 60 + 80);
}

fn settings(gates: &[(&str, f64)], ttft_ms: Option<u64>) -> AnalysisSettings {
    let slo = ttft_ms.map(|limit| SloLimit {
        metric: SloMetric::Ttft,
        quantile_name: "p95".to_owned(),
        quantile: 0.95,
        limit: SimDuration::from_millis(limit),
    });
    AnalysisSettings {
        slo: slo.into_iter().collect(),
        gates: gates.iter().map(|(name, limit)| GateLimit { name: (*name).to_owned(), limit: *limit }).collect(),
        ..AnalysisSettings::default()
    }
}

fn codes(summary: &Summary) -> Vec<&str> {
    summary.verdict.findings.iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn gates_compare_the_point_estimate() {
    let record = worked_example().pod(0, Some(0), None, 0).requests(99, 1).0;
    let table = [
        ("flapsPerHour", 3.0, GateStatus::Pass),
        ("flapsPerHour", 2.9, GateStatus::Fail), // the interval reaches down to 0.62
        ("sloAttainment", 0.99, GateStatus::Pass),
        ("sloAttainment", 0.995, GateStatus::Fail),
        ("gpuHours", 1.0, GateStatus::Pass),
        ("gpuHours", 0.5, GateStatus::Fail),
        ("failedRequests", 1.0, GateStatus::Pass),
        ("failedRequests", 0.0, GateStatus::Fail),
    ];
    for (name, limit, status) in table {
        let summary = summarize(&record, &settings(&[(name, limit)], Some(2000)));
        assert_eq!(summary.verdict.gates[0].status, status, "{name} {limit}");
        let fails = summary.verdict.status == VerdictStatus::Fail;
        assert_eq!(fails, status == GateStatus::Fail, "{name} {limit}");
    }
}

#[test]
fn a_gate_without_data_is_undecided() {
    let empty = Builder::new(1, 3600).0;
    let summary = summarize(&empty, &settings(&[("sloAttainment", 0.9)], Some(2000)));
    assert_eq!(summary.slo_attainment, None);
    assert_eq!(summary.verdict.status, VerdictStatus::Undecided);
    assert_eq!(codes(&summary), ["slo-no-data", "no-requests", "gate-no-data"]);
    let no_objective = summarize(&Builder::new(1, 60).requests(10, 0).0, &settings(&[("sloAttainment", 0.9)], None));
    assert_eq!(no_objective.verdict.status, VerdictStatus::Undecided);
    let finding = &no_objective.verdict.findings[0];
    assert_eq!((finding.code.as_str(), finding.severity), ("gate-no-data", Severity::Warning));
    assert!(finding.message.contains("sloAttainment: no data, no SLO is set"), "{}", finding.message);
    // Nothing failed because nothing was sent.
    let idle = summarize(&Builder::new(1, 3600).0, &settings(&[("failedRequests", 0.0)], None));
    assert_eq!((idle.verdict.status, codes(&idle)), (VerdictStatus::Undecided, vec!["no-requests"]));
}

#[test]
fn gpu_hours_and_cost_of_replicas_without_gpus_are_no_data() {
    let mut builder = Builder::new(1, 3600).pod(0, Some(0), None, 0).requests(10, 0);
    builder.0.info.gpus_per_replica = 0;
    let settings =
        AnalysisSettings { gpu_hour_price: Some(2.0), ..settings(&[("gpuHours", 1.0), ("failedRequests", 0.0)], None) };
    let summary = summarize(&builder.0, &settings);
    let gates: Vec<_> = summary.verdict.gates.iter().map(|gate| (gate.value, gate.status)).collect();
    assert_eq!(gates, [(None, GateStatus::Undecided), (Some(0.0), GateStatus::Pass)]);
    assert_eq!((summary.cost_total, summary.cost_per_million_tokens), (None, None));
    assert_eq!(codes(&summary), ["gate-no-data", "cost-no-data", "single-run"]);
    assert!(summary.verdict.findings[..2].iter().all(|finding| finding.severity == Severity::Warning));
}

#[test]
fn a_run_that_lost_or_refused_most_requests_is_in_error() {
    let severity = |record: &RunRecord, code: &str| {
        let findings = summarize(record, &AnalysisSettings::default()).verdict.findings;
        findings.into_iter().find(|finding| finding.code == code).map(|finding| finding.severity)
    };
    assert_eq!(severity(&Builder::new(1, 3600).requests(1, 1).0, "requests-failed"), Some(Severity::Error));
    assert_eq!(severity(&Builder::new(1, 3600).requests(2, 1).0, "requests-failed"), Some(Severity::Warning));
    let rejected = |served: u64| {
        let mut builder = Builder::new(1, 3600).requests(served, 0);
        builder.0.requests.rejected = 5;
        builder.0.requests.total += 5;
        builder.0
    };
    assert_eq!(severity(&rejected(5), "requests-rejected"), Some(Severity::Error));
    assert_eq!(severity(&rejected(6), "requests-rejected"), Some(Severity::Warning));
    let summary = summarize(&rejected(5), &AnalysisSettings::default());
    assert!(
        summary.verdict.findings[0]
            .message
            .contains("the prompt, or prompt + max_tokens, does not fit the model length")
    );
}

fn selector(matched: bool, nearest: Option<&str>) -> SelectorRecord {
    SelectorRecord {
        trigger: "s0-prometheus".to_owned(),
        selector: "vllm:generation_tokens_total".to_owned(),
        matched,
        nearest: nearest.map(str::to_owned),
        place: "policy.yaml:14:16".to_owned(),
    }
}

#[test]
fn a_query_that_is_always_zero_is_found() {
    let run = |values: &[f64]| {
        let mut builder = Builder::new(1, 3600).requests(10, 0);
        for (index, value) in (1..).zip(values) {
            builder = builder.sync(15 * index, *value, 1, 1);
        }
        builder.0.selectors.push(selector(true, None));
        builder.0
    };
    let found = |record: &RunRecord| {
        let summary = summarize(record, &AnalysisSettings::default());
        codes(&summary).contains(&"query-always-zero")
    };
    assert!(found(&run(&[0.0, 0.0, f64::NAN])));
    assert!(!found(&run(&[0.0, 0.1, 0.0])), "it was above 0 once");
    assert!(!found(&run(&[])), "it was never asked");
    let changed = |change: fn(&mut RunRecord)| {
        let mut record = run(&[0.0, 0.0]);
        change(&mut record);
        found(&record)
    };
    assert!(!changed(|record| record.info.fixed_replicas = true));
    assert!(!changed(|record| record.selectors[0].matched = false), "query-matched-nothing says more");
    assert!(!changed(|record| (record.requests.completed, record.requests.total) = (0, 0)));
    let failed = |error: &str| {
        let mut record = run(&[0.0]);
        if let DecisionRecord::HpaSync(sync) = &mut record.decisions[0] {
            (sync.metrics[0].value, sync.metrics[0].error) = (None, Some(error.to_owned()));
        }
        found(&record)
    };
    assert!(failed("the result is empty"));
    assert!(!failed("Prometheus is down"), "nobody knows what it would have said");
}

#[test]
fn a_selector_says_when_nothing_was_ever_scraped() {
    let message = |nearest: &str| {
        let mut builder = Builder::new(1, 60).requests(1, 0);
        builder.0.selectors.push(selector(false, Some(nearest)));
        let finding = summarize(&builder.0, &AnalysisSettings::default()).verdict.findings.remove(0);
        (finding.message, finding.evidence.len())
    };
    for nearest in [
        "no target was ever scraped",
        "no series vllm:generation_tokens_total has all of these labels at once, or none was scraped successfully",
    ] {
        let (text, evidence) = message(nearest);
        assert!(text.contains("no pod was ever scraped successfully"), "{text}");
        assert_eq!(evidence, 1);
    }
    let (text, evidence) = message("no series is named vllm:x");
    assert!(text.contains("in the whole run") && evidence == 2, "{text}");
}

#[test]
fn failed_requests_miss_every_objective_and_rank_last() {
    let one_in_ten_failed = summarize(&Builder::new(1, 3600).requests(90, 10).0, &settings(&[], Some(2000)));
    let objective = &one_in_ten_failed.slo_objectives[0];
    assert_eq!((objective.value, objective.met, objective.share_within), (None, false, Some(0.9)));
    assert_eq!(one_in_ten_failed.slo_attainment, Some(0.9));
    assert_eq!(codes(&one_in_ten_failed), ["slo-missed", "requests-failed"]);
    let few_failed = summarize(&Builder::new(1, 3600).requests(99, 1).0, &settings(&[], Some(100)));
    assert!(few_failed.slo_objectives[0].met, "a latency equal to the limit is within it");
}

#[test]
fn requests_of_one_token_meet_any_tpot_objective() {
    let mut settings = settings(&[], None);
    settings.slo = vec![SloLimit {
        metric: SloMetric::Tpot,
        quantile_name: "p95".to_owned(),
        quantile: 0.95,
        limit: SimDuration::from_millis(100),
    }];
    // All of one token: nothing to judge. One failed: a miss among a hundred.
    let none = summarize(&Builder::new(1, 3600).requests(100, 0).0, &settings);
    assert_eq!((none.slo_attainment, codes(&none)), (None, vec!["slo-no-data"]));
    let one_failed = summarize(&Builder::new(1, 3600).requests(99, 1).0, &settings);
    assert_eq!((one_failed.slo_attainment, one_failed.slo_objectives[0].met), (Some(0.99), true));
}

#[test]
fn requests_still_open_are_misses_or_unknown() {
    // verdicts.md 4.3: 1000 sent, 890 within, 10 failed, 100 open of which 80 are over the limit already: 89.0..91.0 %.
    let mut builder = Builder::new(1, 3600).requests(890, 10);
    builder.0.requests.in_flight = 100;
    builder.0.requests.total += 100;
    let open = |seconds| OpenRequest { age: SimDuration::from_secs(seconds), first_token_came: false };
    builder.0.open_requests = (0..100).map(|index| open(if index < 80 { 3 } else { 1 })).collect();
    let gate =
        |limit| summarize(&builder.0, &settings(&[("sloAttainment", limit)], Some(2000))).verdict.gates[0].clone();
    let (low, high) = gate(0.9).interval.expect("requests were sent");
    assert!((low - 0.89).abs() < 1e-12 && (high - 0.91).abs() < 1e-12, "{low}..{high}");
    assert_eq!(gate(0.9).value, Some(low), "the lower end is compared");
    let statuses = [0.89, 0.9, 0.91, 0.92].map(|limit| gate(limit).status);
    assert_eq!(statuses, [GateStatus::Pass, GateStatus::Undecided, GateStatus::Undecided, GateStatus::Fail]);
}

#[test]
fn a_first_token_in_time_counts_although_the_request_was_lost() {
    // 10 completed; 5 killed, 4 of them after a first token that took 100 ms like all.
    let mut builder = Builder::new(1, 3600).requests(10, 5);
    builder.0.latencies.ttft.record_many(SimDuration::from_millis(100), 4);
    builder.0.lost_after_first_token = 4;
    let summary = summarize(&builder.0, &settings(&[], Some(2000)));
    assert_eq!(summary.slo_objectives[0].share_within, Some(14.0 / 15.0));
}

#[test]
#[should_panic(expected = "every request has one outcome")]
fn request_counters_that_do_not_add_up_are_a_defect() {
    let mut builder = Builder::new(1, 60).requests(1, 0);
    builder.0.requests.total = 2;
    summarize(&builder.0, &AnalysisSettings::default());
}

#[test]
fn few_flaps_in_a_short_run_are_undecided() {
    // 3 flaps in one hour: 0.62..8.77, which is between stable and flapping.
    let summary = summarize(&worked_example().0, &AnalysisSettings::default());
    let finding = &summary.verdict.findings[0];
    assert_eq!((finding.code.as_str(), finding.severity), ("jittery", Severity::Warning));
    assert!(finding.message.contains("3.0 flaps/h (0.6..8.8 at 95 %, turn <= 10m)"), "{}", finding.message);
    assert!(finding.message.ends_with("undecided, run longer"), "{}", finding.message);
}

#[test]
fn a_flap_between_moves_of_several_steps_says_which_step_it_counts_from() {
    let record = Builder::new(1, 3600)
        .scaled(100, 1, 2, ScaleSource::Hpa)
        .scaled(160, 2, 3, ScaleSource::Hpa)
        .scaled(700, 3, 2, ScaleSource::Hpa)
        .scaled(760, 2, 1, ScaleSource::Hpa)
        .requests(1, 0);
    let finding = summarize(&record.0, &AnalysisSettings::default()).verdict.findings.remove(0);
    assert_eq!(finding.evidence[0], "1 flap among 1 change of direction");
    assert_eq!(
        finding.evidence[5],
        "at 11m40s: -2 replicas in steps until 12m40s, 9m after the last step of +2 (from 1m40s to 2m40s)"
    );
    let mut short = Builder::new(1, 40).scaled(10, 1, 2, ScaleSource::Hpa).scaled(20, 2, 1, ScaleSource::Hpa).0;
    short.requests.total = 0;
    let finding = summarize(&short, &AnalysisSettings::default()).verdict.findings.remove(0);
    assert!(finding.message.contains("run too short to tell"), "{}", finding.message);
    assert!(finding.message.contains("1 churned start"), "{}", finding.message);
    assert!(finding.evidence.contains(&"at 20s: -1 replica, 10s after +1 at 10s".to_owned()), "{:?}", finding.evidence);
}

#[test]
fn many_flaps_are_flapping() {
    let mut builder = Builder::new(1, 7200);
    for cycle in 0..20 {
        builder = builder.scaled(cycle * 300 + 100, 1, 2, ScaleSource::Hpa);
        builder = builder.scaled(cycle * 300 + 250, 2, 1, ScaleSource::Hpa);
    }
    let summary = summarize(&builder.0, &AnalysisSettings::default());
    let finding = &summary.verdict.findings[0];
    assert_eq!((finding.code.as_str(), finding.severity), ("flapping", Severity::Error));
    assert!(!finding.message.contains("undecided"), "{}", finding.message);
}

#[test]
fn findings_come_worst_first() {
    let mut builder = Builder::new(10, 60).sync(15, 70.0, 10, 10).sync(30, 80.0, 10, 10).sync(45, 20.0, 10, 10);
    if let DecisionRecord::HpaSync(sync) = &mut builder.0.decisions[2] {
        sync.metrics[0].error = Some("Prometheus is down".to_owned());
    }
    builder.0.requests.rejected = 2;
    builder.0.requests.total = 2;
    builder.0.selectors.push(SelectorRecord {
        trigger: "s0-prometheus".to_owned(),
        selector: "vllm:num_request_waiting".to_owned(),
        matched: false,
        nearest: Some("vllm:num_requests_waiting".to_owned()),
        place: "policy.yaml:14:16".to_owned(),
    });
    let summary = summarize(&builder.0, &AnalysisSettings::default());
    assert_eq!(
        codes(&summary),
        ["query-matched-nothing", "requests-rejected", "scaling-blocked-by-metric-error", "at-max-replicas"]
    );
    let findings = &summary.verdict.findings;
    assert_eq!(findings[0].evidence, ["query at policy.yaml:14:16", "nearest that exists: vllm:num_requests_waiting"]);
    assert!(findings[3].message.starts_with("66.7 % of the time"), "{}", findings[3].message);
    assert_eq!(findings[3].evidence, ["first at 15s", "largest proposal 16"]);
}

#[test]
fn replica_means_are_time_means_over_the_measured_interval() {
    let mut builder = Builder::new(1, 1000)
        .scaled(200, 1, 3, ScaleSource::Hpa)
        .scaled(600, 3, 2, ScaleSource::Hpa)
        .pod(0, Some(0), None, 0)
        .pod(200, Some(500), Some((600, 630)), 0);
    let summary = summarize(&builder.0, &AnalysisSettings::default());
    assert_eq!(summary.replicas_mean, (200.0 + 3.0 * 400.0 + 2.0 * 400.0) / 1000.0);
    assert_eq!(summary.ready_mean, 1.1);
    assert_eq!(
        (summary.replicas_initial, summary.replicas_final, summary.replicas_min, summary.replicas_max),
        (1, 2, 1, 3)
    );
    builder.0.info.warmup = SimDuration::from_secs(600);
    let summary = summarize(&builder.0, &AnalysisSettings::default());
    assert_eq!((summary.replicas_mean, summary.ready_mean), (2.0, 1.0));
    assert_eq!((summary.replicas_min, summary.replicas_max), (2, 2));
}

#[test]
fn cost_is_billed_hours_times_the_price() {
    let record = Builder::new(1, 3600).pod(0, Some(60), None, 0).0;
    let priced = AnalysisSettings { gpu_hour_price: Some(2.5), ..AnalysisSettings::default() };
    let summary = summarize(&record, &priced);
    assert_eq!((summary.cost_total, summary.cost_per_million_tokens), (Some(2.5), None));
    assert_eq!(summarize(&record, &AnalysisSettings::default()).cost_total, None);
}

fn found<'a>(summary: &'a Summary, code: &str) -> Option<&'a Finding> {
    summary.verdict.findings.iter().find(|finding| finding.code == code)
}

/// A sync every 15 s that saw 3 and stayed at one replica; those in `failed` fail.
fn with_failures(syncs: u64, failed: std::ops::Range<u64>) -> RunRecord {
    let mut builder = Builder::new(1, syncs * 15 + 15).requests(10, 0);
    for index in 0..syncs {
        builder = builder.sync(15 * (index + 1), 3.0, 1, 1);
        if failed.contains(&index) {
            fail(builder.0.decisions.last_mut().expect("just made"), "Prometheus is down");
        }
    }
    builder.0
}

fn fail(decision: &mut DecisionRecord, error: &str) {
    let DecisionRecord::HpaSync(sync) = decision else { panic!("a sync") };
    let metric = &mut sync.metrics[0];
    (metric.value, metric.milli, metric.proposal, metric.active) = (None, None, None, None);
    metric.error = Some(error.to_owned());
    (sync.metric_desired, sync.stabilized) = (None, None);
}

#[test]
fn a_paused_object_is_told_and_no_gate_on_flaps_passes() {
    let mut record = Builder::new(2, 3600).requests(10, 0).0;
    let gates = settings(&[("flapsPerHour", 1.0), ("failedRequests", 0.0)], None);
    let statuses = |record: &RunRecord| {
        let summary = summarize(record, &gates);
        let statuses: Vec<GateStatus> = summary.verdict.gates.iter().map(|gate| gate.status).collect();
        (summary.verdict.status, statuses, summary.scaling_doubt)
    };
    assert_eq!(statuses(&record), (VerdictStatus::Pass, vec![GateStatus::Pass, GateStatus::Pass], None));
    record.info.paused = true;
    let doubt = Some(ScalingDoubt::Paused);
    assert_eq!(
        statuses(&record),
        (VerdictStatus::Undecided, vec![GateStatus::Undecided, GateStatus::Pass], doubt),
        "failures are as true as ever"
    );
    let summary = summarize(&record, &gates);
    let finding = found(&summary, "scaling-paused").expect("told");
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.evidence[0], "spec.replicas stayed at 2");
    assert!(finding.evidence[2].starts_with("gate flapsPerHour is undecided"), "{:?}", finding.evidence);
    let summary = summarize(&record, &AnalysisSettings::default());
    assert_eq!(
        found(&summary, "scaling-paused").map(|finding| finding.evidence.len()),
        Some(2),
        "no gate, no word of it"
    );
    // What cannot be is not hidden: flaps beyond the limit fail whatever else is doubtful.
    let mut flaps = worked_example().requests(10, 0).0;
    flaps.info.paused = true;
    assert_eq!(summarize(&flaps, &gates).verdict.gates[0].status, GateStatus::Fail);
    // With autoscaling off on the command line the annotation decides nothing.
    record.info.fixed_replicas = true;
    assert_eq!(statuses(&record).0, VerdictStatus::Pass);
}

#[test]
fn a_trigger_that_always_fails_is_an_error_and_no_gate_on_flaps_passes() {
    let gates = settings(&[("flapsPerHour", 1.0)], None);
    let outcome = |record: &RunRecord| {
        let summary = summarize(record, &gates);
        let finding = found(&summary, "scaling-blocked-by-metric-error").map(|finding| finding.severity);
        (finding, summary.verdict.gates[0].status)
    };
    let error = (Some(Severity::Error), GateStatus::Undecided);
    let warning = (Some(Severity::Warning), GateStatus::Pass);
    assert_eq!(outcome(&with_failures(20, 0..0)), (None, GateStatus::Pass));
    assert_eq!(outcome(&with_failures(20, 0..17)), warning, "85 %");
    assert_eq!(outcome(&with_failures(20, 2..20)), error, "90 %");
    assert_eq!(outcome(&with_failures(20, 0..20)), error, "all");
    assert_eq!(outcome(&with_failures(1, 0..1)), error, "the only one");
    let mut late = with_failures(20, 0..10);
    assert_eq!(outcome(&late), warning);
    late.info.end = at(165);
    late.decisions.truncate(10);
    assert_eq!(outcome(&late), error, "all that there are");

    let mut record = with_failures(20, 1..20);
    fail(&mut record.decisions[10], "another");
    let summary = summarize(&record, &gates);
    let finding = found(&summary, "scaling-blocked-by-metric-error").expect("told");
    assert_eq!(
        finding.message,
        "s0-prometheus failed in 19 of the 20 HPA syncs that asked it (95.0 %): the HPA could not compute a replica count"
    );
    assert_eq!(
        finding.evidence[..3],
        [
            "error: Prometheus is down (the first of several errors)",
            "first at 30s, last at 5m",
            "spec.replicas stayed at 1"
        ]
    );
    // The warm-up is left out.
    let mut record = with_failures(20, 0..10);
    record.info.warmup = SimDuration::from_secs(160);
    assert_eq!(outcome(&record), (None, GateStatus::Pass));
}

#[test]
fn a_trigger_that_always_fails_beside_a_good_one_forbids_scaling_down() {
    let mut record = with_failures(20, 0..20);
    for decision in &mut record.decisions {
        let DecisionRecord::HpaSync(sync) = decision else { continue };
        let mut good = sync.metrics[0].clone();
        (good.trigger, good.error, good.proposal) = ("s1-cron".into(), None, Some(1));
        sync.metrics.push(good);
    }
    let summary = summarize(&record, &settings(&[("flapsPerHour", 1.0)], None));
    let told: Vec<&str> = summary.verdict.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].ends_with("the HPA could scale up by the other triggers and never down"), "{told:?}");
    assert_eq!(summary.verdict.gates[0].status, GateStatus::Undecided);
}

#[test]
fn of_a_formula_its_inputs_are_no_metrics_of_the_hpa() {
    // An input fails and the formula bears it (`??`); cpu stands beside the formula, here first.
    let mut record = with_failures(20, 0..20);
    for decision in &mut record.decisions {
        let DecisionRecord::HpaSync(sync) = decision else { continue };
        let input = sync.metrics[0].clone();
        let good = |name: &str, kind: &str| {
            let mut metric = input.clone();
            (metric.trigger, metric.kind) = (name.into(), kind.into());
            (metric.error, metric.proposal) = (None, Some(1));
            metric
        };
        sync.metrics = vec![good("cpu", "cpu"), good("composite-metric", "composite"), input];
        (sync.metric_desired, sync.stabilized) = (Some(1), Some(1));
    }
    let gates = settings(&[("flapsPerHour", 1.0)], None);
    let summary = summarize(&record, &gates);
    assert_eq!((summary.scaling_doubt, summary.verdict.gates[0].status), (None, GateStatus::Pass));
    assert_eq!(codes(&summary), ["single-run"]);
    for decision in &mut record.decisions {
        let DecisionRecord::HpaSync(sync) = decision else { continue };
        (sync.metrics[1].proposal, sync.metrics[1].error) = (None, Some("nil".to_owned()));
    }
    let summary = summarize(&record, &gates);
    assert_eq!(codes(&summary), ["scaling-blocked-by-metric-error"], "the formula alone is told");
    assert!(summary.verdict.findings[0].message.starts_with("composite-metric failed in 20 of the 20"));
}

#[test]
fn polls_count_where_no_sync_ever_asked() {
    let mut record = Builder::new(0, 600).requests(1, 0).0;
    let sync = Builder::new(1, 600).sync(1, 3.0, 1, 1).0.decisions.remove(0);
    let DecisionRecord::HpaSync(sync) = sync else { panic!("a sync") };
    let mut metric = sync.metrics[0].clone();
    (metric.value, metric.milli, metric.proposal, metric.active) = (None, None, None, None);
    metric.error = Some("Prometheus is down".to_owned());
    for index in 1..10 {
        record.decisions.push(DecisionRecord::KedaPoll(Box::new(KedaPoll {
            t: at(30 * index),
            spec_replicas: 0,
            metrics: vec![metric.clone()],
            active: false,
            error: true,
            rule: "I2",
            cooldown_end: None,
            action: "none",
            new_replicas: 0,
        })));
    }
    let summary = summarize(&record, &AnalysisSettings::default());
    let finding = found(&summary, "scaling-blocked-by-metric-error").expect("told");
    assert!(finding.message.contains("9 of the 9 KEDA polls") && finding.severity == Severity::Error, "{finding:?}");
    assert!(finding.message.ends_with("no poll could wake the target"), "{}", finding.message);
}

#[test]
fn a_fallback_in_force_is_told() {
    let severity = |held: usize| {
        let mut record = with_failures(20, 0..0);
        for decision in record.decisions.iter_mut().take(held) {
            let DecisionRecord::HpaSync(sync) = decision else { continue };
            (sync.metrics[0].value, sync.metrics[0].fallback) = (None, true);
        }
        found(&summarize(&record, &AnalysisSettings::default()), "fallback-in-force").map(|finding| finding.severity)
    };
    assert_eq!(severity(0), None);
    assert_eq!(severity(17), Some(Severity::Note));
    assert_eq!(severity(18), Some(Severity::Warning));
}

#[test]
fn a_formula_that_leaves_the_numbers_is_told() {
    let run = |values: &[(f64, i32)]| {
        let mut builder = Builder::new(1, 600).requests(10, 0);
        for (index, (value, proposal)) in (1..).zip(values) {
            builder = builder.sync(15 * index, 3.0, 1, 1);
            let DecisionRecord::HpaSync(sync) = &mut builder.0.decisions[usize::try_from(index - 1).expect("small")]
            else {
                continue;
            };
            (sync.metrics[0].kind, sync.metrics[0].value) = ("composite".into(), Some(*value));
            sync.metrics[0].proposal = Some(*proposal);
        }
        let summary = summarize(&builder.0, &AnalysisSettings::default());
        found(&summary, "formula-out-of-range").cloned()
    };
    assert_eq!(run(&[(0.0, 0), (7.5, 2)]), None);
    let endless = run(&[(1.0, 1), (f64::INFINITY, 1), (f64::NAN, 1), (-2.0, 0)]).expect("told");
    assert_eq!(endless.severity, Severity::Error);
    assert_eq!(
        endless.message,
        "the formula gave no finite number in 2 of 4 evaluations, first at 30s: inf; a negative number in 1 of 4 \
         evaluations, first at 1m: -2"
    );
    let negative = run(&[(-2.0, 0), (1.0, 1)]).expect("told");
    assert_eq!(negative.severity, Severity::Warning, "it counted as 0");
    let to_the_maximum = run(&[(-2.0, i32::MAX), (1.0, 1)]).expect("told");
    assert_eq!(to_the_maximum.severity, Severity::Error);
    assert!(to_the_maximum.evidence.contains(&"largest proposal from such a result: 2147483647".to_owned()));
}

fn poll_at(t: u64, active: bool) -> DecisionRecord {
    DecisionRecord::KedaPoll(Box::new(KedaPoll {
        t: at(t),
        spec_replicas: 1,
        metrics: Vec::new(),
        active,
        error: false,
        rule: "I3",
        cooldown_end: None,
        action: "deactivate",
        new_replicas: 0,
    }))
}

#[test]
fn the_step_to_zero_of_an_assumed_count_is_set_up() {
    let run = |assumed: bool, active: bool| {
        let mut record = Builder::new(1, 3600)
            .scaled(5, 1, 0, ScaleSource::Keda)
            .scaled(65, 0, 1, ScaleSource::Keda)
            .scaled(1200, 1, 0, ScaleSource::Keda)
            .requests(10, 0)
            .0;
        record.info.initial_assumed = assumed;
        record.decisions = vec![poll_at(2, active), poll_at(5, false)];
        let summary = summarize(&record, &AnalysisSettings::default());
        let told = found(&summary, "start-up-transient").map(|finding| finding.severity);
        (summary.flapping.flaps, summary.flapping.ups, summary.flapping.downs, told)
    };
    assert_eq!(run(true, false), (0, 1, 1, Some(Severity::Note)));
    assert_eq!(run(false, false), (1, 1, 2, None), "the user said so");
    assert_eq!(run(true, true), (1, 1, 2, None), "a trigger had been active: the policy itself went to zero");
}
