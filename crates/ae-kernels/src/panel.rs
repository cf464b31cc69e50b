//! The right-hand matrix of a product, cut into panels of columns that lie row by row.

use crate::Weights;

/// Columns of a panel; the last one of a matrix is half as wide where that is enough.
pub(crate) const WIDTH: usize = 32;

/// `width` columns of a matrix, row by row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panel<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) width: usize,
}

/// How the columns of a matrix are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) columns: usize,
}

impl Cut {
    /// Number of panels.
    pub(crate) fn count(self) -> usize {
        self.columns.div_ceil(WIDTH)
    }

    /// Columns that the panels hold together, those that only fill up included.
    pub(crate) fn padded(self) -> usize {
        self.columns.next_multiple_of(WIDTH / 2)
    }

    /// First column of a panel.
    #[expect(clippy::unused_self, reason = "reads as its siblings")]
    pub(crate) fn start(self, panel: usize) -> usize {
        panel * WIDTH
    }

    /// Columns of a panel, those that only fill up included.
    pub(crate) fn width(self, panel: usize) -> usize {
        WIDTH.min(self.padded() - self.start(panel))
    }

    /// Columns of a panel that the matrix has.
    pub(crate) fn used(self, panel: usize) -> usize {
        self.width(panel).min(self.columns - self.start(panel))
    }

    /// The panels of `rows` rows that lie one behind the other in `values`.
    pub(crate) fn split(self, rows: usize, mut values: &mut [f32]) -> Vec<&mut [f32]> {
        let panel = |panel| values.split_off_mut(..rows * self.width(panel)).expect("room for every panel");
        (0..self.count()).map(panel).collect()
    }
}

/// A matrix in memory: where it begins and how far its rows and columns are apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a> {
    pub(crate) values: Weights<'a>,
    pub(crate) start: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Strided<'_> {
    /// Writes `rows` rows of `used` columns from `column` on as a panel; what is not used is zero.
    pub(crate) fn pack(self, rows: usize, column: usize, used: usize, width: usize, panel: &mut [f32]) {
        /// Lines of the panel that stay in the cache while the rows of what is read, which are its columns, pass by.
        const LINES: usize = 64;
        let Self { values, start, row_stride, column_stride } = self;
        let start = start + column * column_stride;
        if column_stride == 1 {
            for (row, line) in panel.chunks_exact_mut(width).take(rows).enumerate() {
                values.copy(start + row * row_stride, &mut line[..used]);
                line[used..].fill(0.0);
            }
            return;
        }
        if used < width {
            panel[..rows * width].fill(0.0);
        }
        assert!(values.are_single() || row_stride == 1, "others than single precision are widened side by side");
        let mut buffer = [0.0; LINES];
        for first in (0..rows).step_by(LINES) {
            let count = LINES.min(rows - first);
            let length = (count - 1) * row_stride + 1;
            let lines = &mut panel[first * width..(first + count) * width];
            for column in 0..used {
                let from = values.read(start + column * column_stride + first * row_stride, length, &mut buffer);
                for (line, value) in lines[column..].iter_mut().step_by(width).zip(from.iter().step_by(row_stride)) {
                    *line = *value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_panel_is_narrow_where_that_is_enough() {
        for (columns, widths) in [(1, vec![16]), (16, vec![16]), (17, vec![32]), (40, vec![32, 16]), (64, vec![32, 32])]
        {
            let cut = Cut { columns };
            assert_eq!((0..cut.count()).map(|panel| cut.width(panel)).collect::<Vec<_>>(), widths);
            assert_eq!((0..cut.count()).map(|panel| cut.used(panel)).sum::<usize>(), columns);
        }
    }

    #[test]
    fn both_orders_of_a_matrix_give_the_same_panel() {
        let (rows, columns) = (130, 21);
        let value = |row: usize, column: usize| (row * 100 + column) as f32;
        let by_rows: Vec<f32> = (0..rows * columns).map(|i| value(i / columns, i % columns)).collect();
        let by_columns: Vec<f32> = (0..rows * columns).map(|i| value(i % rows, i / rows)).collect();
        let mut panels = [vec![f32::NAN; rows * 16], vec![f32::NAN; rows * 16]];
        let [of_rows, of_columns] = [by_rows.as_slice(), &by_columns].map(Weights::from);
        let strided = |values, row_stride, column_stride| Strided { values, start: 0, row_stride, column_stride };
        strided(of_rows, columns, 1).pack(rows, 16, 5, 16, &mut panels[0]);
        strided(of_columns, 1, rows).pack(rows, 16, 5, 16, &mut panels[1]);
        assert_eq!(panels[0], panels[1]);
        assert_eq!(panels[0][16 * 3..][..6], [316.0, 317.0, 318.0, 319.0, 320.0, 0.0]);
    }
}
