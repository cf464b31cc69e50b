//! The region of a subject on its map, found on the host: 256 values for each subject and pass.

use ae_tensor::read;
use burn::tensor::{Tensor, TensorData};

use crate::GuidanceError;

/// The patches of every map at or above Otsu's threshold of its values in 256 steps (Otsu 1979; OpenCV's `THRESH_OTSU`). They carry
/// no gradient.
///
/// # Shapes
/// - maps: `[images, subjects, rows, cols]`
///
/// # Errors
///
/// When the device fails.
pub(super) fn regions(maps: &Tensor<4>) -> Result<Regions, GuidanceError> {
    let sides = maps.dims();
    let [_, _, rows, cols] = sides;
    let values = read(maps.clone().without_autodiff())?;
    let masks = values.chunks(rows * cols).flat_map(above_otsu).collect();
    Ok(Regions { values, masks, sides })
}

/// Regions of maps, with the values that they were found by.
pub(super) struct Regions {
    values: Vec<f32>,
    masks: Vec<bool>,
    sides: [usize; 4],
}

impl Regions {
    /// `[images, subjects, rows, cols]` of 1 inside and 0 outside.
    pub(super) fn mask(&self, like: &Tensor<4>) -> Tensor<4> {
        let values = self.masks.iter().map(|&inside| f32::from(u8::from(inside))).collect();
        Tensor::from_data(TensorData::new::<f32, _>(values, self.sides), &like.device().without_autodiff())
    }

    /// For every map, image by image, the brightest patch outside of the part of its region that hangs together with its largest value;
    /// none where it is no brighter than the least value of this part.
    pub(super) fn strays(&self) -> Vec<Option<usize>> {
        let [_, _, rows, cols] = self.sides;
        let maps = self.values.chunks(rows * cols).zip(self.masks.chunks(rows * cols));
        maps.map(|(values, mask)| stray(values, mask, cols)).collect()
    }
}

/// Whether each value, in steps of 1/255, is at least Otsu's threshold.
fn above_otsu(values: &[f32]) -> Vec<bool> {
    #[expect(clippy::cast_sign_loss, reason = "from 0 to 255")]
    let steps: Vec<usize> = values.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0) as usize).collect();
    let mut histogram = [0_usize; 256];
    for &step in &steps {
        histogram[step] += 1;
    }
    let (count, total) = (values.len() as f64, steps.iter().sum::<usize>() as f64);
    let (mut below, mut sum_below) = (0.0, 0.0);
    let (mut threshold, mut largest) = (0, 0.0);
    for (step, &here) in histogram.iter().enumerate() {
        below += here as f64;
        sum_below += (here * step) as f64;
        let above = count - below;
        if below == 0.0 || above == 0.0 {
            continue;
        }
        let between = below * above * (sum_below / below - (total - sum_below) / above).powi(2);
        if between > largest {
            (threshold, largest) = (step, between);
        }
    }
    steps.into_iter().map(|step| step >= threshold).collect()
}

/// See [`Regions::strays`].
fn stray(values: &[f32], mask: &[bool], cols: usize) -> Option<usize> {
    let by_value = |&a: &usize, &b: &usize| values[a].total_cmp(&values[b]).then(b.cmp(&a));
    let peak = (0..values.len()).max_by(by_value)?;
    let part = connected(mask, cols, peak);
    let least = (0..values.len()).filter(|&patch| part[patch]).map(|patch| values[patch]).fold(f32::INFINITY, f32::min);
    let outside = (0..values.len()).filter(|&patch| !part[patch]).max_by(by_value)?;
    (values[outside] > least).then_some(outside)
}

/// The patches of a mask that hang together with one of them, side by side or one above the other.
fn connected(mask: &[bool], cols: usize, from: usize) -> Vec<bool> {
    let mut part = vec![false; mask.len()];
    let mut waiting = vec![from];
    while let Some(patch) = waiting.pop() {
        if part[patch] || !mask[patch] {
            continue;
        }
        part[patch] = true;
        let (row, col) = (patch / cols, patch % cols);
        if row > 0 {
            waiting.push(patch - cols);
        }
        if patch + cols < mask.len() {
            waiting.push(patch + cols);
        }
        if col > 0 {
            waiting.push(patch - 1);
        }
        if col + 1 < cols {
            waiting.push(patch + 1);
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cv2.threshold(np.uint8([10, 12, 11, 200, 210, 10]), 0, 255, cv2.THRESH_OTSU)[0]` is 12.
    #[test]
    fn the_threshold_parts_dark_from_bright() {
        let values: Vec<f32> = [10.5, 12.5, 11.5, 200.5, 210.5, 10.5].map(|step: f32| step / 255.0).to_vec();
        // The values at the threshold itself are inside, as in InitNO.
        assert_eq!(above_otsu(&values), [false, true, false, true, true, false]);
        assert_eq!(above_otsu(&[0.3; 4]), [true; 4]);
    }

    #[test]
    fn a_stray_is_what_is_brighter_elsewhere_than_the_least_of_the_part_around_the_peak() {
        // A part of two at the left, one patch at the right.
        let values = [0.9, 0.5, 0.0, 0.0, 0.7, 0.0, 0.0, 0.0];
        let mask = [true, true, false, false, true, false, false, false].to_vec();
        assert_eq!(connected(&mask, 4, 0), [true, true, false, false, true, false, false, false]);
        assert_eq!(stray(&values, &mask, 4), None);
        let values = [0.9, 0.5, 0.0, 0.6, 0.0, 0.0, 0.0, 0.0];
        let mask = values.map(|value| value > 0.4);
        assert_eq!(stray(&values, &mask, 4), Some(3));
        // A row does not go on at the left of the next.
        let mask = [false, false, false, true, true, false, false, false];
        assert_eq!(connected(&mask, 4, 3).iter().filter(|&&inside| inside).count(), 1);
    }
}
