//! The lines of a chart of intervals.

use crate::colors::CURVES;
use crate::interval_axis::Axis;
use crate::interval_chart::{IntervalChart, IntervalPoint, finite};
use crate::svg::{self, Anchor, Style, shortened, text};

/// Around everything, in pixels.
pub(crate) const MARGIN: f32 = 12.0;
const ROW_HEIGHT: f32 = 24.0;
/// Of a row whose name stands above its dot, which is so in charts narrower than this.
const STACKED_HEIGHT: f32 = 40.0;
const STACKED: f32 = 480.0;
/// Between names, dots and numbers.
const GAP: f32 = 14.0;
/// The share of the width that names may take.
const NAMES: f32 = 0.4;
const RADIUS: f32 = 4.5;
pub(crate) const LABEL: Style = Style { size: 14.0, weight: 400 };
const INK: &str = "#1a1a1a";

/// Where things are, in pixels: from left to right, and within a row from its top.
pub(crate) struct Columns {
    /// The width of the names.
    names: f32,
    /// The ends of the axis.
    pub(crate) plot: f32,
    pub(crate) end: f32,
    /// The right end of the numbers.
    numbers: f32,
    /// The height of a row.
    pub(crate) row: f32,
    /// The height of its dot.
    middle: f32,
}

impl Columns {
    pub(crate) fn new(chart: &IntervalChart, width: f32) -> Self {
        let numbers = width - MARGIN;
        let number_width = svg::width("100.0 %", LABEL);
        if width < STACKED {
            let names = numbers - MARGIN - number_width - GAP;
            return Self {
                names,
                plot: MARGIN + 16.0,
                end: numbers - 20.0,
                numbers,
                row: STACKED_HEIGHT,
                middle: 27.0,
            };
        }
        let names = chart.groups.iter().flat_map(|group| &group.points).map(|point| svg::width(&point.name, LABEL));
        let names = names.fold(0.0, f32::max).min(width * NAMES);
        let (plot, end) = (MARGIN + names + GAP, numbers - number_width - GAP);
        Self { names, plot, end, numbers, row: ROW_HEIGHT, middle: ROW_HEIGHT / 2.0 }
    }
}

/// A line of a chart from its top: name, dot with whiskers, mark and number.
pub(crate) fn row(point: &IntervalPoint, place: usize, top: f32, columns: &Columns, axis: &Axis) -> String {
    let (middle, baseline) = (top + columns.middle, top + 17.0);
    let mut drawn = text(&shortened(&point.name, LABEL, columns.names), (MARGIN, baseline), Anchor::Start, LABEL);
    let (red, green, blue) = CURVES[place % CURVES.len()];
    let colour = format!("#{red:02x}{green:02x}{blue:02x}");
    let class = format!("series-{place}");
    // Beneath what it is compared with.
    if let Some(mark) = finite(point.mark) {
        drawn += &diamond((axis.place(mark), middle));
    }
    if let Some((low, high)) = point.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) {
        let (low, high) = (axis.place(low), axis.place(high));
        drawn += &line((low, middle), (high, middle), &class, &colour, 2.0);
        for end in [low, high] {
            drawn += &line((end, middle - 5.0), (end, middle + 5.0), &class, &colour, 2.0);
        }
    }
    let value = finite(point.value);
    if let Some(value) = value {
        drawn += &dot((axis.place(value), middle), &class, &colour);
    }
    let number = value.map_or_else(|| "none".to_owned(), |value| axis.value(value));
    drawn + &text(&number, (columns.numbers, baseline), Anchor::End, LABEL)
}

pub(crate) fn line((x1, y1): (f32, f32), (x2, y2): (f32, f32), class: &str, colour: &str, width: f32) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1}\" x2=\"{x2:.1}\" y2=\"{y2}\" stroke=\"{colour}\" \
         stroke-width=\"{width}\"/>"
    )
}

fn dot((x, y): (f32, f32), class: &str, colour: &str) -> String {
    format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y}\" r=\"{RADIUS}\" fill=\"{colour}\" stroke=\"{colour}\"/>")
}

pub(crate) fn diamond((x, y): (f32, f32)) -> String {
    format!(
        "<path class=\"mark\" d=\"M{:.1} {y}L{x:.1} {}L{:.1} {y}L{x:.1} {}Z\" fill=\"#ffffff\" stroke=\"{INK}\" \
         stroke-width=\"1.5\"/>",
        x - 6.0,
        y - 6.0,
        x + 6.0,
        y + 6.0
    )
}
