//! `results.csv` of a sweep: one row per run, axis values, seed and the figures of `summary.json` under their paths there.

use crate::analysis::{FIGURES, Figure, Replications};
use crate::study::SweepOutcome;

/// Columns after the axes and the seed: paths of figures.
const COLUMNS: [&str; 29] = [
    "scaling.ups",
    "scaling.downs",
    "scaling.reversals",
    "scaling.flaps",
    "scaling.flapsPerHour",
    "scaling.churnedReplicas",
    "scaling.timeToFirstScaleUpSeconds",
    "replicas.max",
    "replicas.mean",
    "replicas.readyMean",
    "ttftSeconds.p50",
    "ttftSeconds.p95",
    "ttftSeconds.p99",
    "tpotSeconds.p95",
    "itlSeconds.p99",
    "e2eSeconds.p95",
    "e2eSeconds.p99",
    "requests.total",
    "requests.completed",
    "requests.failed",
    "requests.timedOut",
    "requests.rejected",
    "tokens.completedPerSecond",
    "slo.attainment",
    "gpuHours.billed",
    "gpuHours.wastedByFlapping",
    "replicaHours.billed",
    "replicaHours.wastedByFlapping",
    "cost.total",
];

/// The figures of [`COLUMNS`].
fn columns() -> impl Iterator<Item = &'static Figure> {
    COLUMNS.iter().map(|path| FIGURES.iter().find(|figure| figure.path == *path).expect("a column is a figure"))
}

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
        figures: columns().map(|figure| (figure.value)(&point.summary)).collect(),
    };
    ResultsTable {
        axes: outcome.axes.clone(),
        figures: columns().map(|figure| figure.path.to_owned()).collect(),
        rows: outcome.points.iter().map(row).collect(),
    }
}

/// `results.csv`: columns are the axes' paths, `seed`, `status`, then the figures; an empty cell is "nothing to measure".
pub fn results_csv(outcome: &SweepOutcome) -> String {
    table_csv(&results_table(outcome))
}

/// `replications.csv`: `seed`, `status`, then every figure under its path in `summary.json`, a row per seed. An infinite
/// percentile is `inf`.
pub fn replications_csv(replications: &Replications) -> String {
    let row = |(index, seed): (usize, &u64)| ResultsRow {
        values: Vec::new(),
        seed: *seed,
        status: crate::report::json::status_word(replications.statuses[index]).to_owned(),
        figures: replications.metrics.iter().map(|(_, estimate)| estimate.values[index]).collect(),
    };
    table_csv(&ResultsTable {
        axes: Vec::new(),
        figures: replications.metrics.iter().map(|(figure, _)| figure.path.to_owned()).collect(),
        rows: replications.seeds.iter().enumerate().map(row).collect(),
    })
}

fn table_csv(table: &ResultsTable) -> String {
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
