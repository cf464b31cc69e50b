use crate::interval_chart::{ChartScale, IntervalChart, finite};

/// Pixels that a number on the axis needs.
const TICK_WIDTH: f32 = 60.0;
/// Free space at either end of the axis, as a share of the numbers' range.
const FREE: f64 = 0.08;
/// The least range of an axis of numbers.
const LEAST: f64 = 0.02;

/// The axis of a chart: numbers from left to right.
pub(crate) struct Axis {
    scale: ChartScale,
    /// The numbers at its ends, the first below the last.
    numbers: (f64, f64),
    /// Its ends, in pixels.
    ends: (f32, f32),
}

impl Axis {
    pub(crate) fn new(chart: &IntervalChart, ends: (f32, f32)) -> Self {
        let points = chart.groups.iter().flat_map(|group| &group.points);
        let shown = points.flat_map(|point| {
            let (low, high) = point.interval.unzip();
            [point.value, point.mark, low, high].into_iter().filter_map(finite)
        });
        let numbers = match chart.scale {
            ChartScale::Share => (0.0, 1.0),
            ChartScale::Number => {
                let range = shown.fold(None, |range: Option<(f64, f64)>, number| {
                    let (low, high) = range.unwrap_or((number, number));
                    Some((low.min(number), high.max(number)))
                });
                let (low, high) = range.unwrap_or((0.0, 1.0));
                let free = (FREE * (high - low)).max((LEAST - (high - low)) / 2.0);
                (low - free, high + free)
            }
        };
        Self { scale: chart.scale, numbers, ends }
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
        let most = f64::from(((self.ends.1 - self.ends.0) / TICK_WIDTH).floor().max(2.0));
        let least = (self.numbers.1 - self.numbers.0) / most;
        let power = 10f64.powf(least.log10().floor());
        [1.0, 2.0, 2.5, 5.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= least * (1.0 - 1e-9))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval_chart::{IntervalGroup, IntervalPoint};

    fn axis(scale: ChartScale, values: &[f64], width: f32) -> Axis {
        let point =
            |value: &f64| IntervalPoint { name: String::new(), value: Some(*value), interval: None, mark: None };
        let groups = vec![IntervalGroup { name: String::new(), points: values.iter().map(point).collect() }];
        let (title, description, mark) = (String::new(), String::new(), String::new());
        Axis::new(&IntervalChart { title, description, scale, groups, mark }, (100.0, 100.0 + width))
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
}
