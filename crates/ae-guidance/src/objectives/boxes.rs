use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorData};

use super::largest::mean_of_largest;
use crate::error::check;
use crate::{GuidanceError, Losses, MapSet, Objective, Pass, Plan, Reading, Score, Subjects};

/// BoxDiff (Xie et al. 2023): every subject must have its attention in its box, and its edges where those of the box are.
#[derive(Clone, Debug)]
pub struct BoxDiff {
    settings: BoxDiffSettings,
    plan: Plan,
    reading: Reading,
    subjects: Subjects,
    cells: Vec<Cells>,
    names: Arc<[String]>,
}

/// The parameters of [`BoxDiff`]; the default is the paper's.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BoxDiffSettings {
    /// Share of the patches inside, and of those outside, whose mean counts.
    pub share: f64,
    /// Columns and rows on each side of an edge of the box that are compared.
    pub reach: usize,
    /// Refinement: step index to the mean inside that every subject must reach.
    pub thresholds: BTreeMap<usize, f64>,
}

impl Default for BoxDiffSettings {
    fn default() -> Self {
        Self { share: 0.2, reach: 1, thresholds: BTreeMap::from([(0, 0.05), (10, 0.5), (20, 0.8)]) }
    }
}

/// A box on a map: the columns and the rows from the first to before the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cells {
    columns: [usize; 2],
    rows: [usize; 2],
}

impl Cells {
    /// The patches of a box in shares of the picture, rounded, and one at least in each direction.
    fn new([left, top, right, bottom]: [f64; 4], [rows, cols]: [usize; 2]) -> Self {
        let side = |from: f64, to: f64, count: usize| {
            #[expect(clippy::cast_sign_loss, reason = "a share of a length")]
            let cell = |share: f64| (share.clamp(0.0, 1.0) * count as f64).round() as usize;
            let first = cell(from).min(count - 1);
            [first, cell(to).clamp(first + 1, count)]
        };
        Self { columns: side(left, right, cols), rows: side(top, bottom, rows) }
    }

    fn contains(&self, row: usize, col: usize) -> bool {
        (self.rows[0]..self.rows[1]).contains(&row) && (self.columns[0]..self.columns[1]).contains(&col)
    }
}

impl BoxDiff {
    /// The objective for subjects, each with a box: left, top, right and bottom in shares of the picture's width and height.
    ///
    /// # Errors
    ///
    /// When the boxes are not as many as the subjects, a box is empty or reaches beyond the picture, or a setting is outside its range.
    pub fn new(
        settings: BoxDiffSettings,
        plan: Plan,
        subjects: Subjects,
        boxes: &[[f64; 4]],
        reading: Reading,
    ) -> Result<Self, GuidanceError> {
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        check("share", settings.share, settings.share > 0.0 && is_share(settings.share), "a number above 0, up to 1")?;
        for &threshold in settings.thresholds.values() {
            check("thresholds", threshold, is_share(threshold), "numbers between 0 and 1")?;
        }
        check("boxes", boxes.len() as f64, boxes.len() == subjects.count(), "one for each subject")?;
        for &[left, top, right, bottom] in boxes {
            for (from, to) in [(left, right), (top, bottom)] {
                check(
                    "boxes",
                    from,
                    is_share(from) && is_share(to) && from < to,
                    "sides from 0 to 1, the first before the second",
                )?;
            }
        }
        let cells = boxes.iter().map(|&side| Cells::new(side, reading.resolution())).collect();
        let parts = ["", " outside", " edges"];
        let names = subjects.names();
        let names = names.iter().flat_map(|name| parts.map(|part| format!("{name}{part}"))).collect();
        Ok(Self { settings, plan, reading, subjects, cells, names })
    }

    /// The mean of the largest values `[images]` among the patches of a mask; none where it has none.
    fn peak(&self, map: &Tensor<2>, mask: &[bool]) -> Option<Tensor<1>> {
        let indices: Vec<usize> = (0..mask.len()).filter(|&patch| mask[patch]).collect();
        #[expect(clippy::cast_sign_loss, reason = "a share of a number")]
        let count = ((indices.len() as f64 * self.settings.share) as usize).max(1);
        (!indices.is_empty()).then(|| mean_of_largest(super::largest::patches(map, &indices), count))
    }

    /// How far the projection `[images, length]` of a map is from that of its box, near the two edges.
    fn corner(&self, projection: Tensor<2>, [first, last]: [usize; 2]) -> Tensor<1> {
        let [images, length] = projection.dims();
        let reach = self.settings.reach;
        let near = |edge: usize, at: usize| at + reach >= edge && at <= edge + reach;
        let target = (0..length).map(|at| f32::from(u8::from((first..last).contains(&at)))).collect();
        let mask = (0..length).map(|at| f32::from(u8::from(near(first, at) || near(last, at)))).collect();
        let device = projection.device().without_autodiff();
        let line = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [1, length]), &device);
        ((projection - line(target)).abs() * line(mask)).mean_dim(1).reshape([images])
    }
}

impl Objective for BoxDiff {
    fn maps(&self) -> Vec<MapSet> {
        vec![self.reading.set()]
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn term_names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let maps = self.reading.maps(&self.subjects, pass, 0);
        let [images, _, rows, cols] = maps.dims();
        let mut terms = Vec::new();
        let mut loss: Option<Tensor<1>> = None;
        for (subject, cells) in self.cells.iter().enumerate() {
            let map = maps.clone().narrow(1, subject, 1);
            let patches = map.clone().reshape([images, rows * cols]);
            let inside: Vec<bool> = (0..rows * cols).map(|patch| cells.contains(patch / cols, patch % cols)).collect();
            let outside: Vec<bool> = inside.iter().map(|inside| !inside).collect();
            let foreground = relu(-self.peak(&patches, &inside).expect("a box has a patch") + 1.0);
            let background = self.peak(&patches, &outside).map_or_else(|| foreground.clone() * 0.0, relu);
            let columns = self.corner(map.clone().max_dim(2).reshape([images, cols]), cells.columns);
            let corners = columns + self.corner(map.max_dim(3).reshape([images, rows]), cells.rows);
            let sum = foreground.clone() + background.clone() + corners.clone();
            loss = Some(loss.map_or(sum.clone(), |loss| loss + sum));
            terms.extend([foreground, background, corners].map(|term| term.reshape([images, 1])));
        }
        let inside = terms.iter().step_by(3).cloned().collect();
        let in_refinement = Tensor::cat(inside, 1).max_dim(1).reshape([images]);
        let score = Score::new(loss.expect("a subject"), Arc::clone(&self.names), Tensor::cat(terms, 1));
        Ok(score.with_refinement_loss(in_refinement))
    }

    fn is_satisfied(&self, step: usize, losses: &Losses) -> bool {
        let threshold = self.settings.thresholds.get(&step).copied().unwrap_or(1.0);
        losses.refinement_loss.is_some_and(|loss| loss <= (1.0 - threshold) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_has_a_patch_at_least_and_none_outside_of_the_map() {
        let cells = |side| Cells::new(side, [4, 8]);
        assert_eq!(cells([0.0, 0.0, 1.0, 1.0]), Cells { columns: [0, 8], rows: [0, 4] });
        assert_eq!(cells([0.25, 0.5, 0.5, 0.75]), Cells { columns: [2, 4], rows: [2, 3] });
        assert_eq!(cells([0.99, 0.99, 1.0, 1.0]), Cells { columns: [7, 8], rows: [3, 4] });
        assert_eq!(cells([0.1, 0.1, 0.101, 0.101]), Cells { columns: [1, 2], rows: [0, 1] });
    }
}
