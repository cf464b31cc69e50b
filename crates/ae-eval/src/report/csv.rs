use serde_json::Value;

use super::Report;

impl Report {
    /// The scores of every picture that has any, one to a line: its set, prompt, seed and arm, every metric by its key, and as
    /// JSON what scorers say in words. As RFC 4180 has it, but for lines that end as on Unix.
    pub fn csv(&self) -> String {
        let mut head = ["set", "prompt", "seed", "arm"].map(str::to_owned).to_vec();
        head.extend(self.figures.iter().map(|figures| figures.metric.key.clone()));
        head.push("detail".to_owned());
        let mut csv = line(&head);
        for (prompt_place, prompt) in self.plan.prompts.iter().enumerate() {
            for (seed_place, seed) in self.plan.seeds.iter().enumerate() {
                for (arm_place, arm) in self.plan.arms.iter().enumerate() {
                    if !self.values.is_scored(arm_place, prompt_place, seed_place) {
                        continue;
                    }
                    let mut cells = vec![prompt.set.clone(), prompt.text.clone(), seed.to_string(), arm.name.clone()];
                    cells.extend((0..self.figures.len()).map(|metric| {
                        let value = self.values.get(metric, arm_place, prompt_place, seed_place);
                        value.map_or_else(String::new, |value| value.to_string())
                    }));
                    let details = self.values.details(arm_place, prompt_place, seed_place);
                    let details = (!details.is_empty()).then(|| Value::from_iter(details).to_string());
                    cells.push(details.unwrap_or_default());
                    csv += &line(&cells);
                }
            }
        }
        csv
    }
}

fn line(cells: &[String]) -> String {
    cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\n"
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{report, scores};

    /// `csv.reader` in Python gives the same cells.
    #[test]
    fn every_picture_has_a_line() {
        let csv = report(&scores()).csv();
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 1 + 12 + 12 + 2);
        let expected = [
            "set,prompt,seed,arm,both_subjects,colours,text_text,detail",
            r#"animals,a cat and a dog,7,stable-diffusion,0,,0.7,"{""blip"":""a <picture> of 0"",""detector"":{""found"":1}}""#,
            r#"animals,a cat and a dog,7,attend-and-excite,1,,0.7,"{""blip"":""a <picture> of 0"",""detector"":{""found"":2}}""#,
            r#"animals,a cat and a dog,7,all|steps,1,,,"{""detector"":{""found"":2}}""#,
        ];
        assert_eq!(lines[..4], expected);
        assert!(
            lines[7].starts_with(
                r#"animals,"a <script>alert(""1"")</script> and a | b, ""c""",7,stable-diffusion,1,,0.72,"#
            )
        );
        assert!(lines[26].starts_with("objects,a clock and an apple,8,attend-and-excite,1,,,"), "{}", lines[26]);
    }

    #[test]
    fn without_scores_there_are_the_names() {
        assert_eq!(report(&[]).csv(), "set,prompt,seed,arm,detail\n");
    }
}
