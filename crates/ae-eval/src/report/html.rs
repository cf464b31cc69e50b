mod by_prompt;
mod examples;

use ae_figures::page::{one_file, style};
use image::RgbImage;
use maud::{Markup, PreEscaped, html};

use super::sections::{COSTS, Section, TERMS, Table, costs, headline, method, pictures, sections, summary, warning};
use super::words::arm_title;
use super::{ArmExamples, Report, charts};
use crate::Prompt;

const STYLE: &str = include_str!("../../page/evaluation.css");
/// The widths of charts on wide, middle and narrow screens, in pixels: as wide as there is room, with text of one size.
const CHARTS: [(&str, u32); 3] = [("wide", 1040), ("middle", 680), ("narrow", 310)];
const BY_PROMPT: &str = "Pictures by prompt";
const EXAMPLES: &str = "Best and worst pictures";

/// A picture for the page.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportPicture {
    /// The picture, of any size: the page has a smaller one.
    pub picture: RgbImage,
    /// The path of its file from the folder of the page, with `/` between its parts.
    pub path: Option<String>,
}

impl Report {
    /// The report as one HTML page, which asks for no other file: tables, charts and [examples](Self::examples), light or dark as
    /// the reader has it.
    ///
    /// `pictures` gives the picture of an arm for a prompt and a seed; where it gives none, the page says so. The pictures of the
    /// examples are put into the page, about 15 kB each, and small ones of every prompt, which can be filtered by what was lost.
    pub fn html(
        &self,
        examples: &[ArmExamples],
        mut pictures: impl FnMut(&str, &Prompt, u64) -> Option<ReportPicture>,
    ) -> String {
        let sections = sections(self);
        let body = html! {
            header {
                h1 { "Evaluation" }
                @if let Some(headline) = headline(self) { p.headline { (headline) } }
                @if let Some(warning) = warning(self) { p.warning role="note" { (warning) } }
                p.summary { (summary(self)) }
                nav aria-label="Sections" { ul { (navigation(&sections, !examples.is_empty())) } }
            }
            main {
                section {
                    h2 { "Overview" }
                    (table("Evaluation", &self::pictures(self)))
                    details { summary { "How these numbers were computed" } p { (method(self)) } }
                }
                @for (place, section) in sections.iter().enumerate() { (metric(place, section)) }
                @if !examples.is_empty() {
                    section #examples {
                        h2 { (EXAMPLES) }
                        p.hint { "The pairs that differ most, at most one per prompt: extremes, not typical results." }
                        @for examples in examples { (self.examples_of(examples, &mut pictures)) }
                    }
                }
                (self.by_prompt(BY_PROMPT, examples.first().map(|examples| &examples.metric), &mut pictures))
                @if let Some(costs) = costs(self) {
                    section #cost {
                        h2 { "Cost" }
                        (table("Cost of a picture", &costs))
                        p.hint { (COSTS) }
                    }
                }
                section #settings {
                    h2 { "Settings" }
                    @for arm in &self.plan().arms {
                        details {
                            summary { (arm_title(&arm.name)) }
                            pre tabindex="0" { (serde_json::to_string_pretty(&arm.settings).unwrap_or_default()) }
                        }
                    }
                }
            }
        };
        one_file("Evaluation", "img-src data:", &(style().to_owned() + STYLE), &body).into_string()
    }
}

fn navigation(sections: &[Section], has_examples: bool) -> Markup {
    html! {
        @for (place, section) in sections.iter().enumerate() {
            li { a href={ "#metric-" (place) } { (section.figures.metric.title) } }
        }
        @if has_examples { li { a href="#examples" { (EXAMPLES) } } }
        @if !sections.is_empty() { li { a href="#prompts" { (BY_PROMPT) } } }
        li { a href="#settings" { "Settings" } }
    }
}

fn metric(place: usize, section: &Section) -> Markup {
    let chart = charts::of(section.figures);
    let title = &section.figures.metric.title;
    html! {
        section id={ "metric-" (place) } {
            h2 { (title) }
            @for (class, width) in CHARTS { div class={ "chart " (class) } { (PreEscaped(chart.inline_svg(width))) } }
            @for part in &section.tables { (table(title, part)) }
            @if section.tables.len() > 1 {
                details.terms {
                    summary { "What the columns mean" }
                    dl { @for (term, meaning) in TERMS { dt { (term) } dd { (meaning) } } }
                }
            }
            @for note in &section.notes { p.hint { (note) } }
        }
    }
}

/// A table that scrolls by itself where the screen is too narrow.
fn table(title: &str, table: &Table) -> Markup {
    let class = |column: usize| (column < table.names).then_some("name");
    html! {
        div.scroll tabindex="0" role="region" aria-label={ (title) ": " (table.caption) } {
            table.figures {
                caption { (table.caption) }
                thead {
                    tr { @for (column, name) in table.head.iter().enumerate() { th scope="col" class=[class(column)] { (name) } } }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (column, cell) in row.iter().enumerate() {
                                @if column == 0 { th scope="row" { (cell) } } @else { td class=[class(column)] { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::super::testing::{report, scores};
    use super::*;

    fn page() -> String {
        let report = report(&scores());
        let examples = report.examples(None, 4).unwrap();
        report.html(&examples, |arm, prompt, seed| {
            let path = Some(format!("{arm}/{} #{seed}.png", prompt.text));
            (seed == 7).then(|| ReportPicture { picture: RgbImage::from_pixel(512, 512, Rgb([200, 60, 20])), path })
        })
    }

    #[test]
    fn the_page_asks_for_nothing() {
        let page = page().replace("http://www.w3.org/2000/svg", "");
        for outside in ["http://", "https://", "url(", "@import", "<script", "<link rel=\"style", "javascript:"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn no_text_breaks_out() {
        let mut scores = scores();
        scores.iter_mut().flat_map(|arm| &mut arm.scores).for_each(|scores| scores.scorer.about = "<b>\"&".to_owned());
        let report = report(&scores);
        let page = report.html(&report.examples(Some("text_text"), 9).unwrap(), |_, _, _| None);
        assert!(!page.contains("<script") && !page.contains("<picture") && !page.contains("<b>\""));
        assert!(page.contains("a &lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; and a | b, &quot;c&quot;"));
        assert!(page.contains("a &lt;picture&gt; of 2") && page.contains("&lt;b&gt;&quot;&amp;"));
    }

    #[test]
    fn pictures_are_small_and_linked() {
        let page = page();
        assert_eq!(page.matches("<img src=\"data:image/jpeg;base64,").count(), page.matches(" href=\"./").count());
        assert!(
            page.contains("<a href=\"./attend-and-excite/a%20pink") && page.contains("<a href=\"./all%7Csteps/a%20cat")
        );
        assert!(page.contains("%20%237.png") && page.contains("no picture"));
        assert!(page.len() < 200_000, "{}", page.len());
    }

    #[test]
    fn tables_charts_and_examples_are_there() {
        let page = page();
        assert_eq!(page.matches("<svg class=\"interval-chart\"").count(), 3 * 3);
        for part in [
            "<caption>Difference from Stable Diffusion in percentage points</caption>",
            "<th scope=\"row\">Attend-and-Excite, published (SD 1.4)</th><td>0.806</td>",
            "<h4>Gained</h4>",
            "<td>found: 2</td>",
            "The scorer blip; right in 9 of 10 pictures.",
            "<h3>all|steps, by Both subjects</h3>",
            "<p class=\"headline\">Both subjects: Stable Diffusion 33.3 %",
            "Fewer than 20 prompts",
            "<dt>McNemar p</dt>",
        ] {
            assert!(page.contains(part), "{part}");
        }
        let empty = report(&[]).html(&[], |_, _, _| None);
        assert!(empty.contains("Settings") && !empty.contains("Best and worst pictures"));
    }
}
