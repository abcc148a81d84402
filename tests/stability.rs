//! `kedasim stability`: known cases of verdicts.md 3, 7.6 and 9, policies that must settle or cycle, independence of the number
//! of threads, and input that is no map.

use kedasim::analysis::{
    JumpCost, LoadStepUp, LoopEnd, NoiseFreeEnd, ReplicaCycle, StabilityClass, StabilityRow, jump_cost,
    noise_free_bands, stability_bands, stability_class,
};
use kedasim::manifest::{Bundle, Input};
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::study::{
    LoadJump, NoiseFreePass, StabilityError, StabilityMap, StabilityPlan, SurvivalPlan, run_stability, run_survival,
};
use kedasim::traffic::Arrivals;
use kedasim::units::SimDuration;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Tokens of a request of the reference policy's traffic: 15 and a geometric length cut at 200.
const TOKENS: f64 = 114.184_4;

fn policy(path: &str, set: &[(&str, &str)]) -> ResolvedRun {
    let mut bundle = Bundle::load(&[Input::Path(repository(path))]).expect("the policy loads");
    for (path, value) in set {
        bundle.set_text(path, value).unwrap_or_else(|error| panic!("{error}"));
    }
    resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The map from `from` to `to` tokens per second, one seed.
fn map(run: &ResolvedRun, from: f64, to: f64) -> StabilityMap {
    let plan = StabilityPlan { from: Some(from / TOKENS), to: Some(to / TOKENS), steps: Some(2), seeds: 1, jobs: 0 };
    run_stability(run, &plan).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn without_noise_the_reference_policy_has_the_fixed_points_and_the_bistable_band() {
    let map = map(&policy("policies/opt-125m", &[]), 4.8, 5.8);
    assert_eq!(map.noise_free, NoiseFreePass::Exact);
    let bands = noise_free_bands(&map.rows);
    let ends: Vec<&[i32]> = bands.iter().map(|band| band.ends.as_slice()).collect();
    assert_eq!(ends, [&[1][..], &[1, 2], &[2]]);
    assert!(bands.iter().all(|band| !band.cycles));
    let tokens = |load: f64| map.scale.in_unit(load).expect("the threshold counts tokens");
    // One replica up to 5, either up to 5.5 (the tolerance), two beyond; edges as fine as one percent of a replica's share.
    for (edge, (below, above)) in
        [5.0, 5.5].into_iter().zip([(bands[0].loads.1, bands[1].loads.0), (bands[1].loads.1, bands[2].loads.0)])
    {
        assert!(tokens(below) <= edge + 0.02 && tokens(above) >= edge - 0.02, "{edge}: {below} {above}");
        assert!(tokens(above) - tokens(below) <= 0.0501, "{edge}: {below} {above}");
    }
    // The noise of few requests drives every one of these loads.
    let classes: Vec<StabilityClass> = stability_bands(&map.rows).iter().map(|band| band.class).collect();
    assert_eq!(classes, [StabilityClass::NoiseDriven]);
    let rates = map.rows.iter().filter_map(|row| row.noisy.as_ref()).map(|own| own.flaps_per_hour);
    for rate in rates {
        assert!((6.0..16.0).contains(&rate), "{rate}");
    }
}

#[test]
fn beyond_the_share_of_the_maximum_it_settles_there() {
    let map = map(&policy("policies/opt-125m", &[]), 30.0, 34.0);
    let bands = stability_bands(&map.rows);
    assert_eq!(bands.len(), 1);
    assert_eq!((bands[0].class, bands[0].counts.as_slice()), (StabilityClass::Settles, &[3][..]));
    assert_eq!(bands[0].flaps_per_hour, (0.0, 0.0));
}

/// The total divided by the replicas, and the HPA divides again: gamma is -1 (cause C9).
const AVERAGE: &str = "(sum(rate(vllm:prompt_tokens_total[2m])) + sum(rate(vllm:generation_tokens_total[2m]))) / \
                       count(vllm:num_requests_running)";
const BEHAVIOR: &str = "spec.advanced.horizontalPodAutoscalerConfig.behavior";

#[test]
fn an_average_with_average_value_cycles_without_any_noise() {
    let set = [
        ("spec.triggers[0].metadata.query", AVERAGE),
        (BEHAVIOR, "{scaleUp: {stabilizationWindowSeconds: 0}, scaleDown: {stabilizationWindowSeconds: 300}}"),
    ];
    let map = map(&policy("policies/opt-125m", &set), 7.5, 8.0);
    assert!(matches!(&map.noise_free, NoiseFreePass::Measured(names, _) if *names == ["s0-prometheus"]));
    for row in &map.rows {
        assert_eq!(row.class, Some(StabilityClass::LimitCycle), "{row:?}");
        assert_eq!(row.ends(), [1, 2]);
        // The scale-down window and one sync more; then up again once the mean has risen.
        let period = row.period_seconds().expect("a cycle has a period");
        assert!((300.0..600.0).contains(&period), "{period}");
    }
}

#[test]
fn a_trigger_of_pods_alone_is_no_map() {
    let cron = "{type: cron, metadata: {timezone: Etc/UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: \"2\"}}";
    let run = policy("policies/opt-125m", &[("spec.triggers", &format!("[{cron}]"))]);
    let plan = StabilityPlan { from: None, to: None, steps: None, seeds: 1, jobs: 1 };
    let Err(StabilityError::Input(told)) = run_stability(&run, &plan) else { panic!("cron follows the clock") };
    assert!(told.to_string().contains("follows the clock"), "{told}");
    let fixed = policy("policies/opt-125m", &[("spec.minReplicaCount", "3")]);
    let Err(StabilityError::Input(told)) = run_stability(&fixed, &plan) else { panic!("nothing can scale") };
    assert!(told.to_string().contains("minReplicas = maxReplicas = 3"), "{told}");
}

#[test]
fn traffic_that_sends_nothing_is_no_map() {
    let mut run = policy("policies/opt-125m", &[]);
    let silent = vec![(SimDuration::from_secs(600), 0.0), (SimDuration::from_secs(600), 0.0)];
    for source in &mut run.traffic {
        source.arrivals = Arrivals::Stages(silent.clone());
    }
    let plan = StabilityPlan { from: None, to: None, steps: None, seeds: 1, jobs: 1 };
    let Err(StabilityError::Input(told)) = run_stability(&run, &plan) else { panic!("there is no load") };
    assert!(told.to_string().contains("--traffic: found traffic that sends nothing"), "{told}");
}

#[test]
fn slower_starts_survive_less() {
    // Near what a replica can do, so that a jump is felt until the next ones are there.
    let run = policy("policies/opt-125m", &[("spec.triggers[0].metadata.threshold", "\"80\"")]);
    let map = run_survival(&run, &SurvivalPlan { jumps: Vec::new(), startups: Vec::new(), seeds: 1, jobs: 0 })
        .unwrap_or_else(|error| panic!("{error:?}"));
    assert!(map.goals_assumed);
    let minutes = |jump: f64, startup: u64| {
        let own = |cell: &&kedasim::study::SurvivalCell| {
            !cell.is_ramp && cell.jump == jump && cell.startup_seconds == startup
        };
        map.cells.iter().find(own).expect("the cell is there").miss_minutes
    };
    // One replica completes 1.83 requests/s: three times 0.56 fit, five times do not until the others are there, and ten times
    // are more than the three of maxReplicas complete.
    assert_eq!([1.25, 2.0, 3.0].map(|jump| minutes(jump, 900)), [0.0; 3]);
    let at_five = [0, 60, 180, 300, 600, 900].map(|startup| minutes(5.0, startup));
    assert!(at_five[0] == 0.0 && at_five.windows(2).all(|pair| pair[0] < pair[1]), "{at_five:?}");
    let hopeless = map.cells.iter().filter(|cell| cell.jump == 10.0);
    assert!(hopeless.clone().count() == 12 && hopeless.clone().all(|cell| cell.recovered == 0));
    assert_eq!(map.cells.len(), 60);
}

/// Two requests per second of each replica; from 3 to 6 requests per second with two replicas, 60 s to notice and 300 s to
/// start: the example of verdicts.md 3.6.
const EXAMPLE: LoadStepUp = LoadStepUp { load: 6.0, served_before: 4.0, served_after: 8.0, delay_seconds: 360.0 };

#[test]
fn the_formula_of_a_jump_has_the_reference_s_figures() {
    let expected = JumpCost::Recovers { backlog: 720.0, drain_seconds: 360.0, minutes: 12.0 };
    assert_eq!(jump_cost(&EXAMPLE), expected);
    assert_eq!(jump_cost(&LoadStepUp { served_after: 6.0, ..EXAMPLE }), JumpCost::NoRecovery);
    assert_eq!(jump_cost(&LoadStepUp { load: 4.0, served_after: 4.0, ..EXAMPLE }), JumpCost::Nothing);
}

#[test]
fn a_jump_that_is_given_stands_beside_what_the_formula_says() {
    let run = policy("policies/opt-125m", &[("spec.triggers[0].metadata.threshold", "\"80\"")]);
    let jumps = vec![LoadJump { from: 0.5, to: 1.0 }, LoadJump { from: 0.5, to: 3.0 }, LoadJump { from: 1.0, to: 9.0 }];
    let plan = SurvivalPlan { jumps, startups: vec![300, 60], seeds: 2, jobs: 0 };
    let map = run_survival(&run, &plan).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!((map.base, map.cells.len()), (None, 12));
    let sustained = map.sustained.expect("one replica keeps the goal");
    assert!((1.0..1.9).contains(&sustained), "{sustained}");
    let cell = |index: usize| &map.cells[index];
    assert_eq!([0, 1].map(|index| cell(index).startup_seconds), [60, 300], "in order");
    // One replica serves 1 request per second, not 3 until there are more; three replicas do not serve 9.
    assert_eq!([0, 1].map(|index| cell(index).by_formula), [Some(JumpCost::Nothing); 2]);
    assert_eq!([4, 5].map(|index| cell(index).by_formula), [Some(JumpCost::NoRecovery); 2]);
    assert!([4, 5].iter().all(|index| cell(*index).recovered == 0));
    let minutes = [2, 3].map(|index| match cell(index).by_formula {
        Some(JumpCost::Recovers { minutes, .. }) => minutes,
        other => panic!("{other:?}"),
    });
    assert!(minutes[0] < minutes[1], "{minutes:?}");
    for (index, formula) in [2, 3].into_iter().zip(minutes) {
        let found = cell(index).miss_minutes;
        assert!(found > 0.5 * formula && found < 2.0 * formula, "{found} min, {formula} by the formula");
    }
    assert!(map.cells[6..].iter().all(|cell| cell.is_ramp && cell.by_formula.is_none()));
}

fn row(ends: &[(i32, LoopEnd)]) -> StabilityRow {
    let end = |(start, end): &(i32, LoopEnd)| NoiseFreeEnd { start: *start, phase: 0, end: end.clone() };
    StabilityRow {
        load: 1.0,
        need: None,
        need_within_slo: None,
        noise_free: ends.iter().map(end).collect(),
        noisy: None,
        fits_at_max: None,
        class: None,
    }
}

#[test]
fn classes_follow_the_passes() {
    let noisy = map(&policy("policies/opt-125m", &[]), 30.0, 34.0).rows[0].noisy.clone().expect("it has a seeds' pass");
    let with = |ends: &[(i32, LoopEnd)], own: &kedasim::analysis::NoisyLoad| {
        stability_class(&StabilityRow { noisy: Some(own.clone()), ..row(ends) }, 3)
    };
    let at = |count| (count, LoopEnd::Settled(count));
    assert_eq!(stability_class(&row(&[at(2)]), 3), None);
    assert_eq!(with(&[at(2), at(2)], &noisy), Some(StabilityClass::Settles));
    assert_eq!(with(&[at(2), at(3)], &noisy), Some(StabilityClass::Bistable));
    let cycle = (1, LoopEnd::Cycle(ReplicaCycle { counts: vec![1, 2], period: None }));
    assert_eq!(with(&[at(2), cycle], &noisy), Some(StabilityClass::LimitCycle));
    let mut poor = noisy.clone();
    poor.keeps_up = false;
    assert_eq!(with(&[at(3)], &poor), Some(StabilityClass::Overloaded), "pinned at 3 of 3");
    poor.shares = vec![(1, 1.0)];
    let low = StabilityRow { noisy: Some(poor.clone()), fits_at_max: Some(true), ..row(&[at(1)]) };
    assert_eq!(stability_class(&low, 3), Some(StabilityClass::StuckLow));
    let hopeless = StabilityRow { fits_at_max: Some(false), ..low };
    assert_eq!(stability_class(&hopeless, 3), Some(StabilityClass::Insufficient));
    let mut restless = noisy;
    restless.steadiness = kedasim::analysis::Steadiness::Unsteady;
    assert_eq!(with(&[at(2)], &restless), Some(StabilityClass::NoiseDriven));
    assert_eq!(with(&[], &restless), Some(StabilityClass::Restless));
    restless.steadiness = kedasim::analysis::Steadiness::Undecided;
    assert_eq!(with(&[at(2)], &restless), Some(StabilityClass::Undecided));
}

fn kedasim(arguments: &[&str], out: &str) -> (Option<i32>, String, String, PathBuf) {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(out);
    let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
        .args(["stability", "policies/opt-125m"])
        .args(arguments)
        .arg("--out")
        .arg(&out)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr), out)
}

#[test]
fn the_directory_is_the_same_on_any_number_of_threads() {
    let range = ["--from", "0.26", "--to", "0.3", "--steps", "2", "--seeds", "2"];
    let on = |jobs: &str| kedasim(&[&range[..], &["--jobs", jobs]].concat(), &format!("stability-jobs-{jobs}"));
    let (one, two) = (on("1"), on("2"));
    assert_eq!((one.0, two.0), (Some(0), Some(0)), "{} {}", one.2, two.2);
    assert_eq!(one.1, two.1);
    assert!(one.1.contains("settles from 29.69 to 34.26 tokens/s"), "{}", one.1);
    for file in
        ["summary.json", "loads.csv", "policy.yaml", "scenario.yaml", "plots/stability.svg", "plots/stability.png"]
    {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(read(&one.3) == read(&two.3), "{file}");
    }
    let summary = std::fs::read_to_string(one.3.join("summary.json")).expect("it is there");
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["schemaVersion"], 1);
    assert_eq!(summary["kind"], "stability");
    assert_eq!(summary["bands"][0]["class"], "settles");
}

#[test]
fn what_is_no_range_is_told() {
    for (arguments, told) in [
        (&["--from", "2", "--to", "1"][..], "--from: found --from 2 and --to 1, expected from < to"),
        (&["--to", "0.0001"], "(derived from the policy) and --to 0.0001, expected from < to"),
        (&["--from", "-1"], "--from: found a load of -1, expected requests per second above 0"),
        (&["--to", "inf"], "--to: found a load of inf"),
        (&["--steps", "0"], "0 is not in 2..=1000"),
        (&["--seeds", "0"], "0 is not in 1..=1000"),
        (&["--from-to", "6:2"], "--from-to: found a jump from 6 to 2, expected requests per second above 0"),
        (&["--from-to", "2-6"], "expected two loads in requests per second, e.g. 2:6"),
        (&["--from-to", "2:6,2:6"], "--from-to: found the jump 2:6 twice"),
        (&["--startup", "0,90000"], "--startup: found a start-up of 90000 s, expected seconds from 0 to 86400"),
        (&["--set", "spec.minReplicaCount=3"], "found minReplicas = maxReplicas = 3"),
    ] {
        let (code, out, err, folder) = kedasim(arguments, "stability-wrong");
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(told), "{arguments:?}: {err}");
        assert!(!folder.exists(), "nothing is written");
    }
}
