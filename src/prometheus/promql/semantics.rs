//! What differs between Prometheus versions (promql.md section 0).

/// The switches, and the settings that evaluation needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Semantics {
    /// The lower edge of ranges, lookback windows and subqueries is excluded (from 3.0).
    pub left_open: bool,
    /// Start extrapolation: the threshold first, then the limit at zero (from 2.51, commit 7f912db).
    pub cap_before_zero: bool,
    /// `sum` and `avg` aggregations are compensated (from 2.55).
    pub kahan_agg: bool,
    /// Quoted names, numbers as durations, durations as numbers, `1_000` (2.55, 3.x).
    pub parser3: bool,
    /// `holt_winters` under its old name (before 3.0).
    pub holt_winters: bool,
    /// A dot in a regular expression matches a newline (from 3.0).
    pub dot_matches_newline: bool,
    /// One-to-one matching counts elements that a filtering comparison then drops (from 3.9, #17668).
    pub strict_matching: bool,
    /// `first_over_time` needs no feature flag (from 3.14, #19093).
    pub first_over_time: bool,
    /// Durations may be computed: `[5m+1m]` (from 3.14 without a feature flag, #19033).
    pub duration_arithmetic: bool,
    /// Lookback of instant selectors, ms.
    pub lookback_ms: i64,
    /// Default step of subqueries, ms.
    pub default_step_ms: i64,
}
