//! What is said of a picture before it is drawn.

use ae_pipeline::{ReadPart, Subject, TokenizedPrompt};
use ae_settings::a1111::{Construct, ConstructKind, constructs, without_comments};
use ae_settings::{BoundingBox, PromptSyntax};

use crate::Prepared;

/// Texts of a prompt that changes, and signs of a syntax, that are said before it is only counted how many more there are.
const MOST_SHOWN: usize = 6;

/// The lines that a person should read before a picture is drawn: what of the prompts is cut or not read, and what was understood.
/// `named` says that the subjects are the person's own.
pub fn announcement(prepared: &Prepared, named: bool) -> Vec<String> {
    let settings = prepared.settings();
    let (prompts, negative) = (prepared.read_prompt(), std::slice::from_ref(prepared.read_negative_prompt()));
    let mut lines: Vec<String> = Vec::new();
    for (name, parts, text) in
        [("prompt", prompts, &settings.prompt), ("negative prompt", negative, &settings.negative_prompt)]
    {
        let texts = parts.iter().flat_map(ReadPart::tokenized);
        lines.extend(texts.filter_map(|text| truncation_warning(name, text)));
        lines.extend(syntax_note(name, text, settings.prompt_syntax));
        for part in parts.iter().filter(|part| part.texts.len() > 1) {
            lines.push(changes(name, part, &prepared.first_steps(part)));
        }
    }
    lines.extend(prepared.notes().iter().map(|note| format!("note: {note}")));
    let quoted = |texts: Vec<&str>| texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ");
    if let Some(phrases) = prepared.phrases() {
        let phrases: Vec<_> = phrases.iter().map(|phrase| phrase.text.as_str()).collect();
        let phrases = if phrases.is_empty() { "none, as by plain sampling".to_owned() } else { quoted(phrases) };
        lines.push(format!("phrases: {phrases}"));
    }
    if let Some(parts) = prepared.parts() {
        let shown = parts.iter().map(|part| match part.weight {
            1.0 => format!("'{}'", part.text),
            weight => format!("'{}' (weight {weight})", part.text),
        });
        lines.push(format!("parts: {}", shown.collect::<Vec<_>>().join(", ")));
    }
    if settings.method.guides() {
        let names = |subjects: &[Subject]| {
            let name = |subject: &Subject| {
                let positions: Vec<_> = subject.positions.iter().map(usize::to_string).collect();
                format!("{} ({})", subject.text, positions.join("+"))
            };
            subjects.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        let hint = if named { "" } else { " (picked from the prompt; change with --subjects)" };
        match &prepared.guided_subjects()[..] {
            [] | [_] => lines.push(format!("subjects: {}{hint}", names(prepared.subjects()))),
            texts => {
                let texts = texts.iter().zip(prepared.first_steps(&prompts[0])).take(MOST_SHOWN);
                let texts = texts.map(|(subjects, first)| match subjects {
                    [] => format!("none in the text of step {}, which is not guided", first + 1),
                    subjects => format!("{} in the text of step {}", names(subjects), first + 1),
                });
                lines.push(format!("subjects: {}{hint}", texts.collect::<Vec<_>>().join("; ")));
            }
        }
        lines.extend(pairs(prepared));
        lines.extend(boxes(prepared));
    }
    lines
}

/// The modifiers that are read, each with its noun; nothing where the method reads none.
fn pairs(prepared: &Prepared) -> Option<String> {
    if !prepared.settings().method.reads("pairs") {
        return None;
    }
    let mut all: Vec<String> = Vec::new();
    for [modifier, noun] in prepared.guided_pairs().into_iter().flatten() {
        let pair = format!("{} of {}", modifier.text, noun.text);
        if !all.contains(&pair) {
            all.push(pair);
        }
    }
    let shown = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    Some(format!("pairs: {shown}"))
}

/// Where each subject is to be; nothing where the method does not ask.
fn boxes(prepared: &Prepared) -> Option<String> {
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let place = |(subject, place): (&Subject, &BoundingBox)| {
        let [left, top, right, bottom] = place.sides().map(percent);
        format!("{} from {left} to {right} % across and from {top} to {bottom} % down", subject.text)
    };
    let all: Vec<_> = prepared.subjects().iter().zip(prepared.boxes()).map(place).collect();
    (!all.is_empty()).then(|| format!("boxes: {}", all.join("; ")))
}

/// The texts of a prompt that changes, each with the step that has it first.
fn changes(name: &str, part: &ReadPart, first_steps: &[usize]) -> String {
    let shown = part.tokenized().into_iter().zip(first_steps).take(MOST_SHOWN);
    let shown = shown.map(|(text, first)| format!("'{}' from step {}", shortened(text.text().trim()), first + 1));
    let more = part.texts.len().saturating_sub(MOST_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("the {name} changes: {}{more}", shown.collect::<Vec<_>>().join(", "))
}

/// What of a prompt has a meaning in AUTOMATIC1111's program and none here, and what is left out.
fn syntax_note(name: &str, prompt: &str, syntax: PromptSyntax) -> Option<String> {
    let of_comment = |found: &Construct| found.kind == ConstructKind::Comment;
    let found = constructs(prompt);
    if syntax == PromptSyntax::A1111 {
        let is_shorter = without_comments(prompt) != prompt;
        let comment = found.iter().find(|found| of_comment(found)).filter(|_| is_shorter)?;
        let comment = shortened(&prompt[comment.span.clone()]);
        return Some(format!("note: comments are left out of the {name}, such as '{comment}'"));
    }
    if found.is_empty() {
        return None;
    }
    let mut signs: Vec<String> = Vec::new();
    for Construct { span, .. } in &found {
        let sign = format!("'{}'", shortened(&prompt[span.clone()]));
        if !signs.contains(&sign) {
            signs.push(sign);
        }
    }
    signs.truncate(MOST_SHOWN);
    let signs = signs.join(", ");
    Some(format!(
        "note: in the {name} {signs} is read as text; --prompt-syntax a1111 reads it as AUTOMATIC1111's program does"
    ))
}

/// A warning of the part of a prompt that the model does not read; `name` is what the prompt is called.
pub fn truncation_warning(name: &str, prompt: &TokenizedPrompt) -> Option<String> {
    let cut = prompt.truncation()?;
    Some(format!("warning: the {name} is too long, {} tokens were cut: '{}'", cut.tokens, shortened(&cut.text)))
}

/// The beginning of a text.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
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

    /// Every construct of the syntax is honoured, or named.
    #[test]
    fn what_a_plain_prompt_does_not_honour_is_named() {
        let note = |prompt: &str| syntax_note("prompt", prompt, PromptSyntax::Plain);
        for sign in [
            "AND",
            "BREAK",
            "[a:b:0.5]",
            "[b:3]",
            "[a::3]",
            "[a|b]",
            "<lora:a:1>",
            "<lyco:a>",
            "<hypernet:a:1>",
            "(a:1.3)",
            "(a)",
            "[a]",
            r"\(",
            "# a",
        ] {
            let note = note(&format!("a cat {sign}")).unwrap();
            assert!(note.starts_with(&format!("note: in the prompt '{sign}' is read as text")), "{note}");
        }
        assert_eq!(note("a cat, and a dog: old"), None);
        let comment = syntax_note("prompt", "a cat # black", PromptSyntax::A1111).unwrap();
        assert_eq!(comment, "note: comments are left out of the prompt, such as '# black'");
        assert_eq!(syntax_note("prompt", "a (cat) AND [a|b]", PromptSyntax::A1111), None);
    }
}
