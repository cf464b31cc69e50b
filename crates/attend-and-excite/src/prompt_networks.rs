//! The LoRAs and textual inversions that a prompt names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ae_checkpoint::Lora;
use ae_pipeline::LoadError;
use ae_settings::a1111::{Networks, Unsupported, take_networks, without_comments};
use ae_settings::{EmbeddingRef, FileRef, LoraRef, Overrides, PromptSyntax, weights_stem};

use crate::file_search::FileSearch;
use crate::redraw::find;
use crate::{Error, sha256};

/// Networks of a prompt that cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the prompt names what cannot be loaded: {}; take it out of the prompt",
    self.networks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct UnknownNetworks {
    /// The networks.
    pub networks: Vec<Unsupported>,
}

/// The settings with the LoRAs that their prompt names (`<lora:NAME:STRENGTH>`) behind those that are given, and without them in the
/// prompt, and with the textual inversions of `embedding_folders` whose names the prompts have. The files of LoRAs are looked for by name
/// in `lora_folders`, in the current folder and in the cache of the hub. A prompt that is plain text stays as it is.
///
/// # Errors
///
/// When a file is not found, or a network is of another kind.
pub fn with_prompt_networks(
    given: &Overrides,
    lora_folders: &[PathBuf],
    embedding_folders: &[PathBuf],
) -> Result<Overrides, Error> {
    let mut settings = take_prompt_networks(given, &|name| find(lora_folders, name, None))?;
    if !embedding_folders.is_empty() && can_name_embeddings(given) {
        add_prompt_embeddings(&mut settings, FileSearch::new(embedding_folders).weights());
    }
    Ok(settings)
}

/// As [`with_prompt_networks`], where `find` finds the file of a name.
pub(crate) fn take_prompt_networks<E: From<UnknownNetworks>>(
    given: &Overrides,
    find: &dyn Fn(&str) -> Result<String, E>,
) -> Result<Overrides, E> {
    let mut given = given.clone();
    let Some(prompt) = given.prompt.clone().filter(|_| given.prompt_syntax == Some(PromptSyntax::A1111)) else {
        return Ok(given);
    };
    let text = without_comments(&prompt);
    let Networks { prompt: rest, loras, unsupported, .. } = take_networks(&text);
    if !unsupported.is_empty() {
        return Err(UnknownNetworks { networks: unsupported }.into());
    }
    if loras.is_empty() {
        return Ok(given);
    }
    let all = given.loras.get_or_insert_default();
    for mut lora in loras {
        lora.name = find(&lora.name)?;
        all.push(lora);
    }
    given.prompt = Some(rest);
    Ok(given)
}

/// Whether words of the prompts can be names of textual inversions: prompts that are plain text have none, and what settings choose, or
/// a picture has recorded, is all that it was drawn with.
pub(crate) fn can_name_embeddings(given: &Overrides) -> bool {
    let is_recorded = given.format.is_some() || given.version.is_some();
    given.prompt_syntax == Some(PromptSyntax::A1111) && given.embeddings.is_none() && !is_recorded
}

/// Adds the textual inversions of some files whose names, without their endings, are words of the prompts: AUTOMATIC1111's program knows
/// those of its folder so (`EmbeddingDatabase` in `modules/textual_inversion/textual_inversion.py`). Where one name is a part of another the
/// longer one counts, of two files of one name the first. Returns how many there are.
pub(crate) fn add_prompt_embeddings(given: &mut Overrides, files: Vec<PathBuf>) -> usize {
    let text = |prompt: &Option<String>| without_comments(prompt.as_deref().unwrap_or_default()).to_lowercase();
    let mut prompts = [text(&given.prompt), text(&given.negative_prompt)];
    let embeddings = given.embeddings.get_or_insert_default();
    let before = embeddings.len();
    let stem = |path: PathBuf| Some((path.file_stem()?.to_str()?.to_owned(), path));
    let mut files: Vec<_> = files.into_iter().filter_map(stem).collect();
    // Brackets and colons are no part of a word in that syntax.
    files.retain(|(name, _)| {
        name.contains(char::is_alphanumeric) && !name.contains(['(', ')', '[', ']', '|', '\\', ':'])
    });
    files.sort_by_key(|(name, _)| std::cmp::Reverse(name.chars().count()));
    for (name, path) in files {
        let word = name.to_lowercase();
        let mut is_there = false;
        for prompt in &mut prompts {
            while let Some(start) = find_word(prompt, &word) {
                is_there = true;
                // Shorter names are not looked for in it.
                prompt.replace_range(start..start + word.len(), "\n");
            }
        }
        let is_word = |known: &EmbeddingRef| {
            let stem = || weights_stem(FileRef::new(&known.name).base_name()).to_lowercase();
            known.token.as_ref().map_or_else(stem, |token| token.to_lowercase()) == word
        };
        if is_there && !embeddings.iter().any(is_word) {
            embeddings.push(EmbeddingRef::new(path.display().to_string(), Some(name)));
        }
    }
    embeddings.len() - before
}

/// The place of a word in a text: no letter or digit is beside it, and it is not the number of a weight or of a step.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_free = |side: Option<char>| !side.is_some_and(char::is_alphanumeric);
    let is_number = word.parse::<f64>().is_ok();
    let is_word = |&(start, _): &(usize, &str)| {
        is_free(text[..start].chars().next_back())
            && is_free(text[start + word.len()..].chars().next())
            && !(is_number && (text[..start].ends_with('.') || text[..start].trim_end().ends_with(':')))
    };
    text.match_indices(word).find(is_word).map(|(start, _)| start)
}

/// Adds files of LoRAs to those that are known, by their base names with their SHA-256, and reads what they hold: one that cannot be
/// used must not be found after hours of drawing.
///
/// # Errors
///
/// The first that cannot be read.
pub fn add_lora_files(known: &mut BTreeMap<String, String>, loras: &[LoraRef]) -> Result<(), Error> {
    for LoraRef { name, .. } in loras {
        let base_name = FileRef::new(name).base_name().to_owned();
        if known.contains_key(&base_name) {
            continue;
        }
        Lora::open(name).map_err(LoadError::from)?;
        let files = Lora::files(name).map_err(LoadError::from)?;
        let hash = |path: &Path| sha256(path).map_err(|cause| Error::Inspect { path: path.to_owned(), cause });
        if let Some(config) = files.config {
            known.insert(format!("{base_name}: adapter_config.json"), hash(&config)?);
        }
        known.insert(base_name, hash(&files.weights)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(prompt: &str) -> Overrides {
        let mut given = Overrides::default();
        given.prompt = Some(prompt.to_owned());
        given.prompt_syntax = Some(PromptSyntax::A1111);
        given
    }

    #[test]
    fn loras_are_found_by_name_and_stand_behind_those_that_are_given() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("styles/Ink v2.safetensors");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "x").unwrap();
        let mut own = given("a cat <lora:Ink v2:0.5:0.8># <lora:no:1>\nand a dog <lyco:Ink v2>");
        own.loras = Some(vec![LoraRef::new("first.safetensors", 0.3)]);
        let found = with_prompt_networks(&own, &[folder.path().to_owned()], &[]).unwrap();
        assert_eq!(found.prompt.as_deref(), Some("a cat\nand a dog"));
        let path = file.display().to_string();
        let mut expected = vec![LoraRef::new("first.safetensors", 0.3), LoraRef::new(path.clone(), 0.5)];
        expected[1].unet_strength = Some(0.8);
        expected.push(LoraRef::new(path, 1.0));
        assert_eq!(found.loras, Some(expected));
    }

    #[test]
    fn embeddings_of_the_folder_are_words_of_the_prompts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        for name in [
            "EasyNegative.safetensors",
            "bad-hands.pt",
            "bad-hands-5.pt",
            "cat.txt",
            "toy.bin",
            "été.pt",
            "5.pt",
            "q(z).pt",
            "a/toy.pt",
        ] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let added = |prompt: &str, negative: &str| {
            let mut own = given(prompt);
            own.negative_prompt = Some(negative.to_owned());
            let found = with_prompt_networks(&own, &[], &[folder.path().to_owned()]).unwrap();
            assert_eq!((&found.prompt, &found.negative_prompt), (&own.prompt, &own.negative_prompt));
            let name = |embedding: EmbeddingRef| {
                format!("{}={}", FileRef::new(embedding.name).base_name(), embedding.token.unwrap())
            };
            found.embeddings.unwrap_or_default().into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(added("a toy, a cat and (toy:1.2)", ""), ["toy.bin=toy"]);
        assert_eq!(added("toys, mytoy, bad-handsome", "easy negative"), [""; 0]);
        assert_eq!(
            added("Été bad-hands-5", "EASYNEGATIVE and easynegative"),
            ["EasyNegative.safetensors=EasyNegative", "bad-hands-5.pt=bad-hands-5", "été.pt=été"]
        );
        // Weights, comments and names with brackets are no words.
        assert_eq!(added("a (dog:1.5), a [cat:dog: 5], q(z) # toy", ""), [""; 0]);
        assert_eq!(added("5 dogs", ""), ["5.pt=5"]);
        assert_eq!(added("bad-hands, bad-hands-5", ""), ["bad-hands-5.pt=bad-hands-5", "bad-hands.pt=bad-hands"]);
        let mut own = given("a toy");
        own.embeddings = Some(vec![EmbeddingRef::new("other.pt", Some("toy".to_owned()))]);
        assert_eq!(with_prompt_networks(&own, &[], &[folder.path().to_owned()]).unwrap(), own);
        // A picture is drawn again with what it was drawn with: here with nothing.
        let mut recorded = given("a toy");
        recorded.format = Some(2);
        assert_eq!(with_prompt_networks(&recorded, &[], &[folder.path().to_owned()]).unwrap(), recorded);
        let mut plain = given("a toy");
        plain.prompt_syntax = None;
        assert_eq!(with_prompt_networks(&plain, &[], &[folder.path().to_owned()]).unwrap(), plain);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let refusal = |prompt: &str| with_prompt_networks(&given(prompt), &[], &[]).unwrap_err().to_string();
        assert!(refusal("a <lora:nowhere:1>").starts_with("there is no file 'nowhere' in"));
        assert_eq!(
            refusal("a <hypernet:h:1> <lora:x:dyn=3>"),
            "the prompt names what cannot be loaded: hypernet: <hypernet:h:1> (hypernetworks are not loaded here); lora: \
             <lora:x:dyn=3> (a rank (dyn) is not chosen here); take it out of the prompt"
        );
    }

    #[test]
    fn other_prompts_stay_as_they_are() {
        for prompt in ["a cat # a comment\n", "<toy> a\r\n"] {
            assert_eq!(with_prompt_networks(&given(prompt), &[], &[]).unwrap(), given(prompt));
        }
        let mut plain = given("a <lora:x:1> <hypernet:y:1>");
        for syntax in [None, Some(PromptSyntax::Plain)] {
            plain.prompt_syntax = syntax;
            assert_eq!(with_prompt_networks(&plain, &[], &[]).unwrap(), plain);
        }
    }
}
