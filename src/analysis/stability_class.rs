//! The class of a steady load, bands of loads of one class, and what is to be said of them (verdicts.md 3.2, 3.3 C and D).

use crate::analysis::findings::finding;
use crate::analysis::{Finding, LoopEnd, NoisyLoad, Steadiness};
use crate::units::{Severity, SimDuration};

/// What a policy does under a steady load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StabilityClass {
    /// One count from every start; the seeds call it stable.
    Settles,
    /// Different counts from different starts; the seeds call it stable.
    Bistable,
    /// It goes up and down without any noise.
    LimitCycle,
    /// At rest without noise, not with it.
    NoiseDriven,
    /// Not stable, and no pass without noise tells a cycle from noise.
    Restless,
    /// At the maximum, which is not enough.
    Overloaded,
    /// At rest below the maximum, which would be enough, with goals missed or requests lost.
    StuckLow,
    /// At rest, but goals are missed or requests lost at the maximum too.
    Insufficient,
    /// The longest run decided nothing.
    Undecided,
}

impl StabilityClass {
    /// The word in files.
    pub fn word(self) -> &'static str {
        match self {
            StabilityClass::Settles => "settles",
            StabilityClass::Bistable => "bistable",
            StabilityClass::LimitCycle => "limit-cycle",
            StabilityClass::NoiseDriven => "noise-driven",
            StabilityClass::Restless => "restless",
            StabilityClass::Overloaded => "overloaded",
            StabilityClass::StuckLow => "stuck-low",
            StabilityClass::Insufficient => "insufficient",
            StabilityClass::Undecided => "undecided",
        }
    }

    /// What it does, for a sentence.
    pub fn verb(self) -> &'static str {
        match self {
            StabilityClass::Settles => "settles",
            StabilityClass::Bistable => "settles by its start",
            StabilityClass::LimitCycle => "cycles",
            StabilityClass::NoiseDriven => "jitters",
            StabilityClass::Restless => "moves without end",
            StabilityClass::Overloaded => "is overloaded at its maximum",
            StabilityClass::StuckLow => "stays too low",
            StabilityClass::Insufficient => "rests without serving well",
            StabilityClass::Undecided => "is undecided",
        }
    }
}

/// How one start of the pass without noise ended.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseFreeEnd {
    /// Replicas at the start.
    pub start: i32,
    /// The draw of the phases.
    pub phase: u64,
    /// How it ended.
    pub end: LoopEnd,
}

/// One load.
#[derive(Clone, Debug, PartialEq)]
pub struct StabilityRow {
    /// Requests per second.
    pub load: f64,
    /// `ceil(load / target)` within the bounds; `None` when no trigger counts work.
    pub need: Option<i32>,
    /// R(load): the fewest replicas that keep the goals at this load by measured capacity; `None` without goals, or when no
    /// number keeps them.
    pub need_within_slo: Option<u32>,
    /// The pass without noise; empty when there is none.
    pub noise_free: Vec<NoiseFreeEnd>,
    /// The seeds' pass; `None` where only the structure without noise was looked at.
    pub noisy: Option<NoisyLoad>,
    /// Whether as many replicas as the policy allows serve this load well, by measured capacity where the policy has fewer
    /// than that says, else by a run; asked only where it serves badly below them.
    pub fits_at_max: Option<bool>,
    /// Its class; `None` without a seeds' pass.
    pub class: Option<StabilityClass>,
}

impl StabilityRow {
    /// Every count in which the pass without noise ends, ascending.
    pub fn ends(&self) -> Vec<i32> {
        let mut counts: Vec<i32> = self.noise_free.iter().flat_map(|own| own.end.counts()).collect();
        counts.sort_unstable();
        counts.dedup();
        counts
    }

    /// Whether some start goes up and down for ever without noise.
    pub fn cycles(&self) -> bool {
        self.noise_free.iter().any(|own| matches!(own.end, LoopEnd::Cycle(_)))
    }

    /// Longest period of the cycles without noise, s.
    pub fn period_seconds(&self) -> Option<f64> {
        let periods = self.noise_free.iter().filter_map(|own| match &own.end {
            LoopEnd::Cycle(cycle) => cycle.period.map(SimDuration::as_secs_f64),
            _ => None,
        });
        periods.reduce(f64::max)
    }
}

/// The class of `row`, for a policy that goes up to `most` replicas.
pub fn stability_class(row: &StabilityRow, most: i32) -> Option<StabilityClass> {
    let noisy = row.noisy.as_ref()?;
    if row.cycles() {
        return Some(StabilityClass::LimitCycle);
    }
    let is_quiet = noisy.is_brief && noisy.reversals == 0;
    Some(match noisy.steadiness {
        _ if is_quiet => at_rest(row, noisy, most),
        Steadiness::Steady => at_rest(row, noisy, most),
        Steadiness::Undecided => StabilityClass::Undecided,
        Steadiness::Unsteady if row.noise_free.is_empty() => StabilityClass::Restless,
        Steadiness::Unsteady => StabilityClass::NoiseDriven,
    })
}

fn at_rest(row: &StabilityRow, noisy: &NoisyLoad, most: i32) -> StabilityClass {
    if noisy.serves_badly() {
        return match row.fits_at_max {
            _ if noisy.is_pinned(most) => StabilityClass::Overloaded,
            Some(true) => StabilityClass::StuckLow,
            Some(false) | None => StabilityClass::Insufficient,
        };
    }
    if row.ends().len() > 1 { StabilityClass::Bistable } else { StabilityClass::Settles }
}

/// Neighbouring loads of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct StabilityBand {
    /// Their class.
    pub class: StabilityClass,
    /// Lowest and highest load that was looked at, requests per second.
    pub loads: (f64, f64),
    /// The rows in it, those without a seeds' pass included: positions among all rows.
    pub rows: (usize, usize),
    /// Counts that take at least 5 % of the seeds' time at some load.
    pub counts: Vec<i32>,
    /// Lowest and highest rate of flaps per hour.
    pub flaps_per_hour: (f64, f64),
    /// Shortest and longest period of the cycles without noise, s; of noise-driven bands none.
    pub periods: Option<(f64, f64)>,
}

/// The share of the time from which a count is one that a load visits: less is a rare excursion.
const VISITED: f64 = 0.05;

impl StabilityBand {
    /// Takes in `other`, a band of the same class at higher loads.
    pub fn absorb(&mut self, other: &StabilityBand) {
        self.loads.1 = other.loads.1;
        self.rows.1 = other.rows.1;
        self.counts.extend(&other.counts);
        self.counts.sort_unstable();
        self.counts.dedup();
        let (low, high) = other.flaps_per_hour;
        self.flaps_per_hour = (self.flaps_per_hour.0.min(low), self.flaps_per_hour.1.max(high));
        self.periods = match (self.periods, other.periods) {
            (Some(known), Some(own)) => Some((known.0.min(own.0), known.1.max(own.1))),
            (known, own) => known.or(own),
        };
    }
}

/// The bands of `rows`, which stand in order of load.
pub fn stability_bands(rows: &[StabilityRow]) -> Vec<StabilityBand> {
    let mut bands: Vec<StabilityBand> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let (Some(class), Some(noisy)) = (row.class, &row.noisy) else { continue };
        let visited = noisy.shares.iter().filter(|(_, share)| *share >= VISITED).map(|(count, _)| *count);
        let mut counts: Vec<i32> = visited.chain(row.ends()).collect();
        counts.sort_unstable();
        counts.dedup();
        let own = StabilityBand {
            class,
            loads: (row.load, row.load),
            rows: (index, index),
            counts,
            flaps_per_hour: (noisy.flaps_per_hour, noisy.flaps_per_hour),
            periods: row.period_seconds().map(|period| (period, period)),
        };
        match bands.last_mut().filter(|band| band.class == class) {
            Some(band) => band.absorb(&own),
            None => bands.push(own),
        }
    }
    bands
}

/// Where each of `bands` begins and ends in `range`: in the middle between its last load and the next one's first.
pub fn band_edges(bands: &[StabilityBand], range: (f64, f64)) -> Vec<(f64, f64)> {
    let edge = |index: usize| match index {
        0 => range.0,
        index if index == bands.len() => range.1,
        index => f64::midpoint(bands[index - 1].loads.1, bands[index].loads.0),
    };
    (0..bands.len()).map(|index| (edge(index), edge(index + 1))).collect()
}

/// Neighbouring loads that end alike without noise.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseFreeBand {
    /// Lowest and highest load that was looked at, requests per second.
    pub loads: (f64, f64),
    /// Counts in which it ends, ascending: one is a fixed point, several by the start or in a cycle.
    pub ends: Vec<i32>,
    /// Whether some start cycles.
    pub cycles: bool,
}

/// The bands without noise of `rows`, which stand in order of load.
pub fn noise_free_bands(rows: &[StabilityRow]) -> Vec<NoiseFreeBand> {
    let mut bands: Vec<NoiseFreeBand> = Vec::new();
    for row in rows.iter().filter(|row| !row.noise_free.is_empty()) {
        let own = NoiseFreeBand { loads: (row.load, row.load), ends: row.ends(), cycles: row.cycles() };
        match bands.last_mut().filter(|band| band.ends == own.ends && band.cycles == own.cycles) {
            Some(band) => band.loads.1 = row.load,
            None => bands.push(own),
        }
    }
    bands
}

/// What is to be said of the bands, worst first; `loads` says a range of load in words.
pub fn stability_findings(rows: &[StabilityRow], loads: &dyn Fn((f64, f64)) -> String) -> Vec<Finding> {
    let bands = stability_bands(rows);
    let mut found: Vec<Finding> =
        CODES.iter().filter_map(|(class, code, severity)| of_class(&bands, *class, code, *severity, loads)).collect();
    let free = noise_free_bands(rows);
    let bistable: Vec<&NoiseFreeBand> = free.iter().filter(|band| !band.cycles && band.ends.len() > 1).collect();
    if let Some(first) = bistable.first() {
        let message = format!(
            "without noise the count depends on where it starts at {} of load, the first {} (replicas {})",
            if bistable.len() == 1 { "1 band".to_owned() } else { format!("{} bands", bistable.len()) },
            loads(first.loads),
            counts_text(&first.ends)
        );
        let evidence = bistable.iter().map(|band| format!("{}: {}", loads(band.loads), counts_text(&band.ends)));
        found.push(finding("bistable", Severity::Note, message, evidence.collect()));
    }
    let unsettled = rows.iter().filter(|row| row.noisy.as_ref().is_some_and(|noisy| !noisy.converged));
    let unsettled: Vec<String> = unsettled.map(|row| loads((row.load, row.load))).collect();
    if let Some(first) = unsettled.first() {
        let message = format!(
            "at {} the replica counts had not become steady by MSER-5 within the run; the first {first}",
            if unsettled.len() == 1 { "1 load".to_owned() } else { format!("{} loads", unsettled.len()) }
        );
        found.push(finding("not-converged", Severity::Warning, message, Vec::new()));
    }
    found.sort_by_key(|own| std::cmp::Reverse(own.severity));
    found
}

/// Classes that are findings, with their codes (verdicts.md 8.1).
const CODES: [(StabilityClass, &str, Severity); 6] = [
    (StabilityClass::LimitCycle, "limit-cycle", Severity::Error),
    (StabilityClass::StuckLow, "stuck-low", Severity::Error),
    (StabilityClass::Overloaded, "pinned-at-max", Severity::Warning),
    (StabilityClass::Insufficient, "slo-missed", Severity::Error),
    (StabilityClass::NoiseDriven, "noise-driven", Severity::Warning),
    (StabilityClass::Restless, "flapping", Severity::Warning),
];

fn of_class(
    bands: &[StabilityBand],
    class: StabilityClass,
    code: &str,
    severity: Severity,
    loads: &dyn Fn((f64, f64)) -> String,
) -> Option<Finding> {
    let own: Vec<&StabilityBand> = bands.iter().filter(|band| band.class == class).collect();
    let first = own.first()?;
    let mut counts: Vec<i32> = own.iter().flat_map(|band| band.counts.iter().copied()).collect();
    counts.sort_unstable();
    counts.dedup();
    let most = own.iter().map(|band| band.flaps_per_hour.1).fold(0.0, f64::max);
    let more = match own.len() {
        1 => String::new(),
        bands => {
            format!(" and in {} more", if bands == 2 { "1 band".to_owned() } else { format!("{} bands", bands - 1) })
        }
    };
    let what = match class {
        StabilityClass::LimitCycle => format!(
            "cycles without any noise between {} replicas",
            counts.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
        ),
        StabilityClass::StuckLow => {
            "stays below the replicas that would serve the load; goals are missed or requests lost".to_owned()
        }
        StabilityClass::Overloaded => "is at maxReplicas, which is not enough".to_owned(),
        StabilityClass::Insufficient => {
            "rests while goals are missed or requests lost, as they would be at maxReplicas".to_owned()
        }
        StabilityClass::NoiseDriven => {
            format!("rests without noise, but the noise of the requests moves it: up to {most:.1} flaps/h")
        }
        _ => format!(
            "does not come to rest: up to {most:.1} flaps/h; whether noise or a cycle moves it is not told apart"
        ),
    };
    let message = format!("{}{more} the policy {what}", loads(first.loads));
    let line = |band: &&StabilityBand| {
        let period = band.periods.map_or_else(String::new, |(low, high)| match (low.round(), high.round()) {
            (low, high) if low < high => format!(", period {low} to {high} s without noise"),
            (low, _) => format!(", period {low} s without noise"),
        });
        let (low, high) = band.flaps_per_hour;
        format!("{}: replicas {}, {low:.1} to {high:.1} flaps/h{period}", loads(band.loads), counts_text(&band.counts))
    };
    Some(finding(code, severity, message, own.iter().map(line).collect()))
}

/// `1, 2 or 5`, and `2 to 9` of neighbours.
pub fn counts_text(counts: &[i32]) -> String {
    match counts {
        [] => "none".to_owned(),
        [only] => only.to_string(),
        [first, .., last] if counts.len() > 2 && i64::from(last - first) + 1 == counts.len() as i64 => {
            format!("{first} to {last}")
        }
        [start @ .., last] => {
            format!("{} or {last}", start.iter().map(i32::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}
