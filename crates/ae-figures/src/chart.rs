//! The chart of the loss: a curve for each of its terms over the steps, with refinement marked.

use ae_settings::Method;
use image::RgbImage;

use crate::axis::Axis;
use crate::colors::CURVES;
use crate::drawing::{Anchor, Drawing, GRID, INK, Pen, printable};
use crate::font::{HEADING, SMALL, shortened, width};
use crate::interval_drawing::SHARPNESS;
use crate::interval_row::MARGIN;
use crate::refinement::Refinement;
use crate::{Explanation, Step, Term};

const TITLE: &str = "Loss over the denoising steps";
const WIDTH: u32 = 760;
/// Without the key.
const HEIGHT: f32 = 396.0;
/// The axes' ends, in pixels: of the steps from left to right, of the losses upwards.
const ACROSS: (f32, f32) = (60.0, 736.0);
/// Free space before the first step and after the last.
const INDENT: f32 = 10.0;
const UP: (f32, f32) = (346.0, 96.0);
/// Height of a line of the key, the length of a curve in it, and the most that a name may take.
const KEY_HEIGHT: f32 = 24.0;
const SWATCH: f32 = 22.0;
const NAME: f32 = 300.0;
/// Dashes and gaps of the curves, in pixels: they differ in these as well as in colour.
const DASHES: [&[f32]; 4] = [&[], &[6.0, 4.0], &[2.0, 3.0], &[11.0, 3.0, 2.0, 3.0]];
/// The lines of the losses that refinement asks for.
const LIMIT: Pen = Pen { colour: INK, width: 1.0, dashes: &[1.0, 3.0] };
const LIMIT_NAME: &str = "asked for by refinement";

/// A guided step.
struct Guided<'a> {
    step: usize,
    /// The terms at its first and last evaluation.
    first: &'a [f32],
    last: &'a [f32],
    refinements: usize,
}

impl Explanation {
    /// The terms of the loss over the steps as an SVG document with real text and its font.
    ///
    /// A curve goes through the last evaluation of every step. Where a step was refined a line leads there from its first one,
    /// with the number of updates. Dotted lines are the losses that the thresholds ask for, and where the updates did not reach
    /// one, a line below says so. A loss that is not finite is left out. Losses of any sign have a place; where all are
    /// between 0 and 1, as those of Attend-and-Excite, so is the axis. The steps are all of the run.
    pub fn loss_svg(&self) -> String {
        let description = format!("“{}”, seed {}; dots and ×N mark refinement by N updates.", self.prompt, self.seed);
        let (height, drawing) = self.loss_drawing();
        drawing.document((WIDTH, height), TITLE, &description)
    }

    /// As [`loss_svg`](Self::loss_svg), in pixels, twice the size.
    pub fn loss_png(&self) -> RgbImage {
        let (height, drawing) = self.loss_drawing();
        drawing.pixels((WIDTH, height), SHARPNESS)
    }

    /// The height of the chart and what is in it.
    fn loss_drawing(&self) -> (u32, Drawing) {
        let mut drawing = Drawing::default();
        drawing.text(TITLE, (MARGIN, MARGIN + 18.0), Anchor::Start, HEADING);
        let about = printable(&format!("“{}”, seed {}", self.prompt, self.seed));
        let about = shortened(&about, SMALL, WIDTH as f32 - 2.0 * MARGIN);
        drawing.text(about, (MARGIN, MARGIN + 40.0), Anchor::Start, SMALL);
        let run = self.runs.first();
        let steps: &[Step] = run.map_or(&[], |run| &run.steps);
        let guided: Vec<_> = steps.iter().filter_map(guided).collect();
        let (Some(_), Some(last)) = (guided.first(), guided.last()) else {
            let middle = (WIDTH as f32 / 2.0, HEIGHT / 2.0);
            drawing.text("no step was guided: there is no loss to show", middle, Anchor::Middle, SMALL);
            return (rounded(HEIGHT + KEY_HEIGHT), drawing);
        };
        let refinement = Refinement::of(self);
        let shown = guided.iter().flat_map(|step| step.first.iter().chain(step.last));
        let shown = shown.filter(|loss| loss.is_finite()).map(|loss| f64::from(*loss));
        let limited = refinement.limits.iter().map(|(_, limit)| *limit);
        let losses = Axis::losses(shown.chain(limited), UP);
        let last_step = steps.iter().map(|step| step.num_steps).max().unwrap_or(0).max(last.step + 1) - 1;
        let across = Axis::indices(0, last_step, (ACROSS.0 + INDENT, ACROSS.1 - INDENT));
        let is_attention = run.is_some_and(|run| run.method == Method::AttendAndExcite.name());
        grid(&mut drawing, &across, &losses, is_attention);
        limits(&mut drawing, &refinement.limits, last.step, (&across, &losses));
        let pens = pens(&self.terms);
        for (index, pen) in pens.iter().enumerate() {
            curve(&mut drawing, &guided, index, *pen, (&across, &losses));
        }
        updates(&mut drawing, &guided, (&across, &losses));
        let mut entries: Vec<_> =
            self.terms.iter().zip(&pens).map(|(term, pen)| (printable(&term.name), *pen)).collect();
        if !refinement.limits.is_empty() {
            entries.push((LIMIT_NAME.to_owned(), LIMIT));
        }
        let mut height = key(&mut drawing, &entries);
        let given_up = steps
            .iter()
            .filter(|step| step.guidance.as_ref().is_some_and(|guidance| refinement.gave_up(step.step, guidance)));
        let given_up: Vec<_> = given_up.map(|step| step.step.to_string()).collect();
        if !given_up.is_empty() {
            let most = refinement.most_updates;
            let plural = if given_up.len() == 1 { "" } else { "s" };
            let note = format!("limit hit: {most} updates did not reach it at step{plural} {}", given_up.join(", "));
            let note = shortened(&note, SMALL, WIDTH as f32 - 2.0 * MARGIN);
            drawing.text(note, (MARGIN, height + 12.0), Anchor::Start, SMALL);
            height += KEY_HEIGHT;
        }
        (rounded(height), drawing)
    }
}

fn guided(step: &Step) -> Option<Guided<'_>> {
    let guidance = step.guidance.as_ref()?;
    let (first, last) = (guidance.evaluations.first()?, guidance.evaluations.last()?);
    Some(Guided { step: step.step, first, last, refinements: guidance.refinement_steps() })
}

/// How the curve of every term is drawn: in the colour of its subject, or in one that no other term has. Curves differ in their
/// dashes too: seven colours and four patterns, so that no pair of both comes twice among 28 subjects.
fn pens(terms: &[Term]) -> Vec<Pen> {
    let mut free = terms.iter().filter_map(|term| term.subject).max().map_or(0, |last| last + 1)..;
    let pens = terms.iter().enumerate().map(|(index, term)| {
        let colour = term.subject.or_else(|| free.next()).unwrap_or(0) % CURVES.len();
        let dashes = DASHES[index % DASHES.len()];
        Pen { dashes, ..Pen::new(CURVES[colour], 2.0) }
    });
    pens.collect()
}

/// Draws the lines of the losses, and what stands beside both axes.
fn grid(drawing: &mut Drawing, across: &Axis, losses: &Axis, is_attention: bool) {
    for tick in losses.ticks() {
        let y = losses.place(tick);
        drawing.line((ACROSS.0, y), (ACROSS.1, y), "grid", Pen::new(GRID, 1.0));
        drawing.text(losses.written(tick), (ACROSS.0 - 8.0, y + 5.0), Anchor::End, SMALL);
    }
    for tick in across.ticks() {
        let x = across.place(tick);
        drawing.line((x, UP.0), (x, UP.0 + 5.0), "axis", Pen::new(INK, 1.0));
        drawing.text(across.written(tick), (x, UP.0 + 20.0), Anchor::Middle, SMALL);
    }
    drawing.line((ACROSS.0, UP.0), (ACROSS.1, UP.0), "axis", Pen::new(INK, 1.0));
    let name = if is_attention { "loss of a subject: 1 minus its largest attention" } else { "loss" };
    drawing.text(name, (MARGIN, UP.1 - 18.0), Anchor::Start, SMALL);
    let middle = f32::midpoint(ACROSS.0, ACROSS.1);
    drawing.text("denoising step, counted from 0", (middle, UP.0 + 40.0), Anchor::Middle, SMALL);
}

/// Draws the losses that refinement asks for, each from its step to the next one's, with its number where that has room.
fn limits(drawing: &mut Drawing, limits: &[(usize, f64)], last: usize, (across, losses): (&Axis, &Axis)) {
    for (place, (step, limit)) in limits.iter().enumerate() {
        // One at the last step has a length too.
        let end = limits.get(place + 1).map_or(last.max(step + 1), |(next, _)| *next);
        let (from, to, y) = (across.place(*step as f64), across.place(end as f64), losses.place(*limit));
        drawing.line((from, y), (to, y), "limit", LIMIT);
        let number = format!("≤ {}", (limit * 1000.0).round() / 1000.0);
        if width(&number, SMALL) <= to - from {
            drawing.text(number, (to, y + 15.0), Anchor::End, SMALL);
        }
    }
}

/// Draws a term over the steps.
fn curve(drawing: &mut Drawing, guided: &[Guided<'_>], term: usize, pen: Pen, (across, losses): (&Axis, &Axis)) {
    let class = format!("term-{term}");
    let place = |step: &Guided<'_>, terms: &[f32]| {
        let loss = terms.get(term).filter(|loss| loss.is_finite())?;
        Some((across.place(step.step as f64), losses.place(f64::from(*loss))))
    };
    drawing.curve(guided.iter().filter_map(|step| place(step, step.last)).collect(), &class, pen);
    for step in guided.iter().filter(|step| step.refinements > 0) {
        if let (Some(from), Some(to)) = (place(step, step.first), place(step, step.last)) {
            drawing.line(from, to, &class, Pen::new(pen.colour, 1.0));
            drawing.dot(from, 3.0, &class, pen.colour);
        }
    }
}

/// Draws the numbers of refinement updates; those that would overlap are left out.
fn updates(drawing: &mut Drawing, guided: &[Guided<'_>], (across, losses): (&Axis, &Axis)) {
    let mut free = 0.0;
    for step in guided.iter().filter(|step| step.refinements > 0) {
        let (number, x) = (format!("×{}", step.refinements), across.place(step.step as f64));
        let highest = step.first.iter().copied().filter(|loss| loss.is_finite()).reduce(f32::max);
        if let Some(highest) = highest.filter(|_| x >= free) {
            free = x + width(&number, SMALL) + 4.0;
            drawing.text(number, (x, losses.place(f64::from(highest)) - 8.0), Anchor::Middle, SMALL);
        }
    }
}

/// Draws names beside their lines, in as many rows as they take; the height of the chart.
fn key(drawing: &mut Drawing, entries: &[(String, Pen)]) -> f32 {
    let (mut x, mut y) = (MARGIN, HEIGHT);
    for (name, pen) in entries {
        let name = shortened(name, SMALL, NAME);
        let end = x + SWATCH + 6.0 + width(&name, SMALL);
        if x > MARGIN && end > WIDTH as f32 - MARGIN {
            (x, y) = (MARGIN, y + KEY_HEIGHT);
        }
        drawing.curve(vec![(x, y + 7.0), (x + SWATCH, y + 7.0)], "key", *pen);
        let next = x + SWATCH + 6.0 + width(&name, SMALL) + 24.0;
        drawing.text(name, (x + SWATCH + 6.0, y + 12.0), Anchor::Start, SMALL);
        x = next;
    }
    y + KEY_HEIGHT
}

/// A length in whole pixels.
#[expect(clippy::cast_sign_loss, reason = "lengths are positive")]
fn rounded(length: f32) -> u32 {
    length as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::FAMILY;
    use crate::testing::{self, explanation};

    const SIZE: (u32, u32) = (WIDTH, 420);

    /// The number of points of a line.
    fn points(polyline: &str) -> Option<usize> {
        let (_, points) = polyline.split_once("points=\"")?;
        Some(points.split('"').next()?.split_whitespace().count())
    }

    #[test]
    fn the_chart_has_a_curve_for_every_subject_and_real_text() {
        let mut explanation = explanation(1);
        explanation.terms[0].name = "<lion>".to_owned();
        let svg = explanation.loss_svg();
        for text in ["&lt;lion&gt;", ">car<", "denoising step", "×3", "<title>", FAMILY, "@font-face"] {
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
        explanation.runs[0].steps.iter_mut().for_each(|step| step.num_steps = 3);
        let svg = explanation.loss_svg();
        let ticks = [">0<", ">1<", ">2<"].map(|tick| svg.matches(tick).count());
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
        let texts = svg.split("</text>").filter_map(|text| text.rsplit_once('>'));
        texts.map(|(_, text)| text).filter(|text| text.parse::<f64>().is_ok()).collect()
    }

    #[test]
    fn no_number_stands_twice_on_an_axis() {
        for (count, factor) in [(2, 1.0), (5, 1.0), (9, 1.0), (25, 1.0), (25, 0.3), (25, 0.05)] {
            let mut explanation = explanation(1);
            explanation.runs[0].steps.truncate(count);
            explanation.runs[0].steps.iter_mut().for_each(|step| step.num_steps = count);
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
        explanation.terms[0].name = "a\u{8} lion".to_owned();
        explanation.terms[1].name = "very ".repeat(100);
        let svg = explanation.loss_svg();
        assert!(svg.contains(">a\u{fffd} lion<") && svg.contains("…<"), "{svg}");
        explanation.loss_png();
    }

    /// The points and the stroke of every curve of a term.
    fn curves(svg: &str) -> Vec<(usize, &str)> {
        let curves = svg.split("<polyline class=\"term-").skip(1);
        curves
            .map(|curve| (points(curve).unwrap(), curve.split_once("stroke=").unwrap().1.split('/').next().unwrap()))
            .collect()
    }

    fn with_terms(terms: &[(&str, Option<usize>)]) -> Explanation {
        let mut explanation = explanation(1);
        let term = |(name, subject): &(&str, Option<usize>)| Term { name: (*name).to_owned(), subject: *subject };
        explanation.terms = terms.iter().map(term).collect();
        for guidance in explanation.runs[0].steps.iter_mut().filter_map(|step| step.guidance.as_mut()) {
            guidance.evaluations.iter_mut().for_each(|losses| losses.resize(terms.len(), 0.2));
        }
        explanation
    }

    #[test]
    fn curves_whose_colours_repeat_are_dashed() {
        let many: Vec<_> = (0..=CURVES.len()).map(|subject| ("lion", Some(subject))).collect();
        let svg = with_terms(&many).loss_svg();
        let strokes: std::collections::BTreeSet<_> = curves(&svg).into_iter().map(|(_, stroke)| stroke).collect();
        assert_eq!(strokes.len(), CURVES.len() + 1);
    }

    #[test]
    fn terms_are_not_subjects() {
        // Two terms of the lion, none of the car, two of no subject.
        let terms = [("lion attended", Some(0)), ("lion and car apart", None), ("lion alone", Some(0)), ("size", None)];
        let svg = with_terms(&terms).loss_svg();
        let strokes: Vec<_> = curves(&svg).into_iter().map(|(_, stroke)| stroke).collect();
        assert!(terms.iter().all(|(name, _)| svg.contains(&format!(">{name}<"))) && !svg.contains(">lion<"), "{svg}");
        // The colour of the first subject, and others.
        let colours: Vec<_> = strokes.iter().map(|stroke| &stroke[1..8]).collect();
        assert_eq!(colours, ["#0072b2", "#d55e00", "#0072b2", "#009e73"]);
        assert_eq!(strokes.iter().map(|stroke| stroke.contains("dash")).collect::<Vec<_>>(), [false, true, true, true]);
        // Any number of names has a place below.
        let many = vec![("a rather long name of a term", None); 30];
        assert!(with_terms(&many).loss_png().height() > 2 * SIZE.1);
    }

    #[test]
    fn thresholds_and_the_limit_of_updates_are_shown() {
        let mut explanation = explanation(1);
        explanation.settings = serde_json::json!({ "steps": 50, "attend_and_excite": { "max_refinement_steps": 3 } });
        let svg = explanation.loss_svg();
        // Asked for at the steps 0, 10 and 20; the losses are 0.75, 0.55 and 0.35 there.
        assert_eq!(svg.matches("<line class=\"limit\"").count(), 3);
        for text in
            [">≤ 0.95<", ">≤ 0.5<", ">limit hit: 3 updates did not reach it at steps 10, 20<", LIMIT_NAME, ">40<"]
        {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        explanation.settings = serde_json::json!({ "steps": 50 });
        assert!(!explanation.loss_svg().contains("limit hit"));
        explanation.runs[0].method = "another".to_owned();
        let svg = explanation.loss_svg();
        assert!(!svg.contains("class=\"limit\"") && !svg.contains("largest attention"), "{svg}");
    }

    #[test]
    fn negative_losses_are_drawn() {
        let mut explanation = explanation(1);
        // One whose losses are not those of Attend-and-Excite.
        explanation.runs[0].method = "another".to_owned();
        for guidance in explanation.runs[0].steps.iter_mut().filter_map(|step| step.guidance.as_mut()) {
            guidance.evaluations.iter_mut().flatten().for_each(|loss| *loss *= -10.0);
        }
        let svg = explanation.loss_svg();
        assert_eq!(curves(&svg).iter().filter(|(points, _)| *points == 25).count(), 2);
        assert!(numbers(&svg).contains(&"-8") && svg.contains("×3"), "{:?}", numbers(&svg));
        // The loss rises, so the curve does: its y falls.
        let (_, points) = svg.split_once("<polyline class=\"term-0\" points=\"").unwrap();
        let heights: Vec<f32> = points
            .split('"')
            .next()
            .unwrap()
            .split(' ')
            .map(|point| point.split_once(',').unwrap().1.parse().unwrap())
            .collect();
        assert!(heights.first() > heights.last() && heights.iter().all(|y| (UP.1..UP.0).contains(y)), "{heights:?}");
    }

    #[test]
    fn numbers_of_updates_do_not_overlap() {
        let mut explanation = explanation(1);
        for guidance in explanation.runs[0].steps.iter_mut().filter_map(|step| step.guidance.as_mut()) {
            guidance.evaluations = vec![vec![0.9, 0.5]; 21];
        }
        let svg = explanation.loss_svg();
        let shown = svg.matches(">×20<").count();
        assert!((8..20).contains(&shown), "{shown}");
        // Every refined step has its dots, whether its number has room or not.
        assert_eq!(svg.matches("<circle").count(), 2 * 25);
    }
}
