//! All built-in profiles.

use crate::replica::Profile;
use crate::replica::profiles::{estimates, fitted, kernels};

/// All built-in profiles, in name order.
pub fn built_in_profiles() -> Vec<Profile> {
    let mut profiles = kernels::profiles();
    profiles.extend(fitted::profiles());
    profiles.extend(estimates::profiles());
    profiles.sort_by(|a, b| a.name.cmp(&b.name));
    profiles
}

/// The built-in profile called `name`.
pub fn built_in_profile(name: &str) -> Option<Profile> {
    built_in_profiles().into_iter().find(|profile| profile.name == name)
}
