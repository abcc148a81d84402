//! Sums, quantiles and histogram quantiles (promql/quantile.go, promql/functions.go).

use std::cmp::Ordering;

/// Neumaier's step: the new sum and compensation (`kahanSumInc`). Without jumps, so that sums side by side are vectorised.
#[inline]
pub(crate) fn kahan_add(term: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + term;
    let (larger, smaller) = if sum.abs() >= term.abs() { (sum, term) } else { (term, sum) };
    let compensated = compensation + ((larger - total) + smaller);
    (total, if total.is_infinite() { 0.0 } else { compensated })
}

/// The q-quantile of `values` by linear interpolation; NaN sorts first (`quantile`).
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let n = values.len() as f64;
    let rank = q * (n - 1.0);
    let lower = f64::max(0.0, rank.floor());
    let upper = f64::min(n - 1.0, lower + 1.0);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

/// Ascending with NaN before all.
fn nan_first(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Ascending with NaN after all.
pub(crate) fn nan_last(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// `histogram_quantile` of one histogram: (upper bound, cumulative count) in any order (`BucketQuantile`).
pub(crate) fn bucket_quantile(q: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if !sort_buckets(buckets) {
        return f64::NAN;
    }
    make_monotonic(buckets);
    let last = buckets.len() - 1;
    if last < 1 {
        return f64::NAN;
    }
    let total = buckets[last].1;
    if total == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * total;
    let found = first_reaching(&buckets[..last], rank);
    if found == last {
        return buckets[last - 1].0;
    }
    let (end, mut count) = buckets[found];
    if found == 0 && end <= 0.0 {
        return end;
    }
    let mut start = 0.0;
    if found > 0 {
        let (previous_bound, previous_count) = buckets[found - 1];
        start = previous_bound;
        count -= previous_count;
        rank -= previous_count;
    }
    start + (end - start) * (rank / count)
}

/// `histogram_fraction` of one classic histogram: the estimated share between two bounds (`BucketFraction`).
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
    if !sort_buckets(buckets) {
        return f64::NAN;
    }
    let total = buckets[buckets.len() - 1].1;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_at(upper, buckets) - rank_at(lower, buckets)) / total
}

/// The estimated number of observations up to `value`.
fn rank_at(value: f64, buckets: &[(f64, f64)]) -> f64 {
    let total = buckets[buckets.len() - 1].1;
    let mut rank: f64 = 0.0;
    let mut start = if buckets[0].0 > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    for (end, count) in buckets {
        if start >= value {
            return rank.min(total);
        }
        if *end > value {
            let estimate = if start.is_infinite() {
                *count
            } else if end.is_infinite() {
                rank
            } else {
                rank + (count - rank) * ((value - start) / (end - start))
            };
            return estimate.min(total);
        }
        (rank, start) = (*count, *end);
    }
    total
}

/// Sorts by bound and adds up equal bounds; false when there is no bucket for everything.
fn sort_buckets(buckets: &mut Vec<(f64, f64)>) -> bool {
    buckets.sort_by(|a, b| nan_first(a.0, b.0));
    if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    true
}

/// The first bucket whose count reaches `rank`, by Go's `sort.Search`, whose probes matter when counts are NaN.
fn first_reaching(buckets: &[(f64, f64)], rank: f64) -> usize {
    let (mut low, mut high) = (0, buckets.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if buckets[middle].1 >= rank {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// `ensureMonotonicAndIgnoreSmallDeltas`: counts that fall, or that rise by rounding only, are set to the one before.
fn make_monotonic(buckets: &mut [(f64, f64)]) {
    let mut previous = buckets[0].1;
    for (_, count) in &mut buckets[1..] {
        if *count == previous {
            continue;
        }
        if *count < previous || almost_equal(previous, *count) {
            *count = previous;
            continue;
        }
        previous = *count;
    }
}

/// Equal within 1e-12 relative (util/almost `Equal`).
fn almost_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
