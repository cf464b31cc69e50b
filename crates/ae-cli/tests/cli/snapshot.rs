//! Texts that are compared with committed files.

use std::fs;
use std::path::Path;

/// Asserts that a text is the content of `snapshots/NAME.txt`, up to the line ends and the end of the text.
///
/// With the variable `UPDATE_SNAPSHOTS` set it writes the file instead. A library for this would change the
/// features of burn's dependencies, and burn would be built twice: for the tests and for `ae`.
pub(crate) fn assert_snapshot(name: &str, actual: &impl ToString) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/snapshots/{name}.txt"));
    let actual = actual.to_string().replace("\r\n", "\n").trim_end().to_owned() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let expected = expected.replace("\r\n", "\n");
    assert!(actual == expected, "{name} differs from its snapshot.\n--- expected\n{expected}\n--- actual\n{actual}");
}
