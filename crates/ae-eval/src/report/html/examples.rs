use ae_figures::page::preview;
use maud::{Markup, html};
use serde_json::Value;

use super::ReportPicture;
use crate::report::words::{NONE, arm_title, value};
use crate::{ArmExamples, Example, MetricKind, PictureFigures, Prompt, PromptSet, Report};

/// The longer side of the pictures inside the page, in pixels.
const PREVIEW: u32 = 256;

impl Report {
    /// The examples of an arm as a section.
    pub(super) fn examples_of(
        &self,
        ArmExamples { arm, metric, best, worst }: &ArmExamples,
        pictures: &mut impl FnMut(&str, &Prompt, u64) -> Option<ReportPicture>,
    ) -> Markup {
        let (gained, lost) = match metric.kind {
            MetricKind::Share => ("Gained", "Lost"),
            MetricKind::Similarity => ("Best", "Worst"),
        };
        html! {
            section {
                h3 { (arm_title(arm)) ", by " (metric.title) }
                @for (title, examples) in [(gained, best), (lost, worst)] {
                    h4 { (title) }
                    @if examples.is_empty() {
                        p.hint { "There is no such pair of pictures." }
                    } @else {
                        div.examples { @for example in examples { (self.example(arm, example, pictures)) } }
                    }
                }
            }
        }
    }

    fn example(
        &self,
        arm: &str,
        example: &Example,
        pictures: &mut impl FnMut(&str, &Prompt, u64) -> Option<ReportPicture>,
    ) -> Markup {
        let first = self.plan().arms.first().map_or("", |arm| &arm.name);
        let (prompt, seed) = (&example.prompt, example.seed);
        html! {
            figure.example {
                figcaption { b { "“" (prompt.text) "”" } ", seed " (seed) " (" (PromptSet::title_of(&prompt.set)) ")" }
                div.pair {
                    @for arm in [first, arm] { (picture(arm, prompt, seed, pictures(arm, prompt, seed))) }
                }
                (self.scores(first, arm, [&example.first, &example.this]))
            }
        }
    }

    /// What scorers say of two pictures, side by side.
    fn scores(&self, first: &str, arm: &str, pair: [&PictureFigures; 2]) -> Markup {
        let metrics = self.figures().iter().map(|figures| {
            let metric = &figures.metric;
            let written = |number: &f64| match metric.kind {
                MetricKind::Share => if *number > 0.5 { "yes" } else { "no" }.to_owned(),
                MetricKind::Similarity => value(metric.kind, *number),
            };
            (&metric.title, pair.map(|picture| picture.values.get(&metric.key).map(written)))
        });
        let scorers = self
            .scorers
            .iter()
            .map(|scorer| (&scorer.name, pair.map(|picture| picture.details.get(&scorer.name).map(said))));
        let scorers = scorers.filter(|(_, cells)| cells.iter().any(Option::is_some));
        html! {
            table.scores {
                thead { tr { td {} th scope="col" { (arm_title(first)) } th scope="col" { (arm_title(arm)) } } }
                tbody {
                    @for (name, cells) in metrics.chain(scorers) {
                        tr { th scope="row" { (name) } @for cell in cells { td { (cell.as_deref().unwrap_or(NONE)) } } }
                    }
                }
            }
        }
    }
}

fn picture(arm: &str, prompt: &Prompt, seed: u64, picture: Option<ReportPicture>) -> Markup {
    let Some(ReportPicture { picture, path }) = picture else {
        return html! { div.missing { "no picture" } };
    };
    let (width, height) = picture.dimensions();
    let image = html! {
        img src=(preview(&picture, PREVIEW)) width=(width) height=(height)
            alt={ (arm_title(arm)) ": " (prompt.text) ", seed " (seed) };
    };
    match path {
        Some(path) => html! { a href=(address(&path)) { (image) } },
        None => image,
    }
}

/// A relative path as an address: no part of it can be a scheme, a query or a fragment.
pub(super) fn address(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let address =
        path.bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    // With this it cannot be a path of the whole site or disk either.
    format!("./{}", address.collect::<String>())
}

/// What a scorer says in words: a text as it is, a list with commas, names and values in a line, anything else as JSON.
fn said(detail: &Value) -> String {
    match detail {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "nothing".to_owned(),
        Value::Array(items) => items.iter().map(said).collect::<Vec<_>>().join(", "),
        Value::Object(values) => {
            values.iter().map(|(name, value)| format!("{name}: {}", said(value))).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scorers_say_is_a_line() {
        let found = serde_json::json!({ "found": ["cat", "red car"], "caption": "a cat" });
        let details = [Value::Null, "a cat".into(), found, serde_json::json!({ "found": [] })];
        let expected = ["null", "a cat", "caption: a cat; found: cat, red car", "found: nothing"];
        assert_eq!(details.map(|detail| said(&detail)), expected);
    }
}
