//! Whether several policies can act on one world.

use crate::scenario::{FaultKind, KedaSettings, KubernetesSettings, ResolvedRun};

impl ResolvedRun {
    /// Whether the world of this run is that of `other` for as long as both policies write the same scales: traffic, replicas,
    /// pods and Prometheus are the same, and the policies differ only in what their controllers make of it. Neither may be of
    /// a kind that tells the policy's hand by more than its writes: fixed replicas, a gateway (its record asks what the
    /// policy wanted), an end that waits for the policy to settle, an outage of KEDA.
    pub fn shares_world_with(&self, other: &ResolvedRun) -> bool {
        // Taken apart whole, so that whoever adds a field has to say here whether the world depends on it.
        let ResolvedRun {
            target,
            seed,
            duration,
            warmup,
            traffic,
            engine,
            initial_replicas,
            fixed_replicas,
            schedule: _,
            cluster,
            router,
            router_latency,
            gateway,
            client_timeout,
            monitoring,
            keda,
            kubernetes,
            signals,
            faults,
            analysis,
            sample_interval,
            // Only told: names, origins, what was said on the way.
            policy: _,
            scenario: _,
            traffic_name: _,
            replications: _,
            profile: _,
            gpus_per_replica: _,
            assumptions: _,
            provenance: _,
            diagnostics: _,
            policy_text: _,
        } = self;
        let ends_by_the_clock = duration.is_some() && !fixed_replicas && !other.fixed_replicas;
        ends_by_the_clock
            && gateway.is_none()
            && other.gateway.is_none()
            && faults.iter().all(|fault| fault.kind != FaultKind::KedaDown)
            && (target, seed, duration, warmup) == (&other.target, &other.seed, &other.duration, &other.warmup)
            && (initial_replicas, cluster, router) == (&other.initial_replicas, &other.cluster, &other.router)
            && (router_latency, client_timeout) == (&other.router_latency, &other.client_timeout)
            && (monitoring, signals, faults) == (&other.monitoring, &other.signals, &other.faults)
            && (&analysis.slo, sample_interval) == (&other.analysis.slo, &other.sample_interval)
            && asks_the_same(keda.as_ref(), other.keda.as_ref())
            && is_answered_by_the_same(kubernetes, &other.kubernetes)
            && (traffic, engine) == (&other.traffic, &other.engine)
    }
}

/// Whether Prometheus is asked the same queries, trigger by trigger.
fn asks_the_same(keda: Option<&KedaSettings>, other: Option<&KedaSettings>) -> bool {
    let queries = |keda: &KedaSettings| -> Vec<Option<String>> {
        let triggers = keda.scaled_object.triggers.iter();
        triggers.map(|trigger| trigger.prometheus().map(|own| own.query.clone())).collect()
    };
    keda.map(queries) == other.map(queries)
}

/// Whether the HPA's metrics come from the same sources, and pods use the same cpu and memory.
fn is_answered_by_the_same(own: &KubernetesSettings, other: &KubernetesSettings) -> bool {
    own.sources == other.sources && own.usage == other.usage
}
