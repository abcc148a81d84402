//! What was worked out for the series of a target, by their address: rows of one target share them.

use crate::series::Labels;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Layouts that are remembered; one that is forgotten is only worked out again.
const LAYOUTS_MAX: usize = 64;

/// One `T` per series of the targets met last.
#[derive(Debug)]
pub(super) struct Layouts<T> {
    known: FxHashMap<usize, Layout<T>>,
}

#[derive(Debug)]
struct Layout<T> {
    /// Held, so that no other layout gets its address.
    _series: Arc<[Labels]>,
    made: Arc<[T]>,
}

impl<T> Default for Layouts<T> {
    fn default() -> Self {
        Layouts { known: FxHashMap::default() }
    }
}

impl<T> Layouts<T> {
    /// What was made for these series.
    pub fn get(&self, series: &Arc<[Labels]>) -> Option<Arc<[T]>> {
        self.known.get(&address(series)).map(|layout| Arc::clone(&layout.made))
    }

    /// Remembers what was made for these series.
    pub fn keep(&mut self, series: &Arc<[Labels]>, made: Arc<[T]>) -> Arc<[T]> {
        if self.known.len() >= LAYOUTS_MAX {
            self.known.clear();
        }
        self.known.insert(address(series), Layout { _series: Arc::clone(series), made: Arc::clone(&made) });
        made
    }
}

fn address(series: &Arc<[Labels]>) -> usize {
    series.as_ptr() as usize
}
