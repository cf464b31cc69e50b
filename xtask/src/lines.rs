use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::Failure;
use crate::process::workspace_root;

/// Most lines that a crate may have, where that is agreed.
const MOST: [(&str, usize); 1] = [("ae-cli", 1800)];

/// Counts the lines of Rust code of every crate: without tests, comments and blank lines.
pub(crate) fn run() -> Result<(), Failure> {
    let mut counts = BTreeMap::new();
    for folder in ["crates", "."] {
        for entry in folders(&workspace_root().join(folder))? {
            let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let source = entry.join("src");
            if entry.join("Cargo.toml").is_file() && source.is_dir() && name != "tests" {
                counts.insert(name, count_folder(&source)?);
            }
        }
    }
    for (name, lines) in &counts {
        println!("{lines:6}  {name}");
    }
    println!("{:6}  in all", counts.values().sum::<usize>());
    for (name, most) in MOST {
        if let Some(lines) = counts.get(name).filter(|lines| **lines > most) {
            return Err(Failure::new(format!("{name} has {lines} lines of code: at most {most} (xtask/src/lines.rs)")));
        }
    }
    Ok(())
}

fn folders(folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn count_folder(folder: &Path) -> Result<usize, Failure> {
    let mut lines = 0;
    for path in folders(folder)? {
        let is_test = path.file_name().is_some_and(|name| name == "tests.rs" || name == "testing.rs");
        if path.is_dir() {
            lines += count_folder(&path)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
            let text = std::fs::read_to_string(&path);
            lines += count(&text.map_err(|error| Failure::new(format!("{}: {error}", path.display())))?);
        }
    }
    Ok(lines)
}

/// The lines of code of a file, whose tests stand at its bottom.
fn count(text: &str) -> usize {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_tests_do_not_count() {
        let text = "//! Docs.\n\n/// One.\nfn one() {\n    // Why.\n    two();\n}\n\n#[cfg(test)]\nmod tests {\n    fn three() {}\n}\n";
        assert_eq!(count(text), 3);
        assert_eq!(count(""), 0);
    }
}
