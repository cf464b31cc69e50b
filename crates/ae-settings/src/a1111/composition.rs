//! A prompt of several parts: `a cat AND a dog :1.2`.

/// A weight of a part that is no number for a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the weight of the part '{text}' of the prompt is beyond all numbers; usual weights lie between -2 and 2")]
pub struct PartWeightError {
    /// The beginning of the part.
    text: String,
}

/// The parts of a prompt that the noise is predicted for, each with its weight in units of the guidance scale:
/// `get_multicond_prompt_list` of `modules/prompt_parser.py`.
///
/// Parts are separated by the word `AND` in capitals. A colon with a number at the end of a part is its weight, also where it is the
/// only part.
///
/// # Errors
///
/// A weight beyond all numbers.
pub fn composed_parts(prompt: &str) -> Result<Vec<(String, f64)>, PartWeightError> {
    let mut parts = Vec::new();
    let mut start = 0;
    let words = words(prompt, "AND").map(|at| (at, at + "AND".len()));
    for (end, next) in words.chain([(prompt.len(), prompt.len())]) {
        let (text, weight) = weighted(&prompt[start..end]);
        if !weight.is_finite() {
            return Err(PartWeightError { text: text.chars().take(60).collect() });
        }
        parts.push((text.to_owned(), weight));
        start = next;
    }
    Ok(parts)
}

/// Where a word stands by itself, in bytes: `\bWORD\b` of a regular expression.
pub(super) fn words<'a>(prompt: &'a str, word: &'static str) -> impl Iterator<Item = usize> + 'a {
    let is_of_word = |symbol: char| symbol.is_alphanumeric() || symbol == '_';
    prompt.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let (before, behind) = (&prompt[..at], &prompt[at + word.len()..]);
        !before.ends_with(is_of_word) && !behind.starts_with(is_of_word)
    })
}

/// A part without its weight, and the weight.
fn weighted(part: &str) -> (&str, f64) {
    let part = part.trim_end();
    let weight = part.rsplit_once(':').and_then(|(text, number)| {
        let number = number.trim_start();
        let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        Some((text.trim_end(), number.parse().ok().filter(|_| is_number)?))
    });
    weight.unwrap_or((part, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get_multicond_prompt_list([prompt])`.
    #[test]
    fn parts_and_weights_are_those_of_the_reference() {
        let expected: [(&str, &[(&str, f64)]); 12] = [
            ("", &[("", 1.0)]),
            ("a cat", &[("a cat", 1.0)]),
            ("a cat AND a dog", &[("a cat", 1.0), (" a dog", 1.0)]),
            ("a cat :1.2 AND a dog: old AND rain:-0.5 ", &[("a cat", 1.2), (" a dog: old", 1.0), (" rain", -0.5)]),
            ("AND", &[("", 1.0), ("", 1.0)]),
            ("a cat, AND, a dog", &[("a cat,", 1.0), (", a dog", 1.0)]),
            ("BAND and LAND_AND ANDY", &[("BAND and LAND_AND ANDY", 1.0)]),
            ("a\nAND\nb : +2. ", &[("a", 1.0), ("\nb", 2.0)]),
            ("a picture of 16:9", &[("a picture of 16", 9.0)]),
            ("(a cat:1.3) AND b:.5", &[("(a cat:1.3)", 1.0), (" b", 0.5)]),
            ("a: b:1e3", &[("a: b:1e3", 1.0)]),
            ("a::2", &[("a:", 2.0)]),
        ];
        for (prompt, expected) in expected {
            let expected: Vec<_> = expected.iter().map(|(text, weight)| ((*text).to_owned(), *weight)).collect();
            assert_eq!(composed_parts(prompt).unwrap(), expected, "{prompt}");
        }
    }

    #[test]
    fn a_weight_beyond_all_numbers_is_refused() {
        let error = composed_parts(&format!("a cat AND a dog:{}", "9".repeat(400))).unwrap_err().to_string();
        assert!(error.starts_with("the weight of the part ' a dog' of the prompt is beyond all numbers"), "{error}");
    }
}
