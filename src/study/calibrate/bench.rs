//! A benchmark, simulated: clients against one engine, nothing else.

use crate::replica::{Engine, EngineConfig, EngineEvent, Finished, Profile, Scheduling, StepTime};
use crate::study::calibrate::{Load, Measurement, Quantity, Stop};
use crate::traffic::{OutputLength, Request, RequestAttributes, RequestId};
use crate::units::{Seed, SimDuration, SimTime, Stream, math};
use std::sync::Arc;

/// KV blocks of vLLM's default size.
const BLOCK: u64 = 16;
/// Most requests of one run that are simulated again, many times over.
const MOST_REQUESTS: u32 = 100_000;

/// What a simulated benchmark gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// All answered requests.
    pub finished: Vec<Finished>,
}

/// The engine of a plain `vllm serve` of this release with the profile's numbers and defaults.
///
/// # Errors
/// Why the coefficients give no step time.
pub fn bench_engine(profile: &Profile, vllm_version: (u32, u32)) -> Result<EngineConfig, String> {
    Ok(EngineConfig {
        model_name: profile.model.clone(),
        step_time: StepTime::new(&profile.step_time)?,
        request_overhead: SimDuration::from_secs_f64(profile.request_overhead_ms / 1e3),
        kv_blocks: u32::try_from(profile.kv_tokens / BLOCK).unwrap_or(u32::MAX).max(1),
        block_size: BLOCK as u32,
        max_num_seqs: profile.max_num_seqs,
        max_num_batched_tokens: profile.max_num_batched_tokens,
        max_model_len: profile.max_model_len,
        reserve_full_prompt: vllm_version >= (0, 19),
        async_scheduling: vllm_version >= (0, 14),
        vllm_version,
        show_hidden_metrics: None,
        scheduling: Scheduling::default(),
        log_stats: true,
        http_metrics: true,
    })
}

/// The clients: what they still have to send, and when.
struct Clients<'a> {
    measurement: &'a Measurement,
    prompts: Stream,
    outputs: Stream,
    gaps: Stream,
    /// Mean time between two requests of an open loop, s.
    gap: f64,
    sent: u32,
    under_way: u32,
    /// When an open loop's next request is due.
    due: SimTime,
}

impl Clients<'_> {
    /// When the next request leaves, given that it is `now`; `None` when none does before an answer comes, or at all.
    fn next(&self, now: SimTime) -> Option<SimTime> {
        let more = match self.measurement.stop {
            Stop::Requests(requests) => self.sent < requests,
            Stop::Seconds(_) => true,
        };
        let at = match self.measurement.load {
            Load::Concurrency(workers) => (self.under_way < workers).then_some(now),
            Load::Rate { at_most, .. } => at_most.is_none_or(|most| self.under_way < most).then_some(self.due.max(now)),
        }?;
        let in_time = match self.measurement.stop {
            Stop::Requests(_) => true,
            Stop::Seconds(seconds) => at.as_secs_f64() < seconds,
        };
        (more && in_time).then_some(at)
    }

    /// The next request.
    fn pop(&mut self) -> (Request, RequestAttributes) {
        let number = u64::from(self.sent);
        let lengths = self.measurement.lengths.draw(number, &mut self.prompts, &mut self.outputs);
        self.sent += 1;
        self.under_way += 1;
        if let Load::Rate { even, .. } = self.measurement.load {
            let gap = if even { 1.0 } else { self.gaps.exponential() };
            self.due += SimDuration::from_secs_f64(gap * self.gap);
        }
        asked_for(RequestId(number), lengths)
    }
}

/// A benchmark's request of these lengths; its `max_tokens` is what it generates, as with `--ignore-eos`.
pub(super) fn asked_for(id: RequestId, (prompt, output): (u32, u32)) -> (Request, RequestAttributes) {
    let attributes = RequestAttributes { max_tokens: Some(output.max(1)), ..RequestAttributes::default() };
    (Request { id, prompt_tokens: prompt.max(1), output: OutputLength::new(output), worker: None }, attributes)
}

/// Runs the benchmark of `measurement` on one engine.
///
/// # Errors
/// A request that the engine would reject.
pub fn simulate_measurement(
    engine: &Arc<EngineConfig>,
    measurement: &Measurement,
    seed: Seed,
) -> Result<Simulated, String> {
    simulate_as_it_came(engine, measurement, None, seed)
}

/// The same, with the requests of an open loop at the rate at which they `came`, where that is known: their gaps are stretched
/// until they make it exactly.
pub(super) fn simulate_as_it_came(
    engine: &Arc<EngineConfig>,
    measurement: &Measurement,
    came: Option<f64>,
    seed: Seed,
) -> Result<Simulated, String> {
    let too_many = || {
        format!(
            "it has more than {MOST_REQUESTS} requests, which are not simulated again; tell requests or duration_s if it had fewer"
        )
    };
    if let Stop::Requests(requests) = measurement.stop
        && requests > MOST_REQUESTS
    {
        return Err(too_many());
    }
    let mut clients = Clients {
        measurement,
        prompts: seed.stream("prompt-lengths", 0),
        outputs: seed.stream("output-lengths", 0),
        gaps: seed.stream("arrival-gaps", 0),
        gap: mean_gap(measurement, came, seed),
        sent: 0,
        under_way: 0,
        due: SimTime::ZERO,
    };
    let mut engine = Engine::new(Arc::clone(engine));
    let (mut events, mut finished) = (Vec::new(), Vec::new());
    let mut now = SimTime::ZERO;
    loop {
        let (send, wake) = (clients.next(now), engine.next_wake());
        // As the simulator orders one instant: steps end, requests arrive, steps start.
        let sends_first = match (send, wake) {
            (None, None) => break,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(send), Some(wake)) => send < wake || (send == wake && engine.next_wake_starts_step()),
        };
        if let Some(at) = send.filter(|_| sends_first) {
            if clients.sent >= MOST_REQUESTS {
                return Err(too_many());
            }
            now = at;
            let (request, attributes) = clients.pop();
            if !engine.accepts(&request) {
                return Err(format!("a prompt of {} tokens leaves no room for an answer", request.prompt_tokens));
            }
            engine.submit_with(now, request, attributes);
        } else if let Some(at) = wake {
            now = at;
            events.clear();
            engine.wake(now, &mut events);
            let done = events.iter().filter_map(|event| match event {
                EngineEvent::Finished(done) => Some(*done),
                _ => None,
            });
            let before = finished.len();
            finished.extend(done);
            clients.under_way -= u32::try_from(finished.len() - before).unwrap_or(0);
        }
    }
    Ok(Simulated { finished })
}

/// Mean time between two requests, s, of which the drawn gaps are multiples; 0 for a closed loop.
fn mean_gap(measurement: &Measurement, came: Option<f64>, seed: Seed) -> f64 {
    let Load::Rate { per_second, even, .. } = measurement.load else { return 0.0 };
    match (came, measurement.stop) {
        (Some(came), Stop::Requests(requests)) if !even && requests > 1 => {
            let mut gaps = seed.stream("arrival-gaps", 0);
            let drawn: f64 = (1..requests).map(|_| gaps.exponential()).sum();
            f64::from(requests - 1) / (came * drawn)
        }
        (came, _) => 1.0 / came.unwrap_or(per_second),
    }
}

fn seconds(from: SimTime, to: SimTime) -> f64 {
    to.since(from).as_secs_f64_exact()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Time per output token of one request, s; `None` with a single token.
fn tpot(done: &Finished) -> Option<f64> {
    let gaps = done.generated_tokens.checked_sub(1).filter(|gaps| *gaps > 0)?;
    Some(seconds(done.first_token, done.at) / f64::from(gaps))
}

impl Simulated {
    /// The simulated value of `quantity`, s or tokens/s; `None` when nothing was answered or no output had two tokens.
    pub fn value(&self, quantity: Quantity) -> Option<f64> {
        let all = || self.finished.iter();
        let per_second = |tokens: fn(&Finished) -> u32| {
            // Benchmarks count from their start to the last answer.
            let last = all().map(|done| done.at).max()?;
            Some(all().map(|done| f64::from(tokens(done))).sum::<f64>() / seconds(SimTime::ZERO, last))
        };
        match quantity {
            Quantity::TokensPerSecond => per_second(|done| done.prompt_tokens + done.generated_tokens),
            Quantity::OutputTokensPerSecond => per_second(|done| done.generated_tokens),
            Quantity::Ttft => mean(self.ttfts().into_iter()),
            Quantity::Tpot => mean(self.tpots().into_iter()),
            Quantity::Itl => {
                let gaps: f64 = all().map(|done| f64::from(done.generated_tokens.saturating_sub(1))).sum();
                (gaps > 0.0).then(|| all().map(|done| seconds(done.first_token, done.at)).sum::<f64>() / gaps)
            }
            Quantity::Latency => mean(self.latencies().into_iter()),
        }
    }

    /// Time to the first token of each request, s.
    pub fn ttfts(&self) -> Vec<f64> {
        self.finished.iter().map(|done| seconds(done.arrived, done.first_token)).collect()
    }

    /// Time per output token of each request with at least two, s.
    pub fn tpots(&self) -> Vec<f64> {
        self.finished.iter().filter_map(tpot).collect()
    }

    /// Latency of each request, s.
    pub fn latencies(&self) -> Vec<f64> {
        self.finished.iter().map(|done| seconds(done.arrived, done.at)).collect()
    }
}

/// Mean and relative standard deviation over runs of the same benchmark with other seeds.
pub(super) fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 || mean == 0.0 {
        return (mean, 0.0);
    }
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count - 1.0);
    (mean, variance.sqrt() / mean)
}

/// ln(simulated / measured).
pub(super) fn log_error(simulated: f64, measured: f64) -> f64 {
    math::ln(simulated / measured)
}
