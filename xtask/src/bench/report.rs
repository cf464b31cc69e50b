//! Tables in Markdown.

use super::measured::Measured;

pub(super) fn head<const N: usize>(cells: [&str; N]) {
    row(cells);
    row(["---"; N]);
}

pub(super) fn row<const N: usize>(cells: [&str; N]) {
    println!("| {} |", cells.join(" | "));
}

pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

pub(super) fn bytes(bytes: f64) -> String {
    if bytes < 1e9 { format!("{:.0} MB", bytes / 1e6) } else { format!("{:.2} GB", bytes / 1e9) }
}

pub(super) fn ratio(ours: f64, theirs: f64) -> String {
    format!("{:.2}", ours / theirs)
}

/// A row of ours beside theirs: the medians, and their ratio.
pub(super) fn compared(
    name: &str,
    [ours, theirs]: [&[Measured]; 2],
    of: impl Fn(&Measured) -> f64,
    unit: fn(f64) -> String,
) {
    let (ours, theirs) = (median(ours, &of), median(theirs, &of));
    row([name, &unit(ours), &unit(theirs), &ratio(ours, theirs)]);
}

/// The middle one; of an even number the upper of the two in the middle.
pub(super) fn median(measured: &[Measured], of: impl Fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<_> = measured.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The processor and its widest vectors, as far as Linux tells them.
pub(super) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let flags = field("flags").unwrap_or_default();
    let has = |flag: &&str| flags.split(' ').any(|one| one == *flag);
    let vectors = ["avx512f", "avx2"].into_iter().find(has).unwrap_or("vectors unknown");
    format!("{}, {vectors}", field("model name").unwrap_or_else(|| "processor unknown".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_unit() {
        assert_eq!([seconds(1.234), seconds(123.45)], ["1.23 s", "123.5 s"]);
        assert_eq!([bytes(76.4e6), bytes(5.284e9)], ["76 MB", "5.28 GB"]);
        assert_eq!(ratio(1.0, 3.0), "0.33");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let measured = [3.0, 1.0, 2.0].map(|seconds| Measured { seconds, ..Measured::default() });
        assert!((median(&measured, |measured| measured.seconds) - 2.0).abs() < 1e-9);
    }
}
