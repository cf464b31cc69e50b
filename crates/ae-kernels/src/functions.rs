//! Elementary functions in a form that compilers turn into vector instructions: no branches, no calls.

#![allow(clippy::excessive_precision, reason = "constants as they were published")]

/// The exponential, to about two units in the last place; below -87 it is zero for all purposes, above 88 it stays
/// at the largest power.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Added to a number, it leaves the nearest integer in the low bits (1.5 * 2^23).
    const ROUND: f32 = 12_582_912.0;
    /// ln(2) in two parts, the first of few bits (Cody and Waite).
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let integer = rounded - ROUND;
    let r = (x - integer * LN_2_HIGH) - integer * LN_2_LOW;
    // Cephes' expf.
    let polynomial =
        ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1) * r
            + 0.5;
    let fraction = polynomial * r * r + r + 1.0;
    // The integer moves into the exponent.
    fraction * f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// `1 / (1 + exp(-x))`
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The distribution function of the standard normal distribution.
///
/// By the approximation of the complementary error function in Numerical Recipes (section 6.2), with a relative error
/// below 1.2e-7 everywhere.
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let mut polynomial = 0.170_872_77;
    for coefficient in [
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ] {
        polynomial = polynomial * t + coefficient;
    }
    let tail = 0.5 * t * exp(polynomial - z * z);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// The density of the standard normal distribution.
#[inline(always)]
pub(crate) fn normal_density(x: f32) -> f32 {
    const SCALE: f32 = 0.398_942_3;
    SCALE * exp(-0.5 * x * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_library() {
        for i in -8600..8800 {
            let x = i as f32 / 100.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2.5e-7, "exp({x}): {error:e}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    /// `torch.special.ndtr(torch.tensor([-6., -3., -1., -.5, 0., .5, 1., 3., 6.], dtype=torch.float64))`
    #[test]
    fn the_normal_distribution_is_torchs() {
        let expected = [
            (-6.0, 9.865_876_450_376_946e-10),
            (-3.0, 1.349_898_031_630_093_7e-3),
            (-1.0, 0.158_655_253_931_457_02),
            (-0.5, 0.308_537_538_725_986_77),
            (0.0, 0.5),
            (0.5, 0.691_462_461_274_013),
            (1.0, 0.841_344_746_068_543),
            (3.0, 0.998_650_101_968_37),
            (6.0, 0.999_999_999_013_412_3_f64),
        ];
        for (x, expected) in expected {
            let error = (f64::from(normal_cdf(x)) - expected).abs() / expected;
            // Far out the rounding of the exponent shows.
            assert!(error < 5e-6, "{x}: {error:e}");
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for function in [exp, sigmoid, normal_cdf, normal_density] {
            assert!(function(f32::NAN).is_nan());
        }
    }
}
