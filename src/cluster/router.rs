//! Which pod a request goes to.

use crate::cluster::PodId;
use crate::traffic::RequestId;
use crate::units::{Seed, Stream};

/// Balancing policies (cluster.md 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterPolicy {
    /// kube-proxy with a connection per request: uniform random.
    Random,
    /// Next in turn.
    RoundRobin,
    /// Fewest in flight; ties at random.
    LeastRequests,
    /// Two at random, the one with fewer in flight (Envoy LEAST_REQUEST).
    PowerOfTwo,
}

/// A balancer. Plain cloneable data.
#[derive(Clone, Debug)]
pub struct Router {
    policy: RouterPolicy,
    seed: Seed,
    /// Pods it knows to be ready, in pod order. A pod's death does not change it; only the news of it does.
    view: Vec<PodId>,
    /// The pod picked last; only round robin looks at it.
    last: Option<PodId>,
}

impl Router {
    /// A balancer with its own random stream, which knows no pod yet.
    pub fn new(policy: RouterPolicy, seed: Seed) -> Self {
        Router { policy, seed, view: Vec::new(), last: None }
    }
    /// The news that `pod` is ready has arrived.
    pub fn learn(&mut self, pod: PodId) {
        if let Err(place) = self.view.binary_search(&pod) {
            self.view.insert(place, pod);
        }
    }
    /// The news that `pod` is no longer to be used has arrived.
    pub fn forget(&mut self, pod: PodId) {
        self.view.retain(|known| *known != pod);
    }
    /// The pods it knows to be ready, in pod order.
    pub fn view(&self) -> &[PodId] {
        &self.view
    }
    /// Picks one of `candidates` (pods in pod order); `None` when there is none. `in_flight` says how many requests a pod has,
    /// and is asked only where the policy looks at it. Every draw is keyed by `request`, so that one policy's failures do not
    /// shift another's picks.
    ///
    /// Round robin takes the pod after the one picked last, so a pod that comes or goes does not restart the turn.
    /// Power of two draws twice with replacement and keeps the first on equal counts, as Envoy does.
    pub fn pick(
        &mut self,
        request: RequestId,
        candidates: &[PodId],
        in_flight: impl Fn(PodId) -> usize,
    ) -> Option<PodId> {
        let picked = choose(self.policy, self.last, self.seed, request, candidates, in_flight)?;
        self.last = Some(picked);
        Some(picked)
    }
    /// As [`Router::pick`], among the pods it knows to be ready.
    pub fn pick_known(&mut self, request: RequestId, in_flight: impl Fn(PodId) -> usize) -> Option<PodId> {
        let picked = choose(self.policy, self.last, self.seed, request, &self.view, in_flight)?;
        self.last = Some(picked);
        Some(picked)
    }
}

fn choose(
    policy: RouterPolicy,
    last: Option<PodId>,
    seed: Seed,
    request: RequestId,
    candidates: &[PodId],
    in_flight: impl Fn(PodId) -> usize,
) -> Option<PodId> {
    let first = *candidates.first()?;
    let mut stream = seed.stream("router-pick", request.0);
    let picked = match policy {
        RouterPolicy::Random => candidates[below(&mut stream, candidates.len())],
        RouterPolicy::RoundRobin => {
            let after = last.map_or(0, |last| candidates.partition_point(|pod| *pod <= last));
            candidates.get(after).copied().unwrap_or(first)
        }
        RouterPolicy::LeastRequests => {
            let fewest = candidates.iter().map(|pod| in_flight(*pod)).min()?;
            let tied = || candidates.iter().filter(|pod| in_flight(**pod) == fewest);
            *tied().nth(below(&mut stream, tied().count()))?
        }
        RouterPolicy::PowerOfTwo => {
            let one = candidates[below(&mut stream, candidates.len())];
            let other = candidates[below(&mut stream, candidates.len())];
            if in_flight(other) < in_flight(one) { other } else { one }
        }
    };
    Some(picked)
}

/// Uniform index into a list of `length` items.
fn below(stream: &mut Stream, length: usize) -> usize {
    usize::try_from(stream.below(length as u64)).expect("an index below a length fits the length's type")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(pods: &[u32]) -> Vec<(PodId, usize)> {
        pods.iter().map(|pod| (PodId(*pod), 0)).collect()
    }

    fn pick_of(router: &mut Router, request: u64, candidates: &[(PodId, usize)]) -> Option<PodId> {
        let pods: Vec<PodId> = candidates.iter().map(|(pod, _)| *pod).collect();
        let count = |pod| candidates.iter().find(|(own, _)| *own == pod).map_or(0, |(_, count)| *count);
        router.pick(RequestId(request), &pods, count)
    }

    fn picks(policy: RouterPolicy, candidates: &[(PodId, usize)], requests: u64) -> Vec<PodId> {
        let mut router = Router::new(policy, Seed(2));
        (0..requests).map(|n| pick_of(&mut router, n, candidates).expect("there are candidates")).collect()
    }

    fn share(picks: &[PodId], pod: u32) -> f64 {
        picks.iter().filter(|pick| pick.0 == pod).count() as f64 / picks.len() as f64
    }

    #[test]
    fn nobody_there_means_nobody_picked() {
        for policy in
            [RouterPolicy::Random, RouterPolicy::RoundRobin, RouterPolicy::LeastRequests, RouterPolicy::PowerOfTwo]
        {
            assert_eq!(pick_of(&mut Router::new(policy, Seed(1)), 0, &[]), None);
            assert_eq!(Router::new(policy, Seed(1)).pick_known(RequestId(0), |_| 0), None);
        }
    }

    #[test]
    fn random_is_uniform() {
        let picks = picks(RouterPolicy::Random, &idle(&[0, 1, 2, 5]), 40_000);
        let expected = 10_000.0;
        let chi_square: f64 = [0, 1, 2, 5]
            .into_iter()
            .map(|pod| {
                (share(&picks, pod) * 40_000.0 - expected) * (share(&picks, pod) * 40_000.0 - expected) / expected
            })
            .sum();
        // 99.9th percentile of chi-square with 3 degrees of freedom.
        assert!(chi_square < 16.27, "{chi_square}");
    }

    #[test]
    fn random_and_two_choices_depend_on_the_request_only() {
        let candidates = [(PodId(0), 3), (PodId(1), 1), (PodId(2), 2)];
        for policy in [RouterPolicy::Random, RouterPolicy::PowerOfTwo, RouterPolicy::LeastRequests] {
            let mut router = Router::new(policy, Seed(9));
            let alone = pick_of(&mut router, 77, &candidates);
            for n in 0..10 {
                pick_of(&mut router, n, &candidates);
            }
            assert_eq!(pick_of(&mut router, 77, &candidates), alone, "{policy:?}");
        }
    }

    #[test]
    fn round_robin_takes_turns_and_survives_changes_of_the_set() {
        let mut router = Router::new(RouterPolicy::RoundRobin, Seed(1));
        let mut pick = |pods: &[u32]| pick_of(&mut router, 0, &idle(pods)).map(|pod| pod.0);
        let turns = [
            (vec![0, 1, 2], 0),
            (vec![0, 1, 2], 1),
            (vec![0, 1, 2], 2),
            (vec![0, 1, 2], 0),
            (vec![0, 2, 3], 2),
            (vec![0, 2, 3], 3),
            (vec![2, 3], 2),
        ];
        for (pods, expected) in turns {
            assert_eq!(pick(&pods), Some(expected), "{pods:?}");
        }
    }

    #[test]
    fn least_requests_takes_the_emptiest_and_breaks_ties_evenly() {
        let picks = picks(RouterPolicy::LeastRequests, &[(PodId(0), 2), (PodId(1), 1), (PodId(2), 1)], 20_000);
        assert_eq!(share(&picks, 0), 0.0);
        assert!((share(&picks, 1) - 0.5).abs() < 0.02);
    }

    #[test]
    fn power_of_two_takes_the_fuller_pod_only_when_it_draws_it_twice() {
        let picks = picks(RouterPolicy::PowerOfTwo, &[(PodId(0), 5), (PodId(1), 0)], 20_000);
        assert!((share(&picks, 0) - 0.25).abs() < 0.02, "{}", share(&picks, 0));
    }
}
