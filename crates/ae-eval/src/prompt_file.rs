use std::collections::BTreeSet;

use serde_json::Value;

use crate::prompt::of_no_set;
use crate::{Prompt, things_of};

/// A file of prompts that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptFileError {
    /// Neither a list nor an object of lists, or a prompt with a field that is not known.
    #[error(
        "no prompts: {0}; expected one prompt per line, or JSON: a list of prompts, or an object of one list per set, each prompt \
         a text or an object with `prompt` and if wanted `subjects` or `token_indices`, `things` and `set`"
    )]
    Json(serde_json::Error),
    /// Bytes that are no text, or one in UTF-16 that does not say so.
    #[error("it is no text: it has zero bytes; save it as UTF-8, or as UTF-16 with a byte order mark")]
    NotText,
    /// Nothing to draw.
    #[error("it holds no prompt")]
    Empty,
    /// The same prompt twice.
    #[error("the prompt '{prompt}' is there twice")]
    Twice {
        /// The prompt, shortened.
        prompt: String,
    },
    /// Both kinds of subjects.
    #[error("the prompt '{prompt}' has both subjects and token_indices: give one of them")]
    BothSubjects {
        /// The prompt, shortened.
        prompt: String,
    },
}

/// The prompts of a file: text with one on every line, or JSON.
///
/// JSON is a list of prompts, or an object with one list for every set. A prompt is a text or a [`Prompt`]. Where it names no
/// things and its text is of the benchmark's templates, they are read from the text.
///
/// # Errors
///
/// See [`PromptFileError`].
pub fn read_prompts(file: &str) -> Result<Vec<Prompt>, PromptFileError> {
    let file = file.trim_start_matches('\u{feff}');
    if file.contains('\0') {
        return Err(PromptFileError::NotText);
    }
    let is_json = file.trim_start().starts_with(['[', '{']);
    let mut prompts = if is_json { from_json(file).map_err(PromptFileError::Json)? } else { from_text(file) };
    if prompts.is_empty() {
        return Err(PromptFileError::Empty);
    }
    let mut seen = BTreeSet::new();
    for prompt in &mut prompts {
        let shortened = || prompt.text.chars().take(60).collect();
        if !seen.insert(prompt.text.clone()) {
            return Err(PromptFileError::Twice { prompt: shortened() });
        }
        if prompt.subjects.is_some() && prompt.token_indices.is_some() {
            return Err(PromptFileError::BothSubjects { prompt: shortened() });
        }
        if prompt.things.is_empty() {
            prompt.things = things_of(&prompt.text);
        }
    }
    Ok(prompts)
}

fn from_text(file: &str) -> Vec<Prompt> {
    let lines = file.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).map(|line| Prompt::new(line, of_no_set())).collect()
}

fn from_json(file: &str) -> Result<Vec<Prompt>, serde_json::Error> {
    let list = |entries: Vec<Value>| entries.into_iter().map(prompt).collect::<Result<Vec<_>, _>>();
    match serde_json::from_str(file)? {
        Value::Object(sets) => {
            let mut prompts = Vec::new();
            for (set, entries) in sets {
                let of_set = list(serde_json::from_value(entries)?)?.into_iter();
                prompts.extend(of_set.map(|prompt| Prompt { set: set.clone(), ..prompt }));
            }
            Ok(prompts)
        }
        entries => list(serde_json::from_value(entries)?),
    }
}

/// A text or a [`Prompt`].
fn prompt(entry: Value) -> Result<Prompt, serde_json::Error> {
    match entry {
        Value::String(text) => Ok(Prompt::new(text, of_no_set())),
        entry => serde_json::from_value(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Thing;

    #[test]
    fn text_has_a_prompt_on_every_line() {
        let prompts = read_prompts("\u{feff}a cat and a red car\r\n\n  two dogs  \n").unwrap();
        let texts: Vec<_> = prompts.iter().map(|prompt| (prompt.text.as_str(), prompt.set.as_str())).collect();
        assert_eq!(texts, [("a cat and a red car", "prompts"), ("two dogs", "prompts")]);
        assert_eq!(prompts[0].things[1], Thing { noun: "car".to_owned(), colour: Some("red".to_owned()) });
        assert_eq!(prompts[1].things, []);
    }

    #[test]
    fn json_has_sets_subjects_and_indices() {
        let file = r#"{"b": [{"prompt": "a cat and a dog", "token_indices": [2, 5]}],
                       "a": ["a hat", {"prompt": "wolves", "subjects": ["wolves"], "things": [{"noun": "wolf"}]}]}"#;
        let prompts = read_prompts(file).unwrap();
        let sets: Vec<_> = prompts.iter().map(|prompt| prompt.set.as_str()).collect();
        assert_eq!(sets, ["a", "a", "b"]);
        assert_eq!(prompts[1].things[0].noun, "wolf");
        assert_eq!(prompts[2].token_indices, Some(vec![2, 5]));
        assert_eq!(read_prompts(&format!("\u{feff}{}", file.replace('\n', "\r\n"))).unwrap(), prompts);
        assert_eq!(read_prompts(r#"["a", {"prompt": "b", "set": "c"}]"#).unwrap()[1].set, "c");
    }

    #[test]
    fn what_is_no_list_of_prompts_is_refused() {
        let refusal = |file: &str| read_prompts(file).unwrap_err().to_string();
        assert_eq!(refusal(" \n\n"), "it holds no prompt");
        assert_eq!(refusal("[]"), "it holds no prompt");
        assert!(refusal("a\0 \0c\0a\0t\0").starts_with("it is no text: it has zero bytes"));
        assert_eq!(refusal("a cat\na cat"), "the prompt 'a cat' is there twice");
        let both = r#"[{"prompt": "a cat", "subjects": ["cat"], "token_indices": [2]}]"#;
        assert_eq!(refusal(both), "the prompt 'a cat' has both subjects and token_indices: give one of them");
        for (file, reason) in [
            ("{", "EOF while parsing"),
            ("[1]", "invalid type: integer `1`, expected struct Prompt"),
            (r#"[{"prompt": "a", "subject": "b"}]"#, "unknown field `subject`"),
            ("[{}]", "missing field `prompt`"),
            (r#"{"a": "b"}"#, "invalid type: string \"b\", expected a sequence"),
        ] {
            let refusal = refusal(file);
            assert!(refusal.starts_with(&format!("no prompts: {reason}")), "{refusal}");
        }
    }
}
