/// A text whose lines have at most a number of columns, broken between words. Further rows of a line begin where its text does: below the
/// help of an option, if it stands beside that. `width` says how many columns a text takes.
pub fn wrapped(text: &str, columns: usize, width: impl Fn(&str) -> usize) -> String {
    let rows = text.split('\n').map(|line| {
        if width(line) <= columns {
            return line.to_owned();
        }
        let indent = text_column(line, &width).min(columns / 2);
        let (mut rows, mut column) = (String::new(), 0);
        for word in line.split_inclusive(' ') {
            if column > indent && column + width(word.trim_end()) > columns {
                rows.truncate(rows.trim_end().len());
                rows.push('\n');
                rows.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            }
            rows += word;
            column += width(word);
        }
        rows
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Where the text of a line begins: after its indent, and after what stands in a column of its own.
fn text_column(line: &str, width: impl Fn(&str) -> usize) -> usize {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let Some((name, help)) = text.split_once("  ") else { return indent };
    indent + width(name) + 2 + (help.len() - help.trim_start().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, columns: usize) -> String {
        wrapped(text, columns, |text| text.chars().count())
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(plain("token indices must be below 77\nshort", 14), "token indices\nmust be below\n77\nshort");
        assert_eq!(plain("  a longer text here", 12), "  a longer\n  text here");
        assert_eq!(plain("averyveryverylongword and", 10), "averyveryverylongword\nand");
        assert_eq!(plain("", 10), "");
    }

    #[test]
    fn the_help_of_an_option_stays_beside_it() {
        let help = "  -q, --quiet  Say nothing but errors and results";
        let expected = "  -q, --quiet  Say nothing but\n               errors and\n               results";
        assert_eq!(plain(help, 30), expected);
        // What only colours takes no column.
        let coloured = help.replace("--quiet", "<b>--quiet</b>");
        let width = |text: &str| text.replace("<b>", "").replace("</b>", "").chars().count();
        assert_eq!(wrapped(&coloured, 30, width).replace("<b>", "").replace("</b>", ""), expected);
    }
}
