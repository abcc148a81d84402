//! What a ScaledObject comes to, also when a part of it cannot be simulated: such a part is replaced by a stand-in, and
//! whatever depends on the stand-in is left unsaid.

use crate::hpa::{ControllerFlags, HpaSpec};
use crate::keda::{KedaVersion, ScaledObjectSpec, generate_hpa};
use crate::manifest::ScaledObject;
use crate::series::{Signal, Signals, TriggerSignal};
use crate::units::{Diagnostic, Diagnostics, Judge, Located, Severity, Span};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolved {
    /// What KEDA and the HPA's validation say to the object as it is written, and kedasim's limits.
    pub diagnostics: Vec<Diagnostic>,
    /// The object, with stand-ins where needed.
    pub spec: Option<ScaledObjectSpec>,
    /// Its HPA.
    pub hpa: Option<HpaSpec>,
    /// Triggers whose target in the HPA is a stand-in's.
    pub unknown_targets: Vec<usize>,
}

/// What stands in for what.
#[derive(Clone, Debug, PartialEq)]
struct StandIns {
    /// Per trigger.
    triggers: Vec<StandIn>,
    /// A Deployment for another target.
    target: bool,
}

/// What stands in for a trigger's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StandIn {
    /// Nothing.
    None,
    /// A series; the trigger has a target of its own.
    Series,
    /// A series with a target.
    SeriesAndTarget,
}

/// Resolves `written`, and its HPA.
pub(super) fn resolve(written: &ScaledObject, keda: KedaVersion, flags: &ControllerFlags) -> Resolved {
    let mut stand_ins = StandIns { triggers: vec![StandIn::None; written.triggers.len()], target: false };
    let mut resolved = attempt(written, &stand_ins, keda, flags);
    let refused = |found: &Resolved| errors(&found.diagnostics).any(|own| own.judge.is_some());
    if resolved.hpa.is_some() || refused(&resolved) {
        return resolved;
    }
    let mut errors_so_far = resolved.diagnostics.clone();
    while stand_ins.add_for(&errors_so_far, written) {
        let next = attempt(written, &stand_ins, keda, flags);
        if next.hpa.is_some() || (next.spec.is_some() && refused(&next)) {
            // The HPA is only now complete enough to be judged.
            resolved
                .diagnostics
                .extend(errors(&next.diagnostics).filter(|own| own.judge == Some(Judge::HpaValidation)).cloned());
            let with_target = |own: &(usize, &StandIn)| *own.1 == StandIn::SeriesAndTarget;
            resolved.unknown_targets =
                stand_ins.triggers.iter().enumerate().filter(with_target).map(|(index, _)| index).collect();
            (resolved.spec, resolved.hpa) = (next.spec, next.hpa);
            return resolved;
        }
        errors_so_far = next.diagnostics;
    }
    resolved
}

fn errors(diagnostics: &[Diagnostic]) -> impl Iterator<Item = &Diagnostic> {
    diagnostics.iter().filter(|own| own.severity == Severity::Error)
}

impl StandIns {
    /// More stand-ins, for what `found` says cannot be simulated; whether there are any.
    fn add_for(&mut self, found: &[Diagnostic], written: &ScaledObject) -> bool {
        let before = self.clone();
        for error in errors(found).filter(|own| own.judge.is_none()) {
            self.target |= error.path.starts_with("spec.scaleTargetRef");
            for (own, trigger) in self.triggers.iter_mut().zip(&written.triggers) {
                // Of a generated object the path is one in the service.
                if error.path.starts_with(&format!("{}.", trigger.path)) {
                    *own = match own {
                        StandIn::None => StandIn::Series,
                        StandIn::Series | StandIn::SeriesAndTarget => StandIn::SeriesAndTarget,
                    };
                }
            }
        }
        *self != before
    }

    fn signals(&self) -> Signals {
        let mut signals = Signals::default();
        for (index, own) in self.triggers.iter().enumerate() {
            let target = match own {
                StandIn::None => continue,
                StandIn::Series => None,
                StandIn::SeriesAndTarget => Some(1.0),
            };
            let signal = TriggerSignal { value: Signal::Constant(0.0), active: None, target };
            let key = Located::new(format!("triggers[{index}]"), Span::new("stand-in", 0, 0));
            signals.triggers.push((key, signal));
        }
        signals
    }
}

/// Resolves with these stand-ins.
fn attempt(written: &ScaledObject, stand_ins: &StandIns, keda: KedaVersion, flags: &ControllerFlags) -> Resolved {
    let mut written = written.clone();
    if stand_ins.target {
        (written.scale_target_ref.kind, written.scale_target_ref.api_version) = (None, None);
    }
    let (spec, mut diagnostics) = match ScaledObjectSpec::resolve(&written, keda, &stand_ins.signals()) {
        Ok(both) => both,
        Err(found) => return Resolved { diagnostics: found.0, ..Resolved::default() },
    };
    let (hpa, mut rest) = match generate_hpa(&spec, &written, keda, flags) {
        Ok((hpa, rest)) => (Some(hpa.spec), rest),
        Err(rest) => (None, rest),
    };
    judge_errors(&mut rest);
    diagnostics.0.append(&mut rest.0);
    Resolved { diagnostics: diagnostics.0, spec: Some(spec), hpa, unknown_targets: Vec::new() }
}

/// What fails when KEDA creates the HPA is the API server's refusal of it.
fn judge_errors(diagnostics: &mut Diagnostics) {
    for own in diagnostics.0.iter_mut().filter(|own| own.severity == Severity::Error) {
        own.judge.get_or_insert(Judge::HpaValidation);
    }
}
