use std::collections::BTreeMap;

use rand_mt::Mt64;

use super::Interval;

/// How many resamples an interval is made of.
pub const RESAMPLES: usize = 10_000;
/// The share of resamples inside an interval.
pub const LEVEL: f64 = 0.95;
/// The seed of the random numbers, so that the same scores have the same report.
pub const SEED: u64 = 2023;

/// All that the bootstrap needs to know of a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PromptSum {
    /// Over its pictures.
    pub(super) sum: f64,
    /// Never 0.
    pub(super) pictures: usize,
}

impl PromptSum {
    /// Those of the prompts that have values.
    pub(super) fn of_each<V: IntoIterator<Item = f64>>(prompts: impl Iterator<Item = V>) -> Vec<Self> {
        let sums = prompts.map(|values| {
            let nothing = Self { sum: 0.0, pictures: 0 };
            values.into_iter().fold(nothing, |all, value| Self { sum: all.sum + value, pictures: all.pictures + 1 })
        });
        sums.filter(|sum| sum.pictures > 0).collect()
    }

    /// Over all pictures alike; none without a picture.
    pub(super) fn mean(sums: &[Self]) -> Option<f64> {
        let pictures: usize = sums.iter().map(|sum| sum.pictures).sum();
        (pictures > 0).then(|| sums.iter().map(|sum| sum.sum).sum::<f64>() / pictures as f64)
    }
}

/// The cluster bootstrap (Davison and Hinkley 1997, section 3.8): prompts are drawn with replacement, each with all its pictures,
/// and the interval lies between percentiles of the means (Efron and Tibshirani 1993, chapter 13).
#[derive(Debug, Default)]
pub(super) struct Bootstrap {
    /// For a number of prompts, which of them make up the resamples, one after the other.
    draws: BTreeMap<usize, Vec<u32>>,
}

impl Bootstrap {
    /// The interval of the mean; none for fewer than two prompts, which tell nothing of others.
    ///
    /// # Panics
    ///
    /// When there are more prompts than 32 bits can count.
    pub(super) fn interval(&mut self, sums: &[PromptSum]) -> Option<Interval> {
        if sums.len() < 2 {
            return None;
        }
        let draws = self.draws.entry(sums.len()).or_insert_with_key(|&prompts| draws(prompts));
        let sums: Vec<_> = sums.iter().map(|sum| (sum.sum, sum.pictures as f64)).collect();
        let mut means: Vec<f64> = draws
            .chunks_exact(sums.len())
            .map(|resample| {
                let (mut sum, mut pictures) = (0.0, 0.0);
                for &prompt in resample {
                    let (more, count) = sums[prompt as usize];
                    sum += more;
                    pictures += count;
                }
                sum / pictures
            })
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - LEVEL) / 2.0;
        Some(Interval { low: quantile(&means, tail), high: quantile(&means, 1.0 - tail) })
    }
}

fn draws(prompts: usize) -> Vec<u32> {
    let prompts = u64::from(u32::try_from(prompts).expect("fewer prompts than a machine can hold pictures of"));
    let mut random = Mt64::new(SEED);
    // The upper half of a product with random bits: that no number of prompts divides 2^64 shows in the twelfth digit at most.
    let draw = |_| ((u128::from(random.next_u64()) * u128::from(prompts)) >> 64) as u32;
    (0..RESAMPLES as u64 * prompts).map(draw).collect()
}

/// As `numpy.quantile` has it, of sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_sign_loss, reason = "a share of a length")]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirty prompts whose means lie on a sine.
    fn prompts(pictures: impl Fn(usize) -> usize) -> Vec<PromptSum> {
        let prompt = |index: usize| {
            let pictures = pictures(index);
            PromptSum { sum: pictures as f64 * (0.7 + 0.2 * (index as f64).sin()), pictures }
        };
        (0..30).map(prompt).collect()
    }

    /// ```python
    /// x = 0.7 + 0.2 * np.sin(np.arange(30))
    /// scipy.stats.bootstrap((x,), np.mean, method="percentile", n_resamples=1_000_000, rng=np.random.default_rng(0))
    /// ```
    #[test]
    fn the_interval_is_scipys() {
        let interval = Bootstrap::default().interval(&prompts(|_| 64)).unwrap();
        assert!((interval.low - 0.658_606).abs() < 2e-3 && (interval.high - 0.758_072).abs() < 2e-3, "{interval:?}");
    }

    /// ```python
    /// k = i % 4 + 1; sums = k * (0.7 + 0.2 * np.sin(i)); idx = np.random.default_rng(0).integers(0, 30, (1_000_000, 30))
    /// np.quantile(sums[idx].sum(1) / k[idx].sum(1), [0.025, 0.975])
    /// ```
    #[test]
    fn prompts_count_by_their_pictures() {
        let sums = prompts(|index| index % 4 + 1);
        assert!((PromptSum::mean(&sums).unwrap() - 0.714_646_229_543_713_4).abs() < 1e-14);
        let interval = Bootstrap::default().interval(&sums).unwrap();
        assert!((interval.low - 0.658_814).abs() < 2e-3 && (interval.high - 0.768_122).abs() < 2e-3, "{interval:?}");
    }

    #[test]
    fn the_same_scores_have_the_same_interval() {
        let sums = prompts(|_| 2);
        let mut used = Bootstrap::default();
        used.interval(&sums[..7]);
        assert_eq!(used.interval(&sums), Bootstrap::default().interval(&sums));
    }

    #[test]
    fn prompts_that_agree_leave_no_width() {
        let interval = Bootstrap::default().interval(&[PromptSum { sum: 3.0, pictures: 4 }; 5]).unwrap();
        assert_eq!(interval, Interval { low: 0.75, high: 0.75 });
    }

    /// `np.quantile([1, 2, 4, 8], [0.025, 0.5, 0.975])`
    #[test]
    fn quantiles_are_numpys() {
        let quantiles = [0.025, 0.5, 0.975].map(|share| quantile(&[1.0, 2.0, 4.0, 8.0], share));
        for (quantile, expected) in quantiles.into_iter().zip([1.075, 3.0, 7.7]) {
            assert!((quantile - expected).abs() < 1e-12, "{quantile}");
        }
    }

    #[test]
    fn every_prompt_is_drawn_alike() {
        let draws = draws(3);
        let share = |prompt| draws.iter().filter(|&&draw| draw == prompt).count() as f64 / draws.len() as f64;
        for prompt in 0..3 {
            // Five standard deviations of 30 000 draws.
            assert!((share(prompt) - 1.0 / 3.0).abs() < 0.014, "{}", share(prompt));
        }
        assert_eq!(draws.len(), 3 * RESAMPLES);
    }
}
