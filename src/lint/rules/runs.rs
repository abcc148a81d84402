//! Rules that only a run can break: findings of `kedasim simulate` (`analysis::finding_rules`), listed here so that no code is
//! missing.

use super::links::CALCULATOR;
use crate::lint::{Basis, Rule};
use crate::units::Severity::Warning;

pub(crate) static L_14: Rule = Rule::new("L-14", "start-longer-than-window", Warning)
    .why("replicas that still start take nothing off a queue: the HPA orders more than are needed and drops them later")
    .fix("make the scaleUp stabilization window about as long as a start, or limit scaleUp by policies")
    .link("https://github.com/kedacore/keda/issues/6665")
    .basis(Basis::Run);
pub(crate) static L_33: Rule = Rule::new("L-33", "lag-of-long-windows", Warning)
    .why("a rate over a window lags by half of it, and the stabilization window comes on top: ramps are missed")
    .fix("shorten the rate window, or the stabilization window of scaleUp")
    .link(CALCULATOR)
    .basis(Basis::Run);
pub(crate) static L_46: Rule = Rule::new("L-46", "scale-down-kills-generations", Warning)
    .why("whoever scales down does not look at what a pod generates; a grace period shorter than a generation cuts it")
    .fix("make terminationGracePeriodSeconds longer than the 99th percentile of a generation, with a preStop that drains")
    .link("https://keda.sh/docs/2.20/concepts/scaling-deployments/")
    .basis(Basis::Run);
pub(crate) static L_48: Rule = Rule::new("L-48", "blind-to-the-routers-queue", Warning)
    .why(
        "a metric of the engine does not see what waits in the router or gateway, nor what is refused at zero replicas",
    )
    .fix("add a trigger on the router's or gateway's own queue")
    .link("https://github.com/vllm-project/production-stack/pull/679")
    .basis(Basis::Run);
pub(crate) static L_49: Rule = Rule::new("L-49", "stale-router-gauges", Warning)
    .why("a router that keeps gauges of removed pods holds their sum up: the replicas never come down")
    .fix("use a router release that drops them, or join with the pods that live")
    .link("https://github.com/llm-d/llm-d-router/issues/2529")
    .basis(Basis::Run);
