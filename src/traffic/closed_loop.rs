//! Closed-loop clients: each sends, waits for the response, thinks and sends again.
//!
//! Every worker has its own streams, so that the n-th request of a worker is the same whatever the responses took.

use crate::traffic::{LengthDistribution, OutputLength, Request, RequestId};
use crate::units::{Seed, SimDuration, SimTime, Stream};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One client.
#[derive(Clone, Debug)]
struct Worker {
    prompts: Stream,
    outputs: Stream,
    /// Requests sent so far.
    sent: u32,
    /// The request it waits for.
    waits_for: Option<RequestId>,
}

/// All clients of one source.
#[derive(Clone, Debug)]
pub(crate) struct ClosedLoop {
    workers: Vec<Worker>,
    /// When thinking workers send next; equal times go by worker number.
    thinking: BinaryHeap<Reverse<(SimTime, u32)>>,
    think: SimDuration,
    stop: SimTime,
    number: u8,
}

impl ClosedLoop {
    /// `workers` clients that all send first at `start`, unless that is at or after `stop`.
    pub(crate) fn new(workers: u32, think: SimDuration, start: SimTime, stop: SimTime, seed: Seed, number: u8) -> Self {
        assert!(workers <= RequestId::MAX_WORKERS, "found {workers} workers, expected at most 2^24 in one source");
        let worker = |index: u32| {
            let key = u64::from(number) << 32 | u64::from(index);
            Worker {
                prompts: seed.stream("worker-prompt-lengths", key),
                outputs: seed.stream("worker-output-lengths", key),
                sent: 0,
                waits_for: None,
            }
        };
        let sends = start < stop;
        ClosedLoop {
            workers: (0..workers).map(worker).collect(),
            thinking: (0..workers).filter(|_| sends).map(|index| Reverse((start, index))).collect(),
            think,
            stop,
            number,
        }
    }
    /// When the next worker sends.
    pub(crate) fn next(&self) -> Option<SimTime> {
        self.thinking.peek().map(|Reverse((at, _))| *at)
    }
    /// Takes the request that is due.
    pub(crate) fn pop(&mut self, prompt: &LengthDistribution, output: &LengthDistribution) -> Request {
        let Reverse((_, index)) = self.thinking.pop().expect("the caller saw that a worker is due");
        let worker = &mut self.workers[index as usize];
        let id = RequestId::closed_loop(self.number, index, worker.sent);
        worker.sent += 1;
        worker.waits_for = Some(id);
        Request {
            id,
            prompt_tokens: prompt.draw(&mut worker.prompts),
            output: OutputLength::new(output.draw(&mut worker.outputs)),
            worker: Some(index),
        }
    }
    /// The worker that sent `request` has its answer at `now`.
    pub(crate) fn response(&mut self, request: &Request, now: SimTime) {
        let index = request.worker.expect("a closed loop's request has a worker");
        let worker = &mut self.workers[index as usize];
        assert!(worker.waits_for == Some(request.id), "worker {index} does not wait for request {}", request.id.0);
        worker.waits_for = None;
        let at = now.saturating_add(self.think);
        if at < self.stop {
            self.thinking.push(Reverse((at, index)));
        }
    }
}
