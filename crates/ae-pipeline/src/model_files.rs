use std::borrow::Cow;
use std::io;
use std::path::Path;

use ae_checkpoint::{Checkpoint, Network};
use ae_clip::{ClipTokenizer, TokenizerSettings};
use ae_scheduler::PredictionType;

use crate::model_index::other_kind;
use crate::single_file::SingleFileModel;
use crate::weight_files::ModelPart;
use crate::{EmbeddedModel, LoadError, ModelSource};

/// A model opened for loading: a folder in diffusers' layout, whatever it is in truth.
#[derive(Debug)]
pub(crate) enum ModelFiles<'a> {
    Folder(&'a Path),
    Embedded(&'static EmbeddedModel),
    SingleFile { path: &'a Path, model: Box<SingleFileModel> },
}

impl<'a> ModelFiles<'a> {
    /// Opens a model; of a single file only the names and shapes are read.
    pub(crate) fn open(source: &'a ModelSource, prediction: Option<PredictionType>) -> Result<Self, LoadError> {
        Ok(match source {
            ModelSource::Folder(folder) => {
                let index = read_text(&folder.join("model_index.json"))?;
                if let Some(found) = index.as_deref().and_then(other_kind) {
                    return Err(LoadError::Kind { model: folder.display().to_string(), found });
                }
                Self::Folder(folder)
            }
            ModelSource::Embedded(model) => Self::Embedded(model),
            ModelSource::File(path) => {
                Self::SingleFile { path, model: Box::new(SingleFileModel::open(path, prediction)?) }
            }
        })
    }

    /// What the user should know about the model.
    pub(crate) fn notice(&self) -> Option<String> {
        match self {
            Self::SingleFile { model, .. } => model.notice.clone(),
            Self::Folder(_) | Self::Embedded(_) => None,
        }
    }

    /// The text of a file, or `None` when the model has no such file.
    pub(crate) fn optional_text(&self, path: &str) -> Result<Option<Cow<'_, str>>, LoadError> {
        match self {
            Self::Folder(folder) => read_text(&folder.join(path)).map(|text| text.map(Cow::Owned)),
            Self::Embedded(model) => {
                let text = model.file(path).map(|bytes| std::str::from_utf8(bytes).map(Cow::Borrowed)).transpose();
                text.map_err(|_| LoadError::Read { file: self.describe(path), source: not_text() })
            }
            Self::SingleFile { model, .. } => Ok(match path {
                "scheduler/scheduler_config.json" => Some(Cow::Borrowed(model.scheduler_config.as_str())),
                "unet/config.json" => Some(Cow::Borrowed(model.unet_config.as_str())),
                "text_encoder/config.json" => Some(Cow::Borrowed(model.networks.text_encoder.config.as_str())),
                "vae/config.json" => model.networks.vae.as_ref().map(|vae| Cow::Borrowed(vae.config.as_str())),
                _ => None,
            }),
        }
    }

    /// The text of a file that every model has.
    pub(crate) fn text(&self, path: &str) -> Result<Cow<'_, str>, LoadError> {
        self.optional_text(path)?.ok_or_else(|| self.missing(path))
    }

    /// The weights of a network.
    pub(crate) fn weights(&self, part: ModelPart, prefer_half: bool) -> Result<Checkpoint, LoadError> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.join(part.folder());
                let file = part.find(&folder, prefer_half);
                let file = file.ok_or_else(|| self.missing(&format!("{}/{}", part.folder(), part.usual_file())))?;
                open_weights(&file)
            }
            Self::Embedded(model) => {
                let path = format!("{}/{}", part.folder(), part.usual_file());
                let bytes = model.file(&path).ok_or_else(|| self.missing(&path))?;
                Ok(Checkpoint::from_bytes(self.describe(&path), bytes.into())?)
            }
            Self::SingleFile { model, .. } => {
                let network = match part {
                    ModelPart::TextEncoder => Some(&model.networks.text_encoder),
                    ModelPart::UNet => Some(&model.networks.unet),
                    ModelPart::Vae => model.networks.vae.as_ref(),
                };
                Ok(network.ok_or_else(|| self.missing(&part.config()))?.weights.clone())
            }
        }
    }

    /// The tokenizer; a single file has none of its own, and gets CLIP's.
    pub(crate) fn tokenizer(&self) -> Result<ClipTokenizer, LoadError> {
        const JSON: &str = "tokenizer/tokenizer.json";
        if let Self::SingleFile { model, .. } = self {
            return Ok(match model.networks.family {
                ae_checkpoint::Family::StableDiffusion1 => ClipTokenizer::stable_diffusion_1(),
                ae_checkpoint::Family::StableDiffusion2 => ClipTokenizer::stable_diffusion_2(),
            });
        }
        let tokenizer_config = self.optional_text("tokenizer/tokenizer_config.json")?;
        let special_tokens_map = self.optional_text("tokenizer/special_tokens_map.json")?;
        let settings = TokenizerSettings {
            tokenizer_config: tokenizer_config.as_deref(),
            special_tokens_map: special_tokens_map.as_deref(),
        };
        // The order of transformers 5: tokenizer.json, else vocabulary and merges.
        if let Some(json) = self.optional_text(JSON)? {
            return self.config_error(JSON, ClipTokenizer::from_tokenizer_json(&json, settings));
        }
        let vocab = self.text("tokenizer/vocab.json")?;
        let merges = self.text("tokenizer/merges.txt")?;
        self.config_error("tokenizer", ClipTokenizer::from_vocab_and_merges(&vocab, &merges, settings))
    }

    /// Reads a config that every model has.
    pub(crate) fn config<T, E>(&self, path: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, LoadError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        self.config_error(path, parse(&self.text(path)?))
    }

    /// Names the file in the error of its parser.
    pub(crate) fn config_error<T, E>(&self, path: &str, result: Result<T, E>) -> Result<T, LoadError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        result.map_err(|error| LoadError::Config { file: self.describe(path), source: Box::new(error) })
    }

    /// A file of the model as errors name it.
    fn describe(&self, path: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(path).display().to_string(),
            Self::Embedded(model) => format!("{}/{path}", model.name),
            Self::SingleFile { path: file, .. } => format!("{} ({path})", file.display()),
        }
    }

    fn missing(&self, path: &str) -> LoadError {
        match self {
            Self::Folder(folder) if !folder.exists() => LoadError::NotFound { path: folder.display().to_string() },
            Self::Folder(folder) => {
                LoadError::MissingFile { model: folder.display().to_string(), file: path.to_owned() }
            }
            Self::Embedded(model) => LoadError::MissingFile { model: model.name.to_owned(), file: path.to_owned() },
            Self::SingleFile { path, .. } => LoadError::NoVae { model: path.display().to_string() },
        }
    }
}

/// An autoencoder beside the model: a file, or a folder with a `config.json`.
pub(crate) fn open_vae(path: &Path, prefer_half: bool) -> Result<Network, LoadError> {
    if !path.is_dir() {
        return Ok(ae_checkpoint::SingleFile::vae_of(&Checkpoint::open(path)?)?);
    }
    // A whole model's folder will do too.
    let inner = path.join(ModelPart::Vae.folder());
    let folder = if inner.is_dir() { &inner } else { path };
    let missing = |file: &str| LoadError::MissingFile { model: folder.display().to_string(), file: file.to_owned() };
    let config = read_text(&folder.join("config.json"))?.ok_or_else(|| missing("config.json"))?;
    let file = ModelPart::Vae.find(folder, prefer_half).ok_or_else(|| missing(&ModelPart::Vae.usual_file()))?;
    Ok(Network { weights: open_weights(&file)?, config })
}

fn open_weights(file: &Path) -> Result<Checkpoint, LoadError> {
    let is_index = file.extension().is_some_and(|ending| ending == "json");
    Ok(if is_index { Checkpoint::open_sharded(file)? } else { Checkpoint::open(file)? })
}

/// The text of a file, or `None` when there is no such file.
fn read_text(file: &Path) -> Result<Option<String>, LoadError> {
    /// Far above any config or vocabulary; a larger file is something else.
    const LARGEST: u64 = 64 << 20;
    let failed = |source| LoadError::Read { file: file.display().to_string(), source };
    match std::fs::metadata(file) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(metadata) if metadata.len() > LARGEST => {
            Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "the file is no text of a model")))
        }
        Ok(_) => {
            let bytes = std::fs::read(file).map_err(failed)?;
            String::from_utf8(bytes).map(Some).map_err(|_| failed(not_text()))
        }
    }
}

fn not_text() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text")
}
