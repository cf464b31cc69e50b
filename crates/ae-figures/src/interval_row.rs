//! The lines of a chart of intervals.

use crate::axis::Axis;
use crate::colors::CURVES;
use crate::drawing::{Anchor, Drawing, INK, Pen, Place};
use crate::font::{SMALL, shortened, width};
use crate::interval_chart::{IntervalChart, IntervalPoint, finite};

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
const RADIUS: f32 = 5.0;

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
    pub(crate) fn new(chart: &IntervalChart, whole: f32) -> Self {
        let numbers = whole - MARGIN;
        let number_width = width("100.0 %", SMALL);
        if whole < STACKED {
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
        let names = chart.groups.iter().flat_map(|group| &group.points).map(|point| width(&point.name, SMALL));
        let names = names.fold(0.0, f32::max).min(whole * NAMES);
        let (plot, end) = (MARGIN + names + GAP, numbers - number_width - GAP);
        Self { names, plot, end, numbers, row: ROW_HEIGHT, middle: ROW_HEIGHT / 2.0 }
    }
}

/// Draws a line of a chart from its top: name, dot with whiskers, mark and number.
pub(crate) fn row(
    drawing: &mut Drawing,
    point: &IntervalPoint,
    place: usize,
    top: f32,
    columns: &Columns,
    axis: &Axis,
) {
    let (middle, baseline) = (top + columns.middle, top + 17.0);
    drawing.text(shortened(&point.name, SMALL, columns.names), (MARGIN, baseline), Anchor::Start, SMALL);
    let class = format!("series-{place}");
    let pen = Pen::new(CURVES[place % CURVES.len()], 2.0);
    // Beneath what it is compared with.
    if let Some(mark) = finite(point.mark) {
        diamond(drawing, (axis.place(mark), middle));
    }
    if let Some((low, high)) = point.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) {
        let (low, high) = (axis.place(low), axis.place(high));
        drawing.line((low, middle), (high, middle), &class, pen);
        for end in [low, high] {
            drawing.line((end, middle - 5.0), (end, middle + 5.0), &class, pen);
        }
    }
    let value = finite(point.value);
    if let Some(value) = value {
        drawing.dot((axis.place(value), middle), RADIUS, &class, pen.colour);
    }
    let number = value.map_or_else(|| "none".to_owned(), |value| axis.value(value));
    drawing.text(number, (columns.numbers, baseline), Anchor::End, SMALL);
}

pub(crate) fn diamond(drawing: &mut Drawing, (x, y): Place) {
    let corners = vec![(x - 6.0, y), (x, y - 6.0), (x + 6.0, y), (x, y + 6.0)];
    drawing.outline(corners, "mark", Pen::new(INK, 1.5));
}
