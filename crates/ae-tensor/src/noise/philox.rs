//! `torch.Generator("cuda")`: Philox 4x32-10 (Salmon et al., SC 2011) as cuRAND's
//! `curand_normal4` uses it.

/// One thread per number: torch launches at least as many threads as there are numbers as long as
/// they fit on the GPU at once (221 184 numbers on an A100). Up to there the numbers do not depend on
/// the GPU, and each thread uses only the first of the four numbers it could draw.
#[derive(Clone, Debug)]
pub(super) struct TorchCuda {
    key: [u32; 2],
    /// Calls made so far; each call of `torch.randn` advances every thread by one counter.
    offset: u32,
}

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

impl TorchCuda {
    pub(super) fn new(seed: u64) -> Self {
        Self { key: [(seed & 0xffff_ffff) as u32, (seed >> 32) as u32], offset: 0 }
    }

    pub(super) fn standard_normal(&mut self, count: usize) -> Vec<f32> {
        let offset = self.offset;
        self.offset += 1;
        (0..count)
            .map(|thread| {
                let thread = thread as u64;
                let counter = [offset, 0, (thread & 0xffff_ffff) as u32, (thread >> 32) as u32];
                let words = philox(counter, self.key);
                box_muller(words[0], words[1])
            })
            .collect()
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        let split = |product: u64| ((product >> 32) as u32, product as u32);
        let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
        counter = [b_high ^ counter[1] ^ key[0], b_low, a_high ^ counter[3] ^ key[1], a_low];
    }
    counter
}

/// The first number of cuRAND's Box-Muller pair (`_curand_box_muller`): the sine, in this order.
///
/// cuRAND takes the sine from the GPU's fast intrinsic, so the numbers agree to about 1e-6, not to the bit.
fn box_muller(x: u32, y: u32) -> f32 {
    const INVERSE: f32 = 2.328_306_4e-10; // 2^-32
    const INVERSE_TAU: f32 = 2.328_306_4e-10 * 6.283_185_5;
    let u = x as f32 * INVERSE + INVERSE / 2.0;
    let v = y as f32 * INVERSE_TAU + INVERSE_TAU / 2.0;
    let radius = (-2.0 * f64::from(u).ln() as f32).sqrt();
    radius * f64::from(v).sin() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the generator (Random123, `kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_published_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    /// `torch.manual_seed(0); torch.randn(10, device="cuda")`, as stable-diffusion-webui quotes it in
    /// `modules/rng_philox.py`.
    #[test]
    fn equals_torch_on_cuda() {
        let expected = [
            -0.924_662_6,
            -0.425_344_15,
            -2.643_845_8,
            0.145_183_88,
            -0.120_866_48,
            -0.579_725_6,
            -0.622_851_2,
            -0.328_387_1,
            -1.074_542_3,
            -0.363_144_07_f32,
        ];
        let values = TorchCuda::new(0).standard_normal(10);
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() <= 1e-6, "{values:?}");
        }
    }
}
