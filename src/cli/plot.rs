//! `kedasim plot`.

use crate::cli::args::{PlotArgs, PlotFormatArg};
use crate::cli::outcome::{Failure, Outcome, print};
use crate::report::{PlotFormat, replot};
use crate::units::Diagnostic;

/// Runs the command.
pub(super) fn run(args: &PlotArgs) -> Result<Outcome, Failure> {
    let format = args.format.map(|format| match format {
        PlotFormatArg::Svg => PlotFormat::Svg,
        PlotFormatArg::Png => PlotFormat::Png,
    });
    let written = replot(&args.dir, format, args.out.as_deref())
        .map_err(|error| Diagnostic::error(None, "", format!("{} cannot be redrawn: {error}", args.dir.display())))?;
    print(&written.iter().map(|path| format!("{}\n", path.display())).collect::<String>())?;
    Ok(Outcome::Fine)
}
