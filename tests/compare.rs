//! `kedasim compare`: the oracle is what it says, baselines are right, and the words follow from the numbers.

use kedasim::analysis::{
    DifferenceVerdict, Fleet, PayFindings, Regret, Summary, billed_hours, compare_pairs, meets_slo, pay_findings,
    regret, summarize,
};
use kedasim::manifest::{Bundle, Input};
use kedasim::scenario::{Overrides, ResolvedRun, replace_scenario, resolve};
use kedasim::sim::simulate;
use kedasim::study::{
    Bounds, CapacityCurve, Comparison, Conclusions, LeastFixed, MOST_TRIALS, OracleKind, SeedWorld, Timing, compare,
    verified_schedule,
};
use kedasim::units::{Seed, SimDuration};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const SEEDS: [u64; 3] = [1, 2, 3];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The example policy in the small world of these tests.
fn world() -> ResolvedRun {
    world_of(120)
}

/// With another scale-down window, in seconds.
fn world_of(scale_down: u32) -> ResolvedRun {
    let mut bundle = Bundle::load(&[Input::Path(repository("policies/opt-125m"))]).expect("a policy");
    let window = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds";
    bundle.set_text(window, &scale_down.to_string()).expect("the policy has such a window");
    replace_scenario(&mut bundle, &repository("tests/compare_world/scenario.yaml")).expect("a Scenario");
    resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// One comparison for all tests that only look.
fn compared() -> &'static Comparison {
    static ONCE: OnceLock<Comparison> = OnceLock::new();
    ONCE.get_or_init(|| compare(&[world()], &SEEDS, true).expect("every run ends"))
}

fn least_fixed() -> u32 {
    match compared().least_fixed {
        LeastFixed::Found(size) => size,
        other => panic!("found {other:?}, expected a fleet that meets the SLO"),
    }
}

fn fixed(replicas: u32, seed: u64) -> Summary {
    let run = world().with_seed(Seed(seed));
    let run = ResolvedRun { fixed_replicas: true, initial_replicas: replicas as i32, ..run };
    summarize(&simulate(&run, true).expect("it ends"), &run.analysis)
}

#[test]
fn the_oracles_schedule_meets_the_slo_when_it_is_run_again() {
    let oracle = compared().oracle.as_ref().expect("an oracle");
    for (seed, own) in SEEDS.iter().zip(&oracle.seeds) {
        let (first, rest) = own.steps.split_first().expect("a schedule begins somewhere");
        let run = ResolvedRun {
            fixed_replicas: true,
            initial_replicas: first.1,
            schedule: rest.to_vec(),
            ..world().with_seed(Seed(*seed))
        };
        let again = summarize(&simulate(&run, true).expect("it ends"), &run.analysis);
        assert_eq!(meets_slo(&again), Some(true), "seed {seed}");
        // What starts at the very beginning is ready at once here, which only lowers the bill of its start.
        let (found, told) = (billed_hours(&again), billed_hours(&own.summary));
        assert!((found - told).abs() < 1e-9, "seed {seed}: {found} against {told}");
        assert!(own.trials <= MOST_TRIALS);
        assert!(own.steps.iter().all(|(_, count)| (oracle.least..=oracle.most).contains(&(*count as u32))));
    }
    let scaled = oracle.seeds.iter().filter(|own| own.kind == OracleKind::Scaled).count();
    assert!(scaled > 0, "a hump is served cheaper by a schedule that scales");
}

#[test]
fn the_oracle_is_never_dearer_than_the_fixed_fleet_nor_cheaper_than_what_is_proven() {
    let oracle = compared().oracle.as_ref().expect("an oracle");
    let runs = compared().least_fixed_runs().expect("a fixed fleet");
    for (own, fixed) in oracle.seeds.iter().zip(runs) {
        let billed = billed_hours(&own.summary);
        let proven = own.proven_least.expect("an open loop");
        assert!(billed <= billed_hours(fixed) && billed >= proven - 1e-9, "{billed} h, at least {proven} h");
        assert!(proven >= 20.0 / 60.0 - 1e-9, "one replica for 20 minutes");
    }
}

#[test]
fn an_estimate_that_is_too_low_is_raised_until_the_simulator_agrees() {
    let run = world().with_seed(Seed(1));
    // Three times what a replica sustains, so that one seems enough for the hump.
    let curve = CapacityCurve { measured: vec![(1, 6.0)], simulations: 0 };
    let rates: Vec<f64> = (0..20).map(|minute| if (6..11).contains(&minute) { 4.0 } else { 0.5 }).collect();
    let timing = Timing { window: SimDuration::from_secs(60), lead: run.slow_start(), initial: 1 };
    let bounds = Bounds { least: 1, most: 3 };
    let end = SimDuration::from_secs(1200);
    let world = SeedWorld { run: &run, end, timing, rates: &rates, curve: &curve, bounds };
    let found = verified_schedule(&world).expect("every run ends");
    assert!(found.raised > 0, "one replica does not meet the SLO");
    let plan = found.schedule.expect("three replicas do").plan;
    let again = summarize(&simulate(&plan.world(&run, end), true).expect("it ends"), &run.analysis);
    assert_eq!(meets_slo(&again), Some(true));
    let none = Bounds { least: 1, most: 1 };
    let found = verified_schedule(&SeedWorld { bounds: none, ..world }).expect("every run ends");
    assert!(found.schedule.is_none(), "what one replica cannot serve is not called feasible");
}

#[test]
fn the_least_fixed_fleet_meets_the_slo_and_one_fewer_does_not() {
    let least = least_fixed();
    assert!((2..=3).contains(&least), "the hump needs more than one of three replicas, found {least}");
    assert!(SEEDS.iter().all(|seed| meets_slo(&fixed(least, *seed)) == Some(true)));
    assert!(SEEDS.iter().any(|seed| meets_slo(&fixed(least - 1, *seed)) == Some(false)));
    assert_eq!(compared().shown_to_miss(), Some(1), "every smaller fleet was run");
    let own = compared().least_fixed_runs().expect("its runs");
    for (seed, run) in SEEDS.iter().zip(own) {
        assert_eq!(billed_hours(run), billed_hours(&fixed(least, *seed)), "the same fleet as --fixed-replicas {least}");
    }
}

#[test]
fn all_runs_of_a_seed_see_the_same_requests_for_the_same_time() {
    let comparison = compared();
    let policy = &comparison.policies[0].runs;
    for (_, _, runs) in comparison.baselines() {
        for (own, run) in policy.iter().zip(&runs) {
            assert_eq!((own.requests.total, own.duration_seconds), (run.requests.total, run.duration_seconds));
        }
    }
    assert!(policy[0].demand.provenance.contains("measured capacity"), "{}", policy[0].demand.provenance);
}

#[test]
fn without_a_duration_every_run_ends_with_the_slowest_policy() {
    let mut runs = [120, 600].map(|window| ResolvedRun { duration: None, ..world_of(window) });
    // Nothing here asks for goals, and capacity takes its time.
    runs.iter_mut().for_each(|run| run.analysis.slo.clear());
    let comparison = compare(&runs, &[1], false).expect("every run ends");
    let ends = runs.each_ref().map(|run| simulate(run, false).expect("it ends").info.end);
    let end = ends[0].max(ends[1]);
    assert_ne!(ends[0], ends[1], "one takes longer to settle");
    for own in &comparison.policies {
        assert_eq!(own.runs[0].duration_seconds, end.as_secs_f64());
    }
    assert!(comparison.baselines().iter().all(|(_, _, runs)| runs[0].duration_seconds == end.as_secs_f64()));
}

/// A run billed for `hours` that met its goals to the share `attainment`; `met` or not.
fn billed(hours: f64, attainment: f64, met: bool) -> Summary {
    let mut summary = compared().policies[0].runs[0].clone();
    summary.replica_hours.billed = hours;
    summary.gpu_hours.billed = hours;
    summary.slo_attainment = Some(attainment);
    summary.slo_objectives.iter_mut().for_each(|own| own.met = met);
    summary.demand.reversal_excess = hours / 2.0;
    summary
}

fn runs(hours: &[f64], attainment: f64, met: bool) -> Vec<Summary> {
    hours.iter().map(|hours| billed(*hours, attainment, met)).collect()
}

#[test]
fn regret_is_what_the_hand_says() {
    let found = regret(&runs(&[10.0, 12.0, 14.0], 0.93, true), &runs(&[8.0, 8.0, 10.0], 0.96, true));
    let near =
        |value: Option<f64>, expected: f64| assert!((value.expect("a mean") - expected).abs() < 1e-12, "{value:?}");
    near(found.cost.mean, 10.0 / 3.0);
    near(found.ratio.mean, (1.25 + 1.5 + 1.4) / 3.0);
    near(found.slo_gap.mean, 0.03);
    near(found.reversal_excess.mean, 6.0);
    // t(0.975, 2) = 4.303 of the differences 2, 4, 4: sd 1.1547.
    let half = found.cost.half_width().expect("an interval");
    assert!((half - 4.302_653 * 1.154_700_5 / 3.0_f64.sqrt()).abs() < 1e-5, "{half}");
}

fn codes(policy: &[Summary], fixed: &[Summary], regret: Option<&Regret>, share: f64) -> Vec<String> {
    let thresholds = [("s0-prometheus".to_owned(), share)];
    let least_fixed = Some(Fleet { name: "static(3)", runs: fixed });
    let found = pay_findings(&PayFindings { policy, least_fixed, regret, thresholds: &thresholds });
    found.into_iter().map(|own| own.code).collect()
}

#[test]
fn findings_follow_from_cost_and_goals() {
    let fixed = runs(&[9.0, 9.1, 9.2], 0.99, true);
    let none: [&str; 0] = [];
    assert_eq!(codes(&runs(&[7.0, 7.1, 7.2], 0.99, true), &fixed, None, 0.5), none, "cheaper and as good");
    assert_eq!(codes(&runs(&[10.0, 10.1, 10.2], 0.99, true), &fixed, None, 0.5), ["autoscaling-does-not-pay"]);
    assert_eq!(codes(&runs(&[9.05, 9.1, 9.15], 0.9, false), &fixed, None, 0.5), ["autoscaling-does-not-pay"]);
    assert_eq!(codes(&runs(&[7.0, 7.1, 7.2], 0.9, false), &fixed, None, 0.5), none, "it saves what it misses");
    assert_eq!(codes(&runs(&[9.05, 9.1, 9.15], 0.99, true), &fixed, None, 0.5), none, "within two per cent");
    assert_eq!(codes(&runs(&[7.0, 7.1, 7.2], 0.99, true), &fixed, None, 0.29), ["target-far-below-capacity"]);
    let against = |hours: &[f64], met: bool| {
        let policy = runs(hours, 0.99, met);
        let own = regret(&policy, &runs(&[1.0, 1.0, 1.0], 0.99, true));
        codes(&policy, &runs(&[50.0, 50.0, 50.0], 0.99, true), Some(&own), 0.5)
    };
    assert_eq!(against(&[3.1, 3.2, 3.3], true), ["regret-above-3"]);
    assert_eq!(against(&[2.8, 2.9, 3.0], true), none);
    assert_eq!(against(&[3.1, 3.2, 3.3], false), none, "only at equal SLO is a ratio a verdict");
}

#[test]
fn holm_takes_back_what_one_interval_alone_would_say() {
    let base = runs(&[10.0, 10.2, 9.8, 10.1, 9.9], 0.99, true);
    // Ten pairs whose costs differ weakly: alone the interval excludes 0, of ten tests together it does not.
    let shifted: Vec<Summary> = runs(&[10.5, 11.3, 9.9, 10.4, 10.4], 0.99, true);
    let alone = compare_pairs(&[&base, &shifted], &[]);
    let cost = |pairs: &[kedasim::analysis::Compared]| pairs[0].differences[0].clone();
    assert_eq!(cost(&alone).figure.key, "billedHours");
    let many: Vec<&[Summary]> = std::iter::once(&base[..]).chain((0..10).map(|_| &shifted[..])).collect();
    let together = compare_pairs(&many, &[]);
    let own = cost(&together);
    assert_eq!(own.paired.verdict, DifferenceVerdict::Different);
    assert_eq!(own.verdict, DifferenceVerdict::Undecided);
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare").join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("our own folder");
    }
    fs::create_dir_all(&path).expect("a folder in the target directory");
    path
}

fn kedasim(here: &Path, threads: &str, arguments: &[&str]) -> Output {
    let scenario = repository("tests/compare_world/scenario.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kedasim"));
    command.current_dir(here).env("RAYON_NUM_THREADS", threads).arg("compare").args(arguments);
    if !arguments.contains(&"--scenario") {
        command.arg("--scenario").arg(scenario);
    }
    command.output().expect("the binary runs")
}

fn policy(name: &str) -> String {
    repository("policies").join(name).display().to_string()
}

/// The example policy with another scale-up window, in a folder of this name.
fn with_window(here: &Path, name: &str, seconds: u32) -> String {
    let own = here.join(name);
    fs::create_dir_all(&own).expect("our own folder");
    for file in ["inferenceservice.yaml", "podmonitor.yaml", "scaledobject.yaml"] {
        let text = fs::read_to_string(repository("policies/opt-125m").join(file)).expect("a shipped file");
        let window = format!("stabilizationWindowSeconds: {seconds}\n");
        fs::write(own.join(file), text.replacen("stabilizationWindowSeconds: 30\n", &window, 1)).expect("our own file");
    }
    own.display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn any_number_of_threads_prints_and_writes_the_same() {
    let here = folder("threads");
    let own = policy("opt-125m");
    let run = |threads: &str| {
        let output = kedasim(&here, threads, &[&own, "--replications", "2", "--out", threads]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let files = ["summary.json", "results.csv", "oracle.csv"];
        (output.stdout, files.map(|file| fs::read(here.join(threads).join(file)).expect("a file")))
    };
    let (one, several) = (run("1"), run("3"));
    assert_eq!(one, several);
    let shown = text(&one.0);
    for part in ["oracle", "static(1)", "static(3)", "regret", "runs: ", "assumed: "] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 120), "{shown}");
    let json: serde_json::Value = serde_json::from_slice(&one.1[0]).expect("JSON");
    assert_eq!((&json["kind"], json["schemaVersion"].is_u64()), (&"comparison".into(), true));
    assert_eq!(json["policies"][0]["figures"]["billedHours"]["values"].as_array().map(Vec::len), Some(2));
    assert!(json["oracle"]["seeds"][0]["billedHours"].as_f64() >= json["oracle"]["seeds"][0]["provenLeast"].as_f64());
}

#[test]
fn the_same_policy_under_two_names_differs_in_nothing() {
    let here = folder("same");
    let (one, other) = (with_window(&here, "one", 30), with_window(&here, "other", 30));
    let output = kedasim(&here, "2", &[&one, &other, "--replications", "3", "--format", "json", "--out", "out"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let differences = json["pairs"][0]["differences"].as_array().expect("a list");
    assert!(differences.len() >= 8);
    for own in differences {
        assert_eq!((own["mean"].as_f64(), own["verdict"].as_str()), (Some(0.0), Some("same")), "{own}");
    }
    assert_eq!(json["policies"][1]["name"], "other");
}

#[test]
fn markdown_has_regret_the_oracle_and_what_is_assumed() {
    let here = folder("markdown");
    let own = policy("opt-125m");
    let output = kedasim(&here, "2", &[&own, "--replications", "1", "--format", "markdown", "--out", "out"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let parts = ["**regret (policy against oracle)**", "**oracle (", "seed 1: ", "**what it took**", "**assumed**"];
    for part in parts.into_iter().chain(["Every fleet smaller than static("]) {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
}

#[test]
fn without_a_goal_the_text_says_what_is_missing_and_shows_the_rest() {
    let here = folder("no-goal");
    let scenario = fs::read_to_string(repository("tests/compare_world/scenario.yaml")).expect("our own file");
    let (world, _) = scenario.split_once("  slo:").expect("the goals stand last");
    fs::write(here.join("scenario.yaml"), world).expect("our own file");
    let own = policy("opt-125m");
    let arguments = [own.as_str(), "--scenario", "scenario.yaml", "--replications", "2", "--out", "out"];
    let output = kedasim(&here, "2", &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("has no slo") && shown.contains("static(1)") && shown.contains("static(3)"), "{shown}");
    assert!(!shown.contains("regret") && !shown.contains("SLO attainment"), "{shown}");
    let written = fs::read_to_string(here.join("out/summary.json")).expect("a file");
    let json: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    assert!(json["oracle"].is_null() && json["leastFixed"].is_null() && json["capacity"].is_null());
}

#[test]
fn a_goal_that_nothing_meets_has_no_oracle() {
    let mut run = world();
    for limit in &mut run.analysis.slo {
        limit.limit = SimDuration::from_millis(1);
    }
    let comparison = compare(&[run.clone()], &[1], false).expect("every run ends");
    assert_eq!(comparison.least_fixed, LeastFixed::None);
    assert!(comparison.oracle.is_none());
    let conclusions = Conclusions::of(&comparison, &run.analysis);
    assert!(conclusions.best.is_none() && conclusions.policies[0].regret.is_none());
}

#[test]
fn what_cannot_be_compared_is_refused_with_a_reason() {
    let here = folder("bad");
    fs::create_dir_all(here.join("mine")).expect("our own folder");
    fs::write(here.join("mine/notes.txt"), "mine").expect("our own file");
    let (own, other) = (policy("opt-125m"), policy("opt-125m-no-window"));
    let traffic = repository("traces/stable-3.yaml").display().to_string();
    let wrong = policy("does-not-exist");
    let scenario = repository("policies/opt-125m/scenario.yaml").display().to_string();
    let cases: [(&[&str], &str); 6] = [
        (&[], "required"),
        (&[&own, &own], "expected different policies"),
        (&[&own, &wrong], "does-not-exist"),
        (&[&own, "--gate", "flaps=1"], "expected one of flapsPerHour"),
        (&[&own, "--out", "mine"], "kedasim did not write"),
        (&["-", "-"], "standard input (-) is given twice"),
    ];
    for (arguments, expected) in cases {
        let output = kedasim(&here, "2", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
    assert!(here.join("mine/notes.txt").exists() && !here.join("output").exists());
    let mine = with_window(&here, "own", 45);
    let goals = fs::read_to_string(&scenario).expect("a shipped file").replace("stable-2.yaml", "stable-3.yaml");
    let goals = goals.replace("../../traces/stable-3.yaml", &traffic);
    fs::write(Path::new(&mine).join("scenario.yaml"), goals).expect("our own file");
    let output =
        Command::new(env!("CARGO_BIN_EXE_kedasim")).args(["compare", &other, &mine]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("differ in traffic"), "{}", text(&output.stderr));
}
