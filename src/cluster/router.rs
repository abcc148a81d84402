//! Which pod a request goes to.

use crate::cluster::PodId;
use crate::cluster::fewest::FewestRequests;
use crate::traffic::RequestId;
use crate::units::{Seed, Stream, Streams};

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
    streams: Streams,
    /// Pods it knows to be ready, in pod order. A pod's death does not change it; only the news of it does.
    view: Vec<PodId>,
    /// The pod picked last; only round robin looks at it.
    last: Option<PodId>,
    /// Requests in flight, by pod number.
    in_flight: Vec<u32>,
    /// Of the pods in `view`; kept only where the policy looks at it.
    fewest: FewestRequests,
}

impl Router {
    /// A balancer with its own random streams, which knows no pod yet.
    pub fn new(policy: RouterPolicy, seed: Seed) -> Self {
        Router {
            policy,
            streams: seed.streams("router-pick"),
            view: Vec::new(),
            last: None,
            in_flight: Vec::new(),
            fewest: FewestRequests::default(),
        }
    }
    /// The news that `pod` is ready has arrived.
    pub fn learn(&mut self, pod: PodId) {
        if let Err(place) = self.view.binary_search(&pod) {
            self.view.insert(place, pod);
            if self.policy == RouterPolicy::LeastRequests {
                self.fewest.set(pod, Some(self.in_flight.get(pod.0 as usize).copied().unwrap_or(0)));
            }
        }
    }
    /// The news that `pod` is no longer to be used has arrived.
    pub fn forget(&mut self, pod: PodId) {
        self.view.retain(|known| *known != pod);
        self.fewest.set(pod, None);
    }
    /// The pods it knows to be ready, in pod order.
    pub fn view(&self) -> &[PodId] {
        &self.view
    }
    /// A request has entered `pod`.
    pub fn entered(&mut self, pod: PodId) {
        let index = pod.0 as usize;
        if self.in_flight.len() <= index {
            self.in_flight.resize(index + 1, 0);
        }
        self.in_flight[index] += 1;
        self.fewest.recount(pod, self.in_flight[index]);
    }
    /// A request has left `pod`, whatever its end.
    ///
    /// # Panics
    /// When none is there.
    pub fn left(&mut self, pod: PodId) {
        let count = self.in_flight.get_mut(pod.0 as usize).filter(|count| **count > 0);
        let count = count.expect("a request leaves the pod that it has entered");
        *count -= 1;
        self.fewest.recount(pod, *count);
    }
    /// How many requests `pod` has.
    pub fn in_flight(&self, pod: PodId) -> usize {
        self.in_flight.get(pod.0 as usize).map_or(0, |count| *count as usize)
    }
    /// The pods that have requests, in pod order, and how many.
    pub fn busy(&self) -> impl Iterator<Item = (PodId, usize)> {
        let pods = (0..).map(PodId).zip(&self.in_flight);
        pods.filter(|(_, count)| **count > 0).map(|(pod, count)| (pod, *count as usize))
    }
    /// Picks one of `candidates` (pods in pod order); `None` when there is none. Every draw is keyed by `request`, so that one
    /// policy's failures do not shift another's picks.
    ///
    /// Round robin takes the pod after the one picked last, so a pod that comes or goes does not restart the turn.
    /// Power of two draws twice with replacement and keeps the first on equal counts, as Envoy does.
    pub fn pick(&mut self, request: RequestId, candidates: &[PodId]) -> Option<PodId> {
        let picked = match self.policy {
            RouterPolicy::LeastRequests => {
                let fewest = candidates.iter().map(|pod| self.in_flight(*pod)).min()?;
                let tied = || candidates.iter().filter(|pod| self.in_flight(**pod) == fewest);
                *tied().nth(self.draw_below(request, tied().count()))?
            }
            _ => self.choose(request, candidates)?,
        };
        self.last = Some(picked);
        Some(picked)
    }
    /// As [`Router::pick`], among the pods it knows to be ready.
    pub fn pick_known(&mut self, request: RequestId) -> Option<PodId> {
        let picked = match self.policy {
            RouterPolicy::LeastRequests => match self.fewest.tied() {
                0 => return None,
                tied => self.fewest.pod_at(self.draw_below(request, tied)),
            },
            _ => self.choose(request, &self.view)?,
        };
        self.last = Some(picked);
        Some(picked)
    }

    /// By a policy that looks at one or two candidates only.
    fn choose(&self, request: RequestId, candidates: &[PodId]) -> Option<PodId> {
        let first = *candidates.first()?;
        Some(match self.policy {
            RouterPolicy::Random => candidates[self.draw_below(request, candidates.len())],
            RouterPolicy::RoundRobin => {
                let after = self.last.map_or(0, |last| candidates.partition_point(|pod| *pod <= last));
                candidates.get(after).copied().unwrap_or(first)
            }
            RouterPolicy::PowerOfTwo => {
                let mut stream = self.stream(request);
                let one = candidates[below(&mut stream, candidates.len())];
                let other = candidates[below(&mut stream, candidates.len())];
                if self.in_flight(other) < self.in_flight(one) { other } else { one }
            }
            RouterPolicy::LeastRequests => unreachable!("it looks at all"),
        })
    }

    /// A request's first draw. Nobody else draws from its stream, so a draw without a choice can be left out.
    fn draw_below(&self, request: RequestId, length: usize) -> usize {
        if length == 1 { 0 } else { below(&mut self.stream(request), length) }
    }

    fn stream(&self, request: RequestId) -> Stream {
        self.streams.of(request.0)
    }
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

    fn router(policy: RouterPolicy, seed: u64, candidates: &[(PodId, usize)]) -> Router {
        let mut router = Router::new(policy, Seed(seed));
        for (pod, count) in candidates {
            router.learn(*pod);
            for _ in 0..*count {
                router.entered(*pod);
            }
        }
        router
    }

    fn pick_of(router: &mut Router, request: u64, candidates: &[(PodId, usize)]) -> Option<PodId> {
        let pods: Vec<PodId> = candidates.iter().map(|(pod, _)| *pod).collect();
        let known = router.clone().pick_known(RequestId(request));
        let picked = router.pick(RequestId(request), &pods);
        if router.view() == pods {
            assert_eq!(known, picked, "the pods it knows are the candidates");
        }
        picked
    }

    fn picks(policy: RouterPolicy, candidates: &[(PodId, usize)], requests: u64) -> Vec<PodId> {
        let mut router = router(policy, 2, candidates);
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
            assert_eq!(Router::new(policy, Seed(1)).pick_known(RequestId(0)), None);
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
            let mut router = router(policy, 9, &candidates);
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
    fn least_requests_follows_what_enters_and_leaves_and_whom_it_knows() {
        let mut router = router(RouterPolicy::LeastRequests, 1, &[(PodId(0), 2), (PodId(1), 1), (PodId(4), 1)]);
        let pick = |router: &mut Router| router.pick_known(RequestId(0)).map(|pod| pod.0);
        router.entered(PodId(1));
        assert_eq!(pick(&mut router), Some(4));
        router.forget(PodId(4));
        router.left(PodId(4));
        router.left(PodId(0));
        assert_eq!(pick(&mut router), Some(0), "pod 4 is emptier and forgotten");
        router.learn(PodId(4));
        assert_eq!((pick(&mut router), router.in_flight(PodId(1))), (Some(4), 2));
        assert_eq!(router.busy().collect::<Vec<_>>(), [(PodId(0), 1), (PodId(1), 2)]);
    }

    #[test]
    fn power_of_two_takes_the_fuller_pod_only_when_it_draws_it_twice() {
        let picks = picks(RouterPolicy::PowerOfTwo, &[(PodId(0), 5), (PodId(1), 0)], 20_000);
        assert!((share(&picks, 0) - 0.25).abs() < 0.02, "{}", share(&picks, 0));
    }
}
