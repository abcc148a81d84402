//! Metadata as KEDA reads it. What breaks these rules is told by the API server, KEDA or the HPA's validation: they only
//! name it.

use super::links::{HPA, PROMETHEUS, TYPES};
use crate::lint::Rule;
use crate::units::Severity::{Error, Warning};

pub(crate) static L_27: Rule = Rule::new("L-27", "metadata-is-text", Error)
    .why("metadata maps text to text, and numbers in it are JSON numbers: no bare 5 or false, no 500m, no .5")
    .fix("put the value in quotes; write 0.5 for 500m and .5")
    .link(TYPES)
    .mended();
pub(crate) static L_28: Rule = Rule::new("L-28", "metric-name-is-ignored", Warning)
    .why("KEDA has ignored metricName since 2.12; the HPA's metric is s<index>-prometheus")
    .fix("remove it; use the trigger's name to tell triggers apart")
    .link(PROMETHEUS)
    .mended();
pub(crate) static L_29: Rule = Rule::new("L-29", "threshold-not-positive", Error)
    .why("KEDA passes three decimals of the threshold on, and the API server refuses an HPA with a target of 0 or less")
    .fix("choose a threshold of at least 0.001; scale the query up if need be")
    .link(HPA);
