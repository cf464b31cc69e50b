//! Files that decide a picture: what names them in settings and on a command line.

use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::value::option_value;

/// The endings of files with weights, in any case of letters.
pub const WEIGHTS_ENDINGS: [&str; 5] = ["safetensors", "ckpt", "pt", "pth", "bin"];

/// The name of a file of weights without its ending, as prompts and lists have it; another name as it is.
pub fn weights_stem(name: &str) -> &str {
    let is_ending = |ending: &str| WEIGHTS_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known));
    name.rsplit_once('.').filter(|(_, ending)| is_ending(ending)).map_or(name, |(stem, _)| stem)
}

/// A file, by its name and its content.
///
/// Settings that are given may name a path; the settings of a picture have the base name and the SHA-256, and of a model in
/// diffusers' layout the path in its folder, `unet/diffusion_pytorch_model.safetensors`. Where settings are read again, a file is
/// looked for by its hash, then by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// A path, or the base name.
    pub name: String,
    /// SHA-256 of the whole file, in hexadecimal digits; none where it was not computed. Other programs write the first digits
    /// only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl FileRef {
    /// A file by its path or name alone.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), sha256: None }
    }

    /// The last part of the name.
    pub fn base_name(&self) -> &str {
        self.name.rsplit(['/', '\\']).next().unwrap_or(&self.name)
    }
}

option_value!(FileRef, Kind::File, |text: &str| Ok(Self::new(text)));
option_value!(Vec<FileRef>, Kind::Files, |text: &str| Ok(vec![FileRef::new(text)]));

/// A LoRA and its strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraRef {
    /// A path, or the base name.
    pub name: String,
    /// As [`FileRef::sha256`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// SHA-256 of PEFT's `adapter_config.json` that was read with it, and has its alpha.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// The factor of its updates; 1 is the strength it was trained for.
    #[serde(default = "full_strength")]
    pub strength: f64,
    /// That of the U-Net's updates, where it is another than that of the text encoder's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unet_strength: Option<f64>,
}

impl LoraRef {
    /// A LoRA by the path or name of its file, and its strength.
    pub fn new(name: impl Into<String>, strength: f64) -> Self {
        Self { name: name.into(), sha256: None, config_sha256: None, strength, unet_strength: None }
    }

    /// The strength in the U-Net.
    pub fn strength_in_unet(&self) -> f64 {
        self.unet_strength.unwrap_or(self.strength)
    }

    /// Its file.
    pub fn file(&self) -> FileRef {
        FileRef { name: self.name.clone(), sha256: self.sha256.clone() }
    }
}

const fn full_strength() -> f64 {
    1.0
}

option_value!(Vec<LoraRef>, Kind::Loras, |text| lora(text).map(|lora| vec![lora]));

fn lora(text: &str) -> Result<LoraRef, String> {
    fn number(text: &str) -> Option<(&str, f64)> {
        text.rsplit_once(':').and_then(|(name, end)| Some((name, end.parse().ok()?)))
    }
    let lora = match number(text).map(|(rest, last)| (rest, last, number(rest))) {
        None => LoraRef::new(text, full_strength()),
        Some((name, strength, None)) => LoraRef::new(name, strength),
        Some((_, unet, Some((name, strength)))) => {
            LoraRef { unet_strength: Some(unet), ..LoraRef::new(name, strength) }
        }
    };
    match [lora.strength, lora.strength_in_unet()].into_iter().find(|strength| !strength.is_finite()) {
        Some(strength) => Err(format!("the strength {strength} is not finite")),
        None => Ok(lora),
    }
}

/// A textual inversion and the token that stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingRef {
    /// A path, or the base name.
    pub name: String,
    /// As [`FileRef::sha256`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The token; by default the one that the file names, or the name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl EmbeddingRef {
    /// A textual inversion by the path or name of its file, and another token than its own.
    pub fn new(name: impl Into<String>, token: Option<String>) -> Self {
        Self { name: name.into(), sha256: None, token }
    }
}

option_value!(Vec<EmbeddingRef>, Kind::Embeddings, |text| Ok::<_, String>(vec![embedding(text)]));

fn embedding(text: &str) -> EmbeddingRef {
    let (name, token) = match text.rsplit_once(':') {
        // A colon may belong to the path.
        Some((path, token)) if !token.is_empty() && !exists(text) && exists(path) => (path, Some(token.to_owned())),
        _ => (text, None),
    };
    EmbeddingRef::new(name, token)
}

fn exists(path: &str) -> bool {
    std::path::Path::new(path).exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    /// Files as a command line takes them.
    fn text(option: &str, files: impl Serialize) -> String {
        let option = Settings::OPTIONS.iter().find(|known| known.name == option).unwrap();
        option.text(&serde_json::to_value(files).unwrap())
    }

    #[test]
    fn a_lora_may_have_a_strength() {
        let expected = |name: &str, strength| Ok(LoraRef::new(name, strength));
        assert_eq!(lora("a.safetensors"), expected("a.safetensors", 1.0));
        assert_eq!(lora("a.safetensors:0.6"), expected("a.safetensors", 0.6));
        assert_eq!(lora("C:\\a.safetensors:-1"), expected("C:\\a.safetensors", -1.0));
        assert!(lora("a:nan").is_err());
        let apart = LoraRef { unet_strength: Some(0.0), ..LoraRef::new("a.safetensors", 0.6) };
        assert_eq!(lora("a.safetensors:0.6:0"), Ok(apart));
        assert!(lora("a:1:inf").is_err());
        for text in ["a.safetensors", "a.safetensors:0.6", "b:-1", "b:-1:0.25", "C:\\a:1:2"] {
            let read = lora(text).unwrap();
            assert_eq!(lora(&self::text("loras", [&read])), Ok(read));
        }
    }

    #[test]
    fn an_embedding_may_have_a_token() {
        let here = format!("{}/src/files.rs", env!("CARGO_MANIFEST_DIR"));
        let text = format!("{here}:<toy>");
        let expected = EmbeddingRef::new(here, Some("<toy>".to_owned()));
        assert_eq!(embedding(&text), expected);
        assert_eq!(self::text("embeddings", [expected]), text);
        assert_eq!(embedding("no:file"), EmbeddingRef::new("no:file", None));
    }

    #[test]
    fn the_base_name_is_the_last_part() {
        for (name, base) in [("a/b.safetensors", "b.safetensors"), ("C:\\x\\y.pt", "y.pt"), ("z", "z")] {
            assert_eq!(FileRef::new(name).base_name(), base);
        }
    }
}
