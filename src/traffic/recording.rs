//! Traffic as a trace: what drawn arrivals send, written down before any run.

use crate::traffic::{Arrivals, SharedText, Trace, TraceRow, TrafficSource, TrafficSpec};
use crate::units::{Seed, SimDuration, SimTime};

/// What the open loops of `traffic` send before `until` with `seed`: the same requests as in a run, in order of time, of
/// several sources at one instant in their order. Rows count from the run's start.
///
/// `None` with a closed loop among them, whose requests follow the responses, or when nothing is sent.
pub fn record_traffic(traffic: &[TrafficSpec], seed: Seed, until: SimTime) -> Option<Trace> {
    if traffic.iter().any(|spec| matches!(spec.arrivals, Arrivals::ClosedLoop { .. })) {
        return None;
    }
    let mut sent: Vec<(TraceRow, Option<SharedText>)> = Vec::new();
    for (number, spec) in traffic.iter().enumerate() {
        let number = u8::try_from(number).expect("the scenario room allows no more than 255 sources");
        let mut source = TrafficSource::with_number(spec, seed, number);
        while let Some(at) = source.next_arrival().filter(|at| *at < until) {
            let request = source.pop();
            sent.push((source.recorded(&request, at), source.attributes(request.id).text));
        }
    }
    sent.sort_by_key(|(row, _)| row.at);
    let (rows, texts) = sent.into_iter().unzip();
    let trace: Trace = Trace { name: "recorded".to_owned(), rows, texts, notes: Vec::new() };
    (!trace.rows.is_empty()).then_some(trace)
}

/// `requests` of the rows of `mix`, drawn with replacement, sent by a Poisson process of `rate` per second: the same lengths
/// in the same proportions at a steady rate. A text that requests share goes with its row.
///
/// # Panics
/// When the rate is not above 0.
pub fn at_steady_rate(mix: &Trace, rate: f64, requests: u64, seed: Seed) -> Trace {
    assert!(rate > 0.0, "found {rate} requests per second, expected more than 0");
    let (mut gaps, mut choice) = (seed.stream("steady-gaps", 0), seed.stream("steady-rows", 0));
    let mut at = SimTime::ZERO;
    let draw = |_| {
        at = at.saturating_add(SimDuration::from_secs_f64(gaps.exponential() / rate));
        let index = usize::try_from(choice.below(mix.rows.len() as u64)).expect("an index of a vector");
        (TraceRow { at, ..mix.rows[index] }, mix.texts.get(index).cloned().flatten())
    };
    let (rows, texts) = (0..requests).map(draw).unzip();
    Trace { name: "steady".to_owned(), rows, texts, notes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{LengthDistribution, RequestId};
    use std::num::NonZero;
    use std::sync::Arc;

    fn poisson(rate: f64) -> TrafficSpec {
        TrafficSpec {
            arrivals: Arrivals::Poisson { rate },
            prompt: LengthDistribution::Constant(10),
            output: LengthDistribution::Uniform { min: 1, max: 9 },
            max_tokens: None,
            start: SimTime::ZERO,
            stop: SimTime::NEVER,
        }
    }

    #[test]
    fn a_recorded_source_sends_what_it_would_have_sent() {
        let until = SimTime::from_secs(600);
        let trace = record_traffic(&[poisson(2.0), poisson(1.0)], Seed(3), until).expect("open loops");
        assert!((1_600..2_000).contains(&trace.rows.len()), "{} requests in 600 s", trace.rows.len());
        assert!(trace.rows.is_sorted_by_key(|row| row.at));
        let replayed = TrafficSpec { arrivals: Arrivals::Recorded(Arc::new(trace.clone())), ..poisson(1.0) };
        let again = record_traffic(&[replayed], Seed(99), until).expect("a trace");
        assert_eq!(again.rows, trace.rows);
    }

    #[test]
    fn a_limit_goes_with_the_request() {
        let until = SimTime::from_secs(600);
        let cut = record_traffic(&[TrafficSpec { max_tokens: Some(4), ..poisson(2.0) }], Seed(3), until).expect("rows");
        let whole = record_traffic(&[poisson(2.0)], Seed(3), until).expect("rows");
        assert!(whole.rows.iter().any(|row| row.output_tokens > 4));
        for (cut, whole) in cut.rows.iter().zip(&whole.rows) {
            assert_eq!((cut.at, cut.output_tokens), (whole.at, whole.output_tokens), "the same draws");
            assert_eq!((cut.max_tokens.map(NonZero::get), whole.max_tokens), (Some(4), None));
            assert_eq!((cut.answer_tokens(), whole.answer_tokens()), (whole.output_tokens.min(4), whole.output_tokens));
        }
        let replayed = TrafficSpec { arrivals: Arrivals::Recorded(Arc::new(cut.clone())), ..poisson(1.0) };
        let source = TrafficSource::new(&replayed, Seed(9));
        assert_eq!(source.attributes(RequestId::open_loop(0, 0)).max_tokens, Some(4));
    }

    #[test]
    fn a_closed_loop_cannot_be_recorded() {
        let think = SimDuration::from_secs(1);
        let closed = TrafficSpec { arrivals: Arrivals::ClosedLoop { workers: 1, think }, ..poisson(1.0) };
        assert_eq!(record_traffic(&[poisson(1.0), closed], Seed(1), SimTime::from_secs(9)), None);
        assert_eq!(record_traffic(&[poisson(1.0)], Seed(1), SimTime::ZERO), None, "nothing is sent");
    }

    #[test]
    fn a_steady_rate_keeps_the_mix() {
        let mix = record_traffic(&[poisson(2.0)], Seed(3), SimTime::from_secs(600)).expect("an open loop");
        let steady = at_steady_rate(&mix, 50.0, 20_000, Seed(4));
        let seconds = steady.rows.last().expect("rows").at.as_secs_f64();
        assert!((seconds / 400.0 - 1.0).abs() < 0.03, "{seconds} s");
        let mean = |trace: &Trace| {
            trace.rows.iter().map(|row| f64::from(row.output_tokens)).sum::<f64>() / trace.rows.len() as f64
        };
        assert!((mean(&steady) / mean(&mix) - 1.0).abs() < 0.03);
        assert_eq!(steady, at_steady_rate(&mix, 50.0, 20_000, Seed(4)));
    }
}
