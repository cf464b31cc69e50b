use ae_files::show_foreign;

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of equal columns as lines; the last column is not padded.
///
/// Cells may hold names from files and folders.
pub(crate) fn table<const N: usize>(align: [Align; N], rows: &[[String; N]]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "1", ""], ["löwe", "10", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(table([Align::Left, Align::Right, Align::Left], &rows), "a      1\nlöwe  10  x\n");
        let foreign = [["a\x1b[2J\nb".to_owned(), "x".to_owned()]];
        assert_eq!(table([Align::Left; 2], &foreign), "a\\u{1b}[2J\\nb  x\n");
    }
}
