//! A result must not take the place of what it was made of.

use crate::units::Diagnostic;
use std::fs;
use std::path::Path;

/// Fails when the file `out`, which `flag` names, is one of `inputs` (what it is, where): under this name or another, through
/// links of either kind.
///
/// # Errors
/// The input that would be lost.
pub(super) fn refuse_input<'a>(
    flag: &str,
    out: &Path,
    inputs: impl IntoIterator<Item = (&'a str, &'a Path)>,
) -> Result<(), Diagnostic> {
    match inputs.into_iter().find(|(_, input)| is_same_file(out, input)) {
        None => Ok(()),
        Some((what, input)) => {
            let message = format!("{} is {what} ({}), which would be lost", out.display(), input.display());
            Err(Diagnostic::error(None, flag, message).help("name another file; nothing was written"))
        }
    }
}

/// Fails when the folder `out` holds one of `inputs`, or is one.
///
/// # Errors
/// The input that would be replaced by what the run makes of it.
pub(super) fn refuse_folder_of_input<'a>(
    out: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Diagnostic> {
    let Ok(folder) = fs::canonicalize(out) else { return Ok(()) };
    let is_inside = |input: &&Path| fs::canonicalize(input).is_ok_and(|input| input.starts_with(&folder));
    match inputs.into_iter().find(is_inside) {
        None => Ok(()),
        Some(input) => {
            let message = format!("{} is read, and would be replaced by the changed one", input.display());
            let help = "choose another --out; only the same run again, without --set and other changes, replaces its own folder";
            Err(Diagnostic::error(None, "--out", message).help(help))
        }
    }
}

/// Whether both names lead to one file that is there.
pub(super) fn is_same_file(left: &Path, right: &Path) -> bool {
    match (fs::canonicalize(left), fs::canonicalize(right)) {
        (Ok(one), Ok(other)) => one == other || is_same_inode(&one, &other),
        _ => false,
    }
}

#[cfg(unix)]
fn is_same_inode(left: &Path, right: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |path: &Path| fs::metadata(path).map(|own| (own.dev(), own.ino())).ok();
    of(left).is_some_and(|own| Some(own) == of(right))
}

#[cfg(not(unix))]
fn is_same_inode(_: &Path, _: &Path) -> bool {
    false
}
