//! The SLO as it is counted while a run goes: attainment over all objectives, lost requests in percentiles, goodput, minutes.

mod report_builder;

use kedasim::analysis::{KPIS, MissReason, Summary, kpi_values, summarize};
use kedasim::record::{
    Counted, DecisionRecord, Event, EventKind, KedaPoll, LoadStep, OpenRequest, RunRecord, ScaleSource, SloQuantity,
    SloTally, TimelineRow,
};
use kedasim::report::{summary_json, summary_markdown};
use kedasim::scenario::{AnalysisSettings, SloLimit, SloMetric};
use kedasim::units::SimDuration;
use report_builder::{Builder, at};

fn limit(metric: SloMetric, quantile: f64, limit: SimDuration) -> SloLimit {
    SloLimit { metric, quantile_name: format!("p{:.0}", 100.0 * quantile), quantile, limit }
}

fn settings() -> AnalysisSettings {
    let seconds = SimDuration::from_secs;
    AnalysisSettings {
        slo: vec![limit(SloMetric::Ttft, 0.95, seconds(2)), limit(SloMetric::E2e, 0.90, seconds(60))],
        ..AnalysisSettings::default()
    }
}

/// A run of an hour whose requests, `(minute, missed objectives)`, were judged by [`settings`].
fn judged(requests: &[(u64, u64)]) -> RunRecord {
    let mut record = Builder::new(1, 3600).requests(requests.len() as u64, 0).0;
    let seconds = SimDuration::from_secs;
    record.slo = SloTally::new(vec![(SloQuantity::Ttft, seconds(2)), (SloQuantity::E2e, seconds(60))]);
    for (minute, missed) in requests {
        record.slo.ended(seconds(60 * minute + 30), *missed);
    }
    record
}

#[test]
fn a_request_is_good_when_it_met_every_objective() {
    // 100 requests: 10 miss the first token's limit, 10 others the whole's: each objective 90 %, both 80 %.
    let requests: Vec<(u64, u64)> =
        (0..100).map(|index| (index % 60, [0b01, 0b10, 0][(index as usize / 10).min(2)])).collect();
    let summary = summarize(&judged(&requests), &settings());
    let shares: Vec<Option<f64>> = summary.slo_objectives.iter().map(|own| own.share_within).collect();
    assert_eq!((shares, summary.slo_attainment), (vec![Some(0.9), Some(0.9)], Some(0.8)));
    assert_eq!(summary.slo_objectives.iter().map(|own| own.met).collect::<Vec<_>>(), [false, true]);
    assert_eq!(summary.slo_goodput, Some(80.0 / 3600.0));
    // Judged by other objectives than it ran with, a record knows the least of the shares at best.
    let other = AnalysisSettings { slo: settings().slo[..1].to_vec(), ..AnalysisSettings::default() };
    let other = summarize(&judged(&requests), &other);
    assert_eq!((other.slo_attainment, other.slo_goodput, other.slo_minutes), (Some(1.0), None, None));
}

#[test]
fn open_requests_make_the_attainment_an_interval() {
    let mut record = judged(&[(0, 0); 890]);
    (0..10).for_each(|_| record.slo.ended(SimDuration::ZERO, 0b11));
    (0..80).for_each(|_| record.slo.open(SimDuration::ZERO, 0b01, 0b10));
    (0..20).for_each(|_| record.slo.open(SimDuration::ZERO, 0b00, 0b11));
    let summary = summarize(&record, &settings());
    assert_eq!(summary.slo_attainment_interval, Some((0.89, 0.91)));
    assert_eq!(summary.slo_attainment, Some(0.89));
    assert_eq!(summary.slo_objectives[1].share_interval, Some((0.89, 0.99)));
    let codes: Vec<&str> = summary.verdict.findings.iter().map(|own| own.code.as_str()).collect();
    // Between 89 and 99 % of requests end in time, 90 % are asked for: nobody knows.
    assert_eq!(codes, ["slo-missed", "slo-censored"]);
}

#[test]
fn lost_requests_rank_last_in_percentiles_and_are_left_out_beside_them() {
    // 1000 counted, 15 failed: the 990th is infinite; of the 985 completed the 976th is not.
    let summary = summarize(&Builder::new(1, 3600).requests(985, 15).0, &AnalysisSettings::default());
    assert_eq!((summary.e2e.p99, summary.e2e.p95), (Some(f64::INFINITY), Some(1.0)));
    assert_eq!(summary.e2e.completed.map(|own| own[3]), Some(Some(1.0)));
    assert_eq!(summarize(&Builder::new(1, 3600).requests(990, 10).0, &AnalysisSettings::default()).e2e.p99, Some(1.0));
    let json: serde_json::Value = serde_json::from_str(&summary_json(&summary)).expect("valid JSON");
    assert!(json["e2eSeconds"]["p99"].is_null() && json["e2eSeconds"]["p99IsInf"] == true);
    assert_eq!(
        (&json["e2eSeconds"]["p99Completed"], &json["e2eSeconds"]["p95IsInf"]),
        (&1.0.into(), &serde_json::Value::Null)
    );
    assert_eq!(json["kpis"]["P99 TTFT (ms)"]["isInf"], true);
    assert!(json["itlSeconds"]["p99Completed"].is_null(), "a token's gap is not lost with a request");
}

#[test]
fn an_open_request_ranks_last_only_when_it_is_older_than_the_percentile() {
    let mut builder = Builder::new(1, 3600).requests(90, 0);
    let open = |seconds| OpenRequest { age: SimDuration::from_secs(seconds), first_token_came: false };
    builder.0.open_requests = vec![open(0); 10];
    builder.0.requests.in_flight = 10;
    builder.0.requests.total += 10;
    assert_eq!(summarize(&builder.0, &AnalysisSettings::default()).e2e.p99, Some(1.0));
    builder.0.open_requests = vec![open(50); 10];
    let overdue = summarize(&builder.0, &AnalysisSettings::default());
    assert_eq!((overdue.e2e.p99, overdue.e2e.p90), (Some(f64::INFINITY), Some(1.0)));
}

#[test]
fn minutes_are_merged_until_they_hold_enough_requests() {
    let minutes = |requests: &[(u64, u64)]| summarize(&judged(requests), &settings()).slo_minutes.expect("requests");
    let many = |minute: u64, count: usize, missed: usize| {
        (0..count).map(move |index| (minute, if index < missed { 0b01 } else { 0 })).collect::<Vec<_>>()
    };
    // 40 requests a minute, budget 5 %: two misses are allowed, three are not.
    let fine = minutes(&[many(0, 40, 2), many(1, 40, 2)].concat());
    assert_eq!((fine.violated, fine.judged), (0.0, 2.0));
    let bad = minutes(&[many(0, 40, 3), many(1, 40, 3), many(2, 40, 0), many(3, 40, 3)].concat());
    assert_eq!((bad.violated, bad.longest_streak, bad.judged), (3.0, 2.0, 4.0));
    // 5 requests a minute: four minutes make 20, of which two misses are too many.
    let merged = minutes(&(0..8).flat_map(|minute| many(minute, 5, usize::from(minute < 2))).collect::<Vec<_>>());
    assert_eq!((merged.violated, merged.judged), (4.0, 8.0));
    // One miss alone violates nothing, unless it is all there is.
    assert_eq!(minutes(&many(0, 6, 1)).violated, 0.0);
    assert_eq!(minutes(&many(0, 1, 1)).violated, 1.0);
    // Minutes without requests are neither good nor bad: five of them make an empty window.
    let gap = minutes(&[many(0, 40, 5), many(6, 40, 5)].concat());
    assert_eq!((gap.violated, gap.longest_streak, gap.judged), (2.0, 2.0, 2.0));
}

#[test]
fn burn_rates_are_misses_over_the_budget() {
    let requests: Vec<(u64, u64)> =
        (0..60).flat_map(|minute| (0..20).map(move |index| (minute, u64::from(minute < 5 && index < 4)))).collect();
    let minutes = summarize(&judged(&requests), &settings()).slo_minutes.expect("requests");
    // 20 % of the first five minutes, against 5 %; 20 of 1200 in the hour.
    assert!((minutes.max_burn_5m.expect("an hour") - 4.0).abs() < 1e-9);
    assert!((minutes.max_burn_1h.expect("an hour") - 20.0 / 1200.0 / 0.05).abs() < 1e-9);
    assert!((minutes.month_budget.expect("requests") - 20.0 / 1200.0 / 0.05 / 720.0).abs() < 1e-12);
    let mut short = judged(&[(0, 1)]);
    short.info.end = at(200);
    let short = summarize(&short, &settings()).slo_minutes.expect("a request");
    assert_eq!((short.max_burn_5m, short.max_burn_1h), (None, None));
}

#[test]
fn the_key_figures_have_the_names_and_the_order_that_users_compare_by() {
    let names: Vec<&str> = KPIS.iter().map(|kpi| kpi.name).collect();
    let published = [
        "P99 TTFT (ms)",
        "P99 ITL (ms)",
        "Avg replicas",
        "Max replicas",
        "Avg KV cache utilization",
        "Avg queue depth",
        "Error count",
        "Avg pod startup (s)",
        "Cost (avg replicas x GPU/h)",
    ];
    assert_eq!(names[..9], published);
    assert_eq!(names[9..], ["Flaps/h", "SLO attainment", "Goodput", "Billed / oracle GPU-hours"]);
    let record = Builder::new(1, 3600).requests(10, 0).0;
    let summary = summarize(&record, &AnalysisSettings::default());
    let json = summary_json(&summary);
    let mut from = json.find("\"kpis\"").expect("the table");
    for name in &names {
        from += json[from..].find(&format!("\"{name}\"")).unwrap_or_else(|| panic!("{name} comes next"));
    }
    let markdown = summary_markdown(&record, &summary);
    let mut from = 0;
    for name in &names {
        from += markdown[from..].find(name).unwrap_or_else(|| panic!("{name} comes next in\n{markdown}"));
    }
    assert!(markdown.contains("1 run, no interval"));
}

/// A row's value and what stands beside it.
fn row(summary: &Summary, name: &str) -> (Option<f64>, Vec<Option<f64>>) {
    let rows = kpi_values(std::slice::from_ref(summary));
    let row = rows.into_iter().find(|row| row.kpi.name == name).expect("a row");
    (row.value.mean, row.beside.iter().map(|own| own.mean).collect())
}

#[test]
fn key_figures_of_the_fleet_follow_their_definitions() {
    // Two GPUs a replica; one pod from the start, one Ready from 600 to 1800 s and gone at 1900 s, one stopped as it started.
    let mut builder = Builder::new(1, 3600)
        .requests(95, 5)
        .scaled(480, 1, 2, ScaleSource::Hpa)
        .scaled(1800, 2, 1, ScaleSource::Hpa)
        .sync(2000, 3.0, 1, 1)
        .pod(0, Some(0), None, 0)
        .pod(480, Some(600), Some((1800, 1900)), 0)
        .pod(2000, None, Some((2060, 2060)), 0);
    builder.0.info.gpus_per_replica = 2;
    builder.0.fleet.samples = 4;
    builder.0.fleet.waiting = 6;
    builder.0.fleet.held = 2;
    builder.0.fleet.ready_samples = 2;
    builder.0.fleet.kv_usage = 0.5;
    let settings = AnalysisSettings { gpu_hour_price: Some(3.0), ..AnalysisSettings::default() };
    let summary = summarize(&builder.0, &settings);
    let mean = (3600.0 + 1200.0) / 3600.0;
    assert_eq!(row(&summary, "Avg replicas").0, Some(mean));
    assert_eq!(row(&summary, "Max replicas").0, Some(2.0));
    assert_eq!(row(&summary, "Avg KV cache utilization").0, Some(0.25), "times without a ready pod are left out");
    assert_eq!(row(&summary, "Avg queue depth"), (Some(2.0), vec![Some(1.5)]));
    assert_eq!(row(&summary, "Error count"), (Some(5.0), vec![Some(0.0)]));
    assert_eq!(row(&summary, "Avg pod startup (s)"), (Some(120.0), vec![Some(1.0)]));
    // Billed: 3600 + 1420 + 60 s of two GPUs at 3 each.
    let (cost, beside) = row(&summary, "Cost (avg replicas x GPU/h)");
    assert!((cost.expect("a price") - 3.0 * 2.0 * 5080.0 / 3600.0).abs() < 1e-9);
    assert!((beside[0].expect("a price") - 3.0 * 2.0 * mean).abs() < 1e-9);
    assert_eq!(row(&summary, "Billed / oracle GPU-hours").1, [None], "nobody computes the oracle");
}

/// A run of an hour that needs 1 replica and from ten minutes on 3, and misses everything in the minutes `missed`.
fn needing_three(missed: std::ops::Range<u64>) -> Builder {
    // With requests in every minute each is a window of its own.
    let of = |minute| [(minute, u64::from(missed.contains(&minute))); 25];
    let requests: Vec<(u64, u64)> = (0..missed.end).flat_map(of).collect();
    let mut record = judged(&requests);
    let step =
        |from, generated_tokens| LoadStep { from: at(from), requests: 1.0, prompt_tokens: 0.0, generated_tokens };
    record.loop_info.load.law = Some(vec![step(0, 4.0), step(600, 14.0)]);
    Builder(record).pod(0, Some(0), None, 0)
}

/// Minutes per reason, in the order of [`MissReason::ALL`].
fn reasons(builder: &Builder) -> [f64; 6] {
    let summary = summarize(&builder.0, &settings());
    let reasons = summary.slo_reasons.expect("requests were judged");
    let missed = summary.slo_minutes.expect("requests were judged").violated;
    let minutes = MissReason::ALL.map(|reason| reasons.minutes(reason));
    assert!((minutes.iter().sum::<f64>() - missed).abs() < 1e-9, "every missed minute has one reason");
    minutes
}

fn sample(t: u64, running: u64, waiting: u64) -> TimelineRow {
    TimelineRow {
        t: at(t),
        offered_rps: 1.0,
        spec_replicas: 3,
        status_replicas: 3,
        ready_replicas: 3,
        triggers: [].into(),
        running,
        waiting,
        kv_usage: 0.0,
        ttft_p95: None,
    }
}

#[test]
fn each_missed_minute_has_the_reason_that_held_most_of_it() {
    // The policy sees the rise at 11:30; its pods are there at 11:40 and ready at 15:00, and a queue is left for a minute.
    let mut run = needing_three(10..17)
        .scaled(690, 1, 3, ScaleSource::Hpa)
        .sync(600, 4.0, 1, 1)
        .sync(690, 14.0, 1, 3)
        .pod(700, Some(900), None, 0)
        .pod(700, Some(900), None, 0);
    run.0.timeline.rows = vec![sample(840, 20, 90), sample(900, 20, 40), sample(960, 20, 0), sample(1020, 20, 0)];
    // Held low in minutes 10 and 11 (half of it), starting in 12 to 14 and what they left in 15.
    assert_eq!(reasons(&run), [4.0, 0.0, 2.0, 0.0, 0.0, 1.0]);
    let summary = summarize(&run.0, &settings());
    let text = "of 7 missed minutes: 4 with pods still starting, 2 held low by the policy, 1 with all that was asked for ready";
    let reasons = summary.slo_reasons.expect("requests were judged");
    assert_eq!(reasons.text(&summary.run).as_deref(), Some(text));
    assert!(summary_markdown(&run.0, &summary).contains(text));
    let finding = summary.verdict.findings.iter().find(|own| own.code == "slo-missed").expect("the SLO is missed");
    let evidence = finding.evidence.join("\n");
    for part in [
        text,
        "with pods still starting: at 12m2s 1 ready, 2 starting, spec.replicas 3, 3 wanted",
        "held low by the policy: at 10m2s 1 ready, spec.replicas 1, 3 wanted",
        "try: a lower threshold or more replicas at least",
    ] {
        assert!(evidence.contains(part), "{part}: {evidence}");
    }
    let json: serde_json::Value = serde_json::from_str(&summary_json(&summary)).expect("valid JSON");
    assert_eq!((&json["slo"]["missReasons"]["starting"], &json["slo"]["missMinutes"]), (&4.0.into(), &7.0.into()));
    // A queue that does not shrink is not that of the shortage before.
    run.0.timeline.rows = vec![sample(900, 20, 40), sample(960, 20, 50)];
    assert_eq!(self::reasons(&run), [3.0, 0.0, 2.0, 0.0, 0.0, 2.0]);
}

#[test]
fn a_shortage_is_the_maximums_where_all_that_is_allowed_would_not_do() {
    let two = |most| {
        let mut run = needing_three(12..14).scaled(690, 1, 2, ScaleSource::Hpa).sync(690, 14.0, 1, 2);
        run.0.info.max_replicas = most;
        run
    };
    // One of two is starting, and three are needed.
    let starting = |most| reasons(&two(most).pod(690, Some(780), None, 0));
    assert_eq!(starting(2), [0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(starting(4), [0.0, 0.0, 2.0, 0.0, 0.0, 0.0], "held at two by the policy");
    let mut fixed = two(4);
    fixed.0.info.fixed_replicas = true;
    let summary = summarize(&fixed.pod(690, Some(690), None, 0).0, &settings());
    let text = summary.slo_reasons.and_then(|own| own.text(&summary.run));
    assert_eq!(text.as_deref(), Some("of 2 missed minutes: 2 at the fixed count"));
}

#[test]
fn pods_without_a_node_and_metrics_that_fail_are_told_apart_from_the_policy() {
    let asked = || needing_three(12..14).scaled(690, 1, 3, ScaleSource::Hpa).sync(690, 14.0, 1, 3);
    assert_eq!(reasons(&asked()), [0.0, 0.0, 0.0, 2.0, 0.0, 0.0], "a quota keeps pods from being created");
    let mut pending = asked().pod(700, None, None, 0).pod(700, None, None, 0);
    assert_eq!(reasons(&pending), [2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    pending.0.pods[2].scheduled = None;
    assert_eq!(reasons(&pending), [0.0, 0.0, 0.0, 2.0, 0.0, 0.0], "one of them has no node");

    let mut failing = needing_three(12..14).sync(690, 4.0, 1, 1);
    assert_eq!(reasons(&failing), [0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
    if let Some(DecisionRecord::HpaSync(sync)) = failing.0.decisions.last_mut() {
        sync.metrics[0].error = Some("connection refused".to_owned());
        sync.metrics[0].proposal = None;
    }
    assert_eq!(reasons(&failing), [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    // A fault that is over by half of the second minute.
    let mut faulty = needing_three(12..14).sync(690, 4.0, 1, 1);
    let fault = "prometheusDown";
    let event = |t, kind| Event { t: at(t), kind };
    faulty.0.events.push(event(700, EventKind::FaultStarted { fault, settings: "{}".to_owned() }));
    faulty.0.events.push(event(795, EventKind::FaultEnded { fault, settings: "{}".to_owned() }));
    assert_eq!(reasons(&faulty), [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
}

#[test]
fn where_no_trigger_counts_work_only_what_metrics_propose_is_wanted() {
    let mut run = needing_three(12..14).sync(690, 4.0, 1, 1);
    run.0.loop_info.queries[0].counts = Counted::Nothing;
    assert_eq!(reasons(&run), [0.0, 0.0, 0.0, 0.0, 0.0, 2.0], "nobody asked for more");
    let mut run = run.sync(700, 14.0, 1, 1);
    assert_eq!(reasons(&run), [0.0, 0.0, 2.0, 0.0, 0.0, 0.0], "a window holds the proposal");
    run.0.decisions.push(DecisionRecord::KedaPoll(Box::new(KedaPoll {
        t: at(701),
        spec_replicas: 1,
        metrics: Vec::new(),
        active: true,
        error: false,
        rule: "A1",
        cooldown_end: None,
        action: "none",
        new_replicas: 1,
    })));
    assert_eq!(reasons(&run), [0.0, 0.0, 2.0, 0.0, 0.0, 0.0], "a poll proposes nothing and takes nothing back");
}
