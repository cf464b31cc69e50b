use crate::interval_chart::ChartScale;

/// Pixels that a number needs on an axis across, and on one upwards.
const TICK_WIDTH: f32 = 60.0;
const TICK_HEIGHT: f32 = 44.0;
/// Free space at either end of the axis, as a share of the numbers' range.
const FREE: f64 = 0.08;
/// The least range of an axis of numbers.
const LEAST: f64 = 0.02;

/// An axis of a chart.
pub(crate) struct Axis {
    scale: ChartScale,
    /// Whether only whole numbers are on it.
    is_whole: bool,
    /// The numbers at its ends, the first below the last.
    numbers: (f64, f64),
    /// Its ends, in pixels.
    ends: (f32, f32),
    /// The least distance of two ticks, in pixels.
    spacing: f32,
}

impl Axis {
    /// Numbers from left to right: all shares, or the range of `shown`.
    pub(crate) fn across(scale: ChartScale, shown: impl Iterator<Item = f64>, ends: (f32, f32)) -> Self {
        let numbers = match scale {
            ChartScale::Share => (0.0, 1.0),
            ChartScale::Number => range(shown).unwrap_or((0.0, 1.0)),
        };
        Self { scale, is_whole: false, numbers, ends, spacing: TICK_WIDTH }
    }

    /// Indices from left to right.
    pub(crate) fn indices(first: usize, last: usize, ends: (f32, f32)) -> Self {
        let numbers = (first as f64, last.max(first + 1) as f64);
        Self { scale: ChartScale::Number, is_whole: true, numbers, ends, spacing: TICK_WIDTH }
    }

    /// Losses from the bottom, the first of the ends, to the top: from 0 to 1 if all lie there, as those of Attend-and-Excite
    /// do, otherwise their range.
    pub(crate) fn losses(shown: impl Iterator<Item = f64> + Clone, ends: (f32, f32)) -> Self {
        let is_share = shown.clone().all(|loss| (0.0..=1.0).contains(&loss));
        let numbers = if is_share { None } else { range(shown) };
        let numbers = numbers.unwrap_or((0.0, 1.0));
        Self { scale: ChartScale::Number, is_whole: false, numbers, ends, spacing: TICK_HEIGHT }
    }

    /// Where a number is, in pixels; one outside is at the end.
    pub(crate) fn place(&self, number: f64) -> f32 {
        let (low, high) = self.numbers;
        let share = ((number - low) / (high - low)).clamp(0.0, 1.0) as f32;
        self.ends.0 + share * (self.ends.1 - self.ends.0)
    }

    /// Round numbers along the axis.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.numbers;
        let step = self.step();
        let first = (low / step - 1e-9).ceil();
        // Multiples of the step, so that rounding does not add up.
        let ticks = (0..).map(|index| (first + f64::from(index)) * step);
        ticks.take_while(|tick| *tick <= high + 1e-9 * step).collect()
    }

    /// The distance of two ticks: 1, 2, 2.5 or 5 times a power of ten.
    fn step(&self) -> f64 {
        let most = f64::from(((self.ends.1 - self.ends.0).abs() / self.spacing).floor().max(2.0));
        let least = (self.numbers.1 - self.numbers.0) / most;
        let least = if self.is_whole { least.max(1.0) } else { least };
        let power = 10f64.powf(least.log10().floor());
        [1.0, 2.0, 2.5, 5.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= least * (1.0 - 1e-9) && !(self.is_whole && step.fract() > 0.0))
            .unwrap_or(10.0 * power)
    }

    /// A number on the axis.
    pub(crate) fn written(&self, tick: f64) -> String {
        match self.scale {
            ChartScale::Share => format!("{:.0} %", 100.0 * tick),
            ChartScale::Number => {
                // As many decimals as two ticks need to differ.
                let step = self.step();
                let decimals = (0..9).find(|decimals| {
                    let scaled = step * 10f64.powi(*decimals);
                    (scaled - scaled.round()).abs() < 1e-6
                });
                let decimals = usize::try_from(decimals.unwrap_or(9)).unwrap_or(9);
                format!("{:.decimals$}", if tick.abs() < 1e-9 * step { 0.0 } else { tick })
            }
        }
    }

    /// A number of the chart.
    pub(crate) fn value(&self, value: f64) -> String {
        match self.scale {
            ChartScale::Share => format!("{:.1} %", 100.0 * value),
            ChartScale::Number => format!("{value:.3}"),
        }
    }
}

/// The range of some numbers with free space around; none of no numbers.
fn range(numbers: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let ends = |(low, high): (f64, f64), (other, _): (f64, f64)| (low.min(other), high.max(other));
    let (low, high) = numbers.map(|number| (number, number)).reduce(ends)?;
    let free = (FREE * (high - low)).max((LEAST - (high - low)) / 2.0);
    Some((low - free, high + free))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: ChartScale, values: &[f64], width: f32) -> Axis {
        Axis::across(scale, values.iter().copied(), (100.0, 100.0 + width))
    }

    fn written(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|tick| axis.written(tick)).collect()
    }

    #[test]
    fn shares_have_the_whole_axis() {
        let axis = axis(ChartScale::Share, &[0.5, 1.5], 400.0);
        assert_eq!(written(&axis), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        for (share, place) in [(-1.0, 100.0f32), (0.0, 100.0), (0.5, 300.0), (1.0, 500.0), (1.5, 500.0)] {
            assert!((axis.place(share) - place).abs() < 0.01, "{share}");
        }
    }

    #[test]
    fn a_narrow_axis_has_few_numbers() {
        assert_eq!(written(&axis(ChartScale::Share, &[], 130.0)), ["0 %", "50 %", "100 %"]);
    }

    #[test]
    fn numbers_are_round_and_differ() {
        assert_eq!(written(&axis(ChartScale::Number, &[0.692, 0.83], 350.0)), ["0.70", "0.75", "0.80"]);
        assert_eq!(
            written(&axis(ChartScale::Number, &[-0.02, 0.02], 350.0)),
            ["-0.02", "-0.01", "0.00", "0.01", "0.02"]
        );
        for values in [&[][..], &[0.3], &[0.3, 0.3], &[0.0], &[0.1, 0.1 + 1e-12], &[-5.0, 1e6]] {
            for width in [-20.0, 100.0, 700.0] {
                let axis = axis(ChartScale::Number, values, width);
                let mut numbers = written(&axis);
                assert!((1..=13).contains(&numbers.len()), "{values:?}: {numbers:?}");
                numbers.dedup();
                assert_eq!(numbers.len(), axis.ticks().len(), "{values:?}: {numbers:?}");
            }
        }
    }

    #[test]
    fn losses_have_an_axis_of_any_range() {
        let losses = |values: &[f64]| Axis::losses(values.iter().copied(), (340.0, 40.0));
        for values in [&[][..], &[0.05, 0.1], &[0.0, 1.0]] {
            assert_eq!(written(&losses(values)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"], "{values:?}");
        }
        let axis = losses(&[-1.0, 3.0]);
        assert_eq!(written(&axis), ["-1", "0", "1", "2", "3"]);
        assert!(axis.place(3.0) < axis.place(-1.0) && axis.place(3.0) > 40.0 && axis.place(-1.0) < 340.0);
        assert_eq!(written(&losses(&[-40.0, -38.0])).last().map(String::as_str), Some("-38.0"));
    }

    #[test]
    fn indices_are_whole() {
        for (first, last) in [(0, 1), (0, 0), (3, 5), (0, 24), (10, 999)] {
            let axis = Axis::indices(first, last, (60.0, 700.0));
            let numbers = written(&axis);
            assert!(numbers.len() > 1 && numbers.iter().all(|number| number.parse::<usize>().is_ok()), "{numbers:?}");
        }
        assert_eq!(written(&Axis::indices(0, 2, (60.0, 700.0))), ["0", "1", "2"]);
    }
}
