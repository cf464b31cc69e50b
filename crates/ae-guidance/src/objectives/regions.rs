use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::largest::{mean_of_largest, patches};
use super::otsu::regions;
use crate::error::check;
use crate::{GuidanceError, Losses, MapKind, MapSet, Objective, Pass, Plan, Reading, Score, Subjects};

/// The regions of the subjects must not attend to each other: the joint loss of InitNO (Guo et al. 2024) and of Self-Cross guidance
/// (Qiu et al. 2025), which are two settings of it: [`RegionSettings::initno`], [`RegionSettings::self_cross`].
#[derive(Clone, Debug)]
pub struct SelfCross {
    settings: RegionSettings,
    plan: Plan,
    reading: Reading,
    subjects: Subjects,
    names: Arc<[String]>,
}

/// The parameters of [`SelfCross`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RegionSettings {
    /// Number of largest values of a map whose mean must be large.
    pub top: usize,
    /// How regions meet.
    pub overlap: Overlap,
    /// The overlap counts where the loss of the most neglected subject is no larger than this.
    pub gate: f64,
    /// The parts of the loss in the update of a step.
    pub update: RegionWeights,
    /// The parts of the loss in a refinement.
    pub refinement: RegionWeights,
    /// Refinement: step index to the mean of the largest values that every subject must reach.
    pub thresholds: BTreeMap<usize, f64>,
    /// A refinement goes on while the overlap is larger.
    pub overlap_target: f64,
}

/// How far the self-attention of one subject reaches another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// What the self-attention of the peaks of two subjects has in common, as a share of both (InitNO).
    Peaks,
    /// What the self-attention of the whole region of one subject has in common with the map of another (Self-Cross).
    Regions,
}

/// What the parts of a loss are multiplied by; the loss of the most neglected subject always counts whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegionWeights {
    /// The overlap.
    pub overlap: f64,
    /// What is bright outside of a subject's region.
    pub clean: f64,
    /// How far the maps are from their running average.
    pub align: f64,
}

impl RegionSettings {
    /// InitNO's guidance: the update of a step has the loss of Attend-and-Excite alone.
    pub fn initno() -> Self {
        Self {
            top: 1,
            overlap: Overlap::Peaks,
            gate: f64::INFINITY,
            update: RegionWeights { overlap: 0.0, clean: 0.0, align: 0.0 },
            refinement: RegionWeights { overlap: 1.0, clean: 0.1, align: 0.1 },
            thresholds: BTreeMap::from([(10, 0.8), (20, 0.8)]),
            overlap_target: 0.3,
        }
    }

    /// The loss of InitNO's noise.
    pub fn noise() -> Self {
        let parts = RegionWeights { overlap: 1.0, clean: 1.0, align: 0.0 };
        Self { gate: 0.5, update: parts, refinement: parts, ..Self::initno() }
    }

    /// Self-Cross guidance, as its authors combine it with InitNO.
    pub fn self_cross() -> Self {
        Self {
            top: 16,
            overlap: Overlap::Regions,
            gate: 0.5,
            update: RegionWeights { overlap: 1.0, clean: 0.1, align: 0.0 },
            refinement: RegionWeights { overlap: 1.0, clean: 0.1, align: 0.1 },
            thresholds: BTreeMap::from([(10, 0.8), (20, 0.8)]),
            overlap_target: 0.3,
        }
    }

    fn check(&self) -> Result<(), GuidanceError> {
        check("top-k", self.top as f64, self.top > 0, "at least 1")?;
        check("overlap-gate", self.gate, !self.gate.is_nan(), "a number")?;
        for RegionWeights { overlap, clean, align } in [self.update, self.refinement] {
            for weight in [overlap, clean, align] {
                check("weight", weight, weight.is_finite() && weight >= 0.0, "a number that is not negative")?;
            }
        }
        for &threshold in self.thresholds.values() {
            check("thresholds", threshold, (0.0..=1.0).contains(&threshold), "numbers between 0 and 1")?;
        }
        check("overlap-target", self.overlap_target, self.overlap_target >= 0.0, "a number that is not negative")
    }
}

/// What the running average is remembered as.
const AVERAGE: &str = "average";
/// The share of the past in the running average of InitNO.
const PAST: f64 = 0.9;

impl SelfCross {
    /// The objective over the cross-attention and the self-attention of the reading's resolution.
    ///
    /// With one subject nothing overlaps, and that part is zero.
    ///
    /// # Errors
    ///
    /// When a setting is outside its range.
    pub fn new(
        settings: RegionSettings,
        plan: Plan,
        subjects: Subjects,
        reading: Reading,
    ) -> Result<Self, GuidanceError> {
        settings.check()?;
        let parts = ["overlap", "clean", "align"].map(str::to_owned);
        let names = subjects.names().iter().cloned().chain(parts).collect();
        Ok(Self { settings, plan, reading, subjects, names })
    }

    /// What a noise is worth that has these losses (InitNO's code): the loss of the most neglected subject and the overlap, and 1 more where
    /// the gate is shut.
    pub fn noise_score(&self, losses: &Losses) -> f32 {
        let values: Vec<f32> = losses.values().collect();
        let (neglect, parts) = values.split_at(self.subjects.count());
        let cross = neglect.iter().copied().fold(0.0, f32::max);
        cross + if f64::from(cross) <= self.settings.gate { parts[0] } else { 1.0 + parts[0] }
    }

    /// How far the self-attention of the subjects meets, `[images]`.
    ///
    /// # Shapes
    /// - maps: `[images, subjects, rows, cols]`, smoothed
    /// - among: `[images, rows * cols, rows * cols]`, from patch to patch
    fn overlap(&self, maps: &Tensor<4>, among: Tensor<3>, mask: impl FnOnce() -> Tensor<4>) -> Tensor<1> {
        let [images, subjects, rows, cols] = maps.dims();
        let flat = |maps: Tensor<4>| maps.reshape([images, subjects, rows * cols]);
        let smoothed =
            |rows_of: Tensor<3>| flat(self.reading.smoothed(rows_of.reshape([images, subjects, rows, cols])));
        let pairs = (0..subjects).flat_map(|a| (0..subjects).map(move |b| (a, b)));
        let part = |maps: &Tensor<3>, subject| maps.clone().narrow(1, subject, 1).reshape([images, rows * cols]);
        let common = |a: Tensor<2>, b: Tensor<2>| a.min_pair(b).sum_dim(1).reshape([images]);
        match self.settings.overlap {
            Overlap::Peaks => {
                let peaks = flat(maps.clone()).without_autodiff().argmax(2);
                let peaks = peaks.reshape([images, subjects, 1]).expand([images, subjects, rows * cols]);
                let seen = smoothed(among.gather(1, peaks));
                let pairs: Vec<_> = pairs.filter(|(a, b)| a < b).collect();
                let terms = pairs.iter().map(|&(a, b)| {
                    let (a, b) = (part(&seen, a), part(&seen, b));
                    let both = (a.clone() + b.clone()).sum_dim(1).reshape([images]) + 1e-6;
                    common(a, b) / both
                });
                terms.reduce(|a, b| a + b).expect("two subjects") / pairs.len() as f64
            }
            Overlap::Regions => {
                let weights = flat(maps.clone() * mask());
                // Smoothing is linear: that of the sum is the sum of those of every patch.
                let reached = smoothed(weights.matmul(among));
                let reached = reached.clone() / (reached.sum_dim(2) + 1e-4);
                let there = flat(maps.clone());
                let pairs: Vec<_> = pairs.filter(|(a, b)| a != b).collect();
                let terms = pairs.iter().map(|&(a, b)| common(part(&reached, a), part(&there, b)));
                terms.reduce(|a, b| a + b).expect("two subjects") / pairs.len() as f64
            }
        }
    }
}

impl Objective for SelfCross {
    fn maps(&self) -> Vec<MapSet> {
        let cross = self.reading.set();
        let among = MapSet::new(MapKind::SelfAttention, cross.layers.clone());
        vec![cross, among]
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn term_names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let settings = &self.settings;
        let resolution @ [rows, cols] = self.reading.resolution();
        let raw = self.reading.unsmoothed(&self.subjects, pass.aggregate(0, resolution));
        let maps = self.reading.smoothed(raw.clone());
        let [images, subjects, ..] = maps.dims();
        let flat = |subject| maps.clone().narrow(1, subject, 1).reshape([images, rows * cols]);

        let neglect = |subject| relu(-mean_of_largest(flat(subject), settings.top) + 1.0).reshape([images, 1]);
        let neglect = Tensor::cat((0..subjects).map(neglect).collect(), 1);
        let cross = neglect.clone().max_dim(1).reshape([images]);
        let zero = || cross.clone().without_autodiff() * 0.0;

        let found = regions(&maps)?;
        let overlap = if subjects > 1 {
            let among = pass.aggregate(1, resolution).reshape([images, rows * cols, rows * cols]);
            self.overlap(&maps, among, || found.mask(&maps))
        } else {
            zero()
        };
        let open = cross.clone().without_autodiff().lower_equal_elem(settings.gate).float();
        let gated = overlap.clone() * open;

        let strays = found.strays();
        let clean = strays.chunks(subjects).enumerate().map(|(image, strays)| {
            let of_image = maps.clone().narrow(0, image, 1);
            let bright = strays.iter().enumerate().filter_map(|(subject, stray)| {
                let map = of_image.clone().narrow(1, subject, 1).reshape([1, rows * cols]);
                stray.map(|patch| patches(&map, &[patch]).reshape([1]))
            });
            bright.reduce(|a, b| a + b).unwrap_or_else(|| zero().narrow(0, image, 1))
        });
        let clean = Tensor::cat(clean.collect(), 0);

        let average = match pass.state.get(AVERAGE) {
            Some(before) => before * PAST + raw.without_autodiff() * (1.0 - PAST),
            None => raw.without_autodiff(),
        };
        pass.state.set(AVERAGE, average.clone());
        let align = (maps - self.reading.smoothed(average)).abs().mean_dim(3).mean_dim(2).sum_dim(1).reshape([images]);

        let joint = |weights: RegionWeights| {
            cross.clone()
                + gated.clone() * weights.overlap
                + clean.clone() * weights.clean
                + align.clone() * weights.align
        };
        let (loss, in_refinement) = (joint(settings.update), joint(settings.refinement));
        let column = |term: Tensor<1>| term.reshape([images, 1]);
        let terms = Tensor::cat(vec![neglect, column(overlap), column(clean), column(align)], 1);
        Ok(Score::new(loss, Arc::clone(&self.names), terms).with_refinement_loss(in_refinement))
    }

    /// Where no threshold is, that of a loss of zero counts.
    fn is_satisfied(&self, step: usize, losses: &Losses) -> bool {
        let values: Vec<f32> = losses.values().collect();
        let (neglect, parts) = values.split_at(self.subjects.count());
        let threshold = self.settings.thresholds.get(&step).copied().unwrap_or(1.0);
        let most = (1.0 - threshold) as f32;
        neglect.iter().all(|&value| value <= most) && parts[0] <= self.settings.overlap_target as f32
    }
}
