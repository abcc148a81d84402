//! From the documents of a command line to a run. Precedence everywhere: command line, Scenario, manifest, default.
//!
//! Reading order: `resolve`, then `workload` (the target), `profile_choice`, `resolve_engine`, `resolve_world`,
//! `traffic_choice`.

use crate::manifest::{Bundle, Document, Input};
use crate::replica::{ProfileKind, exposition};
use crate::scenario::ledger::{Ledger, flag};
use crate::scenario::pod_selector::check_selectors;
use crate::scenario::policy_choice::{PolicyWritten, choose_policy, warn_of_rivals};
use crate::scenario::profile_choice::{ATTACHED, choose_profile, profile_path};
use crate::scenario::query_check::check_queries;
use crate::scenario::resolve_engine::resolve_engine;
use crate::scenario::resolve_faults::{check_patience, resolve_faults};
use crate::scenario::resolve_gateway::{resolve_gateway, resolve_router, tell_push};
use crate::scenario::resolve_monitoring::resolve_monitoring;
use crate::scenario::resolve_policy::{resolve_controllers, resolve_initial};
use crate::scenario::resolve_sources::resolve_sources;
use crate::scenario::resolve_usage::{check_requests, resolve_usage};
use crate::scenario::resolve_world::resolve_cluster;
use crate::scenario::scrape_pools::Pods;
use crate::scenario::signals_choice::{choose_signals, tell_overlap};
use crate::scenario::traffic_choice::{choose_traffic, end_of, ends, is_document, traffic_path};
use crate::scenario::values::at_reference;
use crate::scenario::workload::{Workload, find_workload};
use crate::scenario::{
    AnalysisSettings, GateLimit, KubernetesSettings, Origin, ResolvedRun, ScenarioFile, profile_yaml, read_scenario,
    show,
};
use crate::traffic::TrafficSpec;
use crate::units::{Diagnostic, Diagnostics, Located, Seed, SimDuration, SimTime, Span};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `router.latency` when nobody says (cluster.md 6.2).
const ROUTER_LATENCY_DEFAULT: SimDuration = SimDuration::from_millis(1);

/// Interval of the timeline's samples.
const SAMPLE_INTERVAL: SimDuration = SimDuration::from_secs(5);
const DURATION_DEFAULT: SimDuration = SimDuration::from_secs(30 * 60);
const CLIENT_TIMEOUT_DEFAULT: SimDuration = SimDuration::from_secs(600);

/// What the command line says on top of the files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--name`: which ScaledObject or HorizontalPodAutoscaler.
    pub name: Option<String>,
    /// `--traffic`: a Traffic document's file or a recorded trace.
    pub traffic: Option<PathBuf>,
    /// `--profile`: a built-in profile's name or a Profile document's file.
    pub profile: Option<String>,
    /// `--duration`.
    pub duration: Option<SimDuration>,
    /// `--signals`: a file with what would stand under `signals` of the Scenario.
    pub signals: Option<PathBuf>,
    /// `--seed`.
    pub seed: Option<Seed>,
    /// `--replications`.
    pub replications: Option<u32>,
    /// `--fixed-replicas`.
    pub fixed_replicas: Option<i32>,
    /// `--gate`, in order.
    pub gates: Vec<GateLimit>,
}

/// Resolves the one policy of `bundle` (or the one that `--name` chooses) with its scenario: a ScaledObject, else a
/// HorizontalPodAutoscaler, else what KServe would generate.
///
/// # Errors
/// All mistakes, located: no or several policies, no profile (lists candidates), no traffic (shows `--traffic`), ...
pub fn resolve(bundle: &Bundle, overrides: &Overrides) -> Result<ResolvedRun, Diagnostics> {
    let mut ledger = Ledger::default();
    tell_unread(bundle, overrides, &mut ledger);
    let run = resolve_into(bundle, overrides, &mut ledger);
    match run {
        Some(mut run) if !ledger.diagnostics.has_errors() => {
            run.assumptions = ledger.assumptions;
            run.provenance = ledger.provenance;
            run.diagnostics = ledger.diagnostics;
            Ok(run)
        }
        _ => Err(ledger.diagnostics),
    }
}

/// Puts the Scenario of `path` in place of the Scenario documents of `bundle`: `--scenario`. Traffic and Profile documents
/// beside it come along; what else a folder holds belongs to the policy, which was given apart.
///
/// # Errors
/// The file cannot be read or holds no Scenario.
pub fn replace_scenario(bundle: &mut Bundle, path: &Path) -> Result<(), Diagnostics> {
    let mut loaded = Bundle::load(&[Input::Path(path.to_owned())])?;
    if loaded.of_kind("Scenario").next().is_none() {
        let message = format!("found no Scenario in {}, expected one", path.display());
        return Err(Diagnostic::error(Span::new("--scenario", 0, 0), "", message).into());
    }
    bundle.documents.retain(|document| document.kind != "Scenario");
    let known: Vec<Span> = bundle.documents.iter().map(|document| document.root.span.clone()).collect();
    loaded.documents.retain(|document| {
        document.kind == "Scenario"
            || (matches!(document.kind.as_str(), "Traffic" | "Profile") && !known.contains(&document.root.span))
    });
    bundle.documents.append(&mut loaded.documents);
    Ok(())
}

/// Puts the Traffic document that command line or Scenario names into `bundle`, so that paths such as
/// `Traffic:spec.arrivals.poisson.rate` can be set before resolving.
///
/// # Errors
/// The Scenario or the file cannot be read.
pub fn attach_traffic(bundle: &mut Bundle, overrides: &Overrides) -> Result<(), Diagnostics> {
    let mut ledger = Ledger::default();
    let scenario = scenario_file(bundle, &mut ledger);
    let Some(scenario) = scenario else { return Err(ledger.diagnostics) };
    let Some((path, span)) = traffic_path(overrides, &scenario) else { return Ok(()) };
    let known = bundle.of_kind("Traffic").any(|document| document.file.as_deref() == Some(path.as_path()));
    if is_document(&path) && !known {
        let loaded =
            Bundle::load(&[Input::Path(path)]).map_err(|found| at_reference(found, &span, "spec.traffic.file"))?;
        bundle.documents.extend(loaded.documents.into_iter().filter(|document| document.kind == "Traffic"));
    }
    Ok(())
}

/// Puts the profile that the run would use first among the Profile documents of `bundle`, also a built-in one, so that paths
/// such as `Profile:spec.kvTokens` can be set before resolving.
///
/// # Errors
/// No profile can be chosen.
pub fn attach_profile(bundle: &mut Bundle, overrides: &Overrides) -> Result<(), Diagnostics> {
    let mut ledger = Ledger::default();
    let scenario = scenario_file(bundle, &mut ledger);
    let policy = choose_policy(bundle, overrides, &mut ledger);
    let (Some(scenario), Some(policy)) = (scenario, policy) else { return Err(ledger.diagnostics) };
    if let Some((path, span)) = profile_path(bundle, overrides, &scenario)
        && !bundle.of_kind("Profile").any(|document| document.file.as_deref() == Some(path.as_path()))
    {
        let loaded = Bundle::load(&[Input::Path(path)]);
        let loaded = loaded.map_err(|found| at_reference(found, &span, "spec.replica.profile"))?;
        bundle.documents.extend(loaded.documents.into_iter().filter(|document| document.kind == "Profile"));
    }
    let workload = find_workload(bundle, policy.target(), policy.namespace(), &mut ledger);
    let Some(profile) = choose_profile(bundle, overrides, &scenario, workload.as_ref(), &mut ledger) else {
        return Err(ledger.diagnostics);
    };
    let is_chosen = |document: &Document| document.kind == "Profile" && document.name == profile.name;
    let document = match bundle.documents.iter().position(is_chosen) {
        Some(at) => bundle.documents.remove(at),
        None => {
            let file = format!("{ATTACHED}{}", profile.name);
            Bundle::from_text(&profile_yaml(&profile), &file)?.documents.remove(0)
        }
    };
    bundle.documents.insert(0, document);
    Ok(())
}

fn resolve_into(bundle: &Bundle, overrides: &Overrides, ledger: &mut Ledger) -> Option<ResolvedRun> {
    let scenario = scenario_file(bundle, ledger);
    let policy = choose_policy(bundle, overrides, ledger);
    let (scenario, policy) = (scenario?, policy?);
    let signals = choose_signals(overrides, &scenario, ledger)?;
    warn_of_rivals(bundle, &policy, ledger);
    let seed = resolve_seed(overrides, &scenario, ledger);
    let replications = resolve_replications(overrides, &scenario, seed, ledger);
    let traffic = choose_traffic(bundle, overrides, &scenario, ledger);
    let controllers = resolve_controllers(&scenario, &policy, &signals, ledger);
    if let Some(keda) = controllers.as_ref().and_then(|own| own.keda.as_ref()) {
        check_selectors(bundle, &keda.scaled_object, ledger);
    }
    let target = policy.target().name.value.as_str();
    let workload = find_workload(bundle, policy.target(), policy.namespace(), ledger);
    if let (PolicyWritten::ScaledObject(written), Some(workload)) = (&policy, &workload) {
        check_requests(written, workload, ledger);
    }
    // The pods stand where their workload does, also where the controllers would look elsewhere.
    let pods_namespace =
        workload.as_ref().map_or_else(|| policy.namespace().to_owned(), |workload| workload.namespace.clone());
    let profile = choose_profile(bundle, overrides, &scenario, workload.as_ref(), ledger);
    let engine = profile.as_ref().and_then(|profile| resolve_engine(&scenario, profile, workload.as_ref(), ledger));
    let exposed = engine.as_ref().map(exposition);
    if let Some(exposed) = &exposed {
        tell_overlap(&signals, "the replicas expose", exposed, ledger);
    }
    let (profile, controllers) = (profile?, controllers?);
    let gpus = gpus_per_replica(workload.as_ref(), profile.gpus, &profile.name, ledger);
    let cluster = resolve_cluster(&scenario, workload.as_ref(), gpus, ledger);
    let router = resolve_router(&scenario, ledger);
    let router_latency = ledger.pick_or_tell(
        "spec.router.latency",
        [scenario.router.latency.clone()],
        ROUTER_LATENCY_DEFAULT,
        "client to pod inside one cluster",
        show::duration_text,
    );
    let model = engine.as_ref().map_or("", |engine| engine.model_name.as_str());
    let gateway = resolve_gateway(&scenario, &signals, (target, &pods_namespace, model), ledger);
    let client_timeout = ledger.pick_or_tell(
        "spec.client.timeout",
        [scenario.client_timeout.clone()],
        CLIENT_TIMEOUT_DEFAULT,
        "as the OpenAI client has it",
        show::duration_text,
    );
    let pods = Pods { workload: workload.as_ref(), target, namespace: &pods_namespace };
    let monitoring = resolve_monitoring(bundle, &scenario, &pods, engine.as_ref(), ledger)?;
    if let Some(keda) = &controllers.keda {
        check_queries(
            &keda.scaled_object,
            monitoring.server.version,
            (engine.as_ref(), exposed.as_ref(), &signals),
            ledger,
        );
        tell_push(gateway.as_ref(), &keda.scaled_object, ledger);
    }
    let initial_replicas = resolve_initial(overrides, &scenario, &controllers, ledger);
    let usage = resolve_usage(&scenario, &controllers.hpa, workload.as_ref(), gpus, ledger);
    let sources = engine.as_ref().and_then(|engine| resolve_sources(&controllers, engine, &signals, ledger));
    let traffic = traffic?;
    let (duration, warmup) = resolve_duration(overrides, &scenario, &traffic.spec, ledger)?;
    let faults = resolve_faults(&scenario, duration, overrides.fixed_replicas.is_some(), ledger);
    let mut analysis = resolve_analysis(overrides, &scenario, ledger);
    if profile.kind == ProfileKind::Estimate {
        analysis.estimated_profile = Some((profile.name.clone(), profile.error.clone()));
    }
    let traffic_name = traffic.name.clone().unwrap_or_default();
    let name = scenario.name.as_ref().map(|name| name.value.clone()).or(traffic.name);
    let kubernetes = KubernetesSettings {
        flags: controllers.flags,
        hpa: controllers.hpa,
        sources: sources?,
        usage: usage?,
        sync_period: controllers.sync_period,
        sync_latency_min: controllers.sync_latency.0,
        sync_latency_max: controllers.sync_latency.1,
    };
    check_patience(&faults, controllers.keda.as_ref(), &kubernetes, &scenario, ledger);
    Some(ResolvedRun {
        policy: controllers.name,
        target: controllers.target,
        scenario: name.unwrap_or_else(|| "scenario".to_owned()),
        traffic_name,
        seed,
        replications,
        duration,
        warmup,
        traffic: vec![traffic.spec],
        engine: Arc::new(engine?),
        profile: profile.name,
        gpus_per_replica: gpus,
        initial_replicas,
        fixed_replicas: overrides.fixed_replicas.is_some(),
        schedule: Vec::new(),
        cluster: cluster?,
        router,
        router_latency,
        gateway,
        client_timeout,
        monitoring,
        keda: controllers.keda,
        kubernetes,
        signals: signals.series,
        faults,
        analysis,
        sample_interval: SAMPLE_INTERVAL,
        assumptions: Vec::new(),
        provenance: Vec::new(),
        diagnostics: Diagnostics::new(),
        policy_text: bundle.policy_text(),
    })
}

/// Documents that stand in the input and have no part in the run, each with what that means.
fn tell_unread(bundle: &Bundle, overrides: &Overrides, ledger: &mut Ledger) {
    let objects: Vec<&Document> = bundle.of_kind("ScaledObject").collect();
    let is_chosen = |name: &str| {
        let named = overrides.name.as_deref() == Some(name);
        objects.is_empty() || (named && objects.iter().all(|own| own.name != name))
    };
    for skipped in &bundle.skipped {
        let message = format!("{} {} is not read", skipped.kind, skipped.name);
        ledger.push(Diagnostic::note(skipped.span.clone(), "", message));
    }
    for document in &bundle.documents {
        let (kind, name, span) = (&document.kind, &document.name, document.root.span.clone());
        ledger.push(match kind.as_str() {
            "HorizontalPodAutoscaler" if !is_chosen(name) => {
                let message =
                    format!("HorizontalPodAutoscaler {name} is not read: only the ScaledObject's own HPA is simulated");
                Diagnostic::note(span, "", message)
            }
            _ => continue,
        });
    }
}

fn scenario_file(bundle: &Bundle, ledger: &mut Ledger) -> Option<ScenarioFile> {
    let documents: Vec<&Document> = bundle.of_kind("Scenario").collect();
    match documents.as_slice() {
        [] => Some(ScenarioFile::default()),
        [document] => ledger.take(read_scenario(document)),
        [_, second, ..] => {
            let places: Vec<String> = documents.iter().map(|document| document.root.span.to_string()).collect();
            let message = format!("found {} Scenarios ({}), expected one", documents.len(), places.join(", "));
            let diagnostic = Diagnostic::error(second.root.span.clone(), "", message);
            ledger.push(diagnostic.help("choose one with --scenario"));
            None
        }
    }
}

fn resolve_seed(overrides: &Overrides, scenario: &ScenarioFile, ledger: &mut Ledger) -> Seed {
    let typed = overrides.seed.map(|seed| Located::new(seed.0, flag("--seed")));
    let why = "another seed draws other arrivals, lengths, start-up times and phases";
    Seed(ledger.pick_or_tell("spec.seed", [typed, scenario.seed.clone()], 1, why, u64::to_string))
}

/// How many seeds, from `seed` upwards; 1 unless somebody says.
fn resolve_replications(overrides: &Overrides, scenario: &ScenarioFile, seed: Seed, ledger: &mut Ledger) -> u32 {
    const PATH: &str = "spec.replications";
    let typed = overrides.replications.map(|count| Located::new(count, flag("--replications")));
    let Some(given) = typed.or_else(|| scenario.replications.clone()) else { return 1 };
    if given.value > 1 {
        ledger.given(PATH, given.value.to_string(), &given.span);
    }
    let last = seed.0.saturating_add(u64::from(given.value) - 1);
    if i64::try_from(last).is_err() {
        let message = format!("found {} seeds from {} on, expected none above {}", given.value, seed.0, i64::MAX);
        ledger.push(Diagnostic::error(given.span, PATH, message).help("choose a smaller seed"));
    }
    given.value
}

/// GPUs of a replica: what the workload asks for; the profile's own count when nothing says.
fn gpus_per_replica(workload: Option<&Workload>, of_profile: u32, profile: &str, ledger: &mut Ledger) -> u32 {
    let Some((workload, gpus)) = workload.and_then(|workload| Some((workload, workload.gpus()?))) else {
        return of_profile;
    };
    if gpus != of_profile {
        let message = format!(
            "{} asks for {gpus} GPUs per replica, the profile {profile} is for {of_profile}: step times are the profile's, \
             GPU-hours count the workload's",
            workload.what
        );
        let span = workload.template.gpus.as_ref().map_or_else(|| workload.span.clone(), |gpus| gpus.span.clone());
        ledger.push(Diagnostic::warning(span, "", message));
    }
    gpus
}

/// (duration, warm-up). Without a duration a run ends when its traffic has ended and the replicas have settled.
fn resolve_duration(
    overrides: &Overrides,
    scenario: &ScenarioFile,
    traffic: &TrafficSpec,
    ledger: &mut Ledger,
) -> Option<(Option<SimDuration>, SimDuration)> {
    const PATH: &str = "spec.duration";
    let typed = overrides.duration.map(|duration| Located::new(duration, flag("--duration")));
    let given = typed.or_else(|| scenario.duration.clone());
    let duration = if given.is_none() && ends(traffic) {
        ledger.tell(
            PATH,
            "until settled",
            "the traffic ends; the run ends when it has drained and the replicas have settled",
        );
        None
    } else {
        let why = "the traffic has no end";
        Some(ledger.pick_or_tell(PATH, [given], DURATION_DEFAULT, why, show::duration_text))
    };
    let default = (SimDuration::ZERO, Origin::Assumed);
    let warmup = ledger.pick("spec.warmup", [scenario.warmup.clone()], default, show::duration_text);
    let limit = match duration {
        Some(duration) => Some((duration, "a run")),
        None => end_of(traffic).map(|end| (end.since(SimTime::ZERO), "traffic")),
    };
    if let Some((limit, what)) = limit
        && warmup >= limit
    {
        let message = format!("found a warm-up of {warmup} in {what} of {limit}, expected a shorter one");
        let span = scenario.warmup.as_ref().map(|given| given.span.clone());
        ledger.push(Diagnostic::error(span, "spec.warmup", message));
        return None;
    }
    Some((duration, warmup))
}

fn resolve_analysis(overrides: &Overrides, scenario: &ScenarioFile, ledger: &mut Ledger) -> AnalysisSettings {
    for limit in &scenario.slo {
        let path = format!("spec.slo.{}", limit.value.name());
        ledger.given(&path, show::duration_text(&limit.value.limit), &limit.span);
    }
    if let Some(price) = &scenario.gpu_hour {
        ledger.given("spec.cost.gpuHour", price.value.to_string(), &price.span);
    }
    let flap_window =
        ledger.pick("spec.analysis.flapWindow", [scenario.flap_window.clone()], (None, Origin::Assumed), |window| {
            window.as_ref().map_or_else(|| "auto".to_owned(), show::duration_text)
        });
    // A gate on the command line replaces the Scenario's of the same name, in its place.
    let mut gates: Vec<Located<GateLimit>> = scenario.gates.clone();
    for typed in &overrides.gates {
        let typed = Located::new(typed.clone(), flag("--gate"));
        match gates.iter().position(|gate| gate.value.name == typed.value.name) {
            Some(at) => gates[at] = typed,
            None => gates.push(typed),
        }
    }
    for gate in &gates {
        ledger.given(&format!("spec.gates.{}", gate.value.name), gate.value.limit.to_string(), &gate.span);
    }
    if let Some(confidence) = &scenario.gate_confidence {
        ledger.given("spec.gates.confidence", confidence.value.to_string(), &confidence.span);
    }
    AnalysisSettings {
        flap_window,
        slo: scenario.slo.iter().map(|limit| limit.value.clone()).collect(),
        gates: gates.into_iter().map(|gate| gate.value).collect(),
        gate_confidence: scenario.gate_confidence.as_ref().map(|confidence| confidence.value),
        gpu_hour_price: scenario.gpu_hour.as_ref().map(|price| price.value),
        estimated_profile: None,
    }
}
