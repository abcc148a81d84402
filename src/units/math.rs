//! Elementary functions that give the same bits on every machine.
//!
//! The system's `ln`, `exp`, `pow`, `sin` and `cos` differ in the last bit between C libraries, and one bit is enough
//! to move an arrival and with it a whole run. These come from the `libm` crate; clippy forbids the others.
//! (`sqrt` and the four operations are exactly rounded by IEEE 754 and need no stand-in.)

/// Natural logarithm.
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}
/// e to the power of `x`.
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}
/// `base` to the power of `exponent`.
pub fn pow(base: f64, exponent: f64) -> f64 {
    libm::pow(base, exponent)
}
/// Sine of an angle in radians.
pub fn sin(x: f64) -> f64 {
    libm::sin(x)
}
/// Cosine of an angle in radians.
pub fn cos(x: f64) -> f64 {
    libm::cos(x)
}
/// Base-2 logarithm.
pub fn log2(x: f64) -> f64 {
    libm::log2(x)
}
/// Base-10 logarithm.
pub fn log10(x: f64) -> f64 {
    libm::log10(x)
}
/// ln(1 + x), exact near zero.
pub fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}
/// Angle of the point (x, y) in radians.
pub fn atan2(y: f64, x: f64) -> f64 {
    libm::atan2(y, x)
}
