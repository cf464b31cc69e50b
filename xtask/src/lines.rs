use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::Failure;
use crate::process::workspace_root;

/// Most lines that a crate may have, where that is agreed. ae-cli has arguments, commands and output: what others could call belongs to
/// a library. 1800 were agreed for nine commands; `config` and `convert`, the defaults that they set and previews are 350 of it,
/// LoRAs that change between the prompts of a call 15, the log of `serve` 20, `--host` 180, the headings and examples of the help, one
/// bar for all pictures and lines that break between words 80, embeddings that change between prompts, the folders that `--host` does not
/// read and the heap of `serve` 40.
const MOST: [(&str, usize); 1] = [("ae-cli", 2580)];

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

/// The lines of code of a file, whose tests stand at its bottom. A test module in a file of its own is only declared here.
fn count(text: &str) -> usize {
    let mut lines = text.lines().map(str::trim).peekable();
    let mut counted = 0;
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]"
            && let Some(module) = lines.next_if(|line| line.starts_with("mod ") || line.contains(" mod "))
        {
            if module.ends_with('{') {
                break;
            }
        } else if !line.is_empty() && !line.starts_with("//") {
            counted += 1;
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_tests_do_not_count() {
        let text = "//! Docs.\n\n/// One.\nfn one() {\n    // Why.\n    two();\n}\n\n#[cfg(test)]\nmod tests {\n    fn three() {}\n}\n";
        assert_eq!(count(text), 3);
        assert_eq!(count(&text.replace("mod tests", "pub(crate) mod tests")), 3);
        let declared = "mod one;\n#[cfg(test)]\nmod testing;\n\npub use one::*;\n#[cfg(test)]\nuse two::*;\n";
        assert_eq!(count(declared), 4);
        assert_eq!(count(""), 0);
    }
}
