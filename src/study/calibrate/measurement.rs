//! One run of a benchmark against one replica, as its tool reported it.

use crate::traffic::LengthDistribution;
use crate::units::{Span, Stream};

/// How the clients sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Closed loop: so many requests are under way at any time, each followed at once by the next.
    Concurrency(u32),
    /// Open loop: requests per second.
    Rate {
        /// Requests per second, more than 0.
        per_second: f64,
        /// Whether requests leave at even gaps rather than as a Poisson process.
        even: bool,
        /// `--max-concurrency` beside a rate: further requests wait at the client, which does not count as latency.
        at_most: Option<u32>,
    },
}

/// When the clients stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stop {
    /// After so many requests.
    Requests(u32),
    /// No request starts after so many seconds; those under way are waited for.
    Seconds(f64),
}

/// Tokens of prompts and outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Lengths {
    /// Both drawn.
    Drawn {
        /// Prompt tokens.
        prompt: LengthDistribution,
        /// Output tokens.
        output: LengthDistribution,
    },
    /// As the file lists them, request by request (prompt, output).
    Listed(Vec<(u32, u32)>),
}

impl Lengths {
    /// Mean prompt and output tokens.
    pub fn means(&self) -> (f64, f64) {
        match self {
            Lengths::Drawn { prompt, output } => (prompt.mean(), output.mean()),
            Lengths::Listed(rows) => {
                let count = rows.len().max(1) as f64;
                let sum = |part: fn(&(u32, u32)) -> u32| rows.iter().map(|row| f64::from(part(row))).sum::<f64>();
                (sum(|row| row.0) / count, sum(|row| row.1) / count)
            }
        }
    }

    /// Prompt and output tokens of the request `number`, drawn in the order of the numbers; of a list that is too short again
    /// from its start.
    pub(super) fn draw(&self, number: u64, prompts: &mut Stream, outputs: &mut Stream) -> (u32, u32) {
        match self {
            Lengths::Drawn { prompt, output } => (prompt.draw(prompts), output.draw(outputs)),
            Lengths::Listed(rows) => rows[usize::try_from(number).unwrap_or(0) % rows.len()],
        }
    }

    /// The longest request, prompt and output together.
    pub fn longest(&self) -> u64 {
        let most = |lengths: &LengthDistribution| match lengths {
            LengthDistribution::Constant(tokens) => u64::from(*tokens),
            LengthDistribution::Uniform { max, .. } | LengthDistribution::Geometric { max, .. } => u64::from(*max),
            other => other.mean() as u64,
        };
        match self {
            Lengths::Drawn { prompt, output } => most(prompt) + most(output),
            Lengths::Listed(rows) => rows.iter().map(|row| u64::from(row.0) + u64::from(row.1)).max().unwrap_or(0),
        }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Prompt and output tokens of answered requests over the time from the first request to the last answer.
    TokensPerSecond,
    /// Output tokens over the same time.
    OutputTokensPerSecond,
    /// Mean time to the first token, s.
    Ttft,
    /// Mean over requests of (latency - TTFT) / (output tokens - 1), s.
    Tpot,
    /// Mean over all gaps between tokens, s.
    Itl,
    /// Mean latency of a request, s.
    Latency,
}

impl Quantity {
    /// All, in the order of tables.
    pub const ALL: [Quantity; 6] = [
        Quantity::TokensPerSecond,
        Quantity::OutputTokensPerSecond,
        Quantity::Ttft,
        Quantity::Tpot,
        Quantity::Itl,
        Quantity::Latency,
    ];

    /// Its name with its unit in tables; see [`Self::shown`].
    pub fn label(self) -> &'static str {
        match self {
            Quantity::TokensPerSecond => "tok/s",
            Quantity::OutputTokensPerSecond => "out tok/s",
            Quantity::Ttft => "TTFT ms",
            Quantity::Tpot => "TPOT ms",
            Quantity::Itl => "ITL ms",
            Quantity::Latency => "latency s",
        }
    }

    /// Its name in JSON, which is the name of the CSV column.
    pub fn key(self) -> &'static str {
        match self {
            Quantity::TokensPerSecond => "tokens_per_second",
            Quantity::OutputTokensPerSecond => "output_tokens_per_second",
            Quantity::Ttft => "ttft_ms",
            Quantity::Tpot => "tpot_ms",
            Quantity::Itl => "itl_ms",
            Quantity::Latency => "latency_s",
        }
    }

    /// A value (s or tokens/s) in the unit of [`Self::label`] and [`Self::key`].
    pub fn shown(self, value: f64) -> f64 {
        match self {
            Quantity::Ttft | Quantity::Tpot | Quantity::Itl => value * 1e3,
            _ => value,
        }
    }

    /// Relative error that a repeated benchmark may have for reasons outside the model. Assumed: 3 %, for TTFT 10 %; public
    /// repetitions scatter so (a fit leaves 5 % in TPOT and 16 % in TTFT, vllm.md 3.3).
    pub(super) fn repeatability(self) -> f64 {
        if self == Quantity::Ttft { 0.10 } else { 0.03 }
    }
}

/// One number of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// Of what.
    pub quantity: Quantity,
    /// Seconds, or tokens per second; more than 0.
    pub value: f64,
    /// Whether the fit uses it. Others are compared only: the tool defines them otherwise than the simulated benchmark.
    pub fitted: bool,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Where it stands.
    pub place: Span,
    /// How the clients sent.
    pub load: Load,
    /// When they stopped.
    pub stop: Stop,
    /// How long requests were.
    pub lengths: Lengths,
    /// What came out, at least one number.
    pub observed: Vec<Observed>,
}

impl Measurement {
    /// The measured value of `quantity`.
    pub fn value(&self, quantity: Quantity) -> Option<f64> {
        self.observed.iter().find(|own| own.quantity == quantity).map(|own| own.value)
    }

    /// Tokens per second, prompts and outputs together: measured, or from the output's by the ratio of mean lengths; with
    /// neither, what a closed loop's measured latency implies.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let (prompt, output) = self.lengths.means();
        let all = prompt + output;
        let from_output = || self.value(Quantity::OutputTokensPerSecond).map(|rate| rate * all / output);
        let from_latency = || {
            let Load::Concurrency(workers) = self.load else { return None };
            let decode = || Some(self.value(Quantity::Tpot).or(self.value(Quantity::Itl))? * (output - 1.0));
            let from_parts = || Some(self.value(Quantity::Ttft)? + decode()?);
            Some(f64::from(workers) * all / self.value(Quantity::Latency).or_else(from_parts)?)
        };
        self.value(Quantity::TokensPerSecond).or_else(from_output).or_else(from_latency)
    }

    /// `C=8` or `2.5 req/s`.
    pub fn load_text(&self) -> String {
        match self.load {
            Load::Concurrency(workers) => format!("C={workers}"),
            Load::Rate { per_second, at_most: None, .. } => format!("{per_second} req/s"),
            Load::Rate { per_second, at_most: Some(most), .. } => format!("{per_second} req/s, C<={most}"),
        }
    }

    /// `922 -> 922` mean tokens.
    pub fn lengths_text(&self) -> String {
        let (prompt, output) = self.lengths.means();
        format!("{prompt:.0} -> {output:.0}")
    }
}
