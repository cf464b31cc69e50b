//! Means with intervals, and arms against each other.
//!
//! Pictures of one prompt resemble each other, so prompts are what is drawn at random: intervals and tests take a prompt with all
//! its seeds as one piece.

mod bootstrap;
mod mcnemar;
mod sign_flip;
mod wilson;

use serde::Serialize;

use crate::MetricKind;
use bootstrap::{Bootstrap, PromptSum};
pub use bootstrap::{LEVEL, RESAMPLES, SEED};
pub use mcnemar::mcnemar_p;
pub use sign_flip::{FLIPS, sign_flip_p};
use wilson::wilson_interval;

/// The values of a metric over the pictures of one prompt, in the order of the seeds.
pub type PromptValues<'a> = &'a [Option<f64>];

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether it says anything; rounding is no width.
    fn has_width(&self) -> bool {
        self.high - self.low > 1e-12
    }
}

/// The mean of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Over all pictures alike, as in the paper (section 5).
    pub mean: f64,
    /// From the bootstrap over prompts. Where that has no width, for there is one prompt or all agree, that of a share is Wilson's
    /// with the number of prompts, and others have none.
    pub interval: Option<Interval>,
    /// How many pictures it is of.
    pub pictures: usize,
    /// How many prompts they are of.
    pub prompts: usize,
}

/// An arm against the first one, over the pictures of the same prompt and seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The mean of its values less those of the first arm.
    pub difference: f64,
    /// From the bootstrap over prompts; none where that has no width, for there is one prompt or all agree.
    pub interval: Option<Interval>,
    /// Of the [sign-flip test](sign_flip_p) over prompts.
    pub p: f64,
    /// How many pairs of pictures it is of.
    pub pairs: usize,
    /// How many prompts they are of.
    pub prompts: usize,
    /// What changed, where the metric is a share.
    pub changes: Option<Changes>,
}

/// What changed between two arms in a metric that holds or does not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Changes {
    /// Pairs where it holds in this arm alone.
    pub gained: usize,
    /// Pairs where it holds in the first arm alone.
    pub lost: usize,
    /// Of [McNemar's test](mcnemar_p).
    pub p: f64,
}

/// Computes figures. The resamples of the bootstrap are drawn once for every number of prompts, always the same ones.
#[derive(Debug, Default)]
pub struct Statistics {
    bootstrap: Bootstrap,
}

impl Statistics {
    /// The mean of a metric, of the values of every prompt; none without a value.
    pub fn estimate<'a>(
        &mut self,
        kind: MetricKind,
        prompts: impl IntoIterator<Item = PromptValues<'a>>,
    ) -> Option<Estimate> {
        let sums = PromptSum::of_each(prompts.into_iter().map(|values| values.iter().copied().flatten()));
        let mean = PromptSum::mean(&sums)?;
        let wilson = (kind == MetricKind::Share).then(|| wilson_interval(mean, sums.len()));
        Some(Estimate {
            mean,
            interval: self.bootstrap.interval(&sums).filter(Interval::has_width).or(wilson),
            pictures: sums.iter().map(|sum| sum.pictures).sum(),
            prompts: sums.len(),
        })
    }

    /// An arm against the first one, of the values that both have for the pictures of every prompt, first those of the first
    /// arm; none where no picture has both.
    pub fn compare<'a>(
        &mut self,
        kind: MetricKind,
        prompts: impl IntoIterator<Item = (PromptValues<'a>, PromptValues<'a>)>,
    ) -> Option<Comparison> {
        let (mut gained, mut lost) = (0, 0);
        let sums = PromptSum::of_each(prompts.into_iter().map(|(first, this)| {
            let differences = first.iter().zip(this).filter_map(|(first, this)| Some((*this)? - (*first)?));
            differences
                .inspect(|difference| {
                    gained += usize::from(*difference > 0.0);
                    lost += usize::from(*difference < 0.0);
                })
                .collect::<Vec<_>>()
        }));
        let differences: Vec<_> = sums.iter().map(|sum| sum.sum).collect();
        Some(Comparison {
            difference: PromptSum::mean(&sums)?,
            interval: self.bootstrap.interval(&sums).filter(Interval::has_width),
            p: sign_flip_p(&differences),
            pairs: sums.iter().map(|sum| sum.pictures).sum(),
            prompts: sums.len(),
            changes: (kind == MetricKind::Share).then(|| Changes { gained, lost, p: mcnemar_p(gained, lost) }),
        })
    }
}

/// How many pictures have a value in one of two arms alone, which no pair has.
pub(crate) fn unpaired<'a>(prompts: impl IntoIterator<Item = (PromptValues<'a>, PromptValues<'a>)>) -> usize {
    let is_alone = |(first, this): &(&Option<f64>, &Option<f64>)| first.is_some() != this.is_some();
    prompts.into_iter().map(|(first, this)| first.iter().zip(this).filter(is_alone).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_that_of_all_pictures() {
        let prompts: [&[Option<f64>]; 4] = [&[Some(0.2), Some(0.4)], &[None, Some(0.9)], &[None, None], &[]];
        let estimate = Statistics::default().estimate(MetricKind::Similarity, prompts).unwrap();
        assert!((estimate.mean - 0.5).abs() < 1e-15, "{estimate:?}");
        assert_eq!((estimate.pictures, estimate.prompts), (3, 2));
        // Of two prompts a quarter of the resamples has one alone: the ends are the prompts' means.
        let interval = estimate.interval.unwrap();
        assert!((interval.low - 0.3).abs() < 1e-15 && (interval.high - 0.9).abs() < 1e-15, "{interval:?}");
    }

    #[test]
    fn without_pictures_there_is_no_figure() {
        let mut statistics = Statistics::default();
        let nothing: [&[Option<f64>]; 2] = [&[], &[None]];
        assert_eq!(statistics.estimate(MetricKind::Share, nothing), None);
        let apart: [(PromptValues, PromptValues); 1] = [(&[None, Some(1.0)], &[Some(1.0), None])];
        assert_eq!(statistics.compare(MetricKind::Share, apart), None);
    }

    #[test]
    fn one_prompt_has_a_mean_and_no_interval() {
        let one: [&[Option<f64>]; 1] = [&[Some(0.25), Some(0.75)]];
        let estimate = Statistics::default().estimate(MetricKind::Similarity, one).unwrap();
        assert_eq!(estimate, Estimate { mean: 0.5, interval: None, pictures: 2, prompts: 1 });
        let pair = [(one[0], &[Some(0.5), Some(1.0)][..])];
        let comparison = Statistics::default().compare(MetricKind::Similarity, pair).unwrap();
        // Both signs of one difference are as far from zero.
        assert_eq!((comparison.difference, comparison.interval, comparison.p), (0.25, None, 1.0));
        assert_eq!(comparison.changes, None);
    }

    /// Of 3 prompts without any the share may be up to 56 %.
    #[test]
    fn a_share_has_an_interval_where_prompts_agree() {
        let mut statistics = Statistics::default();
        let none: &[Option<f64>] = &[Some(0.0), Some(0.0)];
        let interval = statistics.estimate(MetricKind::Share, [none; 3]).unwrap().interval.unwrap();
        assert!(interval.low < 1e-12 && (interval.high - 0.5615).abs() < 1e-4, "{interval:?}");
        let one = statistics.estimate(MetricKind::Share, [none]).unwrap().interval.unwrap();
        assert!(one.high > 0.7, "{one:?}");
        assert_eq!(statistics.estimate(MetricKind::Similarity, [none; 3]).unwrap().interval, None);
    }

    #[test]
    fn arms_that_agree_differ_by_nothing() {
        let same: &[Option<f64>] = &[Some(1.0), Some(0.0)];
        let comparison = Statistics::default().compare(MetricKind::Share, [(same, same); 3]).unwrap();
        // An interval without width would say that the arms are equal.
        assert_eq!((comparison.difference, comparison.interval, comparison.p), (0.0, None, 1.0));
        assert_eq!(comparison.changes, Some(Changes { gained: 0, lost: 0, p: 1.0 }));
    }

    #[test]
    fn shares_count_what_was_gained_and_lost() {
        let pair = |first: f64, this: f64| ([Some(first)], [Some(this)]);
        let alone: (PromptValues, PromptValues) = (&[Some(1.0), None, None], &[None, Some(1.0), None]);
        let pairs = [(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)].map(|(a, b)| pair(a, b));
        let prompts = pairs.iter().map(|(first, this)| (&first[..], &this[..])).chain([alone]).collect::<Vec<_>>();
        assert_eq!(unpaired(prompts.iter().copied()), 2);
        let comparison = Statistics::default().compare(MetricKind::Share, prompts).unwrap();
        // `scipy.stats.binomtest(3, 4, 0.5).pvalue`
        assert_eq!(comparison.changes, Some(Changes { gained: 3, lost: 1, p: 0.625 }));
        assert!((comparison.difference - 2.0 / 6.0).abs() < 1e-15);
        assert_eq!((comparison.pairs, comparison.prompts), (6, 6));
    }
}
