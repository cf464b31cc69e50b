//! Numbers as readers see them.

use ae_settings::Method;

use crate::{Comparison, Estimate, Interval, MetricKind};

/// Where there is nothing to write.
pub(super) const NONE: &str = "–";

/// What an arm is called: a method by its title, any other by its name.
pub(super) fn arm_title(name: &str) -> &str {
    Method::title_of(name)
}

/// A number with a proper minus.
fn signed(number: &str) -> String {
    number.replace('-', "−")
}

/// A value of a metric: a share in percent, a similarity with three decimals.
pub(super) fn value(kind: MetricKind, value: f64) -> String {
    match kind {
        MetricKind::Share => format!("{:.1} %", 100.0 * value),
        MetricKind::Similarity => signed(&format!("{value:.3}")),
    }
}

/// A mean with its interval.
pub(super) fn estimate(kind: MetricKind, estimate: &Estimate) -> String {
    let number = |number: f64| match kind {
        MetricKind::Share => format!("{:.1}", 100.0 * number),
        MetricKind::Similarity => signed(&format!("{number:.3}")),
    };
    let Some(Interval { low, high }) = estimate.interval else { return value(kind, estimate.mean) };
    format!("{} ({} to {})", value(kind, estimate.mean), number(low), number(high))
}

/// A difference: of shares in percentage points.
pub(super) fn difference(kind: MetricKind, difference: f64) -> String {
    let number = match kind {
        MetricKind::Share => format!("{:+.1}", 100.0 * difference),
        MetricKind::Similarity => format!("{difference:+.3}"),
    };
    // What is rounded to zero has no sign.
    let is_zero = !number.contains(|digit: char| digit.is_ascii_digit() && digit != '0');
    signed(if is_zero { &number[1..] } else { &number })
}

/// The interval of a difference.
pub(super) fn interval(kind: MetricKind, comparison: &Comparison) -> String {
    let ends = comparison.interval.map(|ends| (difference(kind, ends.low), difference(kind, ends.high)));
    ends.map_or_else(|| NONE.to_owned(), |(low, high)| format!("{low} to {high}"))
}

/// A probability.
pub(super) fn probability(p: f64) -> String {
    if p < 0.0001 {
        "< 0.0001".to_owned()
    } else if p < 0.001 {
        format!("{p:.4}")
    } else {
        format!("{p:.3}")
    }
}

/// A number with its digits in groups.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let grouped = digits.chars().enumerate().flat_map(|(place, digit)| {
        let is_first = place > 0 && (digits.len() - place).is_multiple_of(3);
        is_first.then_some(' ').into_iter().chain([digit])
    });
    grouped.collect()
}

/// A number of things, in words.
pub(super) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", thousands(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_signed() {
        assert_eq!(value(MetricKind::Share, 1.0 / 3.0), "33.3 %");
        assert_eq!(value(MetricKind::Similarity, -0.1234), "−0.123");
        assert_eq!(difference(MetricKind::Share, 0.125), "+12.5");
        assert_eq!(difference(MetricKind::Similarity, -0.0391), "−0.039");
        for zero in [0.0, -0.0, 0.0001, -0.0001] {
            assert_eq!(difference(MetricKind::Similarity, zero), "0.000");
        }
    }

    #[test]
    fn numbers_of_things_are_read_easily() {
        assert_eq!(
            [1, 12, 1000, 17_664].map(|number| count(number, "picture")),
            ["1 picture", "12 pictures", "1 000 pictures", "17 664 pictures"]
        );
    }

    #[test]
    fn probabilities_are_never_nothing() {
        let written = [0.0, 0.000_099, 0.000_1, 0.012_34, 1.0].map(probability);
        assert_eq!(written, ["< 0.0001", "< 0.0001", "0.0001", "0.012", "1.000"]);
    }
}
