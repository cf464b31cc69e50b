//! Lines that break between words where the terminal ends.
//!
//! clap would wrap its help with the feature `wrap_help`, whose terminal_size builds rustix, and with it burn, with other features.

use console::{Term, measure_text_width, strip_ansi_codes};

/// Columns beyond which a line is hard to read.
const WIDEST: usize = 120;

/// A text as a terminal shows it best; as it is where the stream is none.
pub(crate) fn for_terminal(text: &str, terminal: &Term) -> String {
    if terminal.is_term() { wrapped(text, usize::from(terminal.size().1).min(WIDEST)) } else { text.to_owned() }
}

/// Every line in rows of at most a number of columns. Further rows of a line begin where its text does: below the help of an option, if
/// it stands beside that.
fn wrapped(text: &str, columns: usize) -> String {
    let rows = text.split('\n').map(|line| {
        if measure_text_width(line) <= columns {
            return line.to_owned();
        }
        let indent = text_column(&strip_ansi_codes(line)).min(columns / 2);
        let (mut rows, mut column) = (String::new(), 0);
        for word in line.split_inclusive(' ') {
            if column > indent && column + measure_text_width(word.trim_end()) > columns {
                rows.truncate(rows.trim_end().len());
                rows += &format!("\n{}", " ".repeat(indent));
                column = indent;
            }
            rows += word;
            column += measure_text_width(word);
        }
        rows
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Where the text of a line begins: after its indent, and after what stands in a column of its own.
fn text_column(line: &str) -> usize {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let Some((name, help)) = text.split_once("  ") else { return indent };
    indent + measure_text_width(name) + 2 + (help.len() - help.trim_start().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("token indices must be below 77\nshort", 14), "token indices\nmust be below\n77\nshort");
        assert_eq!(wrapped("  a longer text here", 12), "  a longer\n  text here");
        assert_eq!(wrapped("averyveryverylongword and", 10), "averyveryverylongword\nand");
        assert_eq!(wrapped("", 10), "");
    }

    #[test]
    fn the_help_of_an_option_stays_beside_it() {
        let help = "  -q, --quiet  Say nothing but errors and results";
        let expected = "  -q, --quiet  Say nothing but\n               errors and\n               results";
        assert_eq!(wrapped(help, 30), expected);
        let coloured = help.replace("--quiet", "\u{1b}[1m--quiet\u{1b}[0m");
        assert_eq!(strip_ansi_codes(&wrapped(&coloured, 30)), expected);
    }
}
