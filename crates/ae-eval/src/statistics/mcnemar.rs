/// The exact McNemar test: how probable, if either change were as likely as the other, counts are that lie at least as far
/// apart as these. Two-sided; 1 where nothing changed.
///
/// It is the binomial test of the pairs that changed (McNemar 1947), which takes every pair on its own. Pictures of one prompt
/// are not, so that over several seeds it is too sure of itself; the [sign-flip test](crate::sign_flip_p) is not.
pub fn mcnemar_p(gained: usize, lost: usize) -> f64 {
    let (fewer, changed) = (gained.min(lost), gained + lost);
    // The probability of `fewer` successes: halved along the way, so that it neither overflows nor vanishes early.
    let mut probability = 1.0f64;
    let mut halvings = changed;
    for success in 1..=fewer {
        probability *= (changed - fewer + success) as f64 / success as f64;
        while probability > 1.0 && halvings > 0 {
            probability *= 0.5;
            halvings -= 1;
        }
    }
    for _ in 0..halvings {
        probability *= 0.5;
    }
    // Fewer successes still, each from the one before.
    let mut tail = probability;
    for successes in (1..=fewer).rev() {
        probability *= successes as f64 / (changed - successes + 1) as f64;
        tail += probability;
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.binomtest(gained, gained + lost, 0.5).pvalue`
    #[test]
    fn it_is_scipys() {
        let known = [
            (1, 0, 1.0),
            (5, 1, 0.218_75),
            (10, 2, 0.038_574_218_75),
            (3, 3, 1.0),
            (60, 40, 0.056_887_933_640_980_89),
            (600, 100, 9.348_895_347_114_398e-88),
            (1000, 900, 0.023_108_845_108_901_193),
            (9000, 8664, 0.011_714_080_857_564_64),
        ];
        for (gained, lost, expected) in known {
            for p in [mcnemar_p(gained, lost), mcnemar_p(lost, gained)] {
                assert!((p / expected - 1.0).abs() < 1e-10, "{gained} {lost}: {p} is not {expected}");
            }
        }
    }

    #[test]
    fn nothing_changed_is_no_evidence() {
        assert!((mcnemar_p(0, 0) - 1.0).abs() < f64::EPSILON);
        // 2^-17663 is smaller than any number.
        assert!(mcnemar_p(17_664, 0).abs() < f64::MIN_POSITIVE);
    }
}
