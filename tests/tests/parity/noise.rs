//! `torch.randn` on `torch.Generator("cpu")`, over consecutive calls of all layouts.

use ae_tensor::{NoiseKind, NoiseSource};
use ae_tests::fixtures;
use serde::Deserialize;

#[derive(Deserialize)]
struct Stream {
    seed: String,
    counts: Vec<usize>,
    /// The first and the last numbers of every call.
    values: Vec<[Vec<f32>; 2]>,
}

/// Distance in units in the last place.
fn ulps(a: f32, b: f32) -> u32 {
    // Both orders of magnitude in one: the bit patterns of floats of one sign are ordered.
    if a.is_sign_negative() == b.is_sign_negative() { a.to_bits().abs_diff(b.to_bits()) } else { u32::MAX }
}

#[test]
fn normal_numbers_are_torchs_within_one_ulp() {
    let text = std::fs::read_to_string(fixtures("noise/torch_cpu.json")).expect("fixture");
    let streams: Vec<Stream> = serde_json::from_str(&text).expect("fixture");
    let (mut compared, mut equal) = (0, 0);
    for stream in streams {
        let mut source = NoiseSource::new(NoiseKind::TorchCpu, stream.seed.parse().expect("a seed"));
        for (&count, [first, last]) in stream.counts.iter().zip(&stream.values) {
            let drawn = source.standard_normal(count);
            let ends = drawn.iter().zip(first).chain(drawn.iter().rev().zip(last.iter().rev()));
            for (&actual, &expected) in ends {
                let off = ulps(actual, expected);
                assert!(off <= 1, "seed {}, {count} numbers: {actual} against {expected}", stream.seed);
                compared += 1;
                equal += usize::from(off == 0);
            }
        }
    }
    assert!(compared > 1000, "{compared} numbers compared");
    assert!(equal * 100 >= compared * 99, "{equal} of {compared} are equal to the bit");
}
