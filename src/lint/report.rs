//! What a lint found, file by file. Data only.

use crate::hpa::MetricTarget;
use crate::lint::{Finding, Suppressed, Verdict};
use crate::units::{Quantity, Severity, SimDuration};

/// All files of one command line, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LintReport {
    /// One per file; standard input is one too.
    pub files: Vec<FileReport>,
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileReport {
    /// As the user named it.
    pub file: String,
    /// How it loaded.
    pub load: LoadStatus,
    /// Messages about loading it, and kinds that are passed over.
    pub findings: Vec<Finding>,
    /// The objects that a verdict is about, in order; those that KServe would generate after their service.
    pub objects: Vec<ObjectReport>,
    /// Messages that a comment or a flag silences; they are in no other list.
    pub suppressed: Vec<Suppressed>,
}

/// How a file loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadStatus {
    /// Every document, as written.
    Ok,
    /// Every document; a value of the wrong type was read as the text it must be.
    Coerced,
    /// Not, or not all of it.
    Failed,
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectReport {
    /// `kind`.
    pub kind: String,
    /// `apiVersion`.
    pub api_version: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// Line of the document, from 1.
    pub line: u32,
    /// (kind, name) of what KServe would generate it for.
    pub generated_by: Option<(String, String)>,
    /// What upstream says to it.
    pub verdict: Verdict,
    /// The HPA: KEDA's, or the object itself; `None` when there is none or it cannot be told.
    pub hpa: Option<HpaReport>,
    /// What is in force; `None` when it cannot be told.
    pub effective: Option<Effective>,
    /// Messages, the worst first, then by their place.
    pub findings: Vec<Finding>,
}

/// An HPA as the API server keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaReport {
    /// `metadata.name`.
    pub name: String,
    /// `minReplicas`, never below 1 in KEDA's.
    pub min_replicas: i32,
    /// `maxReplicas`.
    pub max_replicas: i32,
    /// `metrics`.
    pub metrics: Vec<HpaMetricReport>,
}

/// One metric of it.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaMetricReport {
    /// As `kubectl describe hpa` names it.
    pub name: String,
    /// Kind and target; `None` when an external scaler decides the target at run time.
    pub target: Option<HpaTarget>,
}

/// The target of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaTarget {
    /// Upstream's word: AverageValue, Value or Utilization.
    pub type_word: &'static str,
    /// In units; of a utilization in percent.
    pub number: f64,
    /// As people read it: `5 AverageValue`, `80 % Utilization`.
    pub words: String,
}

impl From<MetricTarget> for HpaTarget {
    fn from(target: MetricTarget) -> Self {
        let (type_word, milli) = match target {
            MetricTarget::ExternalAverageValue(milli)
            | MetricTarget::PodsAverageValue(milli)
            | MetricTarget::ResourceAverageValue(_, milli) => ("AverageValue", milli),
            MetricTarget::ExternalValue(milli) => ("Value", milli),
            MetricTarget::ResourceUtilization(_, percent) => {
                let (type_word, number) = ("Utilization", f64::from(percent));
                return HpaTarget { type_word, number, words: format!("{percent} % {type_word}") };
            }
        };
        let words = format!("{} {type_word}", Quantity::from_milli(milli));
        HpaTarget { type_word, number: milli as f64 / 1000.0, words }
    }
}

/// What is in force at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Fewest replicas of normal operation: `minReplicaCount`, 0 when absent.
    pub min_replicas: i32,
    /// Most replicas.
    pub max_replicas: i32,
    /// `idleReplicaCount`.
    pub idle_replicas: Option<i32>,
    /// Whether KEDA can take the target to 0.
    pub can_scale_to_zero: bool,
    /// Period of KEDA's own loop.
    pub polling_interval: SimDuration,
    /// Whether that loop can change the replica count or what the HPA is told.
    pub polling_interval_acts: bool,
    /// From the last active poll to the cut to zero or idle.
    pub cooldown_period: SimDuration,
    /// Whether there is such a cut.
    pub cooldown_period_acts: bool,
    /// The same, before the object was first active.
    pub initial_cooldown_period: SimDuration,
    /// Whether an annotation pauses it, so that there is no HPA.
    pub paused: bool,
}

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files.
    pub files: usize,
    /// Objects.
    pub objects: usize,
    /// Messages of severity error.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
    /// Silenced messages, of any severity; they count nowhere else.
    pub suppressed: usize,
}

impl FileReport {
    /// All messages of the file: about loading, then about its objects.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(self.objects.iter().flat_map(|object| &object.findings))
    }
}

impl LintReport {
    /// How many of everything.
    pub fn counts(&self) -> Counts {
        let all = || self.files.iter().flat_map(FileReport::all_findings);
        let of = |severity| all().filter(|finding| finding.diagnostic.severity == severity).count();
        Counts {
            files: self.files.len(),
            objects: self.files.iter().map(|file| file.objects.len()).sum(),
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
            notes: of(Severity::Note),
            suppressed: self.files.iter().map(|file| file.suppressed.len()).sum(),
        }
    }

    /// The worst message; `None` when there is none.
    pub fn worst(&self) -> Option<Severity> {
        self.files.iter().flat_map(FileReport::all_findings).map(|finding| finding.diagnostic.severity).max()
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectReport> {
        self.files.iter().flat_map(|file| &file.objects)
    }
}
