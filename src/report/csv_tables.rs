//! `results.csv` of a sweep: one row per run, axis values, seed and the figures of `summary.json` under their paths there.

use crate::analysis::Summary;
use crate::study::SweepOutcome;
use crate::units::SimDuration;

type Figure = fn(&Summary) -> Option<f64>;

/// Columns after the axes and the seed.
const FIGURES: [(&str, Figure); 29] = [
    ("scaling.ups", |s| Some(s.flapping.ups as f64)),
    ("scaling.downs", |s| Some(s.flapping.downs as f64)),
    ("scaling.reversals", |s| Some(s.flapping.reversals as f64)),
    ("scaling.flaps", |s| Some(s.flapping.flaps as f64)),
    ("scaling.flapsPerHour", |s| Some(s.flapping.flaps_per_hour)),
    ("scaling.churnedReplicas", |s| Some(s.flapping.churned_replicas as f64)),
    ("scaling.timeToFirstScaleUpSeconds", |s| s.flapping.time_to_first_scale_up.map(SimDuration::as_secs_f64)),
    ("replicas.max", |s| Some(f64::from(s.replicas_max))),
    ("replicas.mean", |s| Some(s.replicas_mean)),
    ("replicas.readyMean", |s| Some(s.ready_mean)),
    ("ttftSeconds.p50", |s| s.ttft.p50),
    ("ttftSeconds.p95", |s| s.ttft.p95),
    ("ttftSeconds.p99", |s| s.ttft.p99),
    ("tpotSeconds.p95", |s| s.tpot.p95),
    ("itlSeconds.p99", |s| s.itl.p99),
    ("e2eSeconds.p95", |s| s.e2e.p95),
    ("e2eSeconds.p99", |s| s.e2e.p99),
    ("requests.total", |s| Some(s.requests.total as f64)),
    ("requests.completed", |s| Some(s.requests.completed as f64)),
    ("requests.failed", |s| Some(s.requests.failed as f64)),
    ("requests.timedOut", |s| Some(s.requests.timed_out as f64)),
    ("requests.rejected", |s| Some(s.requests.rejected as f64)),
    ("tokens.completedPerSecond", |s| Some(s.tokens_completed_per_second)),
    ("slo.attainment", |s| s.slo_attainment),
    ("gpuHours.billed", |s| Some(s.gpu_hours.billed)),
    ("gpuHours.wastedByFlapping", |s| Some(s.gpu_hours.wasted_by_flapping)),
    ("replicaHours.billed", |s| Some(s.replica_hours.billed)),
    ("replicaHours.wastedByFlapping", |s| Some(s.replica_hours.wasted_by_flapping)),
    ("cost.total", |s| s.cost_total),
];

/// A table of results read back.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultsTable {
    /// Paths of the axes.
    pub axes: Vec<String>,
    /// Names of the figures.
    pub figures: Vec<String>,
    /// The runs in order.
    pub rows: Vec<ResultsRow>,
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultsRow {
    /// Value of each axis, as text.
    pub values: Vec<String>,
    /// Seed.
    pub seed: u64,
    /// `pass`, `fail` or `undecided`.
    pub status: String,
    /// Figures; `None` where the run had nothing to measure.
    pub figures: Vec<Option<f64>>,
}

impl ResultsTable {
    /// Position of the figure that `name` means: its full name, the part after the dot (`flapsPerHour`), or a gate's name.
    ///
    /// # Errors
    /// Lists the names there are.
    pub fn figure(&self, name: &str) -> Result<usize, String> {
        let wanted = match name {
            "sloAttainment" => "slo.attainment",
            "gpuHours" => "gpuHours.billed",
            other => other,
        };
        let named = |is_match: &dyn Fn(&str) -> bool| {
            let mut matches = self.figures.iter().enumerate().filter(|(_, figure)| is_match(figure));
            matches.next().filter(|_| matches.next().is_none()).map(|(index, _)| index)
        };
        named(&|figure| figure == wanted)
            .or_else(|| named(&|figure| figure.rsplit('.').next() == Some(wanted)))
            .ok_or_else(|| format!("found {name:?}, expected one of {}", self.figures.join(", ")))
    }
}

/// The table of a sweep.
pub fn results_table(outcome: &SweepOutcome) -> ResultsTable {
    let row = |point: &crate::study::SweepPoint| ResultsRow {
        values: point.values.clone(),
        seed: point.seed,
        status: crate::report::json::status_word(point.summary.verdict.status).to_owned(),
        figures: FIGURES.iter().map(|(_, figure)| figure(&point.summary)).collect(),
    };
    ResultsTable {
        axes: outcome.axes.clone(),
        figures: FIGURES.iter().map(|(name, _)| (*name).to_owned()).collect(),
        rows: outcome.points.iter().map(row).collect(),
    }
}

/// `results.csv`: columns are the axes' paths, `seed`, `status`, then the figures; an empty cell is "nothing to measure".
pub fn results_csv(outcome: &SweepOutcome) -> String {
    let table = results_table(outcome);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = "writing to memory does not fail";
    let fixed = ["seed".to_owned(), "status".to_owned()];
    writer.write_record(table.axes.iter().chain(&fixed).chain(&table.figures)).expect(written);
    for row in &table.rows {
        let figures = row.figures.iter().map(|figure| figure.map_or_else(String::new, |value| value.to_string()));
        let fixed = [row.seed.to_string(), row.status.clone()];
        writer.write_record(row.values.iter().cloned().chain(fixed).chain(figures)).expect(written);
    }
    String::from_utf8(writer.into_inner().expect(written)).expect("cells are UTF-8")
}

/// Reads `results.csv` back.
///
/// # Errors
/// The first column or cell that is not one of ours.
pub fn results_from_csv(text: &str) -> Result<ResultsTable, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
    let seed = header
        .windows(2)
        .position(|pair| pair[0] == "seed" && pair[1] == "status")
        .ok_or("found no columns seed,status, expected those of a results.csv")?;
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let cells: Vec<&str> = record.iter().collect();
        rows.push(read_row(&cells, seed).map_err(|error| format!("row {}: {error}", index + 2))?);
    }
    Ok(ResultsTable { axes: header[..seed].to_vec(), figures: header[seed + 2..].to_vec(), rows })
}

fn read_row(cells: &[&str], seed: usize) -> Result<ResultsRow, String> {
    let figure = |cell: &&str| match *cell {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("found {text:?}, expected a number")),
    };
    Ok(ResultsRow {
        values: cells[..seed].iter().map(|cell| (*cell).to_owned()).collect(),
        seed: cells[seed].parse().map_err(|_| format!("found seed {:?}, expected an integer", cells[seed]))?,
        status: cells[seed + 1].to_owned(),
        figures: cells[seed + 2..].iter().map(figure).collect::<Result<_, _>>()?,
    })
}
