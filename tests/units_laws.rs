//! Laws of the `units` room over random inputs: times add up, texts come back as the values they show, quantities keep
//! their order, random streams do not disturb each other.

use kedasim::units::{
    Quantity, Seed, SimDuration, SimTime, Stream, math, parse_go_duration, parse_prometheus_duration,
};
use proptest::prelude::*;

/// 100 days in picoseconds: two of them still fit the clock.
const HALF_CLOCK_PS: u64 = 100 * 86_400 * 1_000_000_000_000;

proptest! {
    #[test]
    fn adding_and_taking_away_are_inverse(start in 0..HALF_CLOCK_PS, length in 0..HALF_CLOCK_PS) {
        let (time, duration) = (SimTime::from_ps(start), SimDuration::from_ps(length));
        let later = time + duration;
        prop_assert_eq!(later.since(time), duration);
        prop_assert_eq!(later.saturating_since(time), duration);
        prop_assert_eq!(time.saturating_since(later), SimDuration::ZERO);
        prop_assert_eq!(time.saturating_add(duration), later);
        prop_assert_eq!((duration + duration) - duration, duration);
        prop_assert!(later >= time);
    }

    #[test]
    fn saturation_ends_at_never(start: u64, length: u64) {
        let sum = SimTime::from_ps(start).saturating_add(SimDuration::from_ps(length));
        match start.checked_add(length) {
            Some(exact) => prop_assert_eq!(sum.as_ps(), exact),
            None => prop_assert_eq!(sum, SimTime::NEVER),
        }
        let rest = SimDuration::from_ps(start).saturating_sub(SimDuration::from_ps(length));
        prop_assert_eq!(rest.as_ps(), start.saturating_sub(length));
    }

    #[test]
    fn floors_are_floors(ps: u64) {
        let time = SimTime::from_ps(ps);
        let (seconds, millis) = (time.as_secs_floor(), time.as_millis_floor());
        prop_assert!(SimTime::from_secs(seconds) <= time);
        prop_assert!(time.since(SimTime::from_secs(seconds)) < SimDuration::from_secs(1));
        prop_assert!(SimTime::from_millis(millis) <= time);
        prop_assert!(time.since(SimTime::from_millis(millis)) < SimDuration::from_millis(1));
        prop_assert_eq!(millis / 1000, seconds);
    }

    #[test]
    fn seconds_in_files_come_back_and_keep_the_order(a in 0..HALF_CLOCK_PS, b in 0..HALF_CLOCK_PS) {
        let (a, b) = (SimTime::from_ps(a), SimTime::from_ps(b));
        prop_assert_eq!(a.as_secs_f64() < b.as_secs_f64(), a < b && a.as_secs_f64() != b.as_secs_f64());
        // Half a microsecond is what the file form rounds away.
        let text = serde_json::to_string(&a).expect("a number");
        let back: SimTime = serde_json::from_str(&text).expect("a number");
        let gap = back.saturating_since(a).as_ps().max(a.saturating_since(back).as_ps());
        // At 100 days a double of seconds resolves a nanosecond.
        prop_assert!(gap <= 502_000, "{gap} ps");
    }

    #[test]
    fn durations_are_read_as_they_are_shown(millis in 0u64..1_000_000_000) {
        let duration = SimDuration::from_millis(millis);
        prop_assert_eq!(parse_go_duration(&duration.to_string()), Ok(duration));
    }

    #[test]
    fn both_duration_grammars_agree_on_what_they_share(hours in 0u64..500, minutes in 0u64..600, seconds in 0u64..600) {
        let text = format!("{hours}h{minutes}m{seconds}s");
        let expected = SimDuration::from_secs(hours * 3600 + minutes * 60 + seconds);
        prop_assert_eq!(parse_go_duration(&text), Ok(expected));
        prop_assert_eq!(parse_prometheus_duration(&text), Ok(expected));
        // Go takes units in any order, Prometheus only in falling order.
        let swapped = format!("{seconds}s{hours}h");
        prop_assert!(parse_go_duration(&swapped).is_ok() && parse_prometheus_duration(&swapped).is_err());
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[-+0-9.a-zA-Zµ ]{0,24}") {
        let _ = (parse_go_duration(&text), parse_prometheus_duration(&text), Quantity::parse(&text));
    }

    #[test]
    fn quantities_come_back_and_keep_milli_units(milli: i64) {
        let quantity = Quantity::from_milli(milli);
        prop_assert_eq!(quantity.milli_value(), milli);
        prop_assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity));
        prop_assert_eq!(Quantity::parse(&format!("{milli}m")), Ok(quantity));
    }

    #[test]
    fn finer_than_milli_rounds_away_from_zero(nano in -1_000_000_000_000i64..1_000_000_000_000) {
        let quantity = Quantity::parse(&format!("{nano}n")).expect("a quantity");
        let exact = i128::from(nano);
        let expected = if exact >= 0 { (exact + 999_999) / 1_000_000 } else { (exact - 999_999) / 1_000_000 };
        prop_assert_eq!(i128::from(quantity.milli_value()), expected);
        prop_assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity));
        let float = quantity.as_approximate_f64();
        let exact = nano as f64 / 1e9;
        prop_assert!((float - exact).abs() <= exact.abs() * 1e-15);
    }

    #[test]
    fn a_quantity_has_many_spellings(whole in 0i64..1_000_000) {
        let same = [format!("{whole}000m"), format!("{whole}.0"), format!("{whole}e0"), format!("{whole}000e-3")];
        let expected = Quantity::parse(&whole.to_string());
        for text in same {
            prop_assert_eq!(Quantity::parse(&text), expected.clone(), "{}", text);
        }
        prop_assert_eq!(Quantity::parse(&format!("{whole}Ki")), Quantity::parse(&(whole * 1024).to_string()));
    }

    #[test]
    fn one_streams_draws_do_not_move_anothers(seed: u64, id in 0u64..1000, extra in 0usize..50) {
        let mut alone = Seed(seed).stream("lengths", id);
        let expected: Vec<u64> = (0..8).map(|_| alone.bits()).collect();
        let mut other = Seed(seed).stream("arrival-gaps", id);
        let mut beside = Seed(seed).stream("lengths", id);
        let mut found = Vec::new();
        for _ in 0..8 {
            for _ in 0..extra {
                other.normal();
            }
            found.push(beside.bits());
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn draws_stay_in_their_ranges(seed: u64, n in 1u64.., limit in 0..HALF_CLOCK_PS, sigma in 0.0f64..3.0) {
        let mut stream = Seed(seed).stream("ranges", 0);
        let limit = SimDuration::from_ps(limit);
        for _ in 0..20 {
            let uniform = stream.uniform();
            prop_assert!((0.0..1.0).contains(&uniform));
            let positive = stream.uniform_positive();
            prop_assert!(positive > 0.0 && positive <= 1.0);
            prop_assert!(stream.below(n) < n);
            prop_assert!(stream.exponential() >= 0.0);
            prop_assert!(stream.normal().is_finite());
            prop_assert!(stream.lognormal(0.0, sigma) > 0.0);
            let drawn = stream.duration_below(limit);
            prop_assert!(drawn < limit || (limit.is_zero() && drawn.is_zero()));
        }
    }

    #[test]
    fn every_normal_and_exponential_takes_a_fixed_number_of_draws(seed: u64) {
        // What a stream gives next hangs on how many draws were made, never on what they gave.
        let after = |skip: u32, draw: &dyn Fn(&mut Stream)| {
            let mut stream = Seed(seed).stream("count", 0);
            draw(&mut stream);
            let mut plain = Seed(seed).stream("count", 0);
            for _ in 0..skip {
                plain.bits();
            }
            (stream.bits(), plain.bits())
        };
        let (exponential, one) = after(1, &|stream| { stream.exponential(); });
        prop_assert_eq!(exponential, one);
        let (normal, two) = after(2, &|stream| { stream.normal(); });
        prop_assert_eq!(normal, two);
        let (lognormal, two) = after(2, &|stream| { stream.lognormal(1.0, 0.5); });
        prop_assert_eq!(lognormal, two);
    }

    #[test]
    fn elementary_functions_undo_each_other(x in 1e-6f64..1e6) {
        let near = |found: f64, expected: f64| (found - expected).abs() <= expected.abs() * 1e-13 + 1e-13;
        prop_assert!(near(math::exp(math::ln(x)), x));
        prop_assert!(near(math::pow(2.0, math::log2(x)), x));
        prop_assert!(near(math::pow(10.0, math::log10(x)), x));
        prop_assert!(near(math::ln_1p(x), math::ln(1.0 + x)));
        let (sin, cos) = (math::sin(x), math::cos(x));
        prop_assert!(near(sin * sin + cos * cos, 1.0));
        prop_assert!(near(math::sin(math::atan2(sin, cos)), sin));
    }
}

/// Largest gap between the empirical distributions of two samples (Kolmogorov and Smirnov).
fn distance(mut left: Vec<f64>, mut right: Vec<f64>) -> f64 {
    left.sort_by(f64::total_cmp);
    right.sort_by(f64::total_cmp);
    let share = |sample: &[f64], x: f64| sample.partition_point(|value| *value <= x) as f64 / sample.len() as f64;
    left.iter().chain(&right).map(|x| (share(&left, *x) - share(&right, *x)).abs()).fold(0.0, f64::max)
}

#[test]
fn our_samplers_draw_from_the_distributions_of_rand_distr() {
    use rand_distr::Distribution;
    const N: usize = 20_000;
    let mut judge = rand_pcg::Pcg64::new(1, 2);
    let mut stream = Seed(11).stream("judged", 0);
    let mut ours = |draw: fn(&mut Stream) -> f64| -> Vec<f64> { (0..N).map(|_| draw(&mut stream)).collect() };
    let exponential = ours(Stream::exponential);
    let normal = ours(Stream::normal);
    let lognormal = ours(|stream| stream.lognormal(6.5, 0.9));
    let uniform = ours(Stream::uniform_positive);
    let mut theirs =
        |draw: &dyn Fn(&mut rand_pcg::Pcg64) -> f64| -> Vec<f64> { (0..N).map(|_| draw(&mut judge)).collect() };
    let exp = theirs(&|rng| rand_distr::Exp1.sample(rng));
    let norm = theirs(&|rng| rand_distr::StandardNormal.sample(rng));
    let log = rand_distr::LogNormal::new(6.5, 0.9).expect("valid parameters");
    let log = theirs(&|rng| log.sample(rng));
    let open = theirs(&|rng| rand_distr::OpenClosed01.sample(rng));
    // The 99.9 % point of the two-sample distance for samples of this size.
    let limit = 1.95 * (2.0 / N as f64).sqrt();
    let pairs = [
        ("exponential", exponential, exp),
        ("normal", normal, norm),
        ("lognormal", lognormal, log),
        ("uniform", uniform, open),
    ];
    for (name, ours, theirs) in pairs {
        let distance = distance(ours, theirs);
        assert!(distance < limit, "{name}: {distance} is over {limit}");
    }
}
