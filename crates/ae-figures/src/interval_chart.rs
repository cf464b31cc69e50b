/// Numbers with intervals in groups, one to a line: a dot with whiskers.
///
/// The colour of a line is that of its place in the group, and its name stands beside it, so that nothing depends on colours.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalChart {
    /// What is shown.
    pub title: String,
    /// The same in a sentence, for those who do not see it.
    pub description: String,
    /// What kind of numbers they are.
    pub scale: ChartScale,
    /// The groups from top to bottom.
    pub groups: Vec<IntervalGroup>,
    /// What a [`mark`](IntervalPoint::mark) stands for.
    pub mark: String,
}

/// What kind of numbers a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartScale {
    /// From 0 to 1, written in percent; the axis has all of it.
    Share,
    /// Any; the axis has those that are there.
    Number,
}

/// Lines of a chart under one heading.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalGroup {
    /// The heading.
    pub name: String,
    /// The lines from top to bottom.
    pub points: Vec<IntervalPoint>,
}

/// A line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalPoint {
    /// What stands beside it.
    pub name: String,
    /// The dot; where there is none, or it is not finite, the line says so.
    pub value: Option<f64>,
    /// The ends of the whiskers.
    pub interval: Option<(f64, f64)>,
    /// Another number to compare with, as a hollow diamond.
    pub mark: Option<f64>,
}

/// A number that can be drawn.
pub(crate) fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}
