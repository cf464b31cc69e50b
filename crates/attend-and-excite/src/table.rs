//! Results as text.

use ae_files::show_foreign;

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the left.
    Left,
    /// At the right, as numbers do.
    Right,
}

/// Rows of equal columns as lines; the last column is not padded.
///
/// Cells may hold names from files and folders.
pub fn table<const N: usize>(align: [Align; N], rows: &[[String; N]]) -> String {
    let shown = |row: &[String; N]| std::array::from_fn(|column| show_foreign(&row[column], usize::MAX, false));
    let rows: Vec<[String; N]> = rows.iter().map(shown).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(align).zip(widths).map(|((cell, align), width)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Bytes in the unit people use.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_people_use() {
        let sizes = [0, 12_300, 2_132_000, 4_264_000_000].map(size);
        assert_eq!(sizes, ["0 kB", "13 kB", "3 MB", "4.3 GB"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "1", ""], ["löwe", "10", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(table([Align::Left, Align::Right, Align::Left], &rows), "a      1\nlöwe  10  x\n");
        let foreign = [["a\x1b[2J\nb".to_owned(), "x".to_owned()]];
        assert_eq!(table([Align::Left; 2], &foreign), "a\\u{1b}[2J\\nb  x\n");
    }
}
