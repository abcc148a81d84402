//! `topk` and `bottomk` (promql/engine.go `aggregationK`), literally, since the heap decides which of equals stay.

use super::ast::AggregateOp;
use super::eval::Sample;
use super::numbers::nan_last;

/// The `count` largest (or smallest) of `samples`, best first; NaN counts as worst.
pub(crate) fn best(op: AggregateOp, count: usize, samples: Vec<Sample>) -> Vec<Sample> {
    if count == 0 {
        return Vec::new();
    }
    // Turned round for bottomk, so that the worst always has the lowest key.
    let sign = if op == AggregateOp::Topk { 1.0 } else { -1.0 };
    let mut heap: Vec<(f64, Sample)> = Vec::new();
    for sample in samples {
        let key = sign * sample.value;
        if heap.len() < count {
            heap.push((key, sample));
            sift_up(&mut heap);
        } else if heap[0].0 < key || (heap[0].0.is_nan() && !key.is_nan()) {
            heap[0] = (key, sample);
            sift_down(&mut heap);
        }
    }
    heap.sort_by(|a, b| nan_last(-a.0, -b.0));
    heap.into_iter().map(|(_, sample)| sample).collect()
}

fn worse(a: f64, b: f64) -> bool {
    a.is_nan() || a < b
}

/// Go's container/heap `up` from the end.
fn sift_up(heap: &mut [(f64, Sample)]) {
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !worse(heap[at].0, heap[parent].0) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

/// Go's container/heap `down` from the top.
fn sift_down(heap: &mut [(f64, Sample)]) {
    let mut at = 0;
    loop {
        let mut child = 2 * at + 1;
        if child >= heap.len() {
            break;
        }
        if child + 1 < heap.len() && worse(heap[child + 1].0, heap[child].0) {
            child += 1;
        }
        if !worse(heap[child].0, heap[at].0) {
            break;
        }
        heap.swap(at, child);
        at = child;
    }
}
