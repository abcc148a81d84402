//! Invariants: what holds at every instant of every run. A broken one is a defect of the simulator, never a user's mistake.
//!
//! INV-1 every request sent is either on its way or has ended, once; INV-2 KV blocks are conserved (the engine's own check);
//! INV-3 the clock never runs backwards; INV-4 no request is routed to a pod that was never Ready; INV-5 after the HPA's
//! first sync and while `spec.replicas` > 0 it lies within min..max; INV-6 nothing but the engine reads an output length
//! (a sealed type; `tests/architecture.rs` checks who opens it); INV-7 a request is in one place, and a gateway holds no more
//! than it may and none that it could send on; INV-8 Little's law holds to the picosecond (`little`; with `--check`, at every row
//! of the timeline and at the end).

use crate::scenario::ResolvedRun;
use crate::sim::SimulateError;
use crate::sim::control_state::ControlState;
use crate::sim::world::World;

impl World<'_> {
    /// Checks what is cheap; with `--check` after every event, else at every row of the timeline and at the end.
    pub(super) fn check_invariants(&self) -> Result<(), SimulateError> {
        self.requests_are_conserved()?;
        self.requests_are_on_ready_pods()?;
        self.requests_are_in_one_place()?;
        self.replicas_are_within_bounds_of(self.run, &self.control)
    }

    fn requests_are_conserved(&self) -> Result<(), SimulateError> {
        let recorded = &self.recorded;
        let on_their_way = self.traffic.flights.len() as u64;
        if recorded.sent_in_all == recorded.ended_in_all + on_their_way {
            return Ok(());
        }
        let (sent, ended) = (recorded.sent_in_all, recorded.ended_in_all);
        Err(self.broken("INV-1", format!("{sent} requests sent, {ended} ended, {on_their_way} on their way")))
    }

    fn requests_are_on_ready_pods(&self) -> Result<(), SimulateError> {
        for (id, in_flight) in self.router.busy() {
            let pod = self.deployment.pod(id);
            let was_ready = pod.is_some_and(|pod| pod.times.ready.is_some());
            if !was_ready {
                let name = pod.map_or("a pod that is gone", |pod| &pod.name);
                let message = format!("{in_flight} requests are on {name}, which was never Ready");
                return Err(self.broken("INV-4", message));
            }
        }
        Ok(())
    }

    /// INV-5, of a policy and its controllers.
    pub(super) fn replicas_are_within_bounds_of(
        &self,
        run: &ResolvedRun,
        control: &ControlState,
    ) -> Result<(), SimulateError> {
        let (spec, hpa) = (self.deployment.spec_replicas, &run.kubernetes.hpa);
        let idle = run.keda.as_ref().and_then(|keda| keda.scaled_object.idle_replicas);
        if run.fixed_replicas || !control.hpa_synced || spec == 0 || Some(spec) == idle {
            return Ok(());
        }
        if (hpa.min_replicas..=hpa.max_replicas).contains(&spec) {
            return Ok(());
        }
        let bounds = format!("{}..{}", hpa.min_replicas, hpa.max_replicas);
        Err(self.broken("INV-5", format!("spec.replicas is {spec}, outside {bounds}")))
    }

    pub(super) fn broken(&self, id: &'static str, message: String) -> SimulateError {
        SimulateError::Invariant { id, at: self.now.to_string(), message }
    }
}
