//! Every prompt with its pictures, which can be filtered without a script: what is not wanted is hidden by the style.

use ae_figures::page::preview;
use maud::{Markup, html};

use super::ReportPicture;
use super::examples::address;
use crate::report::words::{arm_title, count, value};
use crate::{Metric, MetricKind, Prompt, PromptSet, Report};

/// The longer side of the pictures, in pixels.
const THUMB: u32 = 96;
/// The most of them, at some 3 kB each; of more, every prompt has those of its first seeds.
const MOST: usize = 1200;

/// What the rows are filtered by: the class of a row, its name, and what it means.
const FILTERS: [(&str, &str, &str); 3] = [
    ("gained", "Gained", "in some picture a method has it and the first method has not, with the same seed"),
    ("lost", "Lost", "the first method has it and another has not"),
    ("mixed", "Mixed", "some pictures of the prompt have it and some have not"),
];

impl Report {
    /// The table of all prompts with their pictures, judged by a metric, or else by the first that is a share, or else the first; nothing
    /// where nothing is scored.
    pub(super) fn by_prompt(
        &self,
        title: &str,
        metric: Option<&Metric>,
        pictures: &mut impl FnMut(&str, &Prompt, u64) -> Option<ReportPicture>,
    ) -> Markup {
        let place = self.figures.iter().position(|figures| metric.is_some_and(|metric| *metric == figures.metric));
        let share = || self.figures.iter().position(|figures| figures.metric.kind == MetricKind::Share);
        let Some(place) = place.or_else(share).or((!self.figures.is_empty()).then_some(0)) else { return html! {} };
        let metric = &self.figures[place].metric;
        let rows: Vec<_> = (0..self.plan.prompts.len()).map(|prompt| self.classes(place, prompt)).collect();
        let of_class = |class: &str| rows.iter().filter(|classes| classes.contains(&class)).count();
        let seeds =
            (MOST / (self.plan.prompts.len() * self.plan.arms.len()).max(1)).clamp(1, self.plan.seeds.len().max(1));
        html! {
            section #prompts {
                h2 { (title) }
                p.hint {
                    "By " (metric.title) ". "
                    @if seeds < self.plan.seeds.len() { "Of every prompt the pictures of the first " (count(seeds, "seed")) "." }
                }
                @if metric.kind == MetricKind::Share {
                    fieldset.filters {
                        legend { "Show" }
                        label { input type="radio" name="shown" value="all" checked; " All (" (rows.len()) ")" }
                        @for (class, name, meaning) in FILTERS {
                            @let number = of_class(class);
                            label title=(meaning) {
                                input type="radio" name="shown" value=(class) disabled[number == 0];
                                " " (name) " (" (number) ")"
                            }
                        }
                    }
                    p.hint { @for (_, name, meaning) in FILTERS { b { (name) } ": " (meaning) ". " } }
                }
                div.scroll tabindex="0" role="region" aria-label=(title) {
                    table.by-prompt {
                        thead { tr { th scope="col" { "prompt" } @for arm in &self.plan.arms { th scope="col" { (arm_title(&arm.name)) } } } }
                        tbody {
                            @for (prompt, classes) in rows.iter().enumerate() {
                                tr class=(classes.join(" ")) {
                                    th scope="row" {
                                        "“" (self.plan.prompts[prompt].text) "”"
                                        span.set { (PromptSet::title_of(&self.plan.prompts[prompt].set)) }
                                    }
                                    @for arm in 0..self.plan.arms.len() { td { (self.cell(place, arm, prompt, seeds, pictures)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// What the pictures of a prompt are by a share: gained or lost against the first arm, mixed.
    fn classes(&self, metric: usize, prompt: usize) -> Vec<&'static str> {
        let of = |arm: usize| self.values.of_prompt(metric, arm, prompt);
        let arms = 1..self.plan.arms.len();
        let pairs =
            arms.flat_map(|arm| of(0).iter().zip(of(arm))).filter_map(|(first, this)| Some((*this)? - (*first)?));
        let pairs: Vec<_> = pairs.collect();
        let mut all = (0..self.plan.arms.len()).flat_map(|arm| of(arm).iter().flatten());
        let first = all.next();
        let holds = [
            pairs.iter().any(|difference| *difference > 0.0),
            pairs.iter().any(|difference| *difference < 0.0),
            all.any(|value| Some(value) != first),
        ];
        FILTERS.iter().zip(holds).filter(|(_, holds)| *holds).map(|((class, ..), _)| *class).collect()
    }

    /// The pictures of a prompt by an arm, each with its verdict, and how many of all seeds are right.
    fn cell(
        &self,
        metric: usize,
        arm: usize,
        prompt: usize,
        seeds: usize,
        pictures: &mut impl FnMut(&str, &Prompt, u64) -> Option<ReportPicture>,
    ) -> Markup {
        let kind = self.figures[metric].metric.kind;
        let (name, text) = (&self.plan.arms[arm].name, &self.plan.prompts[prompt]);
        let known: Vec<f64> = self.values.of_prompt(metric, arm, prompt).iter().copied().flatten().collect();
        let right = known.iter().filter(|value| **value > 0.5).count();
        html! {
            div.thumbs {
                @for (place, seed) in self.plan.seeds.iter().enumerate().take(seeds) {
                    @let verdict = self.values.get(metric, arm, prompt, place).map(|number| match kind {
                        MetricKind::Share if number > 0.5 => ("yes", "✓".to_owned()),
                        MetricKind::Share => ("no", "✗".to_owned()),
                        MetricKind::Similarity => ("number", value(kind, number)),
                    });
                    (thumb((name, text, *seed), verdict, pictures(name, text, *seed)))
                }
            }
            @if kind == MetricKind::Share && !known.is_empty() { span.right { (right) " of " (known.len()) } }
        }
    }
}

/// A small picture with what is said of it, which leads to its file.
fn thumb(
    (arm, prompt, seed): (&str, &Prompt, u64),
    verdict: Option<(&str, String)>,
    picture: Option<ReportPicture>,
) -> Markup {
    let (class, mark) = verdict.unwrap_or(("unknown", "?".to_owned()));
    let Some(ReportPicture { picture, path }) = picture else {
        return html! { span.thumb.missing { "no picture" } };
    };
    let longest = picture.width().max(picture.height()).max(1);
    let side = |side: u32| (side * THUMB / longest).max(1);
    let image = html! {
        img src=(preview(&picture, THUMB)) width=(side(picture.width())) height=(side(picture.height()))
            alt={ (arm_title(arm)) ": " (prompt.text) ", seed " (seed) ": " (class) };
        span class={ "mark " (class) } aria-hidden="true" { (mark) }
    };
    let address = path.map(|path| address(&path));
    html! { a.thumb href=[address] { (image) } }
}

#[cfg(test)]
mod tests {
    use crate::report::testing::{report, scores};

    #[test]
    fn rows_are_told_by_what_was_gained_and_lost() {
        let report = report(&scores());
        // Plain and guided, of the two seeds: 00 11, 10 11, 00 01, 01 10, 00 11, 11 11; the third arm has two pictures of the first prompt.
        let classes: Vec<_> = (0..6).map(|prompt| report.classes(0, prompt).join(" ")).collect();
        let expected = ["gained mixed", "gained mixed", "gained mixed", "gained lost mixed", "gained mixed", ""];
        assert_eq!(classes, expected);
        let page = report.html(&[], |_, _, _| None);
        assert_eq!(page.matches("<tr class=\"gained").count(), 5);
        for part in ["All (6)", "Lost (1)", "Mixed (5)", "<span class=\"right\">1 of 2</span>"] {
            assert!(page.contains(part), "{part}");
        }
    }
}
