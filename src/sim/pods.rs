//! Pods: created, started, deleted, gone.

use crate::cluster::{Pod, PodId, PodState, TerminationMode};
use crate::record::{EventKind, PodRecord, ScaleSource};
use crate::replica::{Engine, ProcessTimes};
use crate::sim::control_state::ScaleWrite;
use crate::sim::event::{Event, PodStep};
use crate::sim::flights::FlightKey;
use crate::sim::requests::Failure;
use crate::sim::world::World;
use crate::units::SimTime;
use std::sync::Arc;

/// Age of the processes that are there when the run starts, in seconds.
const BEFORE_RUN_S: f64 = 3600.0;

impl World<'_> {
    /// A pod that has been serving since before the run.
    pub(super) fn host_existing_pod(&mut self, id: PodId) {
        let engine = self.new_engine(id);
        self.host_mut(id).engine = Some(engine);
        let usage = self.new_usage(true);
        self.host_mut(id).usage = usage;
        self.router.learn(id);
        self.record_pod_state(id, "routable");
        self.discover(id, true);
    }

    fn new_engine(&self, id: PodId) -> Engine {
        let engine = Engine::new(Arc::clone(&self.run.engine)).in_process(self.process_times(id));
        engine.looked_at(&self.monitoring.looked_at)
    }

    /// When the pod's process started: with its container. A pod that is there before the run counts as started and
    /// listening one hour before it.
    fn process_times(&self, id: PodId) -> ProcessTimes {
        let run_start = self.run.monitoring.server.epoch_ms as f64 / 1e3;
        let times = self.deployment.pod(id).map(|pod| pod.times);
        let loading = times.and_then(|times| times.loading).filter(|at| *at > SimTime::ZERO);
        match loading {
            Some(at) => {
                let [started, listening] = [at, self.now].map(|at| run_start + at.as_secs_f64());
                ProcessTimes { run_start, started, listening }
            }
            None => {
                let before = run_start - BEFORE_RUN_S;
                ProcessTimes { run_start, started: before, listening: before }
            }
        }
    }

    /// Writes `spec.replicas`.
    pub(super) fn write_scale(&mut self, to: i32, source: ScaleSource, reason: String) {
        let from = self.deployment.spec_replicas;
        if to == from {
            return;
        }
        self.deployment.spec_replicas = to;
        self.control.last_change = self.now;
        let scaled = EventKind::Scaled { from, to, source, reason };
        self.control.decided.push_scaled(self.recorded.events.len(), self.now, scaled);
        self.control.writes.push(ScaleWrite { from, to });
    }

    /// The world follows what the controllers in place have written at this instant.
    #[inline]
    pub(super) fn follow_writes(&mut self) {
        // Hardly ever.
        if !self.control.writes.is_empty() {
            let writes = std::mem::take(&mut self.control.writes);
            self.follow(&writes);
        }
    }

    /// `spec.replicas` is what was written, and the ReplicaSet controller notices after its latencies.
    pub(super) fn follow(&mut self, writes: &[ScaleWrite]) {
        for write in writes {
            self.deployment.spec_replicas = write.to;
            let (create, status) = self.deployment.latencies();
            self.queue.push(self.now + create, Event::ReconcileDeployment);
            // The status follows the pods it counts.
            self.queue.push(self.now + create + status, Event::UpdateStatus);
        }
    }

    /// A schedule known in advance takes the place of the autoscaler.
    pub(super) fn on_scheduled_scale(&mut self, position: usize) {
        let (_, replicas) = self.run.schedule[position];
        self.write_scale(replicas, ScaleSource::Schedule, "the schedule's count".to_owned());
    }

    /// The ReplicaSet controller creates or deletes pods.
    pub(super) fn on_reconcile_deployment(&mut self) {
        let change = self.deployment.reconcile(self.now);
        for id in change.created {
            self.record_pod_state(id, "created");
            let plan = self.deployment.pod(id).map(|pod| pod.plan);
            if let Some(plan) = plan {
                self.queue.push(plan.scheduled, Event::PodStep(id, PodStep::Scheduled));
            }
        }
        for id in change.deleted {
            self.on_deleted(id);
        }
    }

    fn on_deleted(&mut self, id: PodId) {
        self.record_pod_state(id, "deleted");
        let now = self.now;
        if let Some(host) = self.hosts.get_mut(id.0 as usize).and_then(Option::as_mut) {
            host.busy_at_deletion = host.engine.as_ref().map(|engine| engine.busy_time(now));
        }
        if self.deployment.pod(id).is_none() {
            return self.forget_pod(id); // It had no node, so no kubelet had to agree.
        }
        let (unrouted, terminate, kill) = self.deployment.termination_plan(id, now);
        self.queue.push(unrouted, Event::PodStep(id, PodStep::Unrouted));
        self.queue.push(terminate, Event::PodStep(id, PodStep::Terminate));
        self.queue.push(kill, Event::PodStep(id, PodStep::Kill));
    }

    /// Pods Running with condition Ready as the HPA counts them: those being deleted too, while their process lives.
    pub(super) fn pods_running_and_ready(&self) -> i32 {
        let serves = |pod: &&Pod| {
            let stopped = self.host(pod.id).is_some_and(|host| host.stopped);
            pod.is_ready() || (pod.state == PodState::Terminating && pod.times.ready.is_some() && !stopped)
        };
        i32::try_from(self.deployment.pods.iter().filter(serves).count()).unwrap_or(i32::MAX)
    }

    /// A pod's life goes on; steps of a start that was cut short by a deletion are stale.
    pub(super) fn on_pod_step(&mut self, id: PodId, step: PodStep) {
        if step == PodStep::Unrouted {
            // The routers may learn of a deletion after the pod is gone; until then they send it requests.
            self.grow_expected();
            self.router.forget(id);
            return self.look_at_held(); // One full pod fewer can make room in the mean over pods.
        }
        let Some(pod) = self.deployment.pod(id) else { return };
        let (state, plan) = (pod.state, pod.plan);
        match step {
            PodStep::Terminate => return self.on_terminate(id),
            PodStep::Kill => return self.end_process(id),
            PodStep::Gone => return self.on_gone(id),
            _ if state >= PodState::Terminating => return,
            _ => {}
        }
        let (entered, next) = match step {
            PodStep::Scheduled => (PodState::Starting, Some((plan.loading, PodStep::Loading))),
            PodStep::Loading => (PodState::Loading, Some((plan.listening, PodStep::Listening))),
            PodStep::Listening => (PodState::Listening, Some((plan.ready, PodStep::Ready))),
            PodStep::Ready => (PodState::Ready, Some((plan.routable, PodStep::Routable))),
            _ => (PodState::Routable, None),
        };
        self.deployment.enter(id, entered, self.now);
        self.record_pod_state(id, entered.event_word());
        match step {
            PodStep::Loading => {
                let usage = self.new_usage(false);
                self.host_mut(id).usage = usage;
                self.discover(id, false);
            }
            PodStep::Routable => {
                self.grow_expected();
                self.router.learn(id);
                self.look_at_held();
            }
            PodStep::Listening => {
                let engine = self.new_engine(id);
                self.host_mut(id).engine = Some(engine);
            }
            _ => {}
        }
        if let Some((at, step)) = next {
            self.queue.push(at, Event::PodStep(id, step));
        }
    }

    /// SIGTERM: by the engine's mode requests inside are cut at once or may finish.
    fn on_terminate(&mut self, id: PodId) {
        self.deployment.stop_accepting(id);
        match self.run.cluster.termination.mode {
            TerminationMode::Abort => self.end_process(id),
            TerminationMode::Drain(limit) => {
                let until = self.now + limit;
                self.host_mut(id).drains_until = Some(until);
                self.queue.push(until, Event::PodStep(id, PodStep::Kill));
                self.finish_drain_if_empty(id);
            }
        }
    }

    /// A draining engine without requests exits.
    pub(super) fn finish_drain_if_empty(&mut self, id: PodId) {
        let Some(host) = self.host(id) else { return };
        let empty = host.engine.as_ref().is_none_or(|engine| engine.in_flight() == 0);
        if host.drains_until.is_some() && empty {
            self.end_process(id);
        }
    }

    /// The process ends, by itself or by SIGKILL: requests inside are cut, the object goes after the cleanup. A second call
    /// does nothing.
    fn end_process(&mut self, id: PodId) {
        let Some(pod) = self.deployment.pod(id) else { return };
        assert!(pod.state == PodState::Terminating, "only a pod that is being deleted is stopped");
        let host = self.host_mut(id);
        if host.stopped {
            return;
        }
        host.stopped = true;
        let engine = host.engine.take();
        host.wake = None;
        host.drains_until = None;
        self.queue.drop_wake(id);
        self.deployment.stop_accepting(id);
        if let Some(mut engine) = engine {
            self.catch_up(&mut engine);
            self.archive_engine(&engine);
            let mut cut = 0;
            for request in engine.request_ids() {
                if let Some(flight) = self.traffic.flights.get(FlightKey(request)).copied() {
                    self.fail(flight, Failure::Killed);
                    cut += 1;
                }
            }
            if cut > 0 {
                let pod = self.pod_name(id);
                self.note(EventKind::RequestsFailed { pod: Some(pod), count: cut, cause: "killed" });
            }
        }
        let gone = self.now + self.deployment.cleanup_delay(id);
        self.queue.push(gone, Event::PodStep(id, PodStep::Gone));
    }

    /// Files what only the engine knows.
    pub(super) fn archive_engine(&mut self, engine: &Engine) {
        let kv = &mut self.recorded.kv;
        kv.preemptions += engine.totals(self.now).1;
        kv.max_usage = kv.max_usage.max(engine.peak_kv_usage());
    }

    fn on_gone(&mut self, id: PodId) {
        self.deployment.enter(id, PodState::Gone, self.now);
        self.forget_pod(id);
    }

    /// The object is removed: its record is complete, Prometheus will notice.
    fn forget_pod(&mut self, id: PodId) {
        self.record_pod_state(id, "gone");
        self.archive_pod(id, self.now);
        self.lose_target(id);
    }

    /// Files the pod's life; `now` bounds the measures of one that still lives.
    pub(super) fn archive_pod(&mut self, id: PodId, now: SimTime) {
        let Some(pod) = self.any_pod(id) else { return };
        let busy = self.host(id).and_then(|host| {
            host.busy_at_deletion.or_else(|| host.engine.as_ref().map(|engine| engine.busy_time(now)))
        });
        let record = PodRecord {
            name: pod.name.clone(),
            created: pod.times.created,
            scheduled: pod.times.scheduled,
            ready: pod.times.ready,
            deleted: pod.times.deleted,
            gone: pod.times.gone,
            busy_while_ready: busy.unwrap_or_default(),
        };
        self.recorded.pods.push(record);
    }

    /// The pod `id`, gone or not.
    fn any_pod(&self, id: PodId) -> Option<&Pod> {
        self.deployment.pod(id).or_else(|| self.deployment.gone().iter().rfind(|pod| pod.id == id))
    }

    pub(super) fn pod_name(&self, id: PodId) -> String {
        self.any_pod(id).map_or_else(String::new, |pod| pod.name.clone())
    }

    fn record_pod_state(&mut self, id: PodId, state: &'static str) {
        let pod = self.pod_name(id);
        self.note(EventKind::Pod { pod, state });
    }
}
