//! Signatures of causes (verdicts.md 2.2) on hand-made records: one that matches and one that nearly does.

#[path = "report_builder/mod.rs"]
mod report_builder;

use kedasim::analysis::{
    Cause, FlapCauses, Need, cause_shares, flap_causes, flap_demand, flapping, noise_index, summarize,
};
use kedasim::record::{
    Counted, DecisionRecord, HpaSync, LoadStep, MetricRecord, QueryInfo, RunRecord, ScaleSource, TimelineRow,
};
use kedasim::scenario::AnalysisSettings;
use kedasim::units::{Severity, SimDuration};
use report_builder::{Builder, at};

const W: SimDuration = SimDuration::from_secs(600);
const END: u64 = 3600;

/// The expected load: (from, requests per second, generated tokens per second).
fn law(record: &mut RunRecord, steps: &[(u64, f64, f64)]) {
    let step = |(from, requests, generated_tokens): &(u64, f64, f64)| LoadStep {
        from: at(*from),
        requests: *requests,
        prompt_tokens: 0.0,
        generated_tokens: *generated_tokens,
    };
    record.loop_info.load.law = Some(steps.iter().map(step).collect());
    record.loop_info.load.size_cv = Some(0.5);
}

/// A sync every 15 s that saw `value(t)` and left `count(t)` replicas; 9.6 requests per rate window, all the time.
fn played(value: impl Fn(u64) -> f64, count: impl Fn(u64) -> i32) -> RunRecord {
    let mut builder = Builder::new(count(0), END);
    for t in (15..END).step_by(15) {
        let (from, to) = (count(t - 15), count(t));
        builder = builder.sync(t, value(t), from, to);
        if from != to {
            builder = builder.scaled(t, from, to, ScaleSource::Hpa);
        }
    }
    law(&mut builder.0, &[(0, 0.08, 4.0)]);
    builder.0
}

/// One replica, two from `up` until `down`.
fn peak(value: impl Fn(u64) -> f64, up: u64, down: u64) -> RunRecord {
    played(value, |t| if (up..down).contains(&t) { 2 } else { 1 })
}

fn high_until(t: u64) -> impl Fn(u64) -> f64 {
    move |now| if now < t { 9.0 } else { 4.5 }
}

fn sync_at(record: &mut RunRecord, t: u64) -> &mut HpaSync {
    let found = record.decisions.iter_mut().find_map(|decision| match decision {
        DecisionRecord::HpaSync(sync) if sync.t == at(t) => Some(sync),
        _ => None,
    });
    found.expect("there is a sync then")
}

fn row(t: u64, ready: i32, running: u64, waiting: u64) -> TimelineRow {
    TimelineRow {
        t: at(t),
        offered_rps: 0.08,
        spec_replicas: ready,
        status_replicas: ready,
        ready_replicas: ready,
        triggers: Vec::new().into(),
        running,
        waiting,
        kv_usage: 0.0,
        ttft_p95: None,
    }
}

fn causes(record: &RunRecord) -> Vec<FlapCauses> {
    let flapping = flapping(record, W);
    let need = Need::of_load(record, W, 1.0);
    let demand = flap_demand(record, &flapping, &need);
    flap_causes(record, &flapping, &demand)
}

/// The causes that match the first flap, the suspect first.
fn first(record: &RunRecord) -> Vec<Cause> {
    let causes = causes(record);
    assert!(!causes.is_empty(), "the record has a flap");
    causes[0].matches.iter().map(|own| own.cause).collect()
}

#[test]
fn c0_a_peak_that_the_need_asked_for_is_the_load_itself() {
    let loaded = |until| {
        let mut record = peak(high_until(1000), 600, 1100);
        law(&mut record, &[(0, 0.04, 4.0), (500, 0.08, 8.0), (until, 0.04, 4.0)]);
        first(&record)
    };
    assert_eq!(loaded(1000)[0], Cause::Load);
    assert!(!loaded(540).contains(&Cause::Load), "40 s are no need");
}

#[test]
fn c1_noise_crosses_the_step_while_the_load_stands_still() {
    let steady = peak(high_until(800), 600, 1000);
    assert_eq!(first(&steady), [Cause::Noise]);
    let mut moved = steady.clone();
    law(&mut moved, &[(0, 0.08, 4.0), (700, 0.05, 2.5)]);
    assert!(!first(&moved).contains(&Cause::Noise), "the offered mean moved");
    let mut many = steady.clone();
    law(&mut many, &[(0, 80.0, 4.0)]);
    assert!(!first(&many).contains(&Cause::Noise), "9600 requests per window are not noisy");
    let beside = peak(|t| if t < 800 { 5.4 } else { 4.5 }, 600, 1000);
    assert!(!first(&beside).contains(&Cause::Noise), "5.4 is within the dead band over one replica");
}

#[test]
fn c1_the_swing_of_a_regular_cycle_is_no_noise_of_a_metric_without_a_formula() {
    let counts = |t: u64| if t % 375 < 90 { 1 } else { 2 };
    let mut cycle = played(|t| if counts(t - 15) == 1 { 8.0 } else { 2.6 }, counts);
    assert!(first(&cycle).contains(&Cause::Noise), "so few requests explain it");
    cycle.loop_info.queries[0].counts = Counted::Nothing;
    assert!(!first(&cycle).contains(&Cause::Noise));
}

#[test]
fn the_noise_index_is_the_formulas() {
    let mut record = peak(high_until(800), 600, 1000);
    law(&mut record, &[(0, 8.0 / 116.0, 8.0)]);
    record.loop_info.load.size_cv = Some(0.53);
    let index = noise_index(&record, at(0), at(END)).expect("the trigger is a rate of tokens");
    assert!((index.requests - 8.3).abs() < 0.05 && (index.cv - 0.39).abs() < 0.005, "{index:?}");
    assert!((index.z - 0.25).abs() < 0.01, "{index:?}");
    for (requests, z) in [(514.0, 2.0), (1157.0, 3.0), (2057.0, 4.0)] {
        law(&mut record, &[(0, requests / 120.0, 8.0)]);
        record.loop_info.load.size_cv = Some(0.53);
        let found = noise_index(&record, at(0), at(END)).expect("as before").z;
        assert!((found - z).abs() < 0.01, "{requests}: {found}");
    }
    record.loop_info.queries = vec![QueryInfo { range: SimDuration::from_secs(120), ..QueryInfo::default() }];
    assert_eq!(noise_index(&record, at(0), at(END)), None);
}

#[test]
fn c2_ups_go_on_while_the_first_new_pod_starts() {
    let run = |ready: u64, down: u64| {
        let counts = |t| match t {
            0..600 => 1,
            600..615 => 2,
            _ if t < down => 3,
            _ => 1,
        };
        let mut record = played(|t| if t < 700 { 14.0 } else { 4.5 }, counts);
        for t in (615..690).step_by(15) {
            sync_at(&mut record, t).ready_replicas = 1;
        }
        let builder = Builder(record).requests(1, 0);
        let builder = builder.pod(600, Some(ready), None, 0).pod(615, Some(ready), None, 0);
        first(&builder.0)
    };
    assert!(run(700, 900).contains(&Cause::ColdStart));
    assert!(!run(700, 1095).contains(&Cause::ColdStart), "it had watched them for a whole window");
}

#[test]
fn c3_the_move_comes_when_the_load_has_turned_back() {
    let run = |up| {
        let value = |t| if (560..700).contains(&t) { 9.0 + if t == 630 { 1.0 } else { 0.0 } } else { 2.0 };
        let mut record = peak(value, up, 1000);
        law(&mut record, &[(0, 0.02, 2.0), (500, 0.10, 10.0), (600, 0.02, 2.0)]);
        first(&record)
    };
    assert!(run(645).contains(&Cause::RateWindowLag));
    assert!(!run(570).contains(&Cause::RateWindowLag), "the load was still there");
}

#[test]
fn c4_the_old_count_is_wanted_again_soon_after_the_down() {
    let run = |window| {
        let value = |t| if (500..690).contains(&t) { 4.5 } else { 9.0 };
        let mut record = played(value, |t| if (600..690).contains(&t) { 1 } else { 2 });
        law(&mut record, &[(0, 800.0, 8.0)]);
        record.loop_info.scale_down_window = SimDuration::from_secs(window);
        first(&record)
    };
    assert_eq!(run(120)[0], Cause::ShortDownWindow);
    assert!(!run(300).contains(&Cause::ShortDownWindow), "a rate over 2m has forgotten by then");
}

#[test]
fn c5_a_step_of_more_than_four_is_undone() {
    let run = |top| {
        let value = move |t: u64| if (600..900).contains(&t) { 5.0 * f64::from(top) } else { 4.5 };
        let mut record = played(value, |t| if (600..900).contains(&t) { top } else { 1 });
        law(&mut record, &[(0, 800.0, 8.0)]);
        first(&record)
    };
    assert!(run(6).contains(&Cause::LargeStep));
    assert!(!run(5).contains(&Cause::LargeStep), "a step of four is allowed");
}

#[test]
fn c6_a_small_swing_crosses_the_edge_of_the_band() {
    let run = |low| {
        let value = move |t| if (600..900).contains(&t) { 55.6 } else { low };
        let mut record = played(value, |t| if (600..900).contains(&t) { 12 } else { 10 });
        record.info.max_replicas = 20;
        law(&mut record, &[(0, 800.0, 50.0)]);
        first(&record)
    };
    assert!(run(49.0).contains(&Cause::Tolerance));
    assert!(!run(40.0).contains(&Cause::Tolerance), "0.31 is wider than the band");
}

#[test]
fn c7_nothing_found_is_read_as_zero() {
    let run = |change: fn(&mut MetricRecord)| {
        let mut record = peak(|t| if t == 900 { 0.0 } else { 9.0 }, 600, 900);
        change(&mut sync_at(&mut record, 900).metrics[0]);
        first(&record)
    };
    assert_eq!(run(|own| own.null_as_zero = true)[0], Cause::NullAsZero);
    assert!(!run(|_| ()).contains(&Cause::NullAsZero), "a true 0");
    let failed = |own: &mut MetricRecord| (own.null_as_zero, own.error) = (true, Some("down".to_owned()));
    assert!(!run(failed).contains(&Cause::NullAsZero), "an error is no 0");
}

fn keda_dip(from: i32, to: i32, back: u64) -> RunRecord {
    let mut record = Builder::new(from, END)
        .scaled(600, from, to, ScaleSource::Keda)
        .scaled(600 + back, to, from, ScaleSource::Keda)
        .0;
    law(&mut record, &[(0, 0.08, 4.0)]);
    record.info.min_replicas = 0;
    record
}

#[test]
fn c8_keda_cuts_several_replicas_to_zero() {
    assert_eq!(first(&keda_dip(2, 0, 100))[0], Cause::CutToZero);
    assert!(!first(&keda_dip(1, 0, 100)).contains(&Cause::CutToZero), "one replica is no cut");
}

#[test]
fn c16_idle_and_the_minimum_take_turns_at_every_poll() {
    let run = |back| {
        let mut record = keda_dip(3, 1, back);
        record.info.min_replicas = 3;
        record.loop_info.idle_replicas = Some(1);
        record.loop_info.polling_interval = Some(SimDuration::from_secs(30));
        first(&record)
    };
    assert_eq!(run(30)[0], Cause::IdleMode);
    assert_eq!(run(300)[0], Cause::CutToZero, "a cut to idle that lasts is C8");
}

#[test]
fn c9_the_value_jumps_with_the_count_and_their_product_does_not() {
    let counts = |t: u64| if t % 375 < 90 { 1 } else { 2 };
    let seen = move |t: u64| counts(t - 15);
    let average = played(|t| 8.0 / f64::from(seen(t)), counts);
    assert_eq!(average.info.triggers[0].target_type, "AverageValue");
    assert!(first(&average).contains(&Cause::AverageOfAverage));
    let total = played(|t| if seen(t) == 1 { 8.0 } else { 4.9 } + (t % 7) as f64, counts);
    assert!(!first(&total).contains(&Cause::AverageOfAverage), "a total that falls is no average");
    // While a rate fills up again after a pod has gone, the product is less constant.
    let mut filling = played(
        |t| {
            if seen(t) == 2 {
                4.0
            } else if t % 30 == 0 {
                8.0
            } else {
                4.5
            }
        },
        counts,
    );
    assert!(!first(&filling).contains(&Cause::AverageOfAverage), "it could be chance");
    filling.loop_info.queries[0].is_average = true;
    assert!(first(&filling).contains(&Cause::AverageOfAverage), "the query is an average by its form");
    let constant = played(|_| 5.2, counts);
    assert!(!first(&constant).contains(&Cause::AverageOfAverage), "a total does not know the count");
}

#[test]
fn c10_a_status_behind_spec_is_copied_into_it() {
    let run = |status| {
        let mut record = peak(high_until(800), 600, 1000);
        let sync = sync_at(&mut record, 600);
        sync.status_replicas = status;
        sync.metrics[0].within_tolerance = Some(true);
        first(&record)
    };
    assert!(run(2).contains(&Cause::StatusNotSpec));
    assert!(!run(1).contains(&Cause::StatusNotSpec));
}

#[test]
fn c11_a_staircase_at_the_cap_and_a_fall_once_the_queue_is_gone() {
    let run = |waiting| {
        let counts = |t: u64| match t {
            0..600 => 1,
            720..1200 => 3,
            _ => 2,
        };
        let ready = |t: u64| counts(t.saturating_sub(75));
        let value = |t| if t < 1000 { 10.0 * f64::from(ready(t)) } else { 9.0 };
        let mut record = played(value, counts);
        for t in (0..END).step_by(5) {
            record.timeline.rows.push(row(t, ready(t), 4, if t < 1000 { waiting } else { 0 }));
        }
        for t in (15..END).step_by(15) {
            sync_at(&mut record, t).ready_replicas = ready(t);
        }
        first(&record)
    };
    assert!(run(9).contains(&Cause::Saturation));
    assert!(!run(1).contains(&Cause::Saturation), "one waiting request is not one per ready replica");
}

/// A second metric beside the first, of `kind`, with `milli(t)`.
fn beside(record: &mut RunRecord, kind: &str, milli: impl Fn(u64) -> i64) {
    for decision in &mut record.decisions {
        let DecisionRecord::HpaSync(sync) = decision else { continue };
        let told = milli(sync.t.as_secs_floor());
        let own = MetricRecord {
            trigger: format!("s1-{kind}").into(),
            kind: kind.into(),
            milli: Some(told),
            value: Some(told as f64 / 1000.0),
            target_milli: 1000,
            proposal: i32::try_from(told / 1000).ok(),
            ..sync.metrics[0].clone()
        };
        sync.metrics.push(own);
    }
}

#[test]
fn c12_the_cron_trigger_begins_and_decides() {
    let run = |desired| {
        let mut record = peak(|_| 4.0, 600, 1000);
        beside(&mut record, "cron", |t| if (585..700).contains(&t) { desired } else { 1000 });
        first(&record)
    };
    assert!(run(2000).contains(&Cause::CronEdge));
    assert!(!run(500).contains(&Cause::CronEdge), "another metric wins");
}

#[test]
fn c13_a_fallback_stands_in_at_one_of_the_moves() {
    let run = |t| {
        let mut record = peak(high_until(800), 600, 1000);
        sync_at(&mut record, t).metrics[0].fallback = true;
        first(&record)
    };
    assert!(run(1005).contains(&Cause::FallbackEdge));
    assert!(!run(990).contains(&Cause::FallbackEdge));
}

#[test]
fn c14_two_triggers_pull_in_turns() {
    let run = |wobble: f64| {
        let value = move |t| {
            if t < 700 {
                9.0
            } else if t == 750 {
                wobble
            } else {
                0.0
            }
        };
        let mut record = peak(value, 600, 1000);
        law(&mut record, &[(0, 800.0, 4.0)]);
        beside(&mut record, "prometheus", |_| 1000);
        first(&record)
    };
    assert!(run(0.0).contains(&Cause::TriggerTug));
    assert!(!run(20.0).contains(&Cause::TriggerTug), "the first is not monotone");
}

#[test]
fn c15_the_hpa_is_younger_than_its_window() {
    assert_eq!(first(&peak(high_until(200), 60, 300))[0], Cause::InitialState);
    assert!(!first(&peak(high_until(200), 60, 315)).contains(&Cause::InitialState));
}

#[test]
fn c17_without_a_behavior_a_past_maximum_adds_pods() {
    let run = |has_behavior| {
        let mut record = peak(|t| if t < 600 { 9.0 } else { 4.5 }, 600, 1000);
        record.loop_info.has_behavior = has_behavior;
        first(&record)
    };
    assert!(run(false).contains(&Cause::PastMaximum));
    assert!(!run(true).contains(&Cause::PastMaximum));
}

#[test]
fn c18_clients_that_wait_send_less_when_answers_are_slow() {
    let run = |closed_loop, inside| {
        let mut record = peak(high_until(800), 600, 1000);
        record.loop_info.load.closed_loop = closed_loop;
        record.timeline.rows = (0..END).step_by(5).map(|t| row(t, 1, if t < 800 { 4 } else { inside }, 0)).collect();
        first(&record)
    };
    assert!(run(true, 8).contains(&Cause::ClosedLoop));
    assert!(!run(true, 4).contains(&Cause::ClosedLoop), "answers were as fast as before");
    assert!(!run(false, 8).contains(&Cause::ClosedLoop));
}

#[test]
fn the_first_match_is_the_suspect_and_all_are_evidence() {
    let mut record = peak(high_until(800), 600, 1000);
    sync_at(&mut record, 1005).metrics[0].fallback = true;
    assert_eq!(first(&record), [Cause::FallbackEdge, Cause::Noise]);
    let shares = cause_shares(&causes(&record));
    let counts: Vec<_> = shares.iter().map(|own| (own.cause, own.suspected, own.matched)).collect();
    assert_eq!(counts, [(Cause::FallbackEdge, 1, 1), (Cause::Noise, 0, 1)]);
    let findings = summarize(&record, &AnalysisSettings::default()).verdict.findings;
    let found = findings.iter().find(|finding| finding.code == "cause-C13").expect("it is suspected of the flap");
    assert_eq!(found.severity, Severity::Note);
    assert!(found.message.starts_with("suspected of 1 of 1 flap"), "{}", found.message);
    assert!(!findings.iter().any(|finding| finding.code == "cause-C1"), "nothing is suspected of it first");
}
