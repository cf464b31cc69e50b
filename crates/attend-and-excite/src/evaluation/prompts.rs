use std::path::Path;

use ae_eval::{Prompt, PromptSet, read_prompts, things_of};
use ae_settings::a1111::take_networks;

use crate::Error;

/// The prompts of a name or a file, at most `limit` of every set.
///
/// # Errors
///
/// When it is neither a set nor a file with prompts.
pub fn prompts(name: &str, limit: Option<usize>) -> Result<Vec<Prompt>, Error> {
    /// Bytes of a file, a million prompts.
    const LARGEST: u64 = 64 << 20;
    let sets: &[PromptSet] = match name {
        "paper" => &PromptSet::PAPER,
        "animals" => &[PromptSet::Animals],
        "animals-objects" => &[PromptSet::AnimalsObjects],
        "objects" => &[PromptSet::Objects],
        "numbers" => &[PromptSet::Numbers],
        _ => &[],
    };
    let mut all = if sets.is_empty() {
        let file = ae_files::read_text(Path::new(name), LARGEST)
            .map_err(|cause| Error::Prompts { name: name.to_owned(), cause })?;
        read_prompts(&file).map_err(|cause| Error::PromptFile { name: name.to_owned(), cause })?
    } else {
        sets.iter().flat_map(|set| set.prompts()).collect()
    };
    for prompt in all.iter_mut().filter(|prompt| prompt.things.is_empty()) {
        // Names of networks are no part of a template.
        prompt.things = things_of(&take_networks(&prompt.text).prompt);
    }
    let Some(limit) = limit else { return Ok(all) };
    let sets = distinct(all.iter().map(|prompt| prompt.set.as_str()));
    let chosen = sets.iter().flat_map(|set| {
        let of_set: Vec<_> = all.iter().filter(|prompt| prompt.set == *set).collect();
        evenly(of_set.len(), limit).map(|index| of_set[index].clone()).collect::<Vec<_>>()
    });
    Ok(chosen.collect())
}

/// Every item once, where it comes first.
pub fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for item in items {
        if !found.contains(&item) {
            found.push(item);
        }
    }
    found
}

/// At most `limit` of `count` indices, with equal distances.
pub fn evenly(count: usize, limit: usize) -> impl Iterator<Item = usize> {
    let chosen = limit.min(count);
    (0..chosen).map(move |place| place * count / chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_chooses_evenly_from_every_set() {
        let chosen = prompts("paper", Some(3)).unwrap();
        assert_eq!(chosen.len(), 9);
        assert_eq!(chosen[0].text, "a cat and a dog");
        assert_eq!(evenly(66, 3).collect::<Vec<_>>(), [0, 22, 44]);
        assert_eq!(evenly(2, 9).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(prompts("animals", Some(0)).unwrap(), []);
    }

    /// As Windows' Notepad and PowerShell write them.
    #[test]
    fn files_of_every_encoding_have_the_same_prompts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prompts");
        for text in ["a cat\r\nein Löwe\r\n", "[\"a cat\",\r\n \"ein Löwe\"]"] {
            let little: Vec<u8> = "\u{feff}"
                .chars()
                .chain(text.chars())
                .collect::<String>()
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            let big: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
            for bytes in [text.as_bytes().to_vec(), format!("\u{feff}{text}").into_bytes(), little, big] {
                std::fs::write(&file, bytes).unwrap();
                let prompts = prompts(file.to_str().unwrap(), None).unwrap();
                assert_eq!(
                    prompts.iter().map(|prompt| prompt.text.as_str()).collect::<Vec<_>>(),
                    ["a cat", "ein Löwe"]
                );
            }
        }
        std::fs::write(&file, [0xff, 0xfe, b'[', 0, b'"', 0]).unwrap();
        assert!(
            prompts(file.to_str().unwrap(), None).unwrap_err().to_string().contains("no prompts: EOF while parsing")
        );
    }

    #[test]
    fn sets_that_are_mixed_in_a_file_are_limited_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prompts.json");
        let entry = |text: &str, set: &str| format!(r#"{{"prompt": "{text}", "set": "{set}"}}"#);
        let entries = [entry("1", "a"), entry("2", "b"), entry("3", "a"), entry("4", "b")];
        std::fs::write(&file, format!("[{}]", entries.join(","))).unwrap();
        let chosen = prompts(file.to_str().unwrap(), Some(1)).unwrap();
        assert_eq!(chosen.iter().map(|prompt| prompt.text.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    }
}
