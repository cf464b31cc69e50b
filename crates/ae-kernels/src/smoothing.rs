use crate::profile::{Kernel, counted};

/// A square filter of maps that are reflected at their borders.
#[derive(Clone, Debug, PartialEq)]
pub struct Smoothing {
    /// Rows of a map.
    pub rows: usize,
    /// Columns of a map.
    pub columns: usize,
    /// The filter row by row, of an odd side.
    pub weights: Vec<f32>,
}

impl Smoothing {
    /// The filtered maps.
    ///
    /// # Shapes
    /// - maps and output: `[maps, rows, columns]`
    ///
    /// # Panics
    ///
    /// When a map is not larger than the filter reaches beyond its border.
    pub fn forward(&self, maps: &[f32]) -> Vec<f32> {
        counted(Kernel::Elementwise, 0, || {
            let mut out = vec![0.0; maps.len()];
            self.for_pairs(maps.len(), |to, from, weight| out[to] += weight * maps[from]);
            out
        })
    }

    /// The gradient of a loss by the maps, from that by the output.
    pub fn input_gradient(&self, gradient: &[f32]) -> Vec<f32> {
        counted(Kernel::Elementwise, 0, || {
            let mut out = vec![0.0; gradient.len()];
            self.for_pairs(gradient.len(), |to, from, weight| out[from] += weight * gradient[to]);
            out
        })
    }

    /// Every element of the output with every element of the input it is made of.
    #[inline]
    fn for_pairs(&self, count: usize, mut add: impl FnMut(usize, usize, f32)) {
        let Self { rows, columns, weights } = self;
        let side = weights.len().isqrt();
        let radius = side / 2;
        assert!(side * side == weights.len() && side % 2 == 1, "smoothing: a square of an odd side");
        assert!(radius < *rows.min(columns), "smoothing: maps of more than {radius} rows and columns");
        assert!(count.is_multiple_of(rows * columns), "smoothing: whole maps");
        for map in (0..count).step_by(rows * columns) {
            for (to, (row, column)) in
                (0..*rows).flat_map(|row| (0..*columns).map(move |column| (row, column))).enumerate()
            {
                for (line, weights) in weights.chunks_exact(side).enumerate() {
                    let start = map + reflected(row + line, radius, *rows) * columns;
                    for (place, weight) in weights.iter().enumerate() {
                        add(map + to, start + reflected(column + place, radius, *columns), *weight);
                    }
                }
            }
        }
    }
}

/// The place in a line of `count` of a place in the line that has `radius` more at either end.
fn reflected(place: usize, radius: usize, count: usize) -> usize {
    let place = place.abs_diff(radius);
    if place < count { place } else { 2 * (count - 1) - place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, finite_differences, random};

    /// ```python
    /// padded = torch.nn.functional.pad(torch.arange(6.).reshape(1, 1, 2, 3), (1, 1, 1, 1), mode="reflect")
    /// torch.nn.functional.conv2d(padded, torch.arange(9.).reshape(1, 1, 3, 3))
    /// ```
    #[test]
    fn it_is_torchs_filter_of_reflected_maps() {
        let filter = Smoothing { rows: 2, columns: 3, weights: (0u8..9).map(f32::from).collect() };
        let map: Vec<f32> = (0u8..6).map(f32::from).collect();
        let expected = [96.0, 114.0, 120.0, 60.0, 78.0, 84.0];
        assert_eq!(filter.forward(&map), expected);
        assert_eq!(filter.forward(&map.repeat(2)), expected.repeat(2));
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let filter = Smoothing { rows: 4, columns: 5, weights: random(25, 1) };
        let (maps, weights) = (random(40, 2), random(40, 3));
        let expected = finite_differences(&maps, 1e-2, |maps| dot(&filter.forward(maps), &weights));
        assert_close(&filter.input_gradient(&weights), &expected, 1e-3);
    }
}
