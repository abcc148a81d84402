//! Where a fit starts for a model on a GPU of which nothing is measured: the nearest profile that is, else the estimate.

use crate::replica::{
    ExpertWeights, Gpu, KnownModel, Profile, ProfileKind, StepTimeCoefficients, built_in_profiles, estimated_profile,
    gpu_by_name, model_key, roofline,
};
use crate::units::math;

/// A profile to start from for `gpus` of `gpu`, when none is built in.
///
/// The built-in measured profiles of the model, on any GPU and number of them, are candidates. The nearest is the one whose
/// own estimate is nearest to the estimate for the pair: by the sum of |ln ratio| of `wMs`, `cpUsPerToken` and
/// `ckNsPerToken`. Its coefficients, each times the ratio of the two estimates, are the prior, so that what was measured of
/// the server is kept, and what the roofline says of another GPU or number of them moves it. Memory and cache are the pair's
/// own. Without a candidate the estimate itself is the prior.
///
/// # Errors
/// A fragment that says why there is none, as [`estimated_profile`].
pub fn prior_for(model: &KnownModel, gpu: &Gpu, gpus: u32) -> Result<Profile, String> {
    let wanted = estimated_profile(model.short, model.name, &model.config, gpu, gpus)?;
    let key = model_key(model.name);
    let is_measured = |own: &Profile| {
        matches!(own.kind, ProfileKind::Fitted | ProfileKind::Kernels)
            && model_key(&own.model) == key
            && (own.gpu != gpu.name || own.gpus != gpus)
    };
    let with_estimate = |own: Profile| {
        let estimate = roofline(&model.config, gpu_by_name(&own.gpu)?, own.gpus).ok()?;
        Some((distance(&wanted.step_time, &estimate), own, estimate))
    };
    let candidates = built_in_profiles().into_iter().filter(is_measured).filter_map(with_estimate);
    // In name order, so that of two as near the first is taken.
    let Some((_, near, of_near)) = candidates.min_by(|left, right| left.0.total_cmp(&right.0)) else {
        return Ok(wanted);
    };
    let step_time = scaled(&near.step_time, &wanted.step_time, &of_near);
    Ok(Profile {
        step_time,
        request_overhead_ms: near.request_overhead_ms,
        source: format!("{}, each coefficient times the ratio of the estimates for the two pairs", near.name),
        error: format!("not measured on {gpus} x {}; of the profile it was scaled from: {}", gpu.name, near.error),
        ..wanted
    })
}

fn distance(left: &StepTimeCoefficients, right: &StepTimeCoefficients) -> f64 {
    let terms: [fn(&StepTimeCoefficients) -> f64; 3] =
        [|own| own.w_ms, |own| own.cp_us_per_token, |own| own.ck_ns_per_token];
    terms.into_iter().map(|term| math::ln(term(left) / term(right)).abs()).sum()
}

fn experts(own: &StepTimeCoefficients) -> f64 {
    own.experts.map_or(0.0, |experts| experts.w_ms)
}

/// `measured` times `wanted / near`, term by term. The knee is the measured one's.
fn scaled(
    measured: &StepTimeCoefficients,
    wanted: &StepTimeCoefficients,
    near: &StepTimeCoefficients,
) -> StepTimeCoefficients {
    let term = |of: fn(&StepTimeCoefficients) -> f64| {
        let (wanted, near) = (of(wanted), of(near));
        of(measured) * if near > 0.0 { wanted / near } else { 1.0 }
    };
    StepTimeCoefficients {
        t0_ms: term(|own| own.t0_ms),
        w_ms: term(|own| own.w_ms),
        experts: measured.experts.map(|own| ExpertWeights { w_ms: term(experts), ..own }),
        cp_us_per_token: term(|own| own.cp_us_per_token),
        ca_ns_per_pair: term(|own| own.ca_ns_per_pair),
        ck_ns_per_token: term(|own| own.ck_ns_per_token),
        cs_us_per_seq: term(|own| own.cs_us_per_seq),
        knee: measured.knee,
    }
}
