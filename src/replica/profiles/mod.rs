//! The built-in profiles, each with its source and stated error.
//!
//! Reading order: `kernels`, `fitted`, `estimates` (the tables), `catalogue` (all of them).
//!
//! Left out are the tables that no profile can honestly be made of: the black-box catalogue of vllm.md A, whose single numbers
//! are not identified; the linear layers alone of B; and the affine regression of 3.3, which was made for comparison, charges
//! a decoding request in some rows less than one token's compute, and says nothing about the time to the first token.

mod catalogue;
mod estimates;
mod fitted;
mod kernels;

pub use catalogue::{built_in_profile, built_in_profiles};
