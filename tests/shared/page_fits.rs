//! The part of `docs/fidelity.md` that says how the profiles of tables 4a and 4b were fitted.

use crate::fits::{ColumnFit, SEEN};
use kedasim::study::{Compared, Quantity, held_without_waiting};
use std::fmt::Write;

/// How the fits are made, and what each came to.
pub fn fits_text(fits: &[ColumnFit]) -> String {
    let mut text = format!(
        "## How the profiles of tables 4a and 4b are fitted\n\n\
By what `kedasim calibrate` runs, to each column on its own, one set of coefficients per column: TTFT and TPOT of its rows, ten requests per worker, \
lengths uniform in 0.8 to 1.0 of the nominal ones, the cache as computed for vLLM 0.11 (0.9 of the memory, 8192 batched tokens). Numbers that the \
cache decides are not fitted.\n\n\
* The five built-in profiles (`fitted`) start from the [estimate](profiles.md) and see all 15 rows. Their rows are in-sample.\n\
* H200 TP1 and TP8 have no built-in profile. The fit sees the first {SEEN} rows of the column (prompts of 1024) and is judged by the last five (8192). It starts from \
[the nearest measured profile](calibrate.md#where-it-starts), as `kedasim calibrate --model --gpu --gpus` does: the column whose estimate is nearest, each coefficient times \
the ratio of the two estimates. The rule is one for both, and no coefficient was set by hand.\n\
* The same is done with the other five columns, as if they had no profile. The rule was settled on them: where they determine all that matters the start makes no difference, and on H200 TP4, where they do not, it is the better one (last two columns). \
It is not blind in the strict sense: a first rule, the nearest column of the *same* GPU, had been tried on all seven before and left 15.5 % in TPOT on TP8 (3.6 % on TP1), \
because H200 TP4 does not determine the work per request, which H100 TP8 does.\n\n"
    );
    text += "| column | fitted to all 15: TTFT / TPOT | fitted to the first ten, from | those ten | the last five, held out | held out, from the estimate |\n|---|---|---|---|---|---|\n";
    for fit in fits {
        let all = fit.all.as_ref().map_or("–".to_owned(), |all| errors(&all.compared));
        let name = fit.column.name();
        writeln!(
            text,
            "| {} / {name} | {all} | {} | {} | {} | {} |",
            fit.column.section,
            fit.start.split(',').next().unwrap_or_default(),
            errors(&fit.seen.compared),
            errors(&fit.held_out),
            errors(&fit.held_out_from_estimate)
        )
        .expect("to a string");
    }
    text += "\nThese are the errors of the benchmark as calibrate simulates it, numbers that the cache decides included. The gates and the tables below come from whole runs, in which each worker sends for as long as ten measured \
requests take, not exactly ten: TP8's held-out TPOT is on one side of its limit of 8 % in these and on the other in those.\n";
    text + &cache_text(fits)
}

/// Mean absolute errors.
fn errors(compared: &[Compared]) -> String {
    let mean = |quantity| {
        let own = compared.iter().filter(|own| own.quantity == quantity);
        let errors: Vec<f64> = own.map(|own| 100.0 * own.error().abs()).collect();
        errors.iter().sum::<f64>() / errors.len() as f64
    };
    format!("{:.1} % / {:.1} %", mean(Quantity::Ttft), mean(Quantity::Tpot))
}

fn cache_text(fits: &[ColumnFit]) -> String {
    let mut text = "\nWhether the keys and values had 16 bit follows from the first ten rows. All workers start at once; when the first answer is complete each of \
them holds its prompt and at least the shortest answer. A row whose TTFT is at most 1.5 times that of a row with the same prompts, as many workers \
and shorter answers did not wait for room, so the cache held that much. Where the computed 16-bit cache falls short by more than the 3 % to which it is known, 8 bit is \
assumed; `kedasim calibrate` says so.\n\n\
| column | held without waiting, tokens | 16 bit holds | taken |\n|---|---|---|---|\n"
        .to_owned();
    for fit in fits {
        let held = held_without_waiting(&fit.runs[..SEEN]);
        let shown = held.map_or("–".to_owned(), |held| {
            format!("{} ({}, {})", held.tokens, fit.runs[held.run].lengths_text(), fit.runs[held.run].load_text())
        });
        let taken = if fit.is_eight_bit() { "8 bit" } else { "16 bit" };
        writeln!(
            text,
            "| {} / {} | {shown} | {} | {taken} |",
            fit.column.section,
            fit.column.name(),
            fit.sixteen_bit_tokens
        )
        .expect("to a string");
    }
    text + "\n"
}
