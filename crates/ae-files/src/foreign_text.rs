use std::fmt::Write as _;

/// Shows a text from outside on a terminal or in a log: control characters and marks that reverse the direction of a line are
/// escaped, so that it cannot move the cursor, change colours or pass for a line of its own. Line breaks stay where `lines` says so.
/// Of more than `longest` characters the beginning and the end are shown.
pub fn show_foreign(text: &str, longest: usize, lines: bool) -> String {
    let count = text.chars().count();
    if count <= longest {
        return escape(text, lines);
    }
    let (head, tail) = (longest / 2, longest / 2);
    let at = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    let (head, tail) = (&text[..at(head)], &text[at(count - tail)..]);
    format!("{} ... {}", escape(head, lines), escape(tail, lines))
}

fn escape(text: &str, lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Of Unicode's format characters those that turn what follows around.
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (character.is_control() || turns) && !(lines && character == '\n') {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (text, shown) in [
            ("down_blocks.0.\x1b[2J\x1b]0;x\x07", r"down_blocks.0.\u{1b}[2J\u{1b}]0;x\u{7}"),
            ("a\r\nok", r"a\r\nok"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("a\u{202e}txt.exe", r"a\u{202e}txt.exe"),
            ("a\0\x08\x7f", r"a\u{0}\u{8}\u{7f}"),
            ("ein Löwe 🐱 'x' \"y\" \\", "ein Löwe 🐱 'x' \"y\" \\"),
        ] {
            assert_eq!(show_foreign(text, 100, false), shown);
        }
        assert_eq!(show_foreign("one\ntwo\x1b", 100, true), "one\ntwo\\u{1b}");
    }

    #[test]
    fn a_text_of_any_length_is_bounded_and_keeps_both_ends() {
        let text = format!("error: '{}' is no model", "ö".repeat(900_000));
        let shown = show_foreign(&text, 100, false);
        assert!(shown.starts_with("error: 'ööö") && shown.ends_with("ööö' is no model"), "{shown}");
        assert_eq!(shown.chars().count(), 105);
        assert_eq!(show_foreign("öö", 2, false), "öö");
    }
}
