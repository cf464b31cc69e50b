/// Rows and columns of every picture of a batch that lies pixel by pixel, `[batch, rows, columns, channels]` (`NHWC`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pictures {
    /// Number of pictures.
    pub batch: usize,
    /// Rows of each.
    pub rows: usize,
    /// Columns of each.
    pub columns: usize,
}

impl Pictures {
    /// Pixels of all pictures.
    pub fn pixels(self) -> usize {
        self.batch * self.rows * self.columns
    }
}
