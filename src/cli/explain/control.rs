//! Windows, scaling policies and bounds of one sync, worked out from what the HPA remembered.
//!
//! What the windows and the choice among policies look at is gathered once more to be shown (`hpa::stabilization`,
//! `hpa::policies`; hpa.md sections 8 and 9); it is shown only when its outcome is the sync's own.

use crate::hpa::{Direction, Policy, PolicyKind, Recommendation, ScalingRules, SelectPolicy};
use crate::record::{DecisionRecord, HpaSync};
use crate::report::{Change, Limits, PolicyExplained, Recommended, WindowExplained, Windows};
use crate::scenario::KubernetesSettings;
use crate::units::{SimDuration, SimTime};

/// From the largest proposal to the new count; `None` where the sync did not come so far, its write was refused, or the
/// HPA's memory is not that of the record (it loses a change that outlives its own direction's longest period).
pub(super) fn from_proposal(
    kubernetes: &KubernetesSettings,
    decisions: &[DecisionRecord],
    sync: &HpaSync,
) -> Option<(Windows, Limits)> {
    let desired = sync.metric_desired?.max(0);
    let windows = windows(kubernetes, sync, desired);
    let limits = match &kubernetes.hpa.behavior {
        None => without_behavior(kubernetes, sync, windows.stabilized),
        Some(rules) => with_behavior(kubernetes, rules, decisions, sync, windows.stabilized),
    };
    let is_same = Some(windows.stabilized) == sync.stabilized && limits.limited == sync.new_replicas;
    is_same.then_some((windows, limits))
}

fn windows(kubernetes: &KubernetesSettings, sync: &HpaSync, desired: i32) -> Windows {
    let own = Recommended { t: sync.t, replicas: desired };
    // Its own is among those remembered; at the HPA's first sync so is the count it found, of the same instant.
    let remembered = sync.recommendations.to_vec();
    let place = remembered.iter().rposition(|old| old.at == sync.t && old.replicas == desired);
    let before = remembered.iter().enumerate().filter(|(index, _)| Some(*index) != place).map(|(_, old)| old);
    let inside = |window: SimDuration, is_inside: fn(SimTime, SimTime) -> bool| {
        let counts = |old: &&Recommendation| is_inside(old.at.saturating_add(window), sync.t);
        let mut inside: Vec<Recommended> =
            before.clone().filter(counts).map(|old| Recommended { t: old.at, replicas: old.replicas }).collect();
        inside.push(own);
        inside.sort_by_key(|old| old.t);
        inside
    };
    let replicas = |inside: &[Recommended]| inside.iter().map(|old| old.replicas).collect::<Vec<i32>>();
    let lowest = |inside: &[Recommended]| replicas(inside).into_iter().min().unwrap_or(desired);
    let highest = |inside: &[Recommended]| replicas(inside).into_iter().max().unwrap_or(desired);
    let Some((up, down)) = &kubernetes.hpa.behavior else {
        let window = kubernetes.flags.downscale_stabilization;
        // HPA-NB-3: one exactly at the cut-off still counts.
        let inside = inside(window, |ends, now| ends >= now);
        let extreme = highest(&inside);
        let down = WindowExplained { window_seconds: window, inside, extreme };
        return Windows { up: None, down, stabilized: extreme };
    };
    // HPA-STAB-2: strict.
    let [up, down] =
        [up, down].map(|rules| (rules.stabilization_window, inside(rules.stabilization_window, |e, n| e > n)));
    let (least, most) = (lowest(&up.1), highest(&down.1));
    let stabilized = sync.spec_replicas.max(least).min(most);
    let explained = |(window_seconds, inside), extreme| WindowExplained { window_seconds, inside, extreme };
    Windows { up: Some(explained(up, least)), down: explained(down, most), stabilized }
}

fn without_behavior(kubernetes: &KubernetesSettings, sync: &HpaSync, stabilized: i32) -> Limits {
    let (current, hpa) = (sync.spec_replicas, &kubernetes.hpa);
    let allowed = current.saturating_mul(2).max(4);
    Limits {
        direction: direction(current, stabilized),
        select_policy: None,
        policies: Vec::new(),
        allowed: (stabilized > current).then_some(allowed),
        built_in: true,
        limited: stabilized.min(allowed.min(hpa.max_replicas)).max(hpa.min_replicas),
    }
}

fn direction(current: i32, stabilized: i32) -> Option<&'static str> {
    match stabilized.cmp(&current) {
        std::cmp::Ordering::Greater => Some("scaleUp"),
        std::cmp::Ordering::Less => Some("scaleDown"),
        std::cmp::Ordering::Equal => None,
    }
}

fn with_behavior(
    kubernetes: &KubernetesSettings,
    (up, down): &(ScalingRules, ScalingRules),
    decisions: &[DecisionRecord],
    sync: &HpaSync,
    stabilized: i32,
) -> Limits {
    let (current, hpa) = (sync.spec_replicas, &kubernetes.hpa);
    let direction = direction(current, stabilized);
    let mut limits = Limits {
        direction,
        select_policy: None,
        policies: Vec::new(),
        allowed: None,
        built_in: false,
        limited: stabilized,
    };
    let (is_up, rules) = match direction {
        Some("scaleUp") => (true, up),
        Some(_) => (false, down),
        None => return limits,
    };
    let changes: Vec<Change> = decisions.iter().filter_map(|own| change(own, sync.t)).collect();
    let each = rules.policies.iter().enumerate();
    let policies: Vec<PolicyExplained> =
        each.map(|(index, policy)| explained(index, policy, is_up, (current, &changes), sync.t)).collect();
    let allows = policies.iter().map(|policy| policy.allows);
    // "Max" is the largest change, which downwards is the smallest count.
    let chosen = match (rules.select_policy, is_up) {
        (SelectPolicy::Disabled, _) => None,
        (SelectPolicy::Max, true) | (SelectPolicy::Min, false) => allows.max(),
        (SelectPolicy::Min, true) | (SelectPolicy::Max, false) => allows.min(),
    };
    let chosen = chosen.unwrap_or(current);
    // HPA-POL-5: a limit on the other side of the count never turns the direction.
    let allowed = if is_up { chosen.max(current) } else { chosen.min(current) };
    limits.limited = if is_up {
        stabilized.min(allowed.min(hpa.max_replicas))
    } else {
        stabilized.max(allowed.max(hpa.min_replicas))
    };
    limits.select_policy = Some(match rules.select_policy {
        SelectPolicy::Max => "Max",
        SelectPolicy::Min => "Min",
        SelectPolicy::Disabled => "Disabled",
    });
    limits.allowed = Some(allowed);
    limits.policies = policies;
    limits
}

/// A change that the HPA made before `now`.
fn change(decision: &DecisionRecord, now: SimTime) -> Option<Change> {
    let DecisionRecord::HpaSync(sync) = decision else { return None };
    let changed = sync.rescaled && sync.t < now;
    changed.then_some(Change { t: sync.t, from: sync.spec_replicas, to: sync.new_replicas })
}

fn explained(
    index: usize,
    policy: &Policy,
    is_up: bool,
    (current, changes): (i32, &[Change]),
    now: SimTime,
) -> PolicyExplained {
    // HPA-POL-3: strict, a change exactly one period old is free again.
    let inside: Vec<Change> =
        changes.iter().filter(|change| change.t.saturating_add(policy.period) > now).copied().collect();
    let period_start = current - inside.iter().map(|change| change.to - change.from).sum::<i32>();
    let allows = policy.allows(if is_up { Direction::Up } else { Direction::Down }, period_start);
    PolicyExplained {
        index,
        kind: match policy.kind {
            PolicyKind::Pods => "Pods",
            PolicyKind::Percent => "Percent",
        },
        value: policy.value,
        period_seconds: policy.period,
        changes: inside,
        period_start,
        allows,
    }
}
