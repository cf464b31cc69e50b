//! What the tests of the kernels share.

use half::{bf16, f16};

use crate::{Int8, WeightOrder, Weights};

/// Numbers between -1 and 1 that look random, by a linear congruential generator.
pub(crate) fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Every element within `tolerance` of the largest expected one.
pub(crate) fn assert_close(actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let difference = (actual - expected).abs();
        assert!(difference <= tolerance * largest, "at {index}: {actual} instead of {expected}, largest {largest}");
    }
}

/// The gradient of `loss` by `input`, element by element, from differences.
pub(crate) fn finite_differences(input: &[f32], step: f32, loss: impl Fn(&[f32]) -> f64) -> Vec<f32> {
    let mut input = input.to_vec();
    (0..input.len())
        .map(|i| {
            let value = input[i];
            input[i] = value + step;
            let above = loss(&input);
            input[i] = value - step;
            let below = loss(&input);
            input[i] = value;
            ((above - below) / (2.0 * f64::from(step))) as f32
        })
        .collect()
}

/// The sum of the products of two slices, as a loss.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Numbers rounded to each of the types that weights may be in, and these widened to single precision. With whole numbers they are a matrix
/// of `rows` rows, which have the scales, and then its columns.
pub(crate) fn with_kept(values: &[f32], rows: usize, check: impl Fn(Weights<'_>, &[f32])) {
    let halves: Vec<_> = values.iter().map(|value| f16::from_f32(*value)).collect();
    let widened: Vec<_> = halves.iter().map(|half| half.to_f32()).collect();
    check(Weights::F16(&halves), &widened);
    let halves: Vec<_> = values.iter().map(|value| bf16::from_f32(*value)).collect();
    let widened: Vec<_> = halves.iter().map(|half| half.to_f32()).collect();
    check(Weights::BF16(&halves), &widened);
    let whole: Vec<_> = values.iter().map(|value| (value * 127.0) as i8).collect();
    let columns = values.len() / rows;
    for (order, outputs) in [(WeightOrder::OutputsFirst, rows), (WeightOrder::InputsFirst, columns)] {
        let scales = random(outputs, 77);
        let scale = |i: usize| scales[if order == WeightOrder::OutputsFirst { i / columns } else { i % columns }];
        let widened: Vec<_> = whole.iter().enumerate().map(|(i, value)| f32::from(*value) * scale(i)).collect();
        check(Weights::Int8(Int8 { values: &whole, scales: &scales, order }), &widened);
    }
}
