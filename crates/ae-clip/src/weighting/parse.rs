/// What `(` and `)` multiply a weight by.
const ROUND_BRACKETS: f64 = 1.1;
/// What `[` and `]` multiply a weight by.
const SQUARE_BRACKETS: f64 = 1.0 / 1.1;

/// The characters with a meaning, besides the colon.
const ESCAPABLE: [char; 5] = ['(', ')', '[', ']', '\\'];

/// A weight of a prompt that is no number for a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// What stands between the colon and the bracket has the characters of a number, but is none.
    #[error("'{number}' is no weight; write a number as in (word:1.3), or \\( and \\) for brackets that are text")]
    Malformed {
        /// The text.
        number: String,
    },
    /// A number too large, or too many brackets in each other.
    #[error("the weight of '{text}' is beyond all numbers; usual weights lie between 0 and 2")]
    NotFinite {
        /// The beginning of the text that has the weight.
        text: String,
    },
}

/// Splits a prompt in AUTOMATIC1111's syntax into texts and their weights. Neighbours of equal weight are one
/// text; without any text there is an empty one.
///
/// | syntax | weight |
/// |---|---|
/// | `(text)` | 1.1 |
/// | `[text]` | 1 / 1.1 |
/// | `(text:1.3)` | 1.3: digits and a period, with or without sign |
/// | `\(` `\)` `\[` `\]` `\\` | the character itself |
/// | `BREAK` | ends a chunk: a text of its own, with the weight -1 |
///
/// Brackets within each other multiply their weights. An open bracket without its end holds to the end of the
/// prompt, an end without a beginning is text, and so is a colon anywhere else. A backslash before another
/// character is dropped.
///
/// `BREAK` within brackets is a word there as here: its weight is multiplied.
///
/// Equal to `parse_prompt_attention` of `modules/prompt_parser.py`, but that digits are ASCII; and to that of diffusers'
/// community pipeline `lpw_stable_diffusion.py`, which knows neither `BREAK` nor blanks around a weight.
///
/// ```
/// let parts = ae_clip::parse_weighted_prompt("a (((house:1.3)) [on] a (hill:0.5)")?;
/// let expected = [("a ", 1.0), ("house", 1.573), (" ", 1.1), ("on", 1.0), (" a ", 1.1), ("hill", 0.55)];
/// assert_eq!(parts, expected.map(|(text, weight)| (text.to_owned(), weight)));
/// # Ok::<(), ae_clip::WeightError>(())
/// ```
///
/// # Errors
///
/// A weight such as `(a:1.2.3)`, and weights beyond `f32`.
pub fn parse_weighted_prompt(prompt: &str) -> Result<Vec<(String, f32)>, WeightError> {
    let mut parts = Parts::default();
    let (mut round, mut square) = (Vec::new(), Vec::new());
    let mut rest = prompt;
    while let Some(symbol) = rest.chars().next() {
        let mut length = symbol.len_utf8();
        match symbol {
            '\\' => {
                length += usize::from(rest[1..].starts_with(ESCAPABLE));
                parts.push(&rest[1..length]);
            }
            '(' => round.push(parts.len()),
            '[' => square.push(parts.len()),
            ')' if let Some(start) = round.pop() => parts.multiply(start, ROUND_BRACKETS),
            ']' if let Some(start) = square.pop() => parts.multiply(start, SQUARE_BRACKETS),
            ':' if let Some((number, behind)) = number(&rest[1..])
                && let Some(start) = round.pop() =>
            {
                let weight = number.parse().map_err(|_| WeightError::Malformed { number: shortened(number) })?;
                parts.multiply(start, weight);
                length = rest.len() - behind.len();
            }
            ')' | ']' | ':' => parts.push(&rest[..length]),
            _ => {
                length = rest.find(|symbol| symbol == ':' || ESCAPABLE.contains(&symbol)).unwrap_or(rest.len());
                parts.push_with_breaks(&rest[..length]);
            }
        }
        rest = &rest[length..];
    }
    for (open, multiplier) in [(round, ROUND_BRACKETS), (square, SQUARE_BRACKETS)] {
        for start in open {
            parts.multiply(start, multiplier);
        }
    }
    parts.merged()
}

/// The sign, digits and periods that a round bracket ends, and what follows the bracket.
fn number(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let rest = digits.trim_start_matches(|symbol: char| symbol.is_ascii_digit() || symbol == '.');
    let behind = rest.trim_start().strip_prefix(')').filter(|_| rest.len() < digits.len())?;
    Some((&text[..text.len() - rest.len()], behind))
}

/// The word that ends a chunk.
const BREAK: &str = "BREAK";
/// Its weight, by which the reference knows it.
const WEIGHT_OF_BREAK: f64 = -1.0;

/// Whether a part of a weighted prompt is no text but the end of a chunk.
pub(crate) fn is_break(text: &str, weight: f32) -> bool {
    text == BREAK && f64::from(weight).total_cmp(&WEIGHT_OF_BREAK).is_eq()
}

/// The beginning of a text, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Texts and their weights, before neighbours are merged.
#[derive(Default)]
struct Parts<'a> {
    texts: Vec<&'a str>,
    weights: Vec<f64>,
}

impl<'a> Parts<'a> {
    fn len(&self) -> usize {
        self.texts.len()
    }

    fn push(&mut self, text: &'a str) {
        self.texts.push(text);
        self.weights.push(1.0);
    }

    /// Adds a text, in which the word [`BREAK`] takes the blanks around it with it.
    fn push_with_breaks(&mut self, text: &'a str) {
        let is_of_word = |symbol: char| symbol.is_alphanumeric() || symbol == '_';
        let mut rest = text;
        let mut from = 0;
        while let Some(at) = rest[from..].find(BREAK).map(|at| from + at) {
            let (before, behind) = (&rest[..at], &rest[at + BREAK.len()..]);
            if before.ends_with(is_of_word) || behind.starts_with(is_of_word) {
                from = at + BREAK.len();
                continue;
            }
            self.push(before.trim_end());
            self.texts.push(BREAK);
            self.weights.push(WEIGHT_OF_BREAK);
            (rest, from) = (behind.trim_start(), 0);
        }
        self.push(rest);
    }

    /// Multiplies all weights from `start` on.
    fn multiply(&mut self, start: usize, multiplier: f64) {
        for weight in &mut self.weights[start..] {
            let product = *weight * multiplier;
            // Thousands of brackets in each other: subnormal numbers are slow, and 0 in `f32` all the same.
            *weight = if product.abs() < f64::MIN_POSITIVE { 0.0 } else { product };
        }
    }

    fn merged(self) -> Result<Vec<(String, f32)>, WeightError> {
        let mut merged: Vec<(String, f64)> = Vec::new();
        for (text, weight) in self.texts.into_iter().zip(self.weights) {
            match merged.last_mut() {
                #[expect(clippy::float_cmp, reason = "equal is what the reference merges")]
                Some((before, equal)) if *equal == weight => before.push_str(text),
                _ => merged.push((text.to_owned(), weight)),
            }
        }
        if merged.is_empty() {
            merged.push((String::new(), 1.0));
        }
        let to_f32 = |(text, weight): (String, f64)| match weight as f32 {
            weight if weight.is_finite() => Ok((text, weight)),
            _ => Err(WeightError::NotFinite { text: shortened(&text) }),
        };
        merged.into_iter().map(to_f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(prompt: &str) -> Vec<(String, f32)> {
        parse_weighted_prompt(prompt).unwrap()
    }

    /// `parse_prompt_attention(prompt)` of `lpw_stable_diffusion.py`.
    #[test]
    fn parts_equal_the_reference() {
        let expected: [(&str, &[(&str, f32)]); 24] = [
            ("normal text", &[("normal text", 1.0)]),
            ("", &[("", 1.0)]),
            ("()", &[("", 1.0)]),
            ("an (important) word", &[("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
            ("((a))", &[("a", 1.21)]),
            ("[a]", &[("a", 0.909_090_94)]),
            ("[(a)]", &[("a", 1.0)]),
            ("(a:1.3)", &[("a", 1.3)]),
            ("(a:+.5)(b:-1)(c:5.)(d:00)", &[("a", 0.5), ("b", -1.0), ("c", 5.0), ("d", 0.0)]),
            ("(unnecessary)(parens)", &[("unnecessaryparens", 1.1)]),
            ("(unbalanced", &[("unbalanced", 1.1)]),
            ("[a:1.3]", &[("a:1.3", 0.909_090_94)]),
            ("(a:1.3", &[("a:1.3", 1.1)]),
            ("a)b]c:1.3)", &[("a)b]c:1.3)", 1.0)]),
            ("(a[b)c]", &[("a", 1.1), ("b", 1.0), ("c", 0.909_090_94)]),
            (r"\(literal\] \\", &[(r"(literal] \", 1.0)]),
            (r"\a\", &[("a", 1.0)]),
            (r"\(a:1.3)", &[("(a:1.3)", 1.0)]),
            ("(a:)", &[("a:", 1.1)]),
            ("(a:b:1.2)", &[("a:b", 1.2)]),
            ("((a:1.1)b:2)", &[("a", 2.2), ("b", 2.0)]),
            ("(a\nb:2)", &[("a\nb", 2.0)]),
            ("(é:1.2)[🐱]", &[("é", 1.2), ("🐱", 0.909_090_94)]),
            (
                "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
                &[
                    ("a ", 1.0),
                    ("house", 1.573),
                    (" ", 1.1),
                    ("on", 1.0),
                    (" a ", 1.1),
                    ("hill", 0.55),
                    (", sun, ", 1.1),
                    ("sky", 1.4641),
                    (".", 1.1),
                ],
            ),
        ];
        for (prompt, expected) in expected {
            let expected: Vec<_> = expected.iter().map(|(text, weight)| ((*text).to_owned(), *weight)).collect();
            assert_eq!(parse(prompt), expected, "{prompt}");
        }
    }

    /// `parse_prompt_attention(prompt)` of `modules/prompt_parser.py`.
    #[test]
    fn breaks_and_blanks_are_as_in_the_reference() {
        let expected: [(&str, &[(&str, f32)]); 13] = [
            ("(a:1e3)(b: 1.3 )", &[("a:1e3", 1.1), ("b", 1.3)]),
            ("(a :\n-.5)", &[("a ", -0.5)]),
            ("a BREAK b", &[("a", 1.0), ("BREAK", -1.0), ("b", 1.0)]),
            ("a, BREAK, b", &[("a,", 1.0), ("BREAK", -1.0), (", b", 1.0)]),
            ("BREAK", &[("", 1.0), ("BREAK", -1.0), ("", 1.0)]),
            ("a\nBREAK\nBREAK b", &[("a", 1.0), ("BREAK", -1.0), ("", 1.0), ("BREAK", -1.0), ("b", 1.0)]),
            ("BREAKFAST a_BREAK BREAK_a 1BREAK", &[("BREAKFAST a_BREAK BREAK_a 1BREAK", 1.0)]),
            ("(a)BREAK[b]", &[("a", 1.1), ("", 1.0), ("BREAK", -1.0), ("", 1.0), ("b", 0.909_090_94)]),
            ("(a BREAK b:2)", &[("a", 2.0), ("BREAK", -2.0), ("b", 2.0)]),
            ("x:BREAK:y", &[("x:", 1.0), ("BREAK", -1.0), (":y", 1.0)]),
            ("a:1.3) BREAK b", &[("a:1.3)", 1.0), ("BREAK", -1.0), ("b", 1.0)]),
            ("break", &[("break", 1.0)]),
            ("é BREAKé BREAK", &[("é BREAKé", 1.0), ("BREAK", -1.0), ("", 1.0)]),
        ];
        for (prompt, expected) in expected {
            let expected: Vec<_> = expected.iter().map(|(text, weight)| ((*text).to_owned(), *weight)).collect();
            assert_eq!(parse(prompt), expected, "{prompt}");
        }
    }

    #[test]
    fn weights_that_are_no_numbers_are_refused() {
        // Python: float("1.2.3") raises a ValueError.
        for number in ["1.2.3", ".", "-.", "1.."] {
            let error = parse_weighted_prompt(&format!("(a:{number})")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{number}' is no weight; write a number as in (word:1.3)")), "{error}");
        }
        for prompt in [format!("(a:{})", "9".repeat(400)), format!("{}a", "(".repeat(1000))] {
            let error = parse_weighted_prompt(&prompt).unwrap_err().to_string();
            assert_eq!(error, "the weight of 'a' is beyond all numbers; usual weights lie between 0 and 2");
        }
    }

    #[test]
    fn thousands_of_brackets_are_quick() {
        let start = std::time::Instant::now();
        for unit in ["(a", "[a", "(a:.5", "(", "[a(b:2)", ":1:1"] {
            let _ = parse_weighted_prompt(&unit.repeat(crate::MAX_PROMPT_BYTES / unit.len()));
        }
        assert!(start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
    }
}
