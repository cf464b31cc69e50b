use super::Report;
use super::sections::{COSTS, Table, costs, headline, method, pictures, sections, summary, warning};
use super::words::arm_title;

impl Report {
    /// All tables in Markdown, as GitHub has it, under a heading of the first level.
    pub fn markdown(&self) -> String {
        let mut blocks = vec!["# Evaluation".to_owned()];
        blocks.extend(headline(self).map(|headline| format!("**{}**", escaped(&headline))));
        blocks.extend(warning(self).map(|warning| escaped(&warning)));
        blocks.push(escaped(&summary(self)));
        blocks.push(table(&pictures(self)));
        blocks.push(escaped(&method(self)));
        for section in sections(self) {
            blocks.push(format!("## {}", escaped(&section.figures.metric.title)));
            for part in &section.tables {
                blocks.push(escaped(&part.caption) + ":");
                blocks.push(table(part));
            }
            blocks.extend(section.notes.iter().map(|note| escaped(note)));
        }
        if let Some(costs) = costs(self) {
            blocks.extend(["## Cost".to_owned(), table(&costs), escaped(COSTS)]);
        }
        blocks.push("## Settings".to_owned());
        let settings = self
            .plan()
            .arms
            .iter()
            .map(|arm| format!("- {}: {}", escaped(arm_title(&arm.name)), code(&arm.settings.to_string())));
        blocks.push(settings.collect::<Vec<_>>().join("\n"));
        blocks.join("\n\n").trim_end().to_owned() + "\n"
    }
}

fn table(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let rule = (0..table.head.len()).map(|column| if column < table.names { " --- |" } else { " ---: |" });
    let lines = [line(&table.head), format!("|{}", rule.collect::<String>())];
    lines.into_iter().chain(table.rows.iter().map(|row| line(row))).collect::<Vec<_>>().join("\n")
}

/// A text of which nothing is markup, in one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let characters: Vec<_> = text.chars().collect();
    for (place, &character) in characters.iter().enumerate() {
        let is_inside = |place: Option<&char>| place.is_some_and(|other| other.is_alphanumeric());
        let is_word = is_inside(place.checked_sub(1).and_then(|place| characters.get(place)))
            && is_inside(characters.get(place + 1));
        match character {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // Within a word it is no markup.
            '_' if is_word => escaped.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => escaped.extend(['\\', character]),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A text as code, in one line, between more backticks than it has in a row.
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{report, scores};
    use super::*;

    #[test]
    fn nothing_is_markup() {
        assert_eq!(escaped("a_b _c_ | <d>\n*e*"), "a_b \\_c\\_ \\| &lt;d&gt; \\*e\\*");
        assert_eq!(code("{\"a\": \"`\"}"), "`` {\"a\": \"`\"} ``");
    }

    /// The whole text; what it says is checked by hand against the values of the test module.
    #[test]
    fn the_text_is_as_it_was() {
        let markdown = report(&scores()).markdown();
        assert_eq!(markdown, include_str!("testing/report.md"), "\n{markdown}");
    }

    #[test]
    fn costs_stand_beside_quality() {
        let cost = |seconds, guidance_passes| crate::PictureCost {
            seconds,
            steps: 50,
            guidance_passes,
            ..crate::PictureCost::default()
        };
        let costs = [
            crate::ArmCosts { arm: "attend-and-excite".to_owned(), pictures: vec![cost(2.0, 30), cost(3.0, 31)] },
            crate::ArmCosts { arm: "stable-diffusion".to_owned(), pictures: Vec::new() },
        ];
        let report = report(&scores()).with_costs(&costs);
        let markdown = report.markdown();
        assert!(markdown.contains("## Cost\n"), "{markdown}");
        assert!(markdown.contains("| Attend-and-Excite | 2 | 2.5 | 50.0 | 30.5 | 0.0 | 0.0 |"), "{markdown}");
        assert!(report.json().contains("\"guidance_passes\": 30.5"));
        assert!(report.html(&[], |_, _, _| None).contains("Cost of a picture"));
    }

    #[test]
    fn without_scores_there_is_a_text_that_says_so() {
        let markdown = report(&[]).markdown();
        assert!(
            markdown.contains("| Attend-and-Excite | 0 | 12 |")
                && markdown.ends_with("- all\\|steps: `{\"steps\":50}`\n")
        );
    }
}
