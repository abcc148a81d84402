//! From a query's result to the number the HPA gets (`pkg/scalers/prometheus_scaler.go`, `pkg/scalers/scaler.go`).
//!
//! Does not query: the caller evaluates the query at the floor of now to whole seconds and hands the answer over.

use crate::keda::{KedaVersion, PrometheusTrigger};
use crate::series::QueryValue;

/// The first release that prints floats with three decimals and treats NaN as it treats infinities.
const ROUNDING: KedaVersion = KedaVersion { major: 2, minor: 20, patch: 0 };
/// The first release that turns negative values into 0.
const NO_NEGATIVES: KedaVersion = KedaVersion { major: 2, minor: 20, patch: 2 };

/// The newest release that is known to leave the answer's text out of its error (keda.md 5.2); earlier ones print it.
const NO_BODY: KedaVersion = NO_NEGATIVES;

/// What KEDA says of an answer with an HTTP error, for [`value_from_query`]. Where it leaves out what Prometheus answered,
/// that follows in brackets: nobody else would tell.
pub fn http_error(version: KedaVersion, status: u16, message: &str) -> String {
    if version >= NO_BODY {
        return format!("status: {status} (Prometheus answered: {message})");
    }
    let kind = if status == 400 { "bad_data" } else { "execution" };
    let message = serde_json::Value::from(message);
    format!("status: {status} response: {{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":{message}}}")
}

/// A trigger's value at one query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TriggerValue {
    /// The float as evaluated (0 where nulls are ignored).
    pub value: f64,
    /// What the HPA is told, in milli units, rounded as the KEDA version does.
    pub milli: i64,
    /// `value > activationThreshold`, on the unrounded value.
    pub active: bool,
}

/// Applies KEDA's result handling (keda.md 5.2, 5.3). `result` is the query's answer or the text of Prometheus' error.
///
/// # Errors
/// KEDA's error text: no element while nulls count, several elements, scalar or string result, failed query.
pub fn value_from_query(
    trigger: &PrometheusTrigger,
    version: KedaVersion,
    result: Result<&QueryValue, &str>,
) -> Result<TriggerValue, String> {
    let value = query_float(trigger, version, result)?;
    Ok(TriggerValue { value, milli: float_to_milli(value, version), active: value > trigger.activation_threshold })
}

/// The float that upstream `ExecutePromQuery` returns.
fn query_float(
    trigger: &PrometheusTrigger,
    version: KedaVersion,
    result: Result<&QueryValue, &str>,
) -> Result<f64, String> {
    let value = match result {
        Err(text) => return Err(format!("prometheus query api returned error. {text}")),
        // Upstream decodes a list of objects; these two are a list of a time stamp and a text.
        Ok(QueryValue::Scalar(_)) => return Err(undecodable(trigger, "scalar")),
        Ok(QueryValue::String(_)) => return Err(undecodable(trigger, "string")),
        Ok(QueryValue::Vector(elements)) => sole(trigger, elements.len())?.map(|()| elements[0].1),
        // A range result has `values` where upstream reads `value`, so its one element has an empty value list.
        Ok(QueryValue::Matrix(elements)) => match sole(trigger, elements.len())? {
            Some(()) => null_or(trigger, "the value list is empty")?,
            None => None,
        },
    };
    let value = value.unwrap_or(0.0);
    let unusable = value.is_infinite() || (value.is_nan() && version >= ROUNDING);
    if !unusable {
        return Ok(value);
    }
    if trigger.ignore_null_values {
        return Ok(0.0);
    }
    let shown = match value {
        _ if value.is_nan() => "NaN",
        _ if value > 0.0 => "+Inf",
        _ => "-Inf",
    };
    Err(format!("prometheus query returns {shown}"))
}

/// `Some` for exactly one element, `None` for none while nulls are ignored.
fn sole(trigger: &PrometheusTrigger, elements: usize) -> Result<Option<()>, String> {
    match elements {
        0 => null_or(trigger, "the result is empty"),
        1 => Ok(Some(())),
        _ => Err(format!("prometheus query {} returned multiple elements", trigger.query)),
    }
}

/// `None` where nulls are ignored, else upstream's error with `what`.
fn null_or<T>(trigger: &PrometheusTrigger, what: &str) -> Result<Option<T>, String> {
    if trigger.ignore_null_values {
        Ok(None)
    } else {
        Err(format!("prometheus metrics 'prometheus' target may be lost, {what}"))
    }
}

fn undecodable(trigger: &PrometheusTrigger, kind: &str) -> String {
    format!("prometheus query {} returned a {kind}, which KEDA cannot decode", trigger.query)
}

/// A float as milli units of the quantity KEDA makes of it, both for metric values and for targets
/// (`GenerateMetricInMili`, `GetMetricTargetMili`, `quantityFromFloat64`).
///
/// From 2.20.0 the decimal text with three digits (nearest, ties to even on the exact binary value), NaN and infinities 0;
/// negatives 0 from 2.20.2. Before: the product with 1000, truncated toward zero; what an int64 cannot hold becomes
/// its minimum, as on amd64. Values beyond an int64 of milli units saturate from 2.20.0 on.
pub(super) fn float_to_milli(value: f64, version: KedaVersion) -> i64 {
    if version < ROUNDING {
        let product = value * 1000.0;
        // 2^63 is exact in a double; NaN is in no range.
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&product);
        return if fits { product as i64 } else { i64::MIN };
    }
    if !value.is_finite() || (value < 0.0 && version >= NO_NEGATIVES) {
        return 0;
    }
    let size = thousandths(value.abs());
    if value < 0.0 { size.map_or(i64::MIN, |size| -size) } else { size.unwrap_or(i64::MAX) }
}

/// A number from 0 times 1000, to the nearest, ties to even, on the exact binary value: what its text with three digits says,
/// which takes far longer. `None` when an i64 cannot hold it.
fn thousandths(value: f64) -> Option<i64> {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = value.to_bits();
    let (exponent, fraction) = (bits >> FRACTION_BITS, bits & ((1 << FRACTION_BITS) - 1));
    // A subnormal number is far below half of a thousandth.
    if exponent == 0 {
        return Some(0);
    }
    // The value is `mantissa` times 2 to the power of `power`, and 1000 * 2^53 is below 2^63.
    let product = (fraction | 1 << FRACTION_BITS) * 1000;
    let power = i32::try_from(exponent).ok()? - (f64::MAX_EXP - 1) - FRACTION_BITS as i32;
    if power >= 0 {
        let whole = u128::from(product).checked_shl(power.unsigned_abs()).filter(|_| power < 64)?;
        return i64::try_from(whole).ok();
    }
    let dropped = power.unsigned_abs();
    if dropped > 63 {
        return Some(0);
    }
    let (whole, rest, half) = (product >> dropped, product & ((1 << dropped) - 1), 1 << (dropped - 1));
    let rounds_up = rest > half || (rest == half && whole % 2 == 1);
    i64::try_from(whole + u64::from(rounds_up)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::{OLD, prometheus, version};
    use crate::series::Labels;
    use proptest::prelude::*;

    fn vector(values: &[f64]) -> QueryValue {
        let element = |(index, value): (usize, &f64)| (Labels::from_pairs([("pod", index.to_string())]), *value);
        QueryValue::Vector(values.iter().enumerate().map(element).collect())
    }

    fn matrix(series: usize) -> QueryValue {
        let one = |index: usize| (Labels::from_pairs([("pod", index.to_string())]), vec![(0, 7.0), (1000, 8.0)]);
        QueryValue::Matrix((0..series).map(one).collect())
    }

    #[test]
    fn http_errors_by_version() {
        let body = r#"status: 422 response: {"status":"error","errorType":"execution","error":"a \"b\""}"#;
        assert_eq!(http_error(version(2, 20, 1), 422, "a \"b\""), body);
        assert_eq!(http_error(version(2, 20, 2), 400, "c"), "status: 400 (Prometheus answered: c)");
    }

    #[test]
    fn floats_become_milli_units_by_version() {
        // value, 2.20.2, 2.20.1, 2.19.0.
        let table = [
            (5.0, 5000, 5000, 5000),               // whole
            (0.9996, 1000, 1000, 999),             // rounded against truncated
            (0.4995, 499, 499, 499),               // its double lies below the tie
            (0.0005, 1, 1, 0),                     // its double lies above the tie
            (0.0004, 0, 0, 0),                     // below the grid
            (0.0625, 62, 62, 62),                  // an exact tie goes to the even digit
            (0.1875, 188, 188, 187),               // an exact tie, even above
            (1.001, 1001, 1001, 1000),             // 1.001 * 1000 is 1000.9999999999999
            (0.029, 29, 29, 29),                   // 0.029 * 1000 is 29.000000000000004
            (-0.0004, 0, 0, 0),                    // negative zero as text
            (-1.5, 0, -1500, -1500),               // negatives pass before 2.20.2
            (-1.0019, 0, -1002, -1001),            // truncation is toward zero
            (f64::NAN, 0, 0, i64::MIN),            // int64 of NaN on amd64
            (f64::INFINITY, 0, 0, i64::MIN),       // int64 overflow on amd64
            (f64::NEG_INFINITY, 0, 0, i64::MIN),   // the same downwards
            (1e300, i64::MAX, i64::MAX, i64::MIN), // hundreds of digits
            (-1e300, 0, i64::MIN, i64::MIN),       // and with a sign
            (9_007_199_254_740_993.0, 9_007_199_254_740_992_000, 9_007_199_254_740_992_000, 9_007_199_254_740_992_000), // near the end of the range
        ];
        for (value, now, before, old) in table {
            assert_eq!(float_to_milli(value, version(2, 20, 2)), now, "{value} in 2.20.2");
            assert_eq!(float_to_milli(value, version(2, 21, 0)), now, "{value} in 2.21.0");
            assert_eq!(float_to_milli(value, version(2, 20, 1)), before, "{value} in 2.20.1");
            assert_eq!(float_to_milli(value, version(2, 20, 0)), before, "{value} in 2.20.0");
            assert_eq!(float_to_milli(value, OLD), old, "{value} in 2.19.0");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn milli_units_are_what_the_text_with_three_digits_says(
            bits in any::<u64>(),
            near in -3_000_000_000..3_000_000_000i64,
            eighths in -100_000..100_000i32,
        ) {
            for value in [f64::from_bits(bits), near as f64 / 1000.0, near as f64 / 2000.0, f64::from(eighths) / 16.0] {
                if value.is_finite() {
                    let digits: String = format!("{value:.3}").chars().filter(|c| *c != '.').collect();
                    let told = digits.parse::<i64>().unwrap_or(if value < 0.0 { i64::MIN } else { i64::MAX });
                    prop_assert_eq!(float_to_milli(value, version(2, 20, 1)), told, "{}", value);
                }
            }
        }
    }

    #[test]
    fn query_results_become_values() {
        let lost = |what: &str| Err(format!("prometheus metrics 'prometheus' target may be lost, {what}"));
        let returns = |what: &str| Err(format!("prometheus query returns {what}"));
        let several = || Err("prometheus query sum(q) returned multiple elements".to_owned());
        let undecoded =
            |kind: &str| Err(format!("prometheus query sum(q) returned a {kind}, which KEDA cannot decode"));
        // result, with ignoreNullValues, without.
        let table = [
            (vector(&[2.5]), Ok(2.5), Ok(2.5)),                                  // the usual
            (vector(&[]), Ok(0.0), lost("the result is empty")),                 // no element
            (vector(&[1.0, 2.0]), several(), several()),                         // ignoring nulls does not help
            (matrix(0), Ok(0.0), lost("the result is empty")),                   // empty range result
            (matrix(1), Ok(0.0), lost("the value list is empty")),               // `foo[5m]` is silently 0
            (matrix(2), several(), several()),                                   // counted before looked into
            (QueryValue::Scalar(1.0), undecoded("scalar"), undecoded("scalar")), // `scalar(x)`, `1`
            (QueryValue::String("a".into()), undecoded("string"), undecoded("string")), // a literal
            (vector(&[f64::NAN]), Ok(0.0), returns("NaN")),                      // an idle quantile
            (vector(&[f64::INFINITY]), Ok(0.0), returns("+Inf")),                // x/0
            (vector(&[f64::NEG_INFINITY]), Ok(0.0), returns("-Inf")),            // -x/0
            (vector(&[-3.0]), Ok(-3.0), Ok(-3.0)),                               // kept until rounded
        ];
        for (result, ignored, counted) in table {
            for (ignore, expected) in [(true, ignored), (false, counted)] {
                let trigger = PrometheusTrigger { ignore_null_values: ignore, ..prometheus() };
                let found = value_from_query(&trigger, version(2, 20, 2), Ok(&result)).map(|found| found.value);
                assert_eq!(found, expected, "{result:?}, ignoreNullValues {ignore}");
            }
        }
        let failed = value_from_query(&prometheus(), version(2, 20, 2), Err("status: 400"));
        assert_eq!(failed, Err("prometheus query api returned error. status: 400".to_owned()));
    }

    #[test]
    fn before_2_20_nan_is_a_value_and_infinity_is_not() {
        for ignore_null_values in [true, false] {
            let trigger = PrometheusTrigger { ignore_null_values, activation_threshold: -1.0, ..prometheus() };
            let nan = value_from_query(&trigger, OLD, Ok(&vector(&[f64::NAN]))).expect("NaN passes");
            assert!(nan.value.is_nan() && !nan.active);
            assert_eq!(nan.milli, i64::MIN);
            let infinite = value_from_query(&trigger, OLD, Ok(&vector(&[f64::INFINITY])));
            assert_eq!(infinite.is_ok(), ignore_null_values);
        }
    }

    #[test]
    fn activity_is_strict_and_on_the_unrounded_value() {
        // value, activationThreshold, active, milli.
        let table = [
            (0.0, 0.0, false, 0),       // nothing
            (0.0001, 0.0, true, 0),     // active although the HPA is told 0
            (5.0, 5.0, false, 5000),    // equal is not above
            (4.9999, 5.0, false, 5000), // rounds up to the threshold, still inactive
            (5.0001, 5.0, true, 5000),  // rounds down to the threshold, still active
            (-1.0, -2.0, true, 0),      // a negative value may activate
        ];
        for (value, activation_threshold, active, milli) in table {
            let trigger = PrometheusTrigger { activation_threshold, ..prometheus() };
            let found = value_from_query(&trigger, version(2, 20, 2), Ok(&vector(&[value])));
            assert_eq!(found, Ok(TriggerValue { value, milli, active }), "{value} against {activation_threshold}");
        }
        // An ignored null is the value 0, which a negative threshold lets through.
        let trigger = PrometheusTrigger { activation_threshold: -0.5, ..prometheus() };
        let empty = value_from_query(&trigger, version(2, 20, 2), Ok(&vector(&[])));
        assert_eq!(empty, Ok(TriggerValue { value: 0.0, milli: 0, active: true }));
    }

    proptest! {
        #[test]
        fn rounding_is_monotone_and_near(a in -1e12f64..1e12, b in -1e12f64..1e12, patch in 0u32..4, minor in 19u32..22) {
            let version = version(2, minor, patch);
            let (low, high) = if a <= b { (a, b) } else { (b, a) };
            prop_assert!(float_to_milli(low, version) <= float_to_milli(high, version));
            let exact = if low < 0.0 && version >= NO_NEGATIVES { 0.0 } else { low * 1000.0 };
            prop_assert!((float_to_milli(low, version) as f64 - exact).abs() <= 1.01, "{} for {low}", float_to_milli(low, version));
        }

        #[test]
        fn milli_values_survive_the_round_trip(milli in 0i64..1_000_000_000) {
            prop_assert_eq!(float_to_milli(milli as f64 / 1000.0, KedaVersion::default()), milli);
        }
    }
}
