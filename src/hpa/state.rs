//! What the controller remembers per HPA between syncs (memory only upstream, plus the persisted conditions).

use crate::hpa::{AbleToScale, ScalingActive, ScalingLimited};
use crate::units::SimTime;

/// State of one HPA. Plain data; [`crate::hpa::reconcile`] returns the next one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HpaState {
    /// Raw proposals, before stabilization.
    pub recommendations: Vec<Recommendation>,
    /// Scale-up events (only written while behavior is non-null).
    pub scale_up_events: Vec<ScaleEvent>,
    /// Scale-down events.
    pub scale_down_events: Vec<ScaleEvent>,
    /// `status.desiredReplicas`; 0 until a sync has come to a result.
    pub desired_replicas: i32,
    /// `status.lastScaleTime`.
    pub last_scale_time: Option<SimTime>,
    /// Condition AbleToScale, `None` before the first sync.
    pub able_to_scale: Option<AbleToScale>,
    /// Condition ScalingActive.
    pub scaling_active: Option<ScalingActive>,
    /// Its sentence, which stays until a sync sets the condition again.
    pub scaling_active_message: String,
    /// Condition ScalingLimited.
    pub scaling_limited: Option<ScalingLimited>,
    /// Condition ScaledToZero (1.36, gate HPAScaleToZero).
    pub scaled_to_zero: Option<bool>,
}

/// A raw proposal of one sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// Replicas.
    pub replicas: i32,
    /// When.
    pub at: SimTime,
}

/// A change the HPA made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleEvent {
    /// abs(new - old).
    pub change: i32,
    /// When.
    pub at: SimTime,
    /// Older than its direction's longest period: its slot may be reused.
    pub outdated: bool,
}
