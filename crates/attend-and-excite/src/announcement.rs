//! What is said of a picture before it is drawn.

use ae_pipeline::{Subject, TokenizedPrompt};
use ae_settings::Method;

use crate::Prepared;

/// The lines that a person should read before a picture is drawn: what of the prompts is cut, and what was understood. `named` says
/// that the subjects are the person's own.
pub fn announcement(prepared: &Prepared, named: bool) -> Vec<String> {
    let settings = prepared.settings();
    let mut lines: Vec<String> = [("prompt", prepared.prompt()), ("negative prompt", prepared.negative_prompt())]
        .into_iter()
        .filter_map(|(name, prompt)| truncation_warning(name, prompt))
        .collect();
    lines.extend(prepared.notes().iter().map(|note| format!("note: {note}")));
    if !settings.prompt_weighting && has_weights(&settings.prompt) {
        lines.push("note: brackets are read as text; --prompt-weighting gives their words weight".to_owned());
    }
    let quoted = |texts: Vec<&str>| texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ");
    if let Some(phrases) = prepared.phrases() {
        let phrases: Vec<_> = phrases.iter().map(|phrase| phrase.text.as_str()).collect();
        let phrases = if phrases.is_empty() { "none, as by plain sampling".to_owned() } else { quoted(phrases) };
        lines.push(format!("phrases: {phrases}"));
    }
    if let Some(parts) = prepared.parts() {
        lines.push(format!("parts: {}", quoted(parts.iter().map(|part| part.text.as_str()).collect())));
    }
    if settings.method == Method::AttendAndExcite {
        let name = |subject: &Subject| {
            let positions: Vec<_> = subject.positions.iter().map(usize::to_string).collect();
            format!("{} ({})", subject.text, positions.join("+"))
        };
        let names: Vec<_> = prepared.subjects().iter().map(name).collect();
        let hint = if named { "" } else { ", chosen from the prompt; --subjects names others" };
        lines.push(format!("subjects: {}{hint}", names.join(", ")));
    }
    lines
}

/// A warning of the part of a prompt that the model does not read; `name` is what the prompt is called.
pub fn truncation_warning(name: &str, prompt: &TokenizedPrompt) -> Option<String> {
    /// Characters of it to show.
    const SHOWN: usize = 60;
    let cut = prompt.truncation()?;
    let mut text: String = cut.text.chars().take(SHOWN).collect();
    if text.len() < cut.text.len() {
        text.push('…');
    }
    Some(format!("warning: the {name} is too long, {} tokens were cut: '{text}'", cut.tokens))
}

/// Whether a prompt looks like one with weights.
fn has_weights(prompt: &str) -> bool {
    let number = |text: &str| text.split(')').next().is_some_and(|number| number.trim().parse::<f32>().is_ok());
    prompt.contains('(') && prompt.split(':').skip(1).any(number) || prompt.contains("((")
}

#[cfg(test)]
mod tests {
    use ae_pipeline::ClipTokenizer;

    use super::*;

    #[test]
    fn the_cut_of_either_prompt_is_said() {
        let tokenizer = ClipTokenizer::stable_diffusion_1();
        let warning = |name: &str, text: &str| truncation_warning(name, &tokenizer.tokenize(text).unwrap());
        assert_eq!(warning("negative prompt", "blurry"), None);
        assert_eq!(warning("negative prompt", &"bad ".repeat(75)), None);
        let long = "bad ".repeat(75) + "ugly hands";
        let expected = "warning: the negative prompt is too long, 2 tokens were cut: 'ugly hands'";
        assert_eq!(warning("negative prompt", &long).as_deref(), Some(expected));
        assert!(warning("prompt", &"a cat ".repeat(100)).unwrap().ends_with("…'"));
    }

    #[test]
    fn weights_are_brackets_with_a_number_or_in_pairs() {
        for (prompt, expected) in [("a (cat:1.3)", true), ("((cat))", true), ("a (cat)", false), ("cat: 3", false)] {
            assert_eq!(has_weights(prompt), expected, "{prompt}");
        }
    }
}
