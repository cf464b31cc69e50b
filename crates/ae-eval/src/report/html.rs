mod examples;

use ae_figures::page::{escaped, filled, style};
use image::RgbImage;

use super::sections::{Section, Table, method, pictures, sections, summary};
use super::{ArmExamples, Report, charts};
use crate::Prompt;

const TEMPLATE: &str = include_str!("../../page/evaluation.html");
const STYLE: &str = include_str!("../../page/evaluation.css");
/// The widths of charts on wide and on narrow screens, in pixels.
const WIDE: u32 = 680;
const NARROW: u32 = 310;

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
    /// examples are put into the page, about 15 kB each.
    pub fn html(
        &self,
        examples: &[ArmExamples],
        mut pictures: impl FnMut(&str, &Prompt, u64) -> Option<ReportPicture>,
    ) -> String {
        let sections = sections(self);
        let examples: String = examples.iter().map(|examples| self.examples_of(examples, &mut pictures)).collect();
        let content = Content {
            summary: escaped(&summary(self)),
            navigation: navigation(&sections, !examples.is_empty()),
            pictures: table("Evaluation", &self::pictures(self)),
            method: escaped(&method(self)),
            sections: sections.iter().enumerate().map(|(place, section)| metric(place, section)).collect(),
            settings: self.settings(),
            examples,
        };
        filled(TEMPLATE, |name| content.of(name))
    }

    fn settings(&self) -> String {
        let arms = self.plan().arms.iter().map(|arm| {
            let settings = serde_json::to_string_pretty(&arm.settings).unwrap_or_default();
            format!(
                "<details><summary>{}</summary><pre tabindex=\"0\">{}</pre></details>\n",
                escaped(&arm.name),
                lines_escaped(&settings)
            )
        });
        arms.collect()
    }
}

/// The parts of the page by their names in the template.
struct Content {
    summary: String,
    navigation: String,
    pictures: String,
    method: String,
    sections: String,
    settings: String,
    examples: String,
}

impl Content {
    fn of(&self, name: &str) -> String {
        match name {
            "STYLE" => style().to_owned() + STYLE,
            "SUMMARY" => self.summary.clone(),
            "NAVIGATION" => self.navigation.clone(),
            "PICTURES" => self.pictures.clone(),
            "METHOD" => self.method.clone(),
            "SECTIONS" => self.sections.clone(),
            "SETTINGS" => self.settings.clone(),
            "EXAMPLES" if self.examples.is_empty() => String::new(),
            "EXAMPLES" => format!(
                "<section id=\"examples\"><h2>Best and worst pictures</h2>\n<p class=\"hint\">The pairs of pictures that differ \
                 most, of a prompt one: they show what can happen, not what is usual.</p>\n{}</section>",
                self.examples
            ),
            other => unreachable!("the template has {other}"),
        }
    }
}

fn navigation(sections: &[Section], has_examples: bool) -> String {
    let metrics = sections.iter().enumerate();
    let metrics = metrics.map(|(place, section)| (format!("metric-{place}"), section.figures.metric.title.clone()));
    let examples = has_examples.then(|| ("examples".to_owned(), "Best and worst pictures".to_owned()));
    let links = metrics.chain(examples).chain([("settings".to_owned(), "Settings".to_owned())]);
    let links = links.map(|(id, title)| format!("<li><a href=\"#{id}\">{}</a></li>", escaped(&title)));
    links.collect::<Vec<_>>().concat()
}

fn metric(place: usize, section: &Section) -> String {
    let chart = charts::of(section.figures);
    let charts = [("wide", WIDE), ("narrow", NARROW)]
        .map(|(class, width)| format!("<div class=\"chart {class}\">{}</div>\n", chart.inline_svg(width)));
    let title = &section.figures.metric.title;
    let tables: String = section.tables.iter().map(|part| table(title, part)).collect();
    let notes = section.notes.iter().map(|note| format!("<p class=\"hint\">{}</p>\n", escaped(note)));
    let notes = notes.collect::<Vec<_>>().concat();
    let title = escaped(title);
    format!("<section id=\"metric-{place}\">\n<h2>{title}</h2>\n{}{tables}{notes}</section>\n", charts.concat())
}

/// A table that scrolls by itself where the screen is too narrow.
fn table(title: &str, table: &Table) -> String {
    let class = |column: usize| if column < table.names { " class=\"name\"" } else { "" };
    let head = table.head.iter().enumerate();
    let head = head.map(|(column, name)| format!("<th scope=\"col\"{}>{}</th>", class(column), escaped(name)));
    let head: String = head.collect();
    let rows = table.rows.iter().map(|row| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("<th scope=\"row\">{}</th>", escaped(cell)),
            _ => format!("<td{}>{}</td>", class(column), escaped(cell)),
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    });
    let (title, caption, rows) = (escaped(title), escaped(&table.caption), rows.collect::<String>());
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}: {caption}\"><table class=\"figures\">\
         <caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// A text of several lines.
fn lines_escaped(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
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
        assert_eq!(page.matches("<img src=\"data:image/jpeg;base64,").count(), page.matches("<a href=\"./").count());
        assert!(
            page.contains("<a href=\"./attend-and-excite/a%20pink") && page.contains("<a href=\"./all%7Csteps/a%20cat")
        );
        assert!(page.contains("%20%237.png") && page.contains("no picture"));
        assert!(page.len() < 200_000, "{}", page.len());
    }

    #[test]
    fn tables_charts_and_examples_are_there() {
        let page = page();
        assert_eq!(page.matches("<svg class=\"interval-chart\"").count(), 2 * 3);
        for part in [
            "<caption>Differences to stable-diffusion in percentage points</caption>",
            "<th scope=\"row\">attend-and-excite, published (SD 1.4)</th><td>0.806</td>",
            "<h4>Gained</h4>",
            "<td>found: 2</td>",
            "The scorer blip; right in 9 of 10 pictures.",
            "<h3>all|steps, by Both subjects</h3>",
        ] {
            assert!(page.contains(part), "{part}");
        }
        let empty = report(&[]).html(&[], |_, _, _| None);
        assert!(empty.contains("Settings") && !empty.contains("Best and worst pictures"));
    }
}
