//! The web code that reports and the studio share: the view of a run.

/// Names and contents of files of the page folder.
macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../page/", $name)))),*] };
}

/// The modules of the view, each after those that it imports, and its style.
pub const VIEW_FILES: &[(&str, &str)] = files![
    "dom.js",
    "maps.js",
    "heat.js",
    "steps.js",
    "chart.js",
    "panel.js",
    "player.js",
    "scale.js",
    "chips.js",
    "view.js",
    "settings.js",
    "view.css",
];

/// What only reports have.
pub(crate) const REPORT_FILES: &[(&str, &str)] = files!["report.js", "report.css"];

pub(crate) const REPORT: &str = include_str!("../page/report.html");

fn has_ending(name: &str, ending: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, found)| found == ending)
}

/// The files of an ending, one after the other. A report is one module, so that nothing is imported.
pub(crate) fn joined(ending: &str) -> String {
    let files = VIEW_FILES.iter().chain(REPORT_FILES).filter(|(name, _)| has_ending(name, ending));
    let lines = files.flat_map(|(_, content)| content.lines()).filter(|line| !line.starts_with("import "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the joined script, too, a module must come after those it uses at once, and no import may be left over.
    #[test]
    fn modules_stand_after_what_they_import() {
        let modules: Vec<_> =
            VIEW_FILES.iter().chain(REPORT_FILES).filter(|(name, _)| has_ending(name, "js")).collect();
        for (place, (name, content)) in modules.iter().enumerate() {
            for line in content.lines().filter(|line| line.starts_with("import")) {
                let imported = line.rsplit_once("\"./").and_then(|(_, rest)| rest.split_once('"')).expect(line).0;
                let known = modules[..place].iter().any(|(earlier, _)| *earlier == imported);
                assert!(known && line.ends_with(';'), "{name}: {line}");
            }
        }
        assert!(!joined("js").contains("\nimport"));
    }
}
