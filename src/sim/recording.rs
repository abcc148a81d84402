//! All samples that Prometheus stores during a run, in the order in which queries can see them.

use crate::prometheus::{PrometheusServer, StoredRow};
use crate::units::SimTime;
use std::collections::BTreeMap;

/// Passes stored rows on.
pub(super) struct Recorder<'s> {
    sink: &'s mut dyn FnMut(StoredRow),
    /// Rows that cannot be seen yet: markers of a target that is gone are stored long before.
    waiting: BTreeMap<(SimTime, u64), StoredRow>,
    sequence: u64,
}

impl<'s> Recorder<'s> {
    pub(super) fn new(sink: &'s mut dyn FnMut(StoredRow)) -> Self {
        Recorder { sink, waiting: BTreeMap::new(), sequence: 0 }
    }

    /// Takes what was stored and passes on what can be seen by now: what is stored later is visible later.
    pub(super) fn pass(&mut self, server: &mut PrometheusServer, now: SimTime) {
        for row in server.take_rows() {
            self.sequence += 1;
            self.waiting.insert((row.visible, self.sequence), row);
        }
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 < now) {
            (self.sink)(first.remove());
        }
    }

    /// Passes on the rest.
    pub(super) fn finish(mut self, server: &mut PrometheusServer) {
        self.pass(server, SimTime::NEVER);
    }
}
