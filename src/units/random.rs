//! Random streams: one per purpose and entity, so that what one component draws never shifts what another draws.
//!
//! The same seed gives the same arrivals, lengths and start-up times whatever the policy does (common random numbers,
//! which is what makes two policies comparable on one seed). Generator: PCG-64 (O'Neill, "PCG: A Family of Simple Fast
//! Space-Efficient Statistically Good Algorithms for Random Number Generation", 2014), state from the seed, stream from
//! the purpose's name and the entity's number. Of `rand_distr`'s distributions only those are used that call no system libm; the
//! others are sampled here, through [`crate::units::math`], and judged against `rand_distr`'s in `tests/units_laws.rs`.

use crate::units::{SimDuration, math};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardUniform};
use rand_pcg::Pcg64;

/// A run's seed; hands out streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(Pcg64);

impl Seed {
    /// The stream for `purpose` (a name such as `"arrival-gaps"`) and entity number `id`.
    pub fn stream(self, purpose: &str, id: u64) -> Stream {
        self.streams(purpose).of(id)
    }
    /// All streams for `purpose`: for draws so frequent that its name is not to be hashed each time.
    pub fn streams(self, purpose: &str) -> Streams {
        let state = u128::from(mix(self.0)) << 64 | u128::from(mix(self.0 ^ 0x5851_f42d_4c95_7f2d));
        let name = fnv1a(purpose.as_bytes());
        Streams { state, name, mixed_name: mix(name) }
    }
}

/// The streams of one purpose, one per entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    state: u128,
    name: u64,
    mixed_name: u64,
}

impl Streams {
    /// The stream for entity number `id`.
    pub fn of(self, id: u64) -> Stream {
        let stream = u128::from(self.mixed_name) << 64 | u128::from(mix(self.name ^ mix(id)));
        Stream(Pcg64::new(self.state, stream))
    }
}

impl Stream {
    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        StandardUniform.sample(&mut self.0)
    }
    /// Uniform in (0, 1]: safe for logarithms.
    pub fn uniform_positive(&mut self) -> f64 {
        1.0 - self.uniform()
    }
    /// Uniform integer in [0, n).
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "cannot draw from an empty range");
        self.0.random_range(0..n)
    }
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }
    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -math::ln(self.uniform_positive())
    }
    /// Standard normal (Box and Muller 1958; one value per two uniforms, so that draws count the same everywhere).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * math::ln(self.uniform_positive())).sqrt();
        radius * math::cos(std::f64::consts::TAU * self.uniform())
    }
    /// Lognormal with parameters of the underlying normal.
    pub fn lognormal(&mut self, mu: f64, sigma: f64) -> f64 {
        math::exp(mu + sigma * self.normal())
    }
    /// Uniform duration in [0, `limit`).
    pub fn duration_below(&mut self, limit: SimDuration) -> SimDuration {
        if limit.is_zero() { SimDuration::ZERO } else { SimDuration::from_ps(self.below(limit.as_ps())) }
    }
}

/// FNV-1a, 64 bit: a fixed hash for names (the standard library's may change between releases).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// SplitMix64 finaliser: spreads neighbouring seeds and numbers over all bits.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_entity() {
        let first = |seed, purpose, id| Seed(seed).stream(purpose, id).bits();
        let base = first(1, "arrivals", 0);
        assert_eq!(base, first(1, "arrivals", 0));
        assert_ne!(base, first(2, "arrivals", 0));
        assert_ne!(base, first(1, "lengths", 0));
        assert_ne!(base, first(1, "arrivals", 1));
    }

    #[test]
    fn means_are_right() {
        let mut stream = Seed(7).stream("test", 0);
        let n = 200_000;
        let mean = |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || stream.uniform()) - 0.5).abs() < 0.005);
        assert!((mean(&mut || stream.exponential()) - 1.0).abs() < 0.01);
        assert!(mean(&mut || stream.normal()).abs() < 0.01);
    }
}

#[cfg(test)]
mod golden_draws {
    //! The first draws of seed 42, as literal bits' decimal forms: they must not move with a release of `rand`, of
    //! `libm` or of the compiler, or every recorded run changes.
    use super::*;

    fn first_eight(draw: impl Fn(&mut Stream) -> f64) -> Vec<f64> {
        let mut stream = Seed(42).stream("golden", 0);
        (0..8).map(|_| draw(&mut stream)).collect()
    }

    #[test]
    fn uniform() {
        assert_eq!(
            first_eight(Stream::uniform),
            [
                0.39613072920437664,
                0.3541789034030033,
                0.47385836268833315,
                0.1848691280280571,
                0.8722583086738797,
                0.2994160156853434,
                0.2881847417689877,
                0.9980148633171572
            ]
        );
    }

    #[test]
    fn exponential() {
        assert_eq!(
            first_eight(Stream::exponential),
            [
                0.5043975435537339,
                0.43723275380689547,
                0.6421848300361077,
                0.20440659952604065,
                2.0577450905565104,
                0.35584102843628573,
                0.3399368700146764,
                6.222067509358244
            ]
        );
    }

    #[test]
    fn normal() {
        assert_eq!(
            first_eight(Stream::normal),
            [
                -0.6114938867747411,
                0.4509429470343871,
                -0.6198089760858996,
                0.8244804266767445,
                -1.166142804366082,
                0.7857118955022855,
                1.9607791538995356,
                0.6481434546573519
            ]
        );
    }

    #[test]
    fn lognormal() {
        assert_eq!(
            first_eight(|stream| stream.lognormal(1.0, 0.5)),
            [
                2.0022129755181517,
                3.405771435357857,
                1.993905966009622,
                4.105141503570321,
                1.5172941709510823,
                4.026332644009468,
                7.245565140568777,
                3.758694641568009
            ]
        );
    }
}
