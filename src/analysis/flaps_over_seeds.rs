//! How bad flapping is over several seeds: their flaps and hours together, never one seed's class (verdicts.md 1.5, 1.6, 6.1).

use crate::analysis::finding_flaps::{demand_text, flap_code};
use crate::analysis::findings::{SHORTEST_RATE, counted};
use crate::analysis::flap_class::judge_rates;
use crate::analysis::gates::{SeedCounts, measured_hours};
use crate::analysis::statistics::mean;
use crate::analysis::{FindingOverSeeds, FlapVerdict, Summary};

/// The flaps of several seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlapsOverSeeds {
    /// The class of all seeds together.
    pub verdict: FlapVerdict,
    /// The class if those that the load asked for counted too.
    by_all: FlapVerdict,
    /// Flaps.
    pub flaps: u64,
    /// Of them, those that no change in demand asked for.
    pub spurious: u64,
    /// Starts that were thrown away.
    pub churned: u64,
    /// Measured hours of all seeds.
    pub hours: f64,
    /// Flaps per hour.
    pub rate: f64,
    /// Its 95 % interval.
    pub rate_interval: (f64, f64),
    /// Share of the fleet's time thrown into starts.
    pub flap_load: f64,
    /// Its 95 % interval.
    pub flap_load_interval: (f64, f64),
}

impl FlapsOverSeeds {
    /// Of `runs`; `None` without measured time.
    pub(super) fn of(runs: &[Summary]) -> Option<Self> {
        let hours: Vec<f64> = runs.iter().map(measured_hours).collect();
        let count = |of: fn(&Summary) -> u64| SeedCounts { hours: &hours, counts: runs.iter().map(of).collect() };
        let flaps = count(|own| own.flapping.flaps);
        let faulty = count(|own| own.demand.faulty_flaps);
        let churned = count(|own| own.flapping.churned_replicas);
        // Per churned start and hour.
        let fleet = mean(&runs.iter().map(|own| own.replicas_mean).collect::<Vec<_>>())?.max(1.0);
        let weight = runs.first()?.run.startup_p50.as_secs_f64_exact() / 3600.0 / fleet;
        let scaled = |(low, high): (f64, f64)| (low * weight, high * weight);
        let (flap_load, flap_load_interval) = (churned.rate()? * weight, scaled(churned.rate_interval()?));
        // The churn of runs none of whose flaps is at fault counts for nothing.
        let is_clean = faulty.total() == 0 && flaps.total() > 0;
        let load = if is_clean { (0.0, (0.0, 0.0)) } else { (flap_load, flap_load_interval) };
        let judged = |counts: &SeedCounts<'_>, load: (f64, (f64, f64))| {
            Some(judge_rates((counts.rate()?, counts.rate_interval()?), load))
        };
        let verdict = judged(&faulty, load)?;
        // What could not scale could not flap either.
        let could_scale = runs.iter().all(|own| !own.run.fixed_replicas && own.scaling_doubt.is_none());
        let decided = verdict.decided && (could_scale || verdict.class > crate::analysis::FlapClass::Stable);
        Some(FlapsOverSeeds {
            verdict: FlapVerdict { decided, ..verdict },
            by_all: judged(&flaps, (flap_load, flap_load_interval))?,
            flaps: flaps.total(),
            spurious: runs.iter().map(|own| own.demand.spurious_flaps).sum(),
            churned: churned.total(),
            hours: hours.iter().sum(),
            rate: flaps.rate()?,
            rate_interval: flaps.rate_interval()?,
            flap_load,
            flap_load_interval,
        })
    }

    /// The class in words, as far as it is sure.
    pub fn class_text(&self) -> String {
        let FlapVerdict { class, decided } = self.verdict;
        if decided { class.word().to_owned() } else { format!("{}, undecided", class.word()) }
    }

    /// The finding, of `runs`; `None` where nothing flapped or the class is stable for sure.
    pub(super) fn finding(&self, runs: &[Summary]) -> Option<FindingOverSeeds> {
        if self.flaps == 0 {
            return None;
        }
        let (code, severity, decided) = flap_code(self.verdict, self.by_all)?;
        let window = runs.first()?.flapping.window;
        let (low, high) = self.rate_interval;
        let how_often = if 3600.0 * self.hours < SHORTEST_RATE.as_secs_f64_exact() {
            format!("{} (turn <= {window}); runs too short to tell how often", counted(self.flaps, "flap"))
        } else {
            let (seeds, each) = (runs.len(), self.hours / runs.len() as f64);
            format!(
                "{:.1} flaps/h ({low:.1}..{high:.1} at 95 %, {seeds} seeds x {each:.1} h, turn <= {window})",
                self.rate
            )
        };
        let doubt = if decided { "" } else { "; undecided, run longer or more seeds" };
        let message = format!(
            "{how_often}, {}; {}, flap load {:.1} %{doubt}",
            demand_text(self.spurious, self.flaps),
            counted(self.churned, "churned start"),
            100.0 * self.flap_load
        );
        let flapped = runs.iter().filter(|own| own.flapping.flaps > 0).map(|own| own.seed);
        Some(FindingOverSeeds { code: code.to_owned(), severity, seeds: flapped.collect(), message, seed: None })
    }
}
