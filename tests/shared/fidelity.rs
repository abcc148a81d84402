//! Runs of measured servers, simulated as they are described and laid beside the measurements. These stand in
//! `validation.md` beside the repository (`KEDASIM_SHARED`, by default `../shared`) and are not part of it, so that plain
//! `cargo test` leaves this out.

mod cases;
mod compared;
mod fits;
mod gates;
mod measured;
mod page;
mod page_fits;
mod stated;

use cases::{ASSUMED_SEQS, ClosedLoop, OpenLoop};
use compared::{Case, Outcome, run};
use fits::{ColumnFit, fits};
use gates::{Gate, KNOWN_MISSES, KnownMiss, gates, verdict};
use kedasim::replica::built_in_profile;
use kedasim::study::Coefficient;
use measured::{Table, tables};
use page::{Runs, page};
use rayon::prelude::*;
use stated::{of_the_method, stated};
use std::path::PathBuf;
use std::sync::LazyLock;

fn measurements() -> Vec<Table> {
    let shared = std::env::var_os("KEDASIM_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("validation.md");
    tables(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// One seed is enough to tell one assumption from another.
fn once(mut cases: Vec<Case>) -> Vec<Case> {
    for case in &mut cases {
        case.seeds = 1;
    }
    cases
}

/// What calibrate makes of the columns of tables 4a and 4b.
static FITS: LazyLock<Vec<ColumnFit>> = LazyLock::new(|| fits(&measurements()));

/// All runs, in parallel; each is the same whatever runs beside it.
static RUNS: LazyLock<Runs> = LazyLock::new(|| {
    let tables = measurements();
    let (open, closed) =
        (OpenLoop { even: true, cached: true }, ClosedLoop { requests: 10.0, ahead: true, sixteen_bit: false });
    let mut judged = cases::opt_125m(&tables);
    judged.extend(cases::open_loop(&tables, open));
    judged.extend(cases::older_open_loop(&tables, open, ASSUMED_SEQS));
    judged.extend(cases::public_benchmark(&tables, &FITS, closed));
    judged.extend(cases::guidellm(&tables));
    let mut sixteen_bit = cases::public_benchmark(&tables, &FITS, ClosedLoop { sixteen_bit: true, ..closed });
    sixteen_bit.retain(|case| case.group == "H200 TP1");
    let crowded = |seqs| {
        let mut cases = cases::older_open_loop(&tables, open, seqs);
        cases.retain(|case| case.row.starts_with("general"));
        cases
    };
    let sets = vec![
        judged,
        cases::open_loop(&tables, OpenLoop { even: false, ..open }),
        cases::open_loop(&tables, OpenLoop { cached: false, ..open }),
        once(cases::public_benchmark(&tables, &FITS, ClosedLoop { requests: 3.0, ..closed })),
        once(cases::public_benchmark(&tables, &FITS, ClosedLoop { ahead: false, ..closed })),
        once(sixteen_bit),
        crowded(2 * ASSUMED_SEQS),
        crowded(4 * ASSUMED_SEQS),
    ];
    let outcomes: Vec<Vec<Outcome>> =
        sets.into_par_iter().map(|cases| cases.into_par_iter().map(run).collect()).collect();
    let [judged, poisson, uncached, short, in_turn, sixteen_bit, twice, four_times] =
        outcomes.try_into().unwrap_or_else(|_| unreachable!("eight sets were run"));
    Runs { judged, poisson, uncached, short, in_turn, sixteen_bit, crowded: [twice, four_times] }
});

#[test]
fn every_gate_is_met_or_a_known_miss() {
    for outcome in &RUNS.judged {
        let mut line = outcome.name();
        for (quantity, _) in &outcome.case.measured {
            let (measured, simulated) = outcome.pair(*quantity).expect("it is there");
            let error = outcome.error(*quantity).expect("it is there");
            line += &format!("  {} {measured} {simulated:.2} ({error:+.1} %)", quantity.name());
        }
        println!("{line}  {}", outcome.case.fitted);
    }
    let gates = gates(&RUNS.judged);
    for gate in &gates {
        println!(
            "{} {}: {:.1} %, limit {} %",
            if gate.met() { "met " } else { "MISS" },
            gate.name,
            gate.error,
            gate.limit
        );
    }
    let wrong = verdict(&gates, &KNOWN_MISSES);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Stated numbers of a built-in profile may be so far from those of the fit: less than the fit knows any of them.
const REPEATED: f64 = 0.01;

#[test]
fn the_built_in_profiles_are_what_calibrate_gives() {
    let mut wrong = Vec::new();
    for fit in FITS.iter() {
        let Some(all) = &fit.all else { continue };
        // The estimate from which the fit starts has the same name.
        let built_in = built_in_profile(&all.prior).expect("fitted columns have a profile");
        println!(
            "{}: {:?}, {} ms before the engine",
            all.prior, all.profile.step_time, all.profile.request_overhead_ms
        );
        println!("    fit: {}\n    {}", all.profile.error, all.profile.source);
        for coefficient in Coefficient::ALL {
            let (Some(stated), Some(found)) = (coefficient.of(&built_in), coefficient.of(&all.profile)) else {
                continue;
            };
            if (stated - found).abs() > REPEATED * found.abs() {
                wrong.push(format!(
                    "{}: {} is stated as {stated}, the fit gives {found}",
                    all.prior,
                    coefficient.key()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "src/replica/profiles/fitted.rs: {}", wrong.join("\n"));
}

/// A stated error that is narrower than what the runs give makes a profile look better than it is, a wider one worse.
#[test]
fn built_in_profiles_state_the_errors_of_these_runs() {
    let mut wrong = Vec::new();
    let of_runs = stated(&RUNS.judged);
    assert_eq!(of_runs.len(), 11, "{of_runs:?}");
    for (name, expected) in of_runs {
        println!("{name}: {expected}");
        let found = built_in_profile(&name).expect("it was one").error;
        if !found.starts_with(&expected) {
            wrong.push(format!("{name} states {found:?}, expected {expected:?} first"));
        }
    }
    let (dense, mixtures) = of_the_method(&RUNS.judged);
    println!("dense estimates: {dense}\nmixtures: {mixtures}");
    for (name, expected) in [("mistral-7b-h100", dense), ("gpt-oss-120b-a100", mixtures)] {
        let found = built_in_profile(name).expect("an estimate").error;
        if !found.contains(&expected) {
            wrong.push(format!("{name} states {found:?}, expected {expected:?} in it"));
        }
    }
    assert!(wrong.is_empty(), "src/replica/profiles, src/replica/roofline.rs:\n{}", wrong.join("\n"));
}

#[test]
fn the_page_is_up_to_date() {
    let expected = page(&RUNS, &FITS, &gates(&RUNS.judged), &KNOWN_MISSES);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/fidelity.md");
    if std::env::var_os("KEDASIM_REFRESH").is_some() {
        std::fs::write(&path, &expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let line = expected.lines().zip(found.lines()).position(|(left, right)| left != right);
    assert!(
        found == expected,
        "docs/fidelity.md is not what the runs say, first at line {:?}; write it with KEDASIM_REFRESH=1",
        line.map(|at| at + 1)
    );
}

#[test]
fn a_gate_is_held_both_ways() {
    let gate = |error: f64| Gate { name: "one".to_owned(), limit: 8.0, error };
    let miss = |name, error| KnownMiss { name, error, why: "" };
    assert!(verdict(&[gate(-8.0)], &[]).is_empty());
    assert_eq!(verdict(&[gate(-8.1)], &[]), ["not met: one: -8.1 %, limit 8 %"]);
    assert!(verdict(&[gate(9.0)], &[miss("one", 9.0)]).is_empty());
    assert_eq!(verdict(&[gate(9.1)], &[miss("one", 9.0)]), ["worse than the known 9 %: one: 9.1 %, limit 8 %"]);
    let removed = verdict(&[gate(7.9)], &[miss("one", 9.0)]);
    assert_eq!(removed, ["met by now, remove it from the known misses: one: 7.9 %, limit 8 %"]);
    assert_eq!(verdict(&[gate(1.0)], &[miss("other", 9.0)]), ["no gate is called other"]);
}
