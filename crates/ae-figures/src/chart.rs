use image::RgbImage;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::colors::CURVES;
use crate::svg::{FAMILY, LABEL, escaped, font_style, printable, rasterise, shortened};
use crate::{Explanation, Step};

const SIZE: (u32, u32) = (760, 400);
/// Pixels of the PNG per unit of the SVG, so that its text is sharp.
const SHARPNESS: f32 = 2.0;
/// Width of a name in the legend, in pixels.
const LEGEND: f32 = 300.0;
/// Length and distance of the dashes of curves whose colour has been used, in pixels.
const DASHES: (i32, i32) = (6, 4);
const TEXT: RGBColor = RGBColor(26, 26, 26);
const LINES: RGBColor = RGBColor(225, 225, 225);

/// A guided step on the axis of steps.
struct Guided<'a> {
    /// An integer, so that no tick of the axis lies between two steps.
    step: i32,
    /// The losses of every subject, first and last.
    first: &'a [f32],
    last: &'a [f32],
    refinements: usize,
}

impl Explanation {
    /// The loss of every subject over the steps as an SVG document with real text and its font.
    ///
    /// A curve goes through the last evaluation of every step. Where a step was refined a line leads down from its first one,
    /// with the number of updates. A loss that is not finite is left out.
    ///
    /// # Panics
    ///
    /// Never: a text takes every line.
    pub fn loss_svg(&self) -> String {
        let mut svg = String::new();
        self.draw_losses(&mut svg).expect("a text takes every line");
        described(&svg, &self.prompt, self.seed)
    }

    /// As [`loss_svg`](Self::loss_svg), in pixels, twice the size.
    pub fn loss_png(&self) -> RgbImage {
        rasterise(&self.loss_svg(), SHARPNESS)
    }

    fn draw_losses(&self, svg: &mut String) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let steps: &[Step] = self.runs.first().map_or(&[], |run| &run.steps);
        let guided: Vec<_> = steps.iter().filter_map(guided).collect();
        let (Some(first), Some(last)) = (guided.first(), guided.last()) else {
            let middle = (SIZE.0.cast_signed() / 2, SIZE.1.cast_signed() / 2);
            let style = (FAMILY, 18).into_font().color(&TEXT).pos(Pos::new(HPos::Center, VPos::Center));
            root.draw_text("no step was guided: there is no loss to show", &style, middle)?;
            return root.present();
        };

        let highest = guided.iter().flat_map(|step| step.first.iter().chain(step.last));
        let highest = highest.copied().filter(|loss| loss.is_finite());
        let highest = f64::from(highest.fold(0.1, f32::max)) * 1.12;
        // Below this plotters puts the numbers closer than 0.1.
        let decimals = if highest < 0.3 { 2 } else { 1 };
        let mut chart = ChartBuilder::on(&root)
            .margin(14)
            .margin_right(24)
            .x_label_area_size(50)
            .y_label_area_size(60)
            .build_cartesian_2d(first.step..last.step.max(first.step + 1), 0.0..highest)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(LINES)
            .axis_style(TEXT)
            .x_labels(10)
            .y_labels(6)
            .y_label_formatter(&|loss| format!("{loss:.decimals$}"))
            .x_desc("denoising step")
            .y_desc("loss")
            .label_style((FAMILY, 14).into_font().color(&TEXT))
            .axis_desc_style((FAMILY, 16).into_font().color(&TEXT))
            .draw()?;
        for (index, subject) in self.subjects.iter().enumerate() {
            let (red, green, blue) = CURVES[index % CURVES.len()];
            let style = RGBColor(red, green, blue).stroke_width(2);
            let of = |losses: &[f32]| losses.get(index).copied().filter(|loss| loss.is_finite()).map(f64::from);
            let curve = guided.iter().filter_map(|step| Some((step.step, of(step.last)?)));
            let is_dashed = index >= CURVES.len();
            let series = if is_dashed {
                chart.draw_series(DashedLineSeries::new(curve, DASHES.0, DASHES.1, style))?
            } else {
                chart.draw_series(LineSeries::new(curve, style))?
            };
            series.label(shortened(&printable(&subject.text), LABEL, LEGEND)).legend(move |(x, y)| {
                let path = [(x, y), (x + 22, y)];
                if is_dashed {
                    DashedPathElement::new(path, DASHES.0, DASHES.1, style).into_dyn()
                } else {
                    PathElement::new(path, style).into_dyn()
                }
            });
            for step in guided.iter().filter(|step| step.refinements > 0) {
                let (Some(from), Some(to)) = (of(step.first), of(step.last)) else { continue };
                let path = [(step.step, from), (step.step, to)];
                chart.draw_series([PathElement::new(path, style.color.stroke_width(1))])?;
                chart.draw_series([Circle::new((step.step, from), 3, style.color.filled())])?;
            }
        }
        for step in guided.iter().filter(|step| step.refinements > 0) {
            let top = f64::from(step.first.iter().copied().filter(|loss| loss.is_finite()).fold(0.0, f32::max));
            let style = (FAMILY, 13).into_font().color(&TEXT).pos(Pos::new(HPos::Left, VPos::Bottom));
            let at = |offset: (i32, i32)| {
                EmptyElement::at((step.step, top)) + Text::new(format!("×{}", step.refinements), offset, style.clone())
            };
            chart.draw_series([at((5, -3))])?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(LINES)
            .label_font((FAMILY, 15).into_font().color(&TEXT))
            .draw()?;
        root.present()
    }
}

fn guided(step: &Step) -> Option<Guided<'_>> {
    let guidance = step.guidance.as_ref()?;
    Some(Guided {
        step: i32::try_from(step.step).ok()?,
        first: guidance.evaluations.first()?,
        last: guidance.evaluations.last()?,
        refinements: guidance.refinement_steps(),
    })
}

/// The document with a title and a description for those who do not see it.
fn described(svg: &str, prompt: &str, seed: u64) -> String {
    let (head, body) = svg.split_once("<svg").expect("a document");
    let (attributes, body) = body.split_once('>').expect("the tag ends");
    let prompt = escaped(prompt);
    format!(
        "{head}<svg role=\"img\"{attributes}>\n<title>Loss of every subject over the denoising steps</title>\n\
         <desc>“{prompt}”, seed {seed}; dots and ×N mark refinement by N updates.</desc>\n{}{body}",
        font_style()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, explanation};

    /// The number of points of a line.
    fn points(polyline: &str) -> Option<usize> {
        let (_, points) = polyline.split_once("points=\"")?;
        Some(points.split('"').next()?.split_whitespace().count())
    }

    #[test]
    fn the_chart_has_a_curve_for_every_subject_and_real_text() {
        let mut explanation = explanation(1);
        explanation.subjects[0].text = "<lion>".to_owned();
        let svg = explanation.loss_svg();
        for text in ["&lt;lion&gt;", "\ncar\n", "denoising step", "×3", "<title>", FAMILY, "@font-face"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        // Of 25 guided steps each.
        assert_eq!(svg.split("<polyline").filter(|line| points(line) == Some(25)).count(), 2);
        let picture = explanation.loss_png();
        assert_eq!(picture.dimensions(), (2 * SIZE.0, 2 * SIZE.1));
        let blue = picture.pixels().filter(|pixel| pixel.0[2] > 150 && pixel.0[0] < 60).count();
        assert!(blue > 500, "{blue} pixels of the first curve");
    }

    #[test]
    fn no_tick_lies_between_two_steps() {
        let mut explanation = explanation(1);
        explanation.runs[0].steps.truncate(3);
        let svg = explanation.loss_svg();
        let ticks = ["\n0\n", "\n1\n", "\n2\n"].map(|tick| svg.matches(tick).count());
        assert_eq!(ticks, [1, 1, 1], "{svg}");
    }

    #[test]
    fn odd_runs_have_a_chart() {
        let mut explanation = explanation(1);
        explanation.runs[0].steps.truncate(1);
        explanation.loss_png();
        explanation.runs[0].steps[0].guidance = None;
        assert!(explanation.loss_svg().contains("no step was guided"));
        explanation.runs.clear();
        explanation.loss_png();
    }

    /// The labels of the axes, which are numbers.
    fn numbers(svg: &str) -> Vec<&str> {
        svg.lines().filter(|line| line.parse::<f64>().is_ok()).collect()
    }

    #[test]
    fn no_number_stands_twice_on_an_axis() {
        for (count, factor) in [(2, 1.0), (5, 1.0), (9, 1.0), (25, 1.0), (25, 0.3), (25, 0.05)] {
            let mut explanation = explanation(1);
            explanation.runs[0].steps.truncate(count);
            for guidance in explanation.runs[0].steps.iter_mut().filter_map(|step| step.guidance.as_mut()) {
                guidance.evaluations.iter_mut().flatten().for_each(|loss| *loss *= factor);
            }
            let svg = explanation.loss_svg();
            let numbers = numbers(&svg);
            let (steps, losses): (Vec<&str>, Vec<&str>) =
                numbers.iter().copied().partition(|number| !number.contains('.'));
            for mut axis in [steps, losses] {
                let shown = axis.len();
                axis.sort_unstable();
                axis.dedup();
                assert!(shown > 1 && axis.len() == shown, "{count} steps, losses times {factor}: {numbers:?}");
            }
        }
    }

    #[test]
    fn a_loss_that_is_no_number_is_left_out() {
        for loss in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let mut explanation = explanation(1);
            explanation.runs[0].steps[3].guidance.as_mut().unwrap().evaluations[0] = vec![loss; 2];
            let svg = explanation.loss_svg();
            assert_eq!(numbers(&svg).last(), numbers(&testing::explanation(1).loss_svg()).last());
            assert_eq!(svg.split("<polyline").filter(|line| points(line) == Some(24)).count(), 2, "{svg}");
        }
    }

    #[test]
    fn any_subject_has_a_place_in_the_legend() {
        let mut explanation = explanation(1);
        explanation.subjects[0].text = "a\u{8} lion".to_owned();
        explanation.subjects[1].text = "very ".repeat(100);
        let svg = explanation.loss_svg();
        assert!(svg.contains("\na\u{fffd} lion\n") && svg.contains("…\n"), "{svg}");
        explanation.loss_png();
    }

    #[test]
    fn curves_whose_colours_repeat_are_dashed() {
        let mut explanation = explanation(1);
        let many = CURVES.len() + 1;
        explanation.subjects = vec![explanation.subjects[0].clone(); many];
        for guidance in explanation.runs[0].steps.iter_mut().filter_map(|step| step.guidance.as_mut()) {
            guidance.evaluations.iter_mut().for_each(|losses| losses.resize(many, 0.2));
        }
        let svg = explanation.loss_svg();
        let whole = svg.split("<polyline").filter(|line| points(line) == Some(25)).count();
        assert_eq!(whole, CURVES.len());
    }
}
