use std::ops::Range;

use crate::PipelineError;

/// A part of a prompt for Composable Diffusion.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptPart {
    /// Its text.
    pub text: String,
    /// How much it counts, in units of the guidance scale.
    pub weight: f64,
}

/// The most parts of a prompt; every one is a pass through the U-Net.
pub(crate) const MOST_PARTS: usize = 32;

/// The parts of a prompt for Composable Diffusion (Liu et al. 2022).
///
/// Parts are separated by `AND` in capitals or by `|`, and may end in their weight: `a cat :1.2 AND a dog`. A prompt without
/// a separator is split as the benchmark of the Attend-and-Excite paper does it, at " and " or else at " with "; what then has
/// one part alone is drawn as by plain sampling.
///
/// # Errors
///
/// A part without text, and more parts than 32.
pub fn prompt_parts(prompt: &str) -> Result<Vec<PromptPart>, PipelineError> {
    let refuse = |reason: String| PipelineError::Composition { prompt: prompt.chars().take(60).collect(), reason };
    let marked: Vec<_> = prompt.split('|').flat_map(|part| part.split(" AND ")).collect();
    if marked.len() > MOST_PARTS {
        return Err(refuse(format!("it has {} parts: expected at most {MOST_PARTS}", marked.len())));
    }
    if marked.len() == 1 {
        let parts = halves(prompt).into_iter();
        return Ok(parts.map(|span| PromptPart { text: prompt[span].to_owned(), weight: 1.0 }).collect());
    }
    let parts = marked.iter().enumerate().map(|(index, part)| {
        let (text, weight) = split_weight(part);
        if text.is_empty() {
            return Err(refuse(format!("part {} is empty", index + 1)));
        }
        Ok(PromptPart { text: text.to_owned(), weight })
    });
    parts.collect()
}

/// The halves of a prompt without a separator, each as one part.
pub(crate) fn halves_of(prompt: &str) -> Vec<(String, f64)> {
    halves(prompt).into_iter().map(|span| (prompt[span].to_owned(), 1.0)).collect()
}

/// The halves of a prompt around " and ", or else around " with "; as official's `metrics/` has them. Empty ones are left out.
fn halves(prompt: &str) -> Vec<Range<usize>> {
    let separator = if prompt.contains(" and ") { " and " } else { " with " };
    let start = |part: &str| part.as_ptr() as usize - prompt.as_ptr() as usize;
    let parts = prompt.split(separator).map(str::trim).filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.map(|part| start(part)..start(part) + part.len()).collect();
    if parts.is_empty() { std::iter::once(0..prompt.len()).collect() } else { parts }
}

/// `a cat :1.2` as its text and its weight, which is 1 where there is none.
fn split_weight(part: &str) -> (&str, f64) {
    let weighted = part.trim().rsplit_once(':').and_then(|(text, weight)| {
        let weight: f64 = weight.trim().parse().ok()?;
        weight.is_finite().then_some((text.trim(), weight))
    });
    weighted.unwrap_or((part.trim(), 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(prompt: &str) -> Vec<(String, f64)> {
        prompt_parts(prompt).unwrap().into_iter().map(|part| (part.text, part.weight)).collect()
    }

    fn equal<const N: usize>(texts: [&str; N]) -> Vec<(String, f64)> {
        texts.map(|text| (text.to_owned(), 1.0)).to_vec()
    }

    #[test]
    fn parts_are_separated_by_capitals_or_a_bar() {
        assert_eq!(parts("a cat AND a dog | a hat and a coat"), equal(["a cat", "a dog", "a hat and a coat"]));
        let weighted = [("a cat".to_owned(), 1.2), ("a dog: old".to_owned(), 1.0), ("rain".to_owned(), -0.5)];
        assert_eq!(parts("a cat :1.2 AND a dog: old AND rain:-0.5"), weighted);
        // Neither a number nor a weight that a picture could have.
        assert_eq!(parts("a cat :inf AND a dog :NaN"), equal(["a cat :inf", "a dog :NaN"]));
    }

    #[test]
    fn without_a_separator_the_halves_of_the_benchmark_are_the_parts() {
        assert_eq!(parts("a cat and a dog"), equal(["a cat", "a dog"]));
        assert_eq!(parts("a frog with a crown"), equal(["a frog", "a crown"]));
        assert_eq!(parts("a frog with a crown and a cat"), equal(["a frog with a crown", "a cat"]));
        assert_eq!(parts("BRAND new sand castle"), equal(["BRAND new sand castle"]));
        assert_eq!(parts(""), equal([""]));
        assert_eq!(parts(" and "), equal([" and "]));
    }

    #[test]
    fn parts_that_cannot_be_drawn_are_refused() {
        let refusal = |prompt: &str| prompt_parts(prompt).unwrap_err().to_string();
        assert_eq!(
            refusal("a cat AND  AND a dog"),
            "the prompt 'a cat AND  AND a dog' is no composition: part 2 is empty"
        );
        assert_eq!(refusal("|"), "the prompt '|' is no composition: part 1 is empty");
        assert!(refusal(&"a|".repeat(40)).ends_with("it has 41 parts: expected at most 32"));
    }
}
