//! The page of what loads says what the code knows.

use std::path::Path;

use ae_checkpoint::CheckpointKind;
use ae_scheduler::SchedulerKind;

/// Compares a list of the page with what it must be; with the variable `UPDATE_SNAPSHOTS` set it is written.
#[track_caller]
fn check(list: &str, lines: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/what-loads.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(&format!("<!-- begin: {list} -->\n")).expect("where the list begins");
    let (found, after) = rest.split_once(&format!("<!-- end: {list} -->")).expect("where the list ends");
    let expected = lines.join("\n") + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let page = format!("{before}<!-- begin: {list} -->\n{expected}<!-- end: {list} -->{after}");
        std::fs::write(&path, page).expect("the page is written");
    } else {
        assert_eq!(found, expected, "docs/what-loads.md: UPDATE_SNAPSHOTS=1 writes it anew");
    }
}

/// One after the other: both write the page.
#[test]
fn the_page_lists_samplers_and_kinds() {
    let mut lines = vec!["| sampler | diffusers' class |".to_owned(), "| --- | --- |".to_owned()];
    lines.extend(SchedulerKind::ALL.iter().map(|kind| format!("| `{kind}` | `{}` |", kind.class_name())));
    check("samplers", &lines);
    let kinds: Vec<String> = CheckpointKind::ALL.iter().map(|kind| format!("- {}", kind.description())).collect();
    check("kinds", &kinds);
}
