//! Queueing theory as the judge of traffic, router, gateway and engine together.
//!
//! With `maxNumSeqs: 1` and steps of one constant length a replica is a single server: a request of L tokens keeps it for
//! exactly L steps. Poisson arrivals and lengths that are constant, uniform or geometric then make an M/G/1 queue, whose mean
//! wait Pollaczek and Khinchine give; a gateway that lets one request per pod through makes an M/M/c queue (Erlang C); and
//! each router has a formula or a Markov chain of its own. All runs are of ordinary Scenario, Traffic and Profile documents.
//!
//! Each case is run with fixed seeds; the theory must lie in the 99.9 % confidence interval of the mean over the seeds. That
//! such a test can fail is tested as well: steps that are 3 % too long or arrivals that are a little too even do not pass.

use kedasim::manifest::Bundle;
use kedasim::record::RunRecord;
use kedasim::scenario::{Overrides, resolve};
use kedasim::sim::simulate;
use kedasim::units::Seed;

/// Tokens of a request in the mean, and the length of a step: a service takes 0.1 s in the mean.
const MEAN_TOKENS: f64 = 1000.0;
const STEP_MS: f64 = 0.1;
const SERVICE: f64 = MEAN_TOKENS * STEP_MS / 1000.0;

/// Runs per case, each with a seed of its own.
const SEEDS: u64 = 20;
/// 99.95 % quantile of Student's t with 19 degrees of freedom: the half-width, in standard errors, of a 99.9 % interval.
const T_QUANTILE: f64 = 3.883;

const GEOMETRIC: &str = "{geometric: {hazard: 0.001, max: 90000}}";
const CONSTANT: &str = "{constant: 1000}";
const UNIFORM: &str = "{uniform: {min: 1, max: 1999}}";

/// Squared coefficients of variation of the lengths above: (1 - p), 0, and (n² - 1) / 12 over the mean's square.
const GEOMETRIC_SCV: f64 = 1.0 - 0.001;
const UNIFORM_SCV: f64 = (1999.0 * 1999.0 - 1.0) / 12.0 / (MEAN_TOKENS * MEAN_TOKENS);

/// One queueing system.
#[derive(Clone, Copy)]
struct System {
    replicas: u32,
    /// Requests that a replica takes at a time.
    at_once: u32,
    /// Length of a step: `wMs` whatever it holds, and this much more per token of it.
    step_ms: f64,
    step_us_per_token: f64,
    router: &'static str,
    /// The Scenario's line for a gateway, if there is one.
    gateway: &'static str,
    /// The key under `arrivals`, with what stands beside the rate.
    arrivals: (&'static str, &'static str),
    output: &'static str,
    /// Share of the time that a server is busy.
    utilization: f64,
    /// Requests per seed.
    requests: u32,
}

/// A single server with Poisson arrivals.
const SINGLE: System = System {
    replicas: 1,
    at_once: 1,
    step_ms: STEP_MS,
    step_us_per_token: 0.0,
    router: "random",
    gateway: "",
    arrivals: ("poisson", ""),
    output: GEOMETRIC,
    utilization: 0.6,
    requests: 10_000,
};

impl System {
    /// Requests per second.
    fn rate(&self) -> f64 {
        self.utilization * f64::from(self.replicas) / SERVICE
    }

    /// The documents of a run: everything that takes time beside the steps is set to 0.
    fn documents(&self) -> String {
        let System { replicas: _, at_once, step_ms, step_us_per_token, router, gateway, output, .. } = *self;
        let (process, beside) = self.arrivals;
        let rate = self.rate();
        let stop = f64::from(self.requests) / rate;
        let warmup = (stop / 10.0).min(2000.0 * SERVICE);
        format!(
            "{POLICY}---
apiVersion: kedasim.dev/v1alpha1
kind: Profile
metadata: {{name: server}}
spec:
  model: m
  gpu: CPU
  gpus: 0
  stepTime: {{wMs: {step_ms}, cpUsPerToken: {step_us_per_token}, knee: 1}}
  requestOverheadMs: 0
  kvTokens: 100000000
  maxNumSeqs: {at_once}
  maxNumBatchedTokens: 100000
  maxModelLen: 100000
---
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {{name: s}}
spec:
  duration: {:.3}s
  warmup: {warmup:.3}s
  replica: {{profile: server, vllmVersion: \"0.11\"}}
  router: {{policy: {router}, latency: 0s}}
  {gateway}
  client: {{timeout: 24h}}
  traffic:
    arrivals: {{{process}: {{rate: {rate}{beside}}}}}
    prompt: {{constant: 1}}
    output: {output}
    stop: {stop:.3}s
",
            // The system is empty long before the run ends, so that no wait is cut off.
            stop + 600.0
        )
    }

    fn run(&self, seed: u64) -> RunRecord {
        let bundle = Bundle::from_text(&self.documents(), "test.yaml").unwrap_or_else(|errors| panic!("{errors}"));
        let overrides = Overrides {
            fixed_replicas: Some(i32::try_from(self.replicas).expect("few")),
            seed: Some(Seed(seed)),
            ..Overrides::default()
        };
        let run = resolve(&bundle, &overrides).unwrap_or_else(|errors| panic!("{errors}"));
        let record = simulate(&run, false).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(record.requests.in_flight, 0, "the system has emptied");
        record
    }

    /// `measure` of a run with each seed.
    fn over_seeds(&self, measure: impl Fn(&RunRecord) -> f64) -> Interval {
        let values: Vec<f64> = (1..=SEEDS).map(|seed| measure(&self.run(seed))).collect();
        Interval::of(&values)
    }

    /// The mean time from sending to the first step.
    fn wait(&self) -> Interval {
        self.over_seeds(|record| record.latencies.queue.mean_seconds().expect("requests completed"))
    }

    /// The mean time from sending to the last token.
    fn sojourn(&self) -> Interval {
        self.over_seeds(|record| record.latencies.e2e.mean_seconds().expect("requests completed"))
    }
}

const POLICY: &str = include_str!("support/running_requests.yaml");

/// A mean over seeds and the half-width of its 99.9 % confidence interval.
#[derive(Clone, Copy, Debug)]
struct Interval {
    mean: f64,
    half_width: f64,
}

impl Interval {
    fn of(values: &[f64]) -> Self {
        assert_eq!(values.len() as u64, SEEDS, "the quantile is that of {SEEDS} values");
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count - 1.0);
        Interval { mean, half_width: T_QUANTILE * (variance / count).sqrt() }
    }

    fn contains(&self, theory: f64) -> bool {
        (self.mean - theory).abs() <= self.half_width
    }
}

/// Fails unless `theory` lies in the interval, and unless the interval is narrow enough to say something.
fn agrees(what: &str, theory: f64, found: Interval, widest: f64) {
    let Interval { mean, half_width } = found;
    println!("{what}: theory {theory:.5} s, simulated {mean:.5} +- {half_width:.5} s");
    assert!(found.contains(theory), "{what}: theory {theory}, simulated {mean} +- {half_width}");
    assert!(half_width <= widest * theory, "{what}: +- {half_width} of {theory} says too little");
}

/// Fails if the test would not have found what is wrong with a system.
fn is_caught(what: &str, theory: f64, found: Interval) {
    let Interval { mean, half_width } = found;
    println!("planted, {what}: theory {theory:.5} s, simulated {mean:.5} +- {half_width:.5} s");
    assert!(!found.contains(theory), "{what} goes unseen: theory {theory}, simulated {mean} +- {half_width}");
}

/// Pollaczek-Khinchine: mean wait of M/G/1 by the squared coefficient of variation of the service.
fn pollaczek_khinchine(utilization: f64, service_scv: f64) -> f64 {
    utilization * SERVICE * (1.0 + service_scv) / (2.0 * (1.0 - utilization))
}

/// Erlang C: mean wait of M/M/c. The lengths here are geometric, a little more even than exponential; Lee and Longton's
/// factor (1 + scv) / 2 takes that in (0.05 %).
fn erlang_c(utilization: f64, servers: u32) -> f64 {
    let c = f64::from(servers);
    let offered = utilization * c;
    // Erlang B by its recursion, from it Erlang C.
    let blocked = erlang_b(offered, servers);
    let waits = blocked / (1.0 - utilization * (1.0 - blocked));
    waits * SERVICE / (c * (1.0 - utilization)) * (1.0 + GEOMETRIC_SCV) / 2.0
}

/// Erlang B: the share of requests that find all `servers` busy and go away.
fn erlang_b(offered: f64, servers: u32) -> f64 {
    (1..=servers).fold(1.0, |blocked, n| offered * blocked / (f64::from(n) + offered * blocked))
}

#[test]
fn one_server_with_geometric_lengths_is_m_m_1() {
    for (utilization, requests, widest) in [(0.3, 3_000, 0.08), (0.6, 5_000, 0.09), (0.9, 12_000, 0.2)] {
        let system = System { utilization, requests, ..SINGLE };
        let theory = pollaczek_khinchine(utilization, GEOMETRIC_SCV);
        agrees(&format!("M/M/1 at {utilization}"), theory, system.wait(), widest);
    }
}

#[test]
fn one_server_with_constant_lengths_is_m_d_1() {
    for (utilization, requests, widest) in [(0.3, 3_000, 0.05), (0.6, 4_000, 0.06), (0.9, 6_000, 0.18)] {
        let system = System { utilization, requests, output: CONSTANT, ..SINGLE };
        agrees(&format!("M/D/1 at {utilization}"), pollaczek_khinchine(utilization, 0.0), system.wait(), widest);
    }
}

#[test]
fn one_server_with_uniform_lengths_is_m_g_1() {
    let system = System { requests: 4_000, output: UNIFORM, ..SINGLE };
    agrees("M/U/1 at 0.6", pollaczek_khinchine(0.6, UNIFORM_SCV), system.wait(), 0.08);
}

#[test]
fn small_mistakes_in_service_or_arrivals_are_caught() {
    for (utilization, requests) in [(0.6, 4_000), (0.9, 6_000)] {
        let sound = System { utilization, requests, output: CONSTANT, ..SINGLE };
        let theory = pollaczek_khinchine(utilization, 0.0);
        let long = System { step_ms: STEP_MS * 1.03, ..sound };
        is_caught(&format!("steps 3 % longer at {utilization}"), theory, long.wait());
        let even = System { arrivals: ("gamma", ", cv: 0.9"), ..sound };
        is_caught(&format!("arrivals of cv 0.9 at {utilization}"), theory, even.wait());
        let spread = System { output: UNIFORM, ..sound };
        is_caught(&format!("lengths that vary at {utilization}"), theory, spread.wait());
    }
}

/// A gateway that lets one request per pod through and holds the rest, first come, first served.
const ONE_QUEUE: &str = "gateway: {kind: generic, maxInFlightPerPod: 1}";

#[test]
fn one_queue_before_several_servers_is_m_m_c() {
    for (replicas, utilization, requests, widest) in [(2, 0.6, 5_000, 0.1), (4, 0.8, 8_000, 0.15)] {
        let system = System { replicas, utilization, requests, gateway: ONE_QUEUE, ..SINGLE };
        let theory = erlang_c(utilization, replicas);
        agrees(&format!("M/M/{replicas} at {utilization}"), theory, system.wait(), widest);
    }
    // Two servers that each have a queue of their own are another system.
    let split = System { replicas: 2, requests: 5_000, ..SINGLE };
    is_caught("two queues for one", erlang_c(0.6, 2), split.wait());
}

#[test]
fn a_full_buffer_turns_away_as_many_as_m_m_1_k_says() {
    // One in service and one held: the third is turned away.
    let gateway = "gateway: {kind: generic, maxInFlightPerPod: 1, buffer: {max: 1}}";
    let system = System { utilization: 0.9, requests: 3_000, gateway, ..SINGLE };
    let lost = system.over_seeds(|record| record.requests.failed as f64 / record.requests.total as f64);
    let rho: f64 = 0.9;
    let theory = (1.0 - rho) * rho * rho / (1.0 - rho * rho * rho);
    agrees("share lost by M/M/1/2 at 0.9", theory, lost, 0.05);
}

#[test]
fn random_routing_makes_queues_that_do_not_know_of_each_other() {
    // A random part of a Poisson process is one.
    let system = System { replicas: 3, requests: 6_000, ..SINGLE };
    agrees("3 x M/M/1 at 0.6", pollaczek_khinchine(0.6, GEOMETRIC_SCV), system.wait(), 0.09);
}

#[test]
fn round_robin_of_poisson_arrivals_is_e_c_m_1() {
    for replicas in [2, 4] {
        let system = System { replicas, router: "round-robin", requests: 5_000, ..SINGLE };
        // Every c-th arrival: gaps are Erlang of c phases at rate c 0.6 each (the unit of time is a service). G/M/1:
        // sigma = E exp(-(1 - sigma) gap), wait = sigma / (1 - sigma).
        let phase = f64::from(replicas) * system.utilization;
        let next = |sigma: f64| (phase / (phase + 1.0 - sigma)).powi(i32::try_from(replicas).expect("few"));
        let sigma = (0..200).fold(0.5, |sigma, _| next(sigma));
        let theory = SERVICE * sigma / (1.0 - sigma);
        agrees(&format!("E_{replicas}/M/1 at 0.6"), theory, system.wait(), 0.12);
        is_caught("turns taken for chance", pollaczek_khinchine(0.6, GEOMETRIC_SCV), system.wait());
    }
}

/// Mean wait at two exponential servers, when an arrival goes to the shorter queue with probability `shorter` (to either when
/// they are as long): the stationary distribution of the chain of both lengths, cut where nobody comes to.
fn two_queues(utilization: f64, shorter: f64) -> f64 {
    const LONGEST: usize = 50;
    let arrivals = 2.0 * utilization; // Per service.
    let joins = |here: usize, there: usize| match here.cmp(&there) {
        std::cmp::Ordering::Less => shorter,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 1.0 - shorter,
    };
    let mut p = vec![vec![0.0f64; LONGEST + 2]; LONGEST + 2];
    // Gauss-Seidel on the balance of each state: what leaves it is what enters it. The empty state sets the scale.
    p[0][0] = 1.0;
    for _ in 0..2_000 {
        for i in 0..=LONGEST {
            for j in 0..=LONGEST {
                let mut enters = p[i + 1][j] + p[i][j + 1];
                if i > 0 {
                    enters += arrivals * joins(i - 1, j) * p[i - 1][j];
                }
                if j > 0 {
                    enters += arrivals * joins(j - 1, i) * p[i][j - 1];
                }
                let leaves = arrivals + f64::from(u8::from(i > 0)) + f64::from(u8::from(j > 0));
                if i + j > 0 {
                    p[i][j] = enters / leaves;
                }
            }
        }
    }
    let total: f64 = p.iter().flatten().sum();
    let inside: f64 = p
        .iter()
        .enumerate()
        .flat_map(|(i, row)| row.iter().enumerate().map(move |(j, p)| (i + j, p)))
        .map(|(count, p)| count as f64 * p)
        .sum::<f64>()
        / total;
    // Little's law, less the service.
    SERVICE * (inside / arrivals - 1.0)
}

#[test]
fn balancers_that_count_requests_wait_as_the_chain_of_both_queues_says() {
    // Least requests joins the shorter queue. Power of two draws both servers in half of the cases and one of them twice
    // in the other half: three in four join the shorter queue.
    let solved = two_queues(0.6, 0.5);
    let known = pollaczek_khinchine(0.6, 1.0);
    assert!((solved / known - 1.0).abs() < 1e-6, "the chain's solution: {solved}, M/M/1: {known}");
    let wait = |router| System { replicas: 2, router, requests: 5_000, ..SINGLE }.wait();
    let (shorter, three_in_four) = (two_queues(0.6, 1.0), two_queues(0.6, 0.75));
    let (least, two) = (wait("least-requests"), wait("power-of-two"));
    agrees("the shorter of 2 queues at 0.6", shorter, least, 0.12);
    agrees("power of two at 0.6", three_in_four, two, 0.1);
    is_caught("one balancer for the other", three_in_four, least);
    // No router beats one queue for all.
    assert!(erlang_c(0.6, 2) < shorter && shorter < three_in_four && three_in_four < known);
}

#[test]
fn a_batch_whose_steps_grow_with_it_shares_the_processor() {
    // A step of n requests takes n times as long as that of one: everybody gets 1/n of the server. The mean time of
    // M/G/1 processor sharing does not depend on the lengths' distribution. A round of the batch is 0.1 % of a service.
    for (name, output) in [("geometric", GEOMETRIC), ("constant", CONSTANT)] {
        let system = System {
            at_once: 10_000,
            step_ms: 0.0,
            step_us_per_token: STEP_MS * 1000.0,
            requests: 2_000,
            output,
            ..SINGLE
        };
        agrees(&format!("processor sharing, {name}, at 0.6"), SERVICE / (1.0 - 0.6), system.sojourn(), 0.08);
        let one_by_one = System { at_once: 1, ..system };
        if output == CONSTANT {
            is_caught("one by one for sharing", SERVICE / (1.0 - 0.6), one_by_one.sojourn());
        }
    }
}
