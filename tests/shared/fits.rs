//! Profiles fitted to columns of tables 4a and 4b by what `kedasim calibrate` runs.

use crate::measured::{Row, Table, table};
use kedasim::replica::{KvCacheDtype, KvSettings, Profile, estimated_profile, gpu_by_name, known_model};
use kedasim::study::{
    CacheRuling, Calibration, Compared, Lengths, Load, Measurement, Observed, Quantity, Stop, calibrate, judge,
    prior_for, rule_cache,
};
use kedasim::traffic::LengthDistribution;
use kedasim::units::Span;
use rayon::prelude::*;

/// The model of both tables, as the catalogue calls it.
pub const MODEL: &str = "Llama-3.1-70B-Instruct-FP8";
/// Rows of a column that a fit may see when the others judge it.
pub const SEEN: usize = 10;
/// Rows of a column.
pub const ROWS: usize = 15;
/// Requests of each worker (validation.md 4).
const REQUESTS: u32 = 10;
/// The release of the benchmark's time: it decides the cache.
const RELEASE: (u32, u32) = (0, 11);
/// The first release that schedules ahead without being told, as the benchmark's command (`--async-scheduling`) did.
const AHEAD: (u32, u32) = (0, 14);

/// One server: a table, a GPU, how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub section: &'static str,
    pub gpu: &'static str,
    pub gpus: u32,
    /// Whether a built-in profile was fitted to all its rows. To the others none was, so that the last five can judge.
    pub is_built_in: bool,
}

const fn column(section: &'static str, gpu: &'static str, gpus: u32, is_built_in: bool) -> Column {
    Column { section, gpu, gpus, is_built_in }
}

/// All columns, in the order of the tables.
pub const COLUMNS: [Column; 7] = [
    column("4a", "H100-80G", 2, true),
    column("4a", "H100-80G", 4, true),
    column("4a", "H100-80G", 8, true),
    column("4b", "H200", 1, false),
    column("4b", "H200", 2, true),
    column("4b", "H200", 4, true),
    column("4b", "H200", 8, false),
];

impl Column {
    /// `H200 TP1`.
    pub fn name(self) -> String {
        format!("{} TP{}", self.gpu, self.gpus)
    }

    /// Its rows as a benchmark that `kedasim calibrate` would read.
    fn measurements(self, tables: &[Table]) -> Vec<Measurement> {
        table(tables, self.section, ROWS).into_iter().enumerate().map(|(at, row)| self.measurement(at, row)).collect()
    }

    fn measurement(self, at: usize, row: Row<'_>) -> Measurement {
        let (input, output) = row.text("ISL/OSL").split_once('/').expect("two lengths");
        let uniform = |nominal: &str| {
            let max: u32 = nominal.parse().expect("a length");
            LengthDistribution::Uniform { min: max * 4 / 5, max }
        };
        let observe = |quantity, column: &str| {
            let ms = row.number(&format!("TP{} {column}", self.gpus));
            Observed { quantity, value: ms / 1e3, fitted: true }
        };
        let workers = row.count("C");
        Measurement {
            place: Span::new(format!("validation.md {}", self.section), at as u32 + 1, 1),
            load: Load::Concurrency(workers),
            stop: Stop::Requests(REQUESTS * workers),
            lengths: Lengths::Drawn { prompt: uniform(input), output: uniform(output) },
            observed: vec![observe(Quantity::Ttft, "TTFT"), observe(Quantity::Tpot, "TPOT")],
        }
    }

    /// The cache of the benchmark's server instead of the newest one's: 0.9 of the memory, 8192 batched tokens.
    fn with_cache_of_its_time(self, mut profile: Profile, dtype: KvCacheDtype) -> Profile {
        let settings = KvSettings {
            utilization: 0.9,
            vllm_version: RELEASE,
            dtype,
            ..KvSettings::newest(profile.is_large(), 8192)
        };
        let memory = profile.memory.expect("computed from memory");
        let blocks = memory.blocks(&settings).expect("the benchmark ran");
        profile.kv_tokens = blocks * u64::from(settings.block_size);
        profile
    }

    /// The estimate for the column.
    fn estimate(self) -> Profile {
        let (model, gpu) = (known_model(MODEL).expect("built in"), gpu_by_name(self.gpu).expect("built in"));
        let estimate = estimated_profile(model.short, model.name, &model.config, gpu, self.gpus);
        self.with_cache_of_its_time(estimate.expect("known"), KvCacheDtype::Auto)
    }

    /// What calibrate starts from where nothing is built in for the pair: the nearest other column, scaled.
    fn nearest(self) -> Profile {
        let (model, gpu) = (known_model(MODEL).expect("built in"), gpu_by_name(self.gpu).expect("built in"));
        self.with_cache_of_its_time(prior_for(model, gpu, self.gpus).expect("known"), KvCacheDtype::Auto)
    }

    /// The fits to all rows and to the first ten, and the last five by the latter.
    pub fn fit(self, tables: &[Table]) -> ColumnFit {
        let runs = self.measurements(tables);
        let (estimate, nearest) = (self.estimate(), self.nearest());
        // Only what the fit may see.
        let ruling = rule_cache(&nearest, &runs[..SEEN]);
        let eight_bit = ruling.and_then(|ruling| ruling.eight_bit);
        let fit = |prior: &Profile, rows: &[Measurement]| {
            let start = Profile { kv_tokens: eight_bit.unwrap_or(prior.kv_tokens), ..prior.clone() };
            calibrate(&start, AHEAD, rows, "validation.md").unwrap_or_else(|errors| panic!("{}: {errors}", self.name()))
        };
        let judged = |fitted: &Calibration| judge(&fitted.profile, AHEAD, &runs[SEEN..]).expect("runs that fit");
        let seen = fit(&nearest, &runs[..SEEN]);
        ColumnFit {
            column: self,
            sixteen_bit_tokens: nearest.kv_tokens,
            ruling,
            all: self.is_built_in.then(|| fit(&estimate, &runs)),
            held_out: judged(&seen),
            held_out_from_estimate: judged(&fit(&estimate, &runs[..SEEN])),
            start: nearest.source,
            seen,
            runs,
        }
    }
}

/// What calibrate makes of a column.
pub struct ColumnFit {
    pub column: Column,
    /// Its rows.
    pub runs: Vec<Measurement>,
    /// Tokens of the computed cache at 16 bit.
    pub sixteen_bit_tokens: u64,
    /// What the first ten rows say against a 16-bit cache.
    pub ruling: Option<CacheRuling>,
    /// Fitted to the first ten rows, from the nearest other column.
    pub seen: Calibration,
    /// Where the numbers come from that this fit starts with.
    pub start: String,
    /// The last five by that fit.
    pub held_out: Vec<Compared>,
    /// The last five by a fit to the first ten that starts from the estimate.
    pub held_out_from_estimate: Vec<Compared>,
    /// Fitted to all rows, from the estimate: what the built-in profile should be.
    pub all: Option<Calibration>,
}

impl ColumnFit {
    /// Whether the server had 8-bit keys and values, by the rule.
    pub fn is_eight_bit(&self) -> bool {
        self.ruling.is_some_and(|ruling| ruling.eight_bit.is_some())
    }
}

/// All columns, in parallel.
pub fn fits(tables: &[Table]) -> Vec<ColumnFit> {
    COLUMNS.par_iter().map(|column| column.fit(tables)).collect()
}
