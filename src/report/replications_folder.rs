//! The directory of a run on several seeds: `summary.json` and `replications.csv` over all of them, and in `seed-<n>/` the
//! whole directory of each seed's run. As with one run it is written under a temporary name and renamed.

use crate::analysis::{Replications, Summary};
use crate::record::RunRecord;
use crate::report::directory::{
    Kind, add_files, in_inputs, prepare_parent, put_in_place, replaceable, run_files, sibling, write_files,
    write_growing_files,
};
use crate::report::{replications_csv, replications_json};
use crate::scenario::{InputFile, ResolvedRun};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Whether a run on several seeds may be written to `out`: to be asked before a long simulation, not after.
///
/// # Errors
/// As [`ReplicationsFolder::begin`].
pub fn may_write_replications(out: &Path) -> io::Result<()> {
    replaceable(out, Kind::Replications).map(|_| ())
}

/// The directory in the making; given up, it leaves nothing behind.
#[derive(Debug)]
pub struct ReplicationsFolder {
    out: PathBuf,
    temporary: PathBuf,
    is_finished: bool,
}

impl ReplicationsFolder {
    /// Begins under a temporary name beside `out`.
    ///
    /// # Errors
    /// When `out` is something else than an empty directory or that of a run on several seeds, or holds a file that kedasim
    /// did not write, and what the file system refuses. `out` is not touched.
    pub fn begin(out: &Path) -> io::Result<Self> {
        let out = replaceable(out, Kind::Replications)?;
        prepare_parent(&out)?;
        let temporary = sibling(&out, "tmp");
        write_files(&temporary, &[])?;
        Ok(ReplicationsFolder { out, temporary, is_finished: false })
    }

    /// Adds the whole directory of one seed's run. Several threads may add at once.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn add(
        &self,
        run: &ResolvedRun,
        record: &RunRecord,
        summary: &Summary,
        scenario_yaml: &str,
        inputs: &[InputFile],
    ) -> io::Result<()> {
        let files = run_files((&run.policy_text, scenario_yaml), record, summary, in_inputs(inputs))?;
        let folder = self.temporary.join(format!("seed-{}", summary.seed));
        add_files(&folder, &files)?;
        write_growing_files(record, &folder)
    }

    /// Adds what all seeds say together and puts the directory in its place. `first` is the first seed's run.
    ///
    /// # Errors
    /// What the file system refuses; nothing is changed then.
    pub fn finish(mut self, first: &Summary, replications: &Replications) -> io::Result<()> {
        let files = [
            ("summary.json".to_owned(), replications_json(first, replications).into_bytes()),
            ("replications.csv".to_owned(), replications_csv(replications).into_bytes()),
        ];
        add_files(&self.temporary, &files)?;
        put_in_place(&self.temporary, &self.out)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for ReplicationsFolder {
    fn drop(&mut self) {
        if !self.is_finished {
            // Whatever went wrong is told elsewhere.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}
