use ae_figures::page::{escaped, preview};
use serde_json::Value;

use super::ReportPicture;
use crate::report::words::{NONE, value};
use crate::{ArmExamples, Example, MetricKind, PictureFigures, Prompt, Report};

/// The longer side of the pictures inside the page, in pixels.
const PREVIEW: u32 = 256;

impl Report {
    /// The examples of an arm as a section.
    pub(super) fn examples_of(
        &self,
        ArmExamples { arm, metric, best, worst }: &ArmExamples,
        pictures: &mut impl FnMut(&str, &Prompt, u64) -> Option<ReportPicture>,
    ) -> String {
        let (gained, lost) = match metric.kind {
            MetricKind::Share => ("Gained", "Lost"),
            MetricKind::Similarity => ("Best", "Worst"),
        };
        let sides = [(gained, best), (lost, worst)].map(|(title, examples)| {
            let pairs: Vec<_> = examples.iter().map(|example| self.example(arm, example, pictures)).collect();
            if pairs.is_empty() {
                return format!("<h4>{title}</h4>\n<p class=\"hint\">There is no such pair of pictures.</p>\n");
            }
            format!("<h4>{title}</h4>\n<div class=\"examples\">{}</div>\n", pairs.concat())
        });
        let (arm, metric) = (escaped(arm), escaped(&metric.title));
        format!("<section>\n<h3>{arm}, by {metric}</h3>\n{}</section>\n", sides.concat())
    }

    fn example(
        &self,
        arm: &str,
        example: &Example,
        pictures: &mut impl FnMut(&str, &Prompt, u64) -> Option<ReportPicture>,
    ) -> String {
        let first = self.plan().arms.first().map_or("", |arm| &arm.name);
        let (prompt, seed) = (&example.prompt, example.seed);
        let mut picture = |arm: &str| picture(arm, prompt, seed, pictures(arm, prompt, seed));
        let images = picture(first) + &picture(arm);
        let (prompt, set) = (escaped(&prompt.text), escaped(&prompt.set));
        format!(
            "<figure class=\"example\"><figcaption><b>“{prompt}”</b>, seed {seed} ({set})</figcaption>\
             <div class=\"pair\">{images}</div>{}</figure>\n",
            self.scores(first, arm, &example.first, &example.this)
        )
    }

    /// What scorers say of two pictures, side by side.
    fn scores(&self, first: &str, arm: &str, one: &PictureFigures, other: &PictureFigures) -> String {
        let row = |name: &str, cells: [String; 2]| {
            let cells = cells.map(|cell| format!("<td>{}</td>", escaped(&cell))).concat();
            format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", escaped(name))
        };
        let mut rows = String::new();
        for figures in self.figures() {
            let metric = &figures.metric;
            let of = |picture: &PictureFigures| {
                let number = picture.values.get(&metric.key);
                number.map_or_else(
                    || NONE.to_owned(),
                    |number| match metric.kind {
                        MetricKind::Share => if *number > 0.5 { "yes" } else { "no" }.to_owned(),
                        MetricKind::Similarity => value(metric.kind, *number),
                    },
                )
            };
            rows += &row(&metric.title, [of(one), of(other)]);
        }
        for scorer in &self.scorers {
            let of = |picture: &PictureFigures| picture.details.get(&scorer.name).map(said);
            if of(one).or_else(|| of(other)).is_some() {
                rows += &row(&scorer.name, [one, other].map(|picture| of(picture).unwrap_or_else(|| NONE.to_owned())));
            }
        }
        let (first, arm) = (escaped(first), escaped(arm));
        format!(
            "<table class=\"scores\"><thead><tr><td></td><th scope=\"col\">{first}</th><th scope=\"col\">{arm}</th></tr></thead>\
             <tbody>{rows}</tbody></table>"
        )
    }
}

fn picture(arm: &str, prompt: &Prompt, seed: u64, picture: Option<ReportPicture>) -> String {
    let Some(ReportPicture { picture, path }) = picture else {
        return "<div class=\"missing\">no picture</div>".to_owned();
    };
    let (width, height) = picture.dimensions();
    let description = escaped(&format!("{arm}: {}, seed {seed}", prompt.text));
    let image = format!(
        "<img src=\"{}\" width=\"{width}\" height=\"{height}\" loading=\"lazy\" alt=\"{description}\">",
        preview(&picture, PREVIEW)
    );
    path.map_or_else(|| image.clone(), |path| format!("<a href=\"{}\">{image}</a>", address(&path)))
}

/// A relative path as an address: no part of it can be a scheme, a query or a fragment.
fn address(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let address =
        path.bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    // With this it cannot be a path of the whole site or disk either.
    format!("./{}", address.collect::<String>())
}

/// What a scorer says in words: a text as it is, names and values in a line, anything else as JSON.
fn said(detail: &Value) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match detail {
        Value::Object(values) => {
            values.iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect::<Vec<_>>().join("; ")
        }
        other => plain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scorers_say_is_a_line() {
        let details = [Value::Null, "a cat".into(), serde_json::json!({ "found": ["cat"], "caption": "a cat" })];
        assert_eq!(details.map(|detail| said(&detail)), ["null", "a cat", "caption: a cat; found: [\"cat\"]"]);
    }
}
