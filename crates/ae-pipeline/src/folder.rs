use std::borrow::Cow;
use std::io;
use std::path::Path;

use ae_checkpoint::{Checkpoint, Family, Variants};
use ae_clip::{ClipTextModelConfig, ClipTokenizer, TokenizerSettings};
use ae_config::{ConfigError, Fields};
use ae_scheduler::SchedulerConfig;
use ae_tensor::Component;
use ae_unet::UNetConfig;
use ae_vae::VaeConfig;

use crate::model_files::ModelFiles;
use crate::model_index::other_kind;
use crate::{EmbeddedModel, LoadError, ModelDefaults};

/// The file that names the parts of a model.
const INDEX: &str = "model_index.json";
/// The file of a model's own settings.
const DEFAULTS: &str = "attend_and_excite.json";

/// A folder in diffusers' layout.
pub(crate) struct Folder<'a> {
    files: Files<'a>,
    variants: Variants,
    /// The parts that have no weights of the variant asked for.
    notice: Option<String>,
}

/// Where the files are.
pub(crate) enum Files<'a> {
    Disk(&'a Path),
    Embedded(&'static EmbeddedModel),
}

impl<'a> Folder<'a> {
    /// Opens a folder; `variant` are the weights to take of each part that has them, in either precision as `prefer_half` says.
    pub(crate) fn open(files: Files<'a>, prefer_half: bool, variant: Option<&str>) -> Result<Self, LoadError> {
        if let Some(text) = files.text(INDEX)? {
            let index = Fields::read(files.describe(INDEX), &text)?;
            if let Some(found) = other_kind(&index) {
                return Err(LoadError::Kind { model: files.describe(""), found });
            }
        }
        let notice = variant.map(|variant| files.check_variant(variant)).transpose()?.flatten();
        Ok(Self { files, variants: Variants::from(prefer_half).with_first(variant), notice })
    }

    /// A config that every model has.
    fn config<C: TryFrom<Fields, Error = ConfigError>>(&self, path: &str) -> Result<C, LoadError> {
        Ok(self.fields(path)?.try_into()?)
    }

    fn fields(&self, path: &str) -> Result<Fields, LoadError> {
        Ok(Fields::read(self.files.describe(path), &self.files.needed_text(path)?)?)
    }

    /// The network in a folder of its own; `usual` is its file in a model with nothing but float32 safetensors.
    fn network<C: TryFrom<Fields, Error = ConfigError>>(
        &self,
        part: &str,
        usual: &str,
    ) -> Result<Component<C>, LoadError> {
        let config = self.config(&format!("{part}/config.json"))?;
        let usual = format!("{part}/{usual}");
        let weights = match self.files {
            Files::Disk(folder) if Checkpoint::find_in_folder(folder.join(part), self.variants.clone()).is_none() => {
                None
            }
            Files::Disk(folder) => Some(Checkpoint::open_folder(folder.join(part), self.variants.clone())?),
            Files::Embedded(model) => {
                let open = |bytes: &'static [u8]| Checkpoint::from_bytes(self.files.describe(&usual), bytes.into());
                model.file(&usual).map(open).transpose()?
            }
        };
        Ok(Component { config, weights: weights.ok_or_else(|| self.files.missing(&usual))? })
    }
}

impl ModelFiles for Folder<'_> {
    /// By the projections of the U-Net's transformers: the classes of the two generations have one name.
    fn family(&self) -> Result<Family, LoadError> {
        let unet: UNetConfig = self.config("unet/config.json")?;
        Ok(if unet.use_linear_projection { Family::StableDiffusion2 } else { Family::StableDiffusion1 })
    }

    fn tokenizers(&self) -> Result<Vec<ClipTokenizer>, LoadError> {
        let text = |file: &str| self.files.text(&format!("tokenizer/{file}"));
        let tokenizer_config = text("tokenizer_config.json")?;
        let special_tokens_map = text("special_tokens_map.json")?;
        let added_tokens = text("added_tokens.json")?;
        let settings = TokenizerSettings {
            tokenizer_config: tokenizer_config.as_deref(),
            special_tokens_map: special_tokens_map.as_deref(),
            added_tokens: added_tokens.as_deref(),
        };
        // The order of transformers 5: tokenizer.json, else vocabulary and merges.
        let (file, tokenizer) = if let Some(json) = text("tokenizer.json")? {
            ("tokenizer/tokenizer.json", ClipTokenizer::from_tokenizer_json(&json, settings))
        } else {
            let needed = |file| self.files.needed_text(file);
            let (vocab, merges) = (needed("tokenizer/vocab.json")?, needed("tokenizer/merges.txt")?);
            ("tokenizer", ClipTokenizer::from_vocab_and_merges(&vocab, &merges, settings))
        };
        Ok(vec![tokenizer.map_err(|cause| LoadError::Tokenizer { file: self.files.describe(file), cause })?])
    }

    fn text_encoders(&self) -> Result<Vec<Component<ClipTextModelConfig>>, LoadError> {
        Ok(vec![self.network("text_encoder", "model.safetensors")?])
    }

    fn unet(&self) -> Result<Component<UNetConfig>, LoadError> {
        self.network("unet", "diffusion_pytorch_model.safetensors")
    }

    fn vae(&self) -> Result<Component<VaeConfig>, LoadError> {
        self.network("vae", "diffusion_pytorch_model.safetensors")
    }

    fn scheduler(&self) -> Result<SchedulerConfig, LoadError> {
        self.config("scheduler/scheduler_config.json")
    }

    fn texts(&self) -> Result<Vec<(&'static str, String)>, LoadError> {
        const FILES: [&str; 7] = [
            DEFAULTS,
            "tokenizer/added_tokens.json",
            "tokenizer/merges.txt",
            "tokenizer/special_tokens_map.json",
            "tokenizer/tokenizer.json",
            "tokenizer/tokenizer_config.json",
            "tokenizer/vocab.json",
        ];
        let texts = FILES.into_iter().map(|path| Ok(self.files.text(path)?.map(|text| (path, text.into_owned()))));
        texts.filter_map(Result::transpose).collect()
    }

    /// Parts without the variant, and fields that diffusers ignores, as this does.
    fn notice(&self) -> Option<String> {
        let ignored = |path: &str, kind: &str, of: fn(&Fields) -> Vec<String>| {
            let names = of(&self.fields(path).ok()?);
            let file = self.files.describe(path);
            (!names.is_empty())
                .then(|| format!("'{file}' has {}, which no such {kind} knows and is ignored", names.join(", ")))
        };
        let of_configs = [
            ignored("unet/config.json", "network", UNetConfig::ignored),
            ignored("vae/config.json", "network", VaeConfig::ignored),
            ignored("text_encoder/config.json", "network", ClipTextModelConfig::ignored),
            ignored("scheduler/scheduler_config.json", "sampler", SchedulerConfig::ignored),
        ];
        let notices: Vec<String> = self.notice.iter().cloned().chain(of_configs.into_iter().flatten()).collect();
        (!notices.is_empty()).then(|| notices.join(". "))
    }

    fn defaults(&self) -> Result<ModelDefaults, LoadError> {
        match self.files.text(DEFAULTS)? {
            Some(text) => Ok(Fields::read(self.files.describe(DEFAULTS), &text)?.try_into()?),
            None => Ok(ModelDefaults::default()),
        }
    }
}

impl Files<'_> {
    /// A file, or the model, as errors name it.
    fn describe(&self, path: &str) -> String {
        match self {
            Self::Disk(folder) if path.is_empty() => folder.display().to_string(),
            Self::Disk(folder) => folder.join(path).display().to_string(),
            Self::Embedded(model) => format!("{}/{path}", model.name),
        }
    }

    fn missing(&self, path: &str) -> LoadError {
        match self {
            Self::Disk(folder) if !folder.exists() => LoadError::NotFound { path: self.model() },
            _ => LoadError::MissingFile { model: self.model(), file: path.to_owned() },
        }
    }

    /// The model, as errors name it.
    fn model(&self) -> String {
        match self {
            Self::Disk(_) => self.describe(""),
            Self::Embedded(model) => model.name.to_owned(),
        }
    }

    /// Looks for the weights of a variant; returns what is to be said of parts without, as diffusers loads their usual ones.
    fn check_variant(&self, variant: &str) -> Result<Option<String>, LoadError> {
        const PARTS: [&str; 3] = ["text_encoder", "unet", "vae"];
        let has = |part: &&str| match self {
            Self::Disk(folder) => Checkpoint::has_variant(folder.join(part), variant),
            Self::Embedded(_) => false,
        };
        let (with, without): (Vec<_>, Vec<_>) = PARTS.into_iter().partition(has);
        if matches!(self, Self::Disk(folder) if !folder.exists()) {
            return Err(self.missing(""));
        }
        if with.is_empty() {
            return Err(LoadError::NoVariant { model: self.model(), variant: variant.to_owned() });
        }
        let notice = || {
            format!(
                "the usual weights of {} are used: there are none of the variant '{variant}'",
                without.join(" and ")
            )
        };
        Ok((!without.is_empty()).then(notice))
    }

    /// The text of a file, or `None` when there is no such file.
    fn text(&self, path: &str) -> Result<Option<Cow<'_, str>>, LoadError> {
        let failed = |cause| LoadError::Read { file: self.describe(path), cause };
        match self {
            Self::Disk(folder) => read_text(&folder.join(path)).map(|text| text.map(Cow::Owned)).map_err(failed),
            Self::Embedded(model) => {
                let text = |bytes| std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| failed(not_text()));
                model.file(path).map(text).transpose()
            }
        }
    }

    /// The text of a file that every model has.
    fn needed_text(&self, path: &str) -> Result<Cow<'_, str>, LoadError> {
        self.text(path)?.ok_or_else(|| self.missing(path))
    }
}

/// The text of a file, or `None` when there is no such file.
fn read_text(file: &Path) -> io::Result<Option<String>> {
    /// Far above any config or vocabulary; a larger file is something else.
    const LARGEST: u64 = 64 << 20;
    match ae_files::read_text(file, LARGEST) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        text => text.map(Some),
    }
}

fn not_text() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, variant: &str) -> Result<Option<String>, LoadError> {
        Ok(Folder::open(Files::Disk(path), false, Some(variant))?.notice)
    }

    #[test]
    fn a_part_without_the_variant_is_said_and_a_model_without_it_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        file("unet/diffusion_pytorch_model.non_ema.bin");
        file("vae/diffusion_pytorch_model.safetensors");
        let notice = open(folder.path(), "non_ema").unwrap().unwrap();
        assert_eq!(
            notice,
            "the usual weights of text_encoder and vae are used: there are none of the variant 'non_ema'"
        );
        for part in ["vae/diffusion_pytorch_model.non_ema.safetensors", "text_encoder/model.non_ema.safetensors"] {
            file(part);
        }
        assert_eq!(open(folder.path(), "non_ema").unwrap(), None);
        for variant in ["ema", "fp16", "../vae/diffusion_pytorch_model"] {
            assert!(matches!(open(folder.path(), variant), Err(LoadError::NoVariant { .. })), "{variant}");
        }
        assert!(matches!(open(&folder.path().join("none"), "fp16"), Err(LoadError::NotFound { .. })));
    }

    #[test]
    fn a_single_file_has_no_variants() {
        let source = crate::ModelSource::File("x.safetensors".into());
        let error = crate::open_model(&source, false, Some("fp16"), None).err().unwrap().to_string();
        assert!(error.starts_with("'x.safetensors' has no weights of the variant 'fp16'"), "{error}");
    }

    /// What is said of a folder with such a file.
    fn said_of(name: &str, text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        let opened = Folder::open(Files::Disk(folder.path()), false, None);
        let read = opened.and_then(|folder| folder.defaults().map(|_| ()));
        read.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_file_that_is_no_object_is_not_passed_over() {
        for name in [INDEX, DEFAULTS] {
            for text in ["[]", "{", "", "null", "3", "\"x\""] {
                let said = said_of(name, text);
                assert!(said.contains(name) && said.contains("is malformed ("), "{name} {text}: {said}");
            }
            assert_eq!(said_of(name, "{}"), "");
        }
        // A class that is no text says as little as one that is not known.
        assert_eq!(said_of(INDEX, r#"{"_class_name": ["x"]}"#), "");
        assert!(said_of(INDEX, r#"{"_class_name": "FluxPipeline"}"#).contains("a Flux model"));
    }

    /// As diffusers and transformers ignore them.
    #[test]
    fn fields_that_nobody_knows_are_named_in_every_config() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("unet/config.json", r#"{"_class_name": "UNet2DConditionModel", "in_channel": 4}"#),
            ("vae/config.json", r#"{"latent_channel": 4}"#),
            ("text_encoder/config.json", r#"{"model_type": "clip", "text_config": {"dropout": 0.0, "hidden_siz": 8}}"#),
            ("scheduler/scheduler_config.json", r#"{"beta_strat": 0.1, "flow_shift": 1.0, "skip_prk_steps": true}"#),
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let notice = Folder::open(Files::Disk(folder.path()), false, None).unwrap().notice().unwrap();
        let named: Vec<_> = notice.split(". ").filter_map(|note| note.split(" has ").nth(1)).collect();
        let expected = [
            ("in_channel", "network"),
            ("latent_channel", "network"),
            ("hidden_siz", "network"),
            ("beta_strat", "sampler"),
        ]
        .map(|(field, kind)| format!("{field}, which no such {kind} knows and is ignored"));
        assert_eq!(named, expected);
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_file_is_refused_at_once() {
        for name in [INDEX, DEFAULTS] {
            let folder = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink("/dev/zero", folder.path().join(name)).unwrap();
            let opened = Folder::open(Files::Disk(folder.path()), false, None);
            let error = opened.and_then(|folder| folder.defaults().map(|_| ())).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("it is a device; expected a file"), "{error}");
        }
    }
}
