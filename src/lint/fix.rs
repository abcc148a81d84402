//! `--fix`: the texts with the edits that their findings bring along, judged once more before anybody writes them.

use crate::lint::{Edit, FileReport, Finding, LintOptions, LintReport, edit, lint};
use crate::manifest::Source;
use std::collections::BTreeSet;

/// A mended text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The file, as named.
    pub file: String,
    /// Its text with the edits.
    pub text: String,
    /// Codes of the rules that it no longer breaks where edits were made, each once.
    pub codes: Vec<&'static str>,
    /// How many edits were made.
    pub edits: usize,
}

/// An edit can bring to light what another edit mends: `minReplicas` named rightly makes a cooldown inert.
const ROUNDS: usize = 4;

/// The texts that change. A text whose judgement would have anything new in it is left out, as is one without an edit.
pub fn fix(sources: &[Source], options: &LintOptions) -> Vec<Fixed> {
    let first = lint(sources, options);
    let mut own: Vec<Source> = sources.to_vec();
    let mut fixed: Vec<Fixed> = Vec::new();
    for _ in 0..ROUNDS {
        let report = lint(&own, options);
        let mut changed = false;
        for (source, file) in own.iter_mut().zip(&report.files) {
            let Ok(text) = &source.text else { continue };
            let of_file = |own: &&Finding| own.diagnostic.span.as_ref().is_some_and(|span| *span.file == file.file);
            let findings: Vec<&Finding> =
                file.all_findings().filter(of_file).filter(|own| own.edit.is_some()).collect();
            let edits: Vec<&Edit> = findings.iter().filter_map(|own| own.edit.as_ref()).collect();
            let (text, done) = edit::apply(text, &edits);
            let codes: BTreeSet<&str> =
                findings.iter().zip(&done).filter(|(_, done)| **done).filter_map(|(own, _)| own.code()).collect();
            if codes.is_empty() {
                continue;
            }
            changed = true;
            source.text = Ok(text.clone());
            let count = done.iter().filter(|done| **done).count();
            add(&mut fixed, Fixed { file: file.file.clone(), text, codes: codes.into_iter().collect(), edits: count });
        }
        if !changed {
            break;
        }
    }
    let last = lint(&own, options);
    fixed.retain(|own| is_better(&own.file, &first, &last));
    fixed
}

fn add(fixed: &mut Vec<Fixed>, own: Fixed) {
    match fixed.iter_mut().find(|other| other.file == own.file) {
        Some(other) => {
            let codes: BTreeSet<&str> = other.codes.iter().chain(&own.codes).copied().collect();
            *other = Fixed { codes: codes.into_iter().collect(), edits: other.edits + own.edits, ..own };
        }
        None => fixed.push(own),
    }
}

/// Whether a file's second judgement has nothing that the first had not: by rule, path and severity of every message.
fn is_better(file: &str, first: &LintReport, last: &LintReport) -> bool {
    let all = |report: &LintReport| -> BTreeSet<_> {
        let files = report.files.iter().filter(|own| own.file == file);
        let findings = files.flat_map(FileReport::all_findings);
        let key = |own: &Finding| (own.code(), own.diagnostic.path.clone(), own.diagnostic.severity);
        findings.map(key).collect()
    };
    let (before, after) = (all(first), all(last));
    after.is_subset(&before) && after.len() < before.len()
}
