//! The LoRAs that a prompt names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ae_checkpoint::Lora;
use ae_pipeline::LoadError;
use ae_settings::a1111::{Networks, Unsupported, take_networks, without_comments};
use ae_settings::{FileRef, LoraRef, Overrides, PromptSyntax};

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
/// prompt. Their files are looked for by name in `folders`, in the current folder and in the cache of the hub. A prompt that is plain
/// text stays as it is.
///
/// # Errors
///
/// When a file is not found, or a network is of another kind.
pub fn with_prompt_networks(given: &Overrides, folders: &[PathBuf]) -> Result<Overrides, Error> {
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
        lora.name = find(folders, &lora.name, None)?;
        all.push(lora);
    }
    given.prompt = Some(rest);
    Ok(given)
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
        let found = with_prompt_networks(&own, &[folder.path().to_owned()]).unwrap();
        assert_eq!(found.prompt.as_deref(), Some("a cat\nand a dog"));
        let path = file.display().to_string();
        let mut expected = vec![LoraRef::new("first.safetensors", 0.3), LoraRef::new(path.clone(), 0.5)];
        expected[1].unet_strength = Some(0.8);
        expected.push(LoraRef::new(path, 1.0));
        assert_eq!(found.loras, Some(expected));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let refusal = |prompt: &str| with_prompt_networks(&given(prompt), &[]).unwrap_err().to_string();
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
            assert_eq!(with_prompt_networks(&given(prompt), &[]).unwrap(), given(prompt));
        }
        let mut plain = given("a <lora:x:1> <hypernet:y:1>");
        for syntax in [None, Some(PromptSyntax::Plain)] {
            plain.prompt_syntax = syntax;
            assert_eq!(with_prompt_networks(&plain, &[]).unwrap(), plain);
        }
    }
}
