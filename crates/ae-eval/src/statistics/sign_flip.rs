use rand_mt::Mt64;

use super::SEED;

/// How many random flips stand for all, where there are more than that.
pub const FLIPS: usize = 10_000;

/// What rounding may take of a sum, as a share of the sum of the absolute values: sums that differ by less are as far from zero.
const ROUNDING: f64 = 1e-13;

/// The paired permutation test (Fisher 1935, Pitman 1937; Good 2005, section 3.2) with the prompt as its unit: how probable, if
/// it made no difference which arm drew which picture of a prompt, a sum is that is at least as far from zero. Two-sided.
///
/// `differences` has for every prompt the sum of its differences. Under the hypothesis each is as likely with the other sign, all
/// its seeds together, so that nothing is assumed of how values are distributed, nor that pictures of one prompt are
/// independent, which a t-test, Wilcoxon's or McNemar's over pictures would. Every flip is tried where there are not more than
/// [`FLIPS`]; else random ones, among which the observed signs count (Phipson and Smyth 2010).
pub fn sign_flip_p(differences: &[f64]) -> f64 {
    // Zero has no sign.
    let differences: Vec<_> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    let total: f64 = differences.iter().sum();
    let least = total.abs() - ROUNDING * differences.iter().map(|difference| difference.abs()).sum::<f64>();
    // With some signs flipped the sum lacks twice what is flipped.
    let is_far = |flipped: f64| (total - 2.0 * flipped).abs() >= least;
    let all = u32::try_from(differences.len()).ok().and_then(|count| 1usize.checked_shl(count));
    if let Some(all) = all.filter(|all| *all <= FLIPS) {
        let is_flipped = |signs: usize, bit: usize| signs >> bit & 1 == 1;
        let flipped = |signs| {
            let values = differences.iter().enumerate();
            values.filter(|(bit, _)| is_flipped(signs, *bit)).map(|(_, value)| value).sum()
        };
        let far = (0..all).filter(|signs| is_far(flipped(*signs))).count();
        return far as f64 / all as f64;
    }
    let mut random = Mt64::new(SEED);
    let far = (0..FLIPS).filter(|_| {
        let mut flipped = 0.0;
        for some in differences.chunks(64) {
            let signs = random.next_u64();
            // No branch: a guess about a random bit is wrong half of the time.
            flipped += some.iter().enumerate().map(|(bit, value)| value * (signs >> bit & 1) as f64).sum::<f64>();
        }
        is_far(flipped)
    });
    (far.count() + 1) as f64 / (FLIPS + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(p: f64, expected: f64, tolerance: f64) {
        assert!((p - expected).abs() < tolerance, "{p} is not {expected}");
    }

    /// `scipy.stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue`
    #[test]
    fn few_prompts_are_tested_exactly() {
        near(sign_flip_p(&[0.12, -0.03, 0.25, 0.08, -0.11, 0.3, 0.02, 0.17]), 0.101_562_5, 1e-12);
        // With ties, and prompts that do not differ.
        near(sign_flip_p(&[1.0, 1.0, 0.0, -1.0, 1.0, 1.0, 0.0, 1.0, 1.0, -1.0]), 0.289_062_5, 1e-12);
    }

    /// As above with `d = 0.3 * np.sin(np.arange(40)) + 0.08`, `n_resamples=2_000_000` and `rng=np.random.default_rng(0)`.
    #[test]
    fn many_prompts_are_tested_by_random_flips() {
        let differences: Vec<_> = (0..40).map(|index| 0.3 * f64::from(index).sin() + 0.08).collect();
        // Four standard deviations of 10 000 flips.
        near(sign_flip_p(&differences), 0.013_256, 4.0 * (0.013_256 * (1.0 - 0.013_256) / 1e4_f64).sqrt());
    }

    #[test]
    fn nothing_that_differs_is_no_evidence() {
        for differences in [&[][..], &[0.0; 100], &[0.5]] {
            near(sign_flip_p(differences), 1.0, 1e-15);
        }
    }

    #[test]
    fn no_number_of_flips_proves_anything() {
        near(sign_flip_p(&[1.0; 300]), 1.0 / 10_001.0, 1e-12);
    }
}
