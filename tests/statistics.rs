//! Means, intervals, comparisons and warm-up detection against the worked numbers of the definitions.

use kedasim::analysis::{
    DifferenceVerdict, Estimate, FigureKind, IntervalRule, batch_means, bootstrap_interval, holm, mean, mser_of_means,
    mser5, nearest_rank, paired_difference, poisson_interval, rate_interval, seeds_needed, standard_deviation,
    t_interval, t_p_value, t_quantile,
};
use proptest::prelude::*;

/// Rounded to `digits` decimals, as a table prints it.
fn printed(value: f64, digits: usize) -> String {
    format!("{value:.digits$}")
}

#[test]
fn t_quantiles_are_those_of_the_tables() {
    let table = [(3, "4.303"), (5, "2.776"), (10, "2.262"), (20, "2.093"), (30, "2.045")];
    for (seeds, expected) in table {
        assert_eq!(printed(t_quantile(0.975, seeds - 1), 3), expected, "{seeds} seeds");
    }
    // Further rows of the usual table, up to the normal's limit.
    for (freedom, p, expected) in
        [(1, 0.975, "12.706"), (4, 0.95, "2.132"), (9, 0.995, "3.250"), (1000, 0.975, "1.962")]
    {
        assert_eq!(printed(t_quantile(p, freedom), 3), expected, "{freedom} degrees of freedom at {p}");
    }
    assert_eq!((t_quantile(0.5, 7), t_quantile(0.025, 9)), (0.0, -t_quantile(0.975, 9)));
}

#[test]
fn quantiles_carry_seven_digits_and_no_more() {
    assert_eq!(t_quantile(0.975, 9), 2.262157);
    assert_eq!(t_quantile(0.975, 4), 2.776445);
    assert_eq!(printed(t_p_value(2.262157, 9), 6), "0.050000");
}

#[test]
fn poisson_bounds_are_those_of_the_definition() {
    let expected = [(0, "0.000", "3.689"), (1, "0.025", "5.572"), (3, "0.619", "8.767"), (10, "4.795", "18.390")];
    for (count, low, high) in expected {
        let (lower, upper) = poisson_interval(count, 1.0, 0.95);
        assert_eq!((printed(lower, 3).as_str(), printed(upper, 3).as_str()), (low, high), "{count} events");
        assert_eq!(rate_interval(count, 1.0), (lower, upper), "one run's interval is the same");
    }
    // One flap in half an hour; a clean half hour; how long zero flaps take to rule out one an hour.
    let (low, high) = poisson_interval(1, 0.5, 0.95);
    assert_eq!((printed(low, 2), printed(high, 1)), ("0.05".to_owned(), "11.1".to_owned()));
    assert_eq!(printed(poisson_interval(0, 0.5, 0.95).1, 1), "7.4");
    assert!(poisson_interval(0, 3.7, 0.95).1 < 1.0 && poisson_interval(0, 3.6, 0.95).1 > 1.0);
    // Another level: chi-square 0.95 with two degrees of freedom, halved.
    assert_eq!(printed(poisson_interval(0, 1.0, 0.9).1, 3), "2.996");
}

#[test]
fn an_interval_is_the_mean_and_t_times_the_error_of_the_mean() {
    let values = [9.0, 11.0, 10.0, 12.0, 8.0];
    assert_eq!((mean(&values), standard_deviation(&values)), (Some(10.0), Some(2.5f64.sqrt())));
    let (low, high) = t_interval(&values, 0.95).expect("five values");
    assert_eq!((printed(low, 4), printed(high, 4)), ("8.0368".to_owned(), "11.9632".to_owned()));
    assert_eq!((mean(&[]), standard_deviation(&[1.0]), t_interval(&[1.0], 0.95)), (None, None, None));
    assert_eq!(standard_deviation(&[0.1; 7]), Some(0.0), "equal values do not vary, not even by rounding");
}

#[test]
fn one_run_and_two_runs_have_no_interval() {
    let of = |values: &[f64]| Estimate::new("m", FigureKind::Mean, values.iter().copied().map(Some).collect());
    assert_eq!((of(&[3.0]).mean, of(&[3.0]).interval), (Some(3.0), None));
    let two = of(&[3.0, 5.0]);
    assert_eq!((two.mean, two.interval, two.range()), (Some(4.0), None, Some((3.0, 5.0))));
    let three = of(&[3.0, 4.0, 5.0]);
    assert_eq!(three.interval.map(|(_, rule)| rule), Some(IntervalRule::StudentT));
    assert_eq!(printed(three.half_width().expect("a t interval"), 4), "2.4841");
}

#[test]
fn seeds_without_data_are_left_out_and_an_infinite_one_leaves_no_mean_in_numbers() {
    let gaps = Estimate::new("m", FigureKind::Mean, vec![Some(1.0), None, Some(2.0), Some(3.0)]);
    assert_eq!((gaps.mean, gaps.values.len()), (Some(2.0), 4));
    assert!(gaps.interval.is_some(), "three values are there");
    let lost = Estimate::new("m", FigureKind::Percentile, vec![Some(f64::INFINITY); 12]);
    assert_eq!((lost.mean, lost.deviation, lost.interval), (Some(f64::INFINITY), None, None));
    assert_eq!(Estimate::new("m", FigureKind::Mean, vec![None, None]).mean, None);
}

#[test]
fn percentiles_are_bootstrapped_over_seeds_by_the_method_that_their_number_allows() {
    let rule = |n: u32| {
        let values = (0..n).map(|value| Some(f64::from(value * value))).collect();
        Estimate::new("ttftSeconds.p99", FigureKind::Percentile, values).interval.map(|(_, rule)| rule)
    };
    assert_eq!(rule(9), None);
    assert_eq!(
        (rule(10), rule(19)),
        (Some(IntervalRule::BootstrapPercentile), Some(IntervalRule::BootstrapPercentile))
    );
    assert_eq!(rule(20), Some(IntervalRule::BootstrapBca));
}

#[test]
fn a_bootstrap_depends_on_the_metric_and_its_values_alone() {
    let values: Vec<f64> = (0..12).map(|value| f64::from(value * value % 17) + 0.1 * f64::from(value)).collect();
    let ((low, high), _) = bootstrap_interval("a", &values, 0.95);
    assert_eq!(bootstrap_interval("a", &values, 0.95), ((low, high), IntervalRule::BootstrapPercentile));
    assert_ne!(bootstrap_interval("b", &values, 0.95).0, (low, high), "another metric has another stream");
    let centre = mean(&values).expect("values");
    assert!(low < centre && centre < high);
    // For a mean of twelve, close to the normal interval with the deviation of n in place of n - 1.
    let half = 1.96 * standard_deviation(&values).expect("values") * (11.0f64 / 12.0).sqrt() / 12.0f64.sqrt();
    assert!((high - low - 2.0 * half).abs() < 0.15 * half, "{low}..{high} against +-{half}");
}

#[test]
fn bca_leans_to_the_side_of_the_long_tail() {
    let mut values = vec![1.0; 18];
    values.extend([2.0, 9.0]);
    let ((low, high), rule) = bootstrap_interval("m", &values, 0.95);
    let centre = mean(&values).expect("values");
    assert_eq!(rule, IntervalRule::BootstrapBca);
    assert!(high - centre > 1.5 * (centre - low), "{low} {centre} {high}");
    assert_eq!(bootstrap_interval("m", &[4.0; 25], 0.95).0, (4.0, 4.0));
}

#[test]
fn the_number_of_seeds_needed_follows_t() {
    // s = e: t^2 = n. With n = 6, t = 2.571 and t^2 = 6.61 > 6; with n = 7, t = 2.447 and t^2 = 5.99 <= 7.
    assert_eq!(seeds_needed(1.0, 1.0, 0.95), Some(7));
    // Large numbers are those of the normal: (1.96 * 10)^2 = 384.1, and a few more for t.
    assert_eq!(seeds_needed(10.0, 1.0, 0.95), Some(387));
    assert_eq!(seeds_needed(0.0, 1.0, 0.95), Some(2));
    assert_eq!((seeds_needed(1.0, 0.0, 0.95), seeds_needed(1.0, 1e-6, 0.95)), (None, None));
}

/// Pairs whose differences have exactly this mean and standard deviation.
fn pairs(mean: f64, deviation: f64, n: usize) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    let raw: Vec<f64> = (0..n).map(|index| index as f64).collect();
    let (centre, spread) = ((n - 1) as f64 / 2.0, standard_deviation(&raw).expect("two or more"));
    let a: Vec<f64> = raw.iter().map(|value| 10.0 + 3.0 * value).collect();
    let b = a.iter().zip(&raw).map(|(a, value)| Some(a + mean + (value - centre) / spread * deviation)).collect();
    (a.into_iter().map(Some).collect(), b)
}

#[test]
fn a_difference_has_the_word_that_its_interval_and_the_margin_give() {
    use DifferenceVerdict::{Different, Negligible, Same, Undecided};
    // Half-width of ten pairs with deviation s: 2.262 s / sqrt(10) = 0.7154 s.
    let cases = [
        (-1.50, 1.636, 0.5, Different),
        (0.3, 0.1, 0.5, Same),
        (0.45, 0.2, 0.5, Negligible),
        (0.45, 1.0, 0.5, Undecided),
        (0.0, 0.0, 0.5, Same),
        (2.0, 0.0, 0.5, Different),
    ];
    for (centre, deviation, margin, verdict) in cases {
        let (a, b) = pairs(centre, deviation, 10);
        let compared = paired_difference(&a, &b, margin).expect("pairs");
        assert_eq!(compared.verdict, verdict, "{centre} +- {deviation}, margin {margin}");
        assert_eq!(compared.further_pairs.is_some(), verdict == Undecided);
        assert!((compared.mean - centre).abs() < 1e-12);
    }
}

#[test]
fn the_worked_comparison_comes_out_as_printed() {
    // Reversals per hour of ten pairs: -1.50 +- 1.17.
    let (a, b) = pairs(-1.50, 1.17 * 10f64.sqrt() / 2.262157, 10);
    let compared = paired_difference(&a, &b, 0.5).expect("pairs");
    let (low, high) = compared.interval.expect("ten pairs");
    assert_eq!((printed(low, 2), printed(high, 2)), ("-2.67".to_owned(), "-0.33".to_owned()));
    assert_eq!(compared.verdict, DifferenceVerdict::Different);
    // Flaps: -1.70 +- 1.40 and mean replicas: -0.082 +- 0.034 with 2 % of 2.44 as the margin.
    for (centre, half, margin) in [(-1.70, 1.40, 0.5), (-0.082, 0.034, 0.02 * 2.441)] {
        let (a, b) = pairs(centre, half * 10f64.sqrt() / 2.262157, 10);
        assert_eq!(paired_difference(&a, &b, margin).expect("pairs").verdict, DifferenceVerdict::Different);
    }
}

#[test]
fn pairing_is_worth_the_correlation() {
    let a: Vec<Option<f64>> = [1.0, 5.0, 2.0, 8.0, 4.0].map(Some).to_vec();
    let b: Vec<Option<f64>> = [1.6, 5.4, 2.5, 8.4, 4.6].map(Some).to_vec();
    let compared = paired_difference(&a, &b, 0.1).expect("pairs");
    let (low, high) = compared.interval.expect("five pairs");
    assert!(compared.correlation.expect("both vary") > 0.99 && !compared.is_unsynchronised());
    assert!(compared.unpaired_half_width.expect("both vary") > 20.0 * (high - low) / 2.0);
    let shuffled: Vec<Option<f64>> = [5.0, 1.0, 8.0, 2.0, 4.0].map(Some).to_vec();
    assert!(paired_difference(&a, &shuffled, 0.1).expect("pairs").is_unsynchronised());
}

#[test]
fn pairs_without_a_value_are_left_out_and_two_pairs_decide_nothing() {
    let a = [Some(1.0), None, Some(f64::INFINITY), Some(2.0)];
    let b = [Some(5.0), Some(1.0), Some(2.0), Some(6.0)];
    let compared = paired_difference(&a, &b, 0.1).expect("two pairs");
    assert_eq!((compared.pairs, compared.mean, compared.interval), (2, 4.0, None));
    assert_eq!(compared.verdict, DifferenceVerdict::Undecided);
    assert_eq!(paired_difference(&[None], &[Some(1.0)], 0.1), None);
}

#[test]
fn holm_steps_down_and_stops_at_the_first_that_stands() {
    assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
    assert_eq!(holm(&[0.02, 0.02, 0.02], 0.05), [false, false, false], "0.02 > 0.05 / 3, and nothing after it");
    assert_eq!(holm(&[0.016, 0.02, 0.04], 0.05), [true, true, true]);
    assert!(holm(&[], 0.05).is_empty());
}

#[test]
fn mser_cuts_where_the_transient_ends() {
    let means = [10.0, 6.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    let cut = mser_of_means(&means).expect("ten batches");
    assert_eq!((cut.batches, cut.samples, cut.converged), (3, 15, true));
    let samples: Vec<f64> = means.iter().flat_map(|mean| [mean - 1.0, *mean, mean + 1.0, *mean, *mean]).collect();
    assert_eq!(mser5(&samples), Some(cut), "batches of five samples");
    let constant = mser5(&[0.1; 53]).expect("ten batches and three samples over");
    assert_eq!((constant.batches, constant.converged), (0, true));
    let rising: Vec<f64> = (0..100).map(f64::from).collect();
    assert!(!mser5(&rising).expect("twenty batches").converged, "a series without a steady state");
    assert_eq!(mser5(&[1.0; 9]), None);
}

#[test]
fn batch_means_need_twenty_batches_that_do_not_depend_on_each_other() {
    // Alternating within each batch: every batch has the same mean but for a small term of its own.
    let samples: Vec<f64> =
        (0..1003u32).map(|index| f64::from(index % 2) + f64::from((index / 40) * 7 % 5) * 0.01).collect();
    let result = batch_means(&samples, 40).expect("25 batches");
    assert_eq!(result.batches, 25);
    assert!(result.lag1 < 0.2 && result.is_usable(), "lag 1 is {}", result.lag1);
    let drifting: Vec<f64> = (0..1000).map(f64::from).collect();
    let result = batch_means(&drifting, 40).expect("25 batches");
    assert!(result.lag1 > 0.8 && !result.is_usable());
    assert!(!batch_means(&samples, 100).expect("ten batches").is_usable());
    assert_eq!(batch_means(&samples, 600), None);
    assert_eq!(batch_means(&[5.0; 100], 5).map(|own| (own.mean, own.interval, own.lag1)), Some((5.0, (5.0, 5.0), 0.0)));
}

proptest! {
    #[test]
    fn intervals_hold_their_mean_and_ranks_their_share(values in proptest::collection::vec(-1e3f64..1e3, 3..40)) {
        let (low, high) = t_interval(&values, 0.95).expect("three or more");
        let centre = mean(&values).expect("values");
        prop_assert!(low <= centre && centre <= high);
        let (wider_low, wider_high) = t_interval(&values, 0.99).expect("three or more");
        prop_assert!(wider_low <= low && high <= wider_high);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for p in [0.1, 0.5, 0.95, 0.99] {
            let value = nearest_rank(&sorted, p).expect("values");
            let at_most = sorted.iter().filter(|other| **other <= value).count() as f64;
            prop_assert!(at_most / sorted.len() as f64 >= p - 1e-9);
        }
        let ((low, high), _) = bootstrap_interval("law", &values, 0.95);
        prop_assert!(sorted[0] - 1e-9 <= low && low <= high && high <= sorted[sorted.len() - 1] + 1e-9);
    }

    #[test]
    fn swapping_the_policies_turns_the_sign_and_keeps_the_word(
        values in proptest::collection::vec((0f64..10.0, 0f64..10.0), 3..20), margin in 0f64..3.0,
    ) {
        let (a, b): (Vec<_>, Vec<_>) = values.iter().map(|(a, b)| (Some(*a), Some(*b))).unzip();
        let (forth, back) = (paired_difference(&a, &b, margin).expect("pairs"), paired_difference(&b, &a, margin).expect("pairs"));
        prop_assert!((forth.mean + back.mean).abs() < 1e-9);
        prop_assert_eq!(forth.verdict, back.verdict);
    }
}
