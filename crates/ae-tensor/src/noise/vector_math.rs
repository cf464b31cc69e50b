//! Logarithm, sine and cosine in single precision as torch computes them where it fills blocks of
//! normal numbers: Moshier's Cephes polynomials, in the order of operations of torch's AVX2 code
//! (`avx_mathfun.h`) as compiled with fused multiply-add.
//!
//! A correctly rounded function would differ in the last bits, and a seed would not give torch's
//! latents to the bit.

/// Natural logarithm of a positive, normal number.
pub(super) fn ln(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    /// ln 2 in two parts.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;

    // x = mantissa * 2^exponent with the mantissa in [sqrt(1/2), sqrt(2)), minus one
    let bits = x.to_bits();
    let mut exponent = ((bits >> 23) as f32) - 126.0;
    let mut mantissa = f32::from_bits((bits & 0x807f_ffff) | 0x3f00_0000);
    if mantissa < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1.0;
        mantissa = mantissa - 1.0 + mantissa;
    } else {
        mantissa -= 1.0;
    }
    let square = mantissa * mantissa;
    let polynomial = horner(&COEFFICIENTS, mantissa) * mantissa;
    let tail = polynomial.mul_add(square, exponent * LN_2_LOW);
    let tail = square.mul_add(-0.5, tail);
    exponent.mul_add(LN_2_HIGH, mantissa + tail)
}

/// Sine and cosine of an angle that is not negative.
pub(super) fn sin_cos(angle: f32) -> (f32, f32) {
    const COSINE: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
    const SINE: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
    /// Minus pi / 4 in three parts.
    const MINUS_QUARTER_PI: [f32; 3] = [-0.785_156_25, -2.418_756_5e-4, -3.774_895e-8];
    const OCTANTS_PER_RADIAN: f32 = 4.0 / std::f32::consts::PI;

    #[expect(clippy::cast_sign_loss, reason = "the angle is not negative")]
    let octant = ((angle * OCTANTS_PER_RADIAN) as u32 + 1) & !1;
    let x = MINUS_QUARTER_PI.iter().fold(angle, |x, part| (octant as f32).mul_add(*part, x));
    let square = x * x;
    let cosine = (horner(&COSINE, square) * square).mul_add(square, -(square * 0.5)) + 1.0;
    let sine = (horner(&SINE, square) * square).mul_add(x, x);

    let (sine, cosine) = if octant & 2 == 0 { (sine, cosine) } else { (cosine, sine) };
    let negate = |value: f32, negative: bool| if negative { -value } else { value };
    (negate(sine, octant & 4 != 0), negate(cosine, octant.wrapping_sub(2) & 4 == 0))
}

fn horner(coefficients: &[f32], x: f32) -> f32 {
    coefficients[1..].iter().fold(coefficients[0], |y, coefficient| y.mul_add(x, *coefficient))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_what_they_are_called() {
        for i in 1..=10_000_u16 {
            let x = f32::from(i) / 10_000.0;
            assert!((ln(x) - x.ln()).abs() <= 2e-7 * x.ln().abs().max(1.0), "ln {x}");
            let angle = x * std::f32::consts::TAU;
            let (sine, cosine) = sin_cos(angle);
            assert!((sine - angle.sin()).abs() < 2e-7 && (cosine - angle.cos()).abs() < 2e-7, "{angle}");
        }
    }
}
