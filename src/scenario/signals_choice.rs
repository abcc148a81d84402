//! The user's own series: `--signals`, else `signals` of the Scenario.

use crate::scenario::ledger::Ledger;
use crate::scenario::{Overrides, ScenarioFile};
use crate::series::Signals;

/// The signals of a run; `None` after an error in the ledger.
pub(super) fn choose_signals(
    _overrides: &Overrides,
    _scenario: &ScenarioFile,
    _ledger: &mut Ledger,
) -> Option<Signals> {
    Some(Signals::default())
}
