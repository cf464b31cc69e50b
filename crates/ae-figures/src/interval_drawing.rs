//! The drawing of a chart of intervals: groups, axis, rows and key.

use image::RgbImage;

use crate::axis::Axis;
use crate::drawing::{Anchor, Drawing, GRID, Pen};
use crate::font::{HEADING, SMALL, shortened};
use crate::interval_chart::{IntervalChart, IntervalGroup, finite};
use crate::interval_row::{Columns, MARGIN, diamond, row};

/// Width of a chart that stands alone, in pixels.
const WIDTH: u32 = 720;
/// Pixels of the PNG per unit of the SVG, so that its text is sharp.
pub(crate) const SHARPNESS: u32 = 2;
const TITLE_HEIGHT: f32 = 34.0;
const GROUP_HEIGHT: f32 = 30.0;
const AXIS_HEIGHT: f32 = 24.0;
const KEY_HEIGHT: f32 = 24.0;

impl IntervalChart {
    /// An SVG document with real text and its font, on white.
    pub fn svg(&self) -> String {
        let (height, drawing) = self.drawing(WIDTH as f32, true);
        drawing.document((WIDTH, height), &self.title, &self.description)
    }

    /// As [`svg`](Self::svg), in pixels, twice the size.
    pub fn png(&self) -> RgbImage {
        let (height, drawing) = self.drawing(WIDTH as f32, true);
        drawing.pixels((WIDTH, height), SHARPNESS)
    }

    /// An element of a page, drawn for a width in pixels, of which it takes 240 at least; without heading, font and background.
    /// Where it is narrow, names stand above their dots. Its class is `interval-chart`, and the page's style may colour
    /// `series-0`, `series-1` …, `grid` and `mark` in it.
    pub fn inline_svg(&self, width: u32) -> String {
        let width = width.max(240);
        let (height, drawing) = self.drawing(width as f32, false);
        drawing.inline((width, height), "interval-chart", &self.title, &self.description)
    }

    /// The height of the chart and what is in it.
    fn drawing(&self, width: f32, is_titled: bool) -> (u32, Drawing) {
        let mut drawing = Drawing::default();
        let mut top = MARGIN;
        if is_titled {
            let title = shortened(&self.title, HEADING, width - 2.0 * MARGIN);
            drawing.text(title, (MARGIN, top + 18.0), Anchor::Start, HEADING);
            top += TITLE_HEIGHT;
        }
        let columns = Columns::new(self, width);
        let rows = |group: &IntervalGroup| group.points.len() as f32 * columns.row;
        let height = self.groups.iter().map(|group| GROUP_HEIGHT + rows(group)).sum::<f32>();
        let axis = Axis::across(self.scale, self.numbers(), (columns.plot, columns.end));
        let ticks = axis.ticks();
        for &tick in &ticks {
            drawing.text(axis.written(tick), (axis.place(tick), top + height + 18.0), Anchor::Middle, SMALL);
        }
        let bottom = top + height + AXIS_HEIGHT;
        for group in &self.groups {
            let name = shortened(&group.name, HEADING, width - 2.0 * MARGIN);
            drawing.text(name, (MARGIN, top + 21.0), Anchor::Start, HEADING);
            top += GROUP_HEIGHT;
            for &tick in &ticks {
                let (x, end) = (axis.place(tick), top + rows(group));
                drawing.line((x, top), (x, end), "grid", Pen::new(GRID, 1.0));
            }
            for (place, point) in group.points.iter().enumerate() {
                row(&mut drawing, point, place, top, &columns, &axis);
                top += columns.row;
            }
        }
        let mut height = bottom + MARGIN;
        if self.groups.iter().flat_map(|group| &group.points).any(|point| finite(point.mark).is_some()) {
            diamond(&mut drawing, (MARGIN + 6.0, bottom + 14.0));
            let meaning = shortened(&self.mark, SMALL, width - 2.0 * MARGIN - 20.0);
            drawing.text(meaning, (MARGIN + 20.0, bottom + 19.0), Anchor::Start, SMALL);
            height += KEY_HEIGHT;
        }
        #[expect(clippy::cast_sign_loss, reason = "a sum of heights")]
        let height = height.ceil() as u32;
        (height, drawing)
    }

    /// Every number that is drawn.
    fn numbers(&self) -> impl Iterator<Item = f64> {
        let points = self.groups.iter().flat_map(|group| &group.points);
        points.flat_map(|point| {
            let (low, high) = point.interval.unzip();
            [point.value, point.mark, low, high].into_iter().filter_map(finite)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval_chart::{ChartScale, IntervalPoint};

    fn point(name: &str, value: f64) -> IntervalPoint {
        let interval = Some((value - 0.1, value + 0.1));
        IntervalPoint { name: name.to_owned(), value: Some(value), interval, mark: None }
    }

    fn chart() -> IntervalChart {
        let group = |name: &str, points| IntervalGroup { name: name.to_owned(), points };
        IntervalChart {
            title: "Both <subjects>".to_owned(),
            description: "The share of pictures.".to_owned(),
            scale: ChartScale::Share,
            groups: vec![
                group("animals", vec![point("plain", 0.4), point("guided", 0.8)]),
                group("objects", vec![point("plain", 0.5)]),
            ],
            mark: "as published".to_owned(),
        }
    }

    /// The x of every circle.
    fn dots(svg: &str) -> Vec<f32> {
        let parts = svg.split("cx=\"").skip(1);
        parts.map(|part| part.split('"').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn every_number_has_a_dot_and_whiskers_at_its_place() {
        let svg = chart().svg();
        let dots = dots(&svg);
        assert_eq!(dots.len(), 3);
        // As far apart as the numbers are: 0.4, 0.8 and 0.5.
        assert!(((dots[1] - dots[0]) / (dots[2] - dots[0]) - 4.0).abs() < 0.05, "{dots:?}");
        assert_eq!(svg.matches("<line class=\"series-0\"").count(), 6);
        for part in ["Both &lt;subjects&gt;", ">animals<", ">guided<", ">40.0 %<", ">100 %<", "@font-face", "<desc>"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("class=\"mark\"") && !svg.contains("as published"));
    }

    #[test]
    fn a_mark_is_explained() {
        let mut chart = chart();
        chart.groups[0].points[1].mark = Some(0.7);
        let svg = chart.svg();
        // One in the plot and one in the key.
        assert_eq!(svg.matches("class=\"mark\"").count(), 2);
        assert!(svg.contains("as published"));
    }

    #[test]
    fn the_picture_is_the_drawing() {
        let picture = chart().png();
        assert_eq!(picture.width(), 2 * WIDTH);
        let blue = picture.pixels().filter(|pixel| pixel.0[2] > 150 && pixel.0[0] < 60).count();
        assert!(blue > 200, "{blue} pixels of the first colour");
    }

    #[test]
    fn an_element_of_a_page_brings_no_font_and_fits_narrow_screens() {
        let svg = chart().inline_svg(330);
        assert!(svg.starts_with("<svg class=\"interval-chart\" role=\"img\"") && svg.contains("viewBox=\"0 0 330 "));
        assert!(!svg.contains("@font-face") && !svg.contains("<rect"));
        assert!(dots(&svg).iter().all(|x| (0.0..330.0).contains(x)));
        // Long names stand above their dots there, and are whole.
        let mut chart = chart();
        chart.groups[0].points[0].name = "composable-diffusion".to_owned();
        let (narrow, wide) = (chart.inline_svg(310), chart.inline_svg(680));
        assert!(narrow.contains(">composable-diffusion<") && wide.contains(">composable-diffusion<"));
        let range = |svg: &str| {
            let dots = dots(svg);
            dots[1] - dots[0]
        };
        assert!(range(&narrow) > 0.4 * 200.0, "{}", range(&narrow));
        chart.inline_svg(0);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let mut chart = chart();
        for point in chart.groups.iter_mut().flat_map(|group| &mut group.points) {
            (point.value, point.interval, point.mark) = (Some(f64::NAN), Some((f64::NAN, 1.0)), Some(f64::INFINITY));
        }
        for scale in [ChartScale::Share, ChartScale::Number] {
            chart.scale = scale;
            let svg = chart.svg();
            assert!(dots(&svg).is_empty() && svg.matches(">none<").count() == 3 && !svg.contains("NaN"), "{svg}");
        }
        chart.groups.clear();
        chart.png();
    }
}
