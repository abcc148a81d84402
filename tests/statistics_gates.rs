//! Gates over several seeds and at a level of confidence, on hand-made records.

mod report_builder;

use kedasim::analysis::{
    FlapClass, GateResult, GateStatus, IntervalRule, Summary, evaluate_gates_over_seeds, replications, summarize,
};
use kedasim::record::{RunRecord, ScaleSource};
use kedasim::scenario::{AnalysisSettings, GateLimit, SloLimit, SloMetric};
use kedasim::units::{Severity, SimDuration};
use report_builder::Builder;

fn settings(name: &str, limit: f64) -> AnalysisSettings {
    let slo = SloLimit {
        metric: SloMetric::Ttft,
        quantile_name: "p95".to_owned(),
        quantile: 0.95,
        limit: SimDuration::from_secs(2),
    };
    AnalysisSettings {
        gates: vec![GateLimit { name: name.to_owned(), limit }],
        slo: vec![slo],
        ..AnalysisSettings::default()
    }
}

/// A run of two hours with `flaps` flaps; turns are 300 s apart.
fn flapping(seed: u64, flaps: u64) -> RunRecord {
    let mut builder = Builder::new(1, 7200).requests(100, 0).sync(15, 3.0, 1, 1);
    for event in 0..=flaps {
        let (from, to) = if event % 2 == 0 { (1, 2) } else { (2, 1) };
        builder = builder.scaled(100 + 300 * event, from, to, ScaleSource::Hpa);
    }
    builder.0.info.seed = seed;
    builder.0
}

fn gate_of(records: &[RunRecord], settings: &AnalysisSettings) -> GateResult {
    let summaries: Vec<Summary> = records.iter().map(|record| summarize(record, settings)).collect();
    evaluate_gates_over_seeds(&summaries, settings).remove(0)
}

fn flap_gate(flaps: &[u64], limit: f64) -> GateResult {
    let records: Vec<RunRecord> = (1..).zip(flaps).map(|(seed, flaps)| flapping(seed, *flaps)).collect();
    gate_of(&records, &settings("flapsPerHour", limit))
}

#[test]
fn a_gate_is_decided_only_when_the_seeds_say_so() {
    // Rates 2, 3, 4, 3, 3 per hour: 3 +- 0.878.
    let flaps = [4, 6, 8, 6, 6];
    use GateStatus::{Fail, Pass, Undecided};
    let statuses = [3.9, 3.5, 3.0, 2.2, 2.1].map(|limit| flap_gate(&flaps, limit).status);
    assert_eq!(statuses, [Pass, Undecided, Undecided, Undecided, Fail]);
    let gate = flap_gate(&flaps, 3.5);
    let (low, high) = gate.interval.expect("five seeds");
    assert_eq!((gate.value, format!("{low:.3} {high:.3}")), (Some(3.0), "2.122 3.878".to_owned()));
    // s = 0.7071, e = 0.5: t^2 s^2 / e^2 is 10.2 for ten seeds and 9.9 for eleven, so eleven in all.
    assert_eq!(gate.further_seeds, Some(6));
    assert_eq!(flap_gate(&flaps, 3.0).further_seeds, None, "no number tells a mean from itself");
}

#[test]
fn few_seeds_and_equal_seeds_take_the_exact_poisson_interval() {
    // 4 seeds of 2 h, 20 flaps: chi-square bounds of 20 over 8 h.
    let gate = flap_gate(&[4, 6, 4, 6], 4.0);
    let (low, high) = gate.interval.expect("four seeds");
    assert_eq!(format!("{:.2} {low:.3} {high:.3}", gate.value.expect("a rate")), "2.50 1.527 3.861");
    assert_eq!(gate.status, GateStatus::Pass);
    // No flap in 12 h rules out more than 0.307/h and nothing below.
    let quiet = [0; 6];
    assert_eq!(
        (flap_gate(&quiet, 0.31).status, flap_gate(&quiet, 0.30).status),
        (GateStatus::Pass, GateStatus::Undecided)
    );
    assert_eq!(flap_gate(&quiet, 0.25).further_seeds, Some(2), "14.76 h are needed, seeds have two each");
    // Six seeds with the same number of flaps vary by chance all the same.
    assert_eq!(flap_gate(&[6; 6], 3.2).status, GateStatus::Undecided);
}

#[test]
fn a_limit_of_zero_asks_for_none_in_any_run() {
    assert_eq!(flap_gate(&[0; 5], 0.0).status, GateStatus::Pass);
    assert_eq!(flap_gate(&[0, 0, 0, 0, 1], 0.0).status, GateStatus::Fail);
    let failed = |counts: &[u64]| {
        let record = |count: &u64| Builder::new(1, 7200).requests(100, *count).0;
        gate_of(&counts.iter().map(record).collect::<Vec<_>>(), &settings("failedRequests", 0.0)).status
    };
    assert_eq!((failed(&[0, 0]), failed(&[0, 1])), (GateStatus::Pass, GateStatus::Fail));
}

#[test]
fn attainment_varies_over_seeds_and_not_over_requests() {
    let gate = |misses: &[u64], limit: f64| {
        let record = |failed: &u64| Builder::new(1, 7200).requests(10_000 - failed, *failed).0;
        gate_of(&misses.iter().map(record).collect::<Vec<_>>(), &settings("sloAttainment", limit))
    };
    // Bursts: one seed in five has all the misses. A binomial interval over 50000 requests would be 0.979..0.981.
    let bursty = gate(&[0, 0, 0, 0, 1000], 0.99);
    let (low, high) = bursty.interval.expect("five seeds");
    assert!(low < 0.93 && high >= 1.0, "{low}..{high}");
    assert_eq!(bursty.status, GateStatus::Undecided);
    assert_eq!(gate(&[100, 110, 90, 100, 100], 0.985).status, GateStatus::Pass);
    assert_eq!(gate(&[100, 110, 90, 100, 100], 0.995).status, GateStatus::Fail);
    assert_eq!(gate(&[0, 0, 0], 0.99).status, GateStatus::Pass, "no miss in 30000 requests");
    assert_eq!(gate(&[0, 0, 1], 1.0).status, GateStatus::Fail, "a mean of shares below 1 is below 1");
}

#[test]
fn two_seeds_decide_by_t_with_one_degree_of_freedom() {
    // 1.0 and 1.1 GPU-hours: 1.05 +- 12.706 * 0.05.
    let record =
        |ready_until: u64| Builder::new(1, 7200).requests(1, 0).pod(0, Some(0), Some((ready_until, ready_until)), 0).0;
    let gate = |limit| gate_of(&[record(3600), record(3960)], &settings("gpuHours", limit));
    let (low, high) = gate(1.0).interval.expect("two seeds");
    assert_eq!(format!("{low:.4} {high:.4}"), "0.4147 1.6853");
    let statuses = [1.7, 1.2, 0.4].map(|limit| gate(limit).status);
    assert_eq!(statuses, [GateStatus::Pass, GateStatus::Undecided, GateStatus::Fail]);
}

#[test]
fn a_seed_without_data_leaves_the_gate_undecided() {
    let with = Builder::new(1, 7200).requests(100, 0).0;
    let without = Builder::new(1, 7200).0;
    let gate = gate_of(&[with.clone(), without, with], &settings("sloAttainment", 0.9));
    assert_eq!((gate.status, gate.value, gate.further_seeds), (GateStatus::Undecided, Some(1.0), None));
}

#[test]
fn with_a_confidence_a_single_run_compares_the_ends_of_its_interval() {
    // 3 flaps in 2 h: 1.5/h, exact interval 0.31..4.38.
    let gate = |limit: f64, confidence: Option<f64>| {
        let settings = AnalysisSettings { gate_confidence: confidence, ..settings("flapsPerHour", limit) };
        summarize(&flapping(1, 3), &settings).verdict.gates.remove(0)
    };
    use GateStatus::{Fail, Pass, Undecided};
    assert_eq!((gate(2.0, None).status, gate(1.0, None).status), (Pass, Fail));
    let statuses = [5.0, 2.0, 1.0, 0.3].map(|limit| gate(limit, Some(0.95)).status);
    assert_eq!(statuses, [Pass, Undecided, Undecided, Fail]);
    assert!(gate(2.0, Some(0.95)).further_seeds.is_some_and(|more| (10..60).contains(&more)));
    assert_eq!((gate(2.0, Some(0.8)).confidence, gate(2.0, None).confidence), (0.8, 0.95));
    let narrower = gate(2.0, Some(0.8)).interval.expect("a rate");
    let wider = gate(2.0, Some(0.95)).interval.expect("a rate");
    assert!(wider.0 < narrower.0 && narrower.1 < wider.1);
}

#[test]
fn a_gate_that_one_run_decided_says_so() {
    let found = |record: &RunRecord, name: &str, limit: f64| {
        let findings = summarize(record, &settings(name, limit)).verdict.findings;
        findings.into_iter().find(|finding| finding.code == "single-run")
    };
    let one = found(&flapping(1, 3), "flapsPerHour", 2.0).expect("1.5/h (0.31..4.38) against 2");
    assert_eq!(one.severity, Severity::Note);
    assert!(one.message.contains("1 run, no interval") && one.message.contains("flapsPerHour"), "{}", one.message);
    assert!(found(&flapping(1, 3), "flapsPerHour", 5.0).is_none(), "the interval decides");
    assert!(
        found(&Builder::new(1, 60).requests(9, 1).0, "failedRequests", 0.0).is_none(),
        "one failure is one too many"
    );
    assert!(found(&Builder::new(1, 60).requests(9, 0).0, "failedRequests", 0.0).is_some());
    let no_gate = summarize(&flapping(1, 3), &AnalysisSettings::default());
    assert!(no_gate.verdict.findings.iter().all(|finding| finding.code != "single-run"));
}

#[test]
fn findings_say_which_seeds_had_them() {
    let records = [flapping(3, 0), flapping(4, 19), flapping(5, 3)];
    let settings = settings("flapsPerHour", 4.0);
    let summaries: Vec<Summary> = records.iter().map(|record| summarize(record, &settings)).collect();
    let together = replications(&summaries, &settings);
    assert_eq!(together.seeds, [3, 4, 5]);
    assert!(together.findings.iter().all(|finding| finding.code != "single-run"), "three runs are not one");
    // Seed 4 alone flaps; 22 flaps in 6 h are 3.7/h.
    let jittery = together.findings.iter().find(|finding| finding.code == "jittery").expect("two seeds flap");
    assert_eq!((jittery.severity, jittery.seeds.as_slice(), jittery.seed), (Severity::Warning, &[4, 5][..], None));
    assert!(together.findings.iter().all(|finding| finding.code != "flapping"), "{:?}", together.findings);
    let rate = together.metric("scaling.flapsPerHour").expect("a figure");
    assert_eq!(rate.values, [Some(0.0), Some(9.5), Some(1.5)]);
    assert_eq!(rate.interval.map(|(_, rule)| rule), Some(IntervalRule::Poisson));
}

#[test]
fn how_bad_flaps_are_is_asked_of_all_seeds_together() {
    let settings = AnalysisSettings::default();
    let together = |flaps: &[u64]| {
        let records = (1..).zip(flaps).map(|(seed, flaps)| flapping(seed, *flaps));
        replications(&records.map(|record| summarize(&record, &settings)).collect::<Vec<_>>(), &settings)
    };
    // 9.5/h in one seed of five is flapping there, and 1.9/h in all: with such a spread nobody knows.
    let uneven = together(&[19, 0, 0, 0, 0]);
    let flaps = uneven.flaps.expect("measured time");
    assert_eq!((flaps.flaps, flaps.hours, flaps.rate), (19, 10.0, 1.9));
    assert_eq!((flaps.verdict.class, flaps.verdict.decided), (FlapClass::Jittery, false));
    assert_eq!(uneven.worst(), Some(Severity::Warning), "{:?}", uneven.findings);
    let finding = &uneven.findings[0];
    assert_eq!((finding.code.as_str(), finding.seeds.as_slice(), finding.seed), ("jittery", &[1][..], None));
    assert!(finding.message.starts_with("1.9 flaps/h (0.0..7.2 at 95 %, 5 seeds x 2.0 h, turn <= 10m)"), "{finding:?}");
    // 2/h: no seed can tell, eight together can (32 in 16 h: 1.37..2.82).
    assert!(!summarize(&flapping(1, 4), &settings).flap_verdict.decided);
    let even = together(&[4; 8]).flaps.expect("measured time");
    assert_eq!((even.verdict.class, even.verdict.decided), (FlapClass::Jittery, true));
    assert_eq!(format!("{:.2}..{:.2}", even.rate_interval.0, even.rate_interval.1), "1.37..2.82");
    // Two clean hours prove nothing below 1.8/h, twice as many do: 0..0.92.
    let decided = |seeds: usize| together(&vec![0; seeds]).flaps.expect("measured time").verdict.decided;
    assert_eq!((summarize(&flapping(1, 0), &settings).flap_verdict.decided, decided(2)), (false, true));
}

#[test]
fn a_key_figure_has_the_interval_of_the_figure_that_it_is() {
    let record = |seed: u64| {
        let mut builder = Builder::new(1, 7200).requests(50, 0);
        builder.0.info.seed = seed;
        builder.0.latencies.ttft.record_many(SimDuration::from_millis(100 * (1 + seed * seed % 7)), 50);
        builder.0
    };
    let settings = settings("failedRequests", 0.0);
    let summaries: Vec<Summary> = (1..=12).map(|seed| summarize(&record(seed), &settings)).collect();
    let together = replications(&summaries, &settings);
    let of_figure = together.metric("ttftSeconds.p99").and_then(|own| own.interval).expect("twelve seeds");
    let of_key_figure = together.kpis[0].value.interval.expect("twelve seeds");
    assert_eq!((of_figure.1, of_key_figure.1), (IntervalRule::BootstrapPercentile, IntervalRule::BootstrapPercentile));
    assert!((1000.0 * of_figure.0.0 - of_key_figure.0.0).abs() < 1e-9);
    assert!((1000.0 * of_figure.0.1 - of_key_figure.0.1).abs() < 1e-9);
}
