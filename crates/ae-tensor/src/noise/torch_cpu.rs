//! `torch.Generator("cpu")`: MT19937 and the two layouts of `torch.randn`
//! (`aten/src/ATen/native/cpu/DistributionTemplates.h`, `aten/src/ATen/core/DistributionsHelper.h`).

use std::f64::consts::TAU;

use rand_mt::Mt;

use super::vector_math::{ln, sin_cos};

/// From this many numbers on, torch fills whole blocks instead of drawing one number at a time.
const BLOCK: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct TorchCpu {
    engine: Mt,
    /// The second number of a Box-Muller pair, kept for the next draw of the one-at-a-time layout.
    next: Option<f64>,
}

impl TorchCpu {
    /// torch seeds the twister with the low 32 bits of the seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { engine: Mt::new((seed & 0xffff_ffff) as u32), next: None }
    }

    pub(super) fn standard_normal(&mut self, count: usize) -> Vec<f32> {
        if count < BLOCK {
            return (0..count).map(|_| self.single() as f32).collect();
        }
        let mut values: Vec<f32> = (0..count).map(|_| self.uniform24()).collect();
        let mut blocks = values.chunks_exact_mut(BLOCK);
        for block in &mut blocks {
            box_muller(block);
        }
        if !blocks.into_remainder().is_empty() {
            // torch draws the last sixteen numbers afresh when the size is no multiple of sixteen.
            let tail = &mut values[count - BLOCK..];
            for value in tail.iter_mut() {
                *value = self.uniform24();
            }
            box_muller(tail);
        }
        values
    }

    /// Uniform in [0, 1) with the 24 bits a float holds.
    fn uniform24(&mut self) -> f32 {
        (self.engine.next_u32() & ((1 << 24) - 1)) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in [0, 1) with 53 bits, from two words, the first the high one.
    fn uniform53(&mut self) -> f64 {
        let high = u64::from(self.engine.next_u32());
        let low = u64::from(self.engine.next_u32());
        ((high << 32 | low) & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }

    fn single(&mut self) -> f64 {
        if let Some(next) = self.next.take() {
            return next;
        }
        let u1 = self.uniform53();
        let u2 = self.uniform53();
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let theta = TAU * u1;
        self.next = Some(radius * theta.sin());
        radius * theta.cos()
    }
}

/// Box-Muller over sixteen uniform numbers: the first eight give the radii, the last eight the angles.
///
/// Equal to the bit to torch on a processor with AVX2 or later. Where torch falls back to the C library
/// its own numbers differ from these in the last bits.
fn box_muller(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(BLOCK / 2);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * ln(1.0 - *a)).sqrt();
        let (sine, cosine) = sin_cos(std::f32::consts::TAU * *b);
        *a = radius * cosine;
        *b = radius * sine;
    }
}
