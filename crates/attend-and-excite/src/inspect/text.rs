//! What was found, for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use ae_files::show_foreign;
use serde_json::Value;

use super::{Adapter, Inspection, Part};
use crate::{Align, size, table};

/// Tags and names beyond this are counted.
const MOST: usize = 30;

impl fmt::Display for Inspection {
    /// Foreign texts are shortened, their control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text)?;
        // Errors name what is in a file too.
        text.lines().try_for_each(|line| writeln!(f, "{}", show_foreign(line, usize::MAX, false)))
    }
}

impl Inspection {
    fn write(&self, f: &mut String) -> fmt::Result {
        let family = self.family.as_ref().map_or_else(String::new, |family| format!(" ({family})"));
        writeln!(f, "{}: {}{family}, {}", shown(&self.name), self.kind, size(self.bytes))?;
        if let Some(path) = self.path.as_ref().filter(|path| path.as_os_str() != self.name.as_str()) {
            writeln!(f, "  at: {}", path.display())?;
        }
        writeln!(f, "  {}", self.verdict)?;
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        if let Some(Adapter { networks, kinds, ranks, alphas }) = &self.adapter {
            line(f, "changes", &counted(networks))?;
            line(f, "kinds", &counted(kinds))?;
            line(f, "ranks", &counted(ranks))?;
            line(f, "alphas", &counted(alphas))?;
        }
        let defaults: Vec<_> = self.defaults.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
        line(f, "defaults", &defaults)?;
        let types: Vec<_> = self.types.iter().map(|(kind, count)| format!("{kind} ({count} tensors)")).collect();
        line(f, "types", &types)?;
        for (name, hash) in &self.hashes {
            writeln!(f, "  {name}: {hash}")?;
        }
        let rows: Vec<_> = self.parts.iter().map(row).collect();
        let parts = table([Align::Left, Align::Right, Align::Right, Align::Left, Align::Left], &rows);
        for row in parts.lines() {
            writeln!(f, "  {row}")?;
        }
        let ignored: Vec<_> = self.ignored.iter().map(|name| shown(name)).collect();
        line(f, "ignored", &ignored)?;
        for (name, text) in &self.metadata {
            writeln!(f, "  {}: {}", shown(name), shown(text))?;
        }
        let tags: Vec<_> = self.training_tags.iter().map(|(tag, count)| format!("{} ({count})", shown(tag))).collect();
        line(f, "training tags", &tags)?;
        for (name, value) in &self.settings {
            writeln!(f, "  {name}: {}", shown(&plain(value)))?;
        }
        Ok(())
    }
}

fn counted<T: fmt::Display>(counts: &BTreeMap<T, usize>) -> Vec<String> {
    counts.iter().map(|(of, count)| format!("{of} ({count})")).collect()
}

fn line(f: &mut String, name: &str, items: &[String]) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    let more = if items.len() > MOST { format!(" and {} more", items.len() - MOST) } else { String::new() };
    writeln!(f, "  {name}: {}{more}", items[..items.len().min(MOST)].join(", "))
}

/// A foreign text in one line; of a long one both ends.
fn shown(text: &str) -> String {
    /// Characters to show.
    const LONGEST: usize = 200;
    show_foreign(text, LONGEST, false)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn row(part: &Part) -> [String; 5] {
    let count = |count: usize, what: &str| if part.tensors == 0 { String::new() } else { format!("{count} {what}") };
    let files = part.files.iter().map(|(name, hash)| format!("{} {hash}", shown(name)));
    let last = part.kind.iter().cloned().chain(files).collect::<Vec<_>>().join(", ");
    let parameters = if part.tensors == 0 { String::new() } else { format!("{:.1}M", part.parameters as f64 / 1e6) };
    [shown(&part.name), count(part.tensors, "tensors"), parameters, part.types.join(" "), last]
}
