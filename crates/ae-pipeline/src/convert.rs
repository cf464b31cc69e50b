//! A model, with what was added to it, as files for others.

mod single;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ae_checkpoint::{Checkpoint, LoraNetwork};
use ae_clip::{ClipTextModel, ClipTextModelConfig, ClipTokenizer};
use ae_scheduler::SchedulerConfig;
use ae_tensor::FloatType;
use ae_unet::{UNet2DConditionModel, UNetConfig};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::Device;
use serde_json::{Value, json};

use crate::additions::Loras;
use crate::load::check_fit;
use crate::model_files::{open_model, open_vae};
use crate::{LoadError, LoadOptions, ModelFiles, ModelSource};

/// A model that cannot be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// It cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// There is something where the model should be.
    #[error("'{path}' is there already, and was not to be replaced", path = path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// There is something that no model is.
    #[error("'{path}' is {found}, which a model does not replace; give another place", path = path.display())]
    Other {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The name of a file that is not written.
    #[error("'{path}' names a file of another kind: expected a folder, or a file that ends with .safetensors", path = path.display())]
    Format {
        /// The path.
        path: PathBuf,
    },
    /// The type is one that weights have in memory alone.
    #[error("a model is not written in {dtype}, which is made while weights are loaded; use f16, bf16 or f32")]
    Dtype {
        /// The type.
        dtype: FloatType,
    },
    /// It cannot be written.
    #[error("cannot write the model to '{path}': {cause}", path = path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// A single file does not hold all of it.
    #[error("'{path}' cannot hold the model: {reason}; give a folder", path = path.display())]
    SingleFile {
        /// The path.
        path: PathBuf,
        /// What it does not hold.
        reason: String,
    },
}

/// Where a converted model goes.
#[derive(Clone, Debug)]
pub struct Destination {
    path: PathBuf,
    is_single: bool,
    replace: bool,
}

impl Destination {
    /// A folder, or a single file where the path ends with `.safetensors`. With `replace` it takes the place of a model that is there.
    ///
    /// # Errors
    ///
    /// When there is something that is not to be replaced, or nothing can be written there.
    pub fn new(path: &Path, replace: bool) -> Result<Self, ConvertError> {
        let (is_single, path) = (is_single(path)?, path.to_owned());
        check_place(&path, is_single, replace)?;
        Ok(Self { path, is_single, replace })
    }
}

/// Whether a model can be written in a type.
///
/// # Errors
///
/// When weights have it in memory alone.
pub fn check_written_type(dtype: FloatType) -> Result<(), ConvertError> {
    if dtype == dtype.unquantized() { Ok(()) } else { Err(ConvertError::Dtype { dtype }) }
}

/// Writes a model as it is loaded with these options, LoRAs merged: as a folder in diffusers' layout, or as a single file in the original
/// layout. It is there whole or not at all. Weights are written one tensor at a time. Returns what is to be said: what was guessed, and
/// what the files do not carry. LoRAs are merged on `device`, which needs the memory of a network.
///
/// # Errors
///
/// When the model cannot be loaded, it cannot be written, or a single file cannot hold it; and as [`check_written_type`].
pub fn convert(
    source: &ModelSource,
    options: impl Into<LoadOptions>,
    destination: &Destination,
    device: &Device,
) -> Result<Vec<String>, ConvertError> {
    let Destination { path, is_single, replace } = destination;
    let options = options.into();
    check_written_type(options.dtype)?;
    let model = Opened::open(source, options, device)?;
    let mut notes: Vec<String> = model.files.notice().into_iter().chain(model.loras.notes()).collect();
    if model.loras.have_embeddings() {
        notes.push("the embeddings in the files of LoRAs are not carried: a prompt needs those files still".to_owned());
    }
    notes.extend(if *is_single { single::write(&model, path)? } else { write_folder(&model, path, *replace)? });
    Ok(notes)
}

/// Whether a path names a single file.
fn is_single(path: &Path) -> Result<bool, ConvertError> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "safetensors" => Ok(true),
        "ckpt" | "pt" | "pth" | "bin" | "gguf" if !path.is_dir() => Err(ConvertError::Format { path: path.to_owned() }),
        _ => Ok(false),
    }
}

/// Whether a model can be put there: nothing is replaced unasked, and nothing that is no model at all.
fn check_place(path: &Path, is_single: bool, replace: bool) -> Result<(), ConvertError> {
    let other = |found| Err(ConvertError::Other { path: path.to_owned(), found });
    if path.file_name().is_none() {
        return other("no name of a file or folder");
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(ConvertError::Write { path: path.to_owned(), cause }),
        Ok(found) if is_single && found.is_dir() => return other("a folder"),
        Ok(found) if !is_single && !found.is_dir() => return other("no folder"),
        Ok(_) if !replace => return Err(ConvertError::Exists { path: path.to_owned() }),
        Ok(_) if !is_single && !path.join("model_index.json").is_file() => return other("a folder without a model"),
        Ok(_) => {}
    }
    let around = path.parent().filter(|around| !around.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What was left by one that was killed is as large as a model. It need not succeed.
    let _ = ae_files::remove_unfinished(around);
    ae_files::try_folder(around).map_err(|cause| ConvertError::Write { path: path.to_owned(), cause })
}

/// A model whose networks are loaded when they are written.
struct Opened<'a> {
    files: Box<dyn ModelFiles + 'a>,
    loras: Loras,
    dtype: FloatType,
    device: Device,
    text_encoder: ae_tensor::Component<ClipTextModelConfig>,
    unet: ae_tensor::Component<UNetConfig>,
    vae: ae_tensor::Component<VaeConfig>,
    scheduler: SchedulerConfig,
}

impl<'a> Opened<'a> {
    fn open(source: &'a ModelSource, options: LoadOptions, device: &Device) -> Result<Self, LoadError> {
        let LoadOptions { dtype, vae, loras, variant, prediction_type, .. } = options;
        let prefer_half = dtype != FloatType::F32;
        let files = open_model(source, prefer_half, variant.as_deref(), prediction_type)?;
        let (unet, text_encoders) = (files.unet()?, files.text_encoders()?);
        let vae = vae.map_or_else(|| files.vae(), |path| open_vae(&path, prefer_half))?;
        check_fit(source, &unet.config, &text_encoders, &vae.config)?;
        let scheduler = prediction_type.into_iter().fold(files.scheduler()?, SchedulerConfig::with_prediction_type);
        let text_encoder = text_encoders.into_iter().next().expect("every model has a text encoder");
        Ok(Self {
            loras: Loras::open(&loras)?,
            files,
            dtype,
            device: device.clone(),
            text_encoder,
            unet,
            vae,
            scheduler,
        })
    }

    fn text_encoder(&self) -> Result<Checkpoint, LoadError> {
        let (config, weights) = (&self.text_encoder.config, &self.text_encoder.weights);
        let mut model = ClipTextModel::load(config, weights, self.dtype, &self.device)?;
        self.loras.merge_into(LoraNetwork::TextEncoder, &mut model, self.dtype)?;
        Ok(model.checkpoint(self.dtype))
    }

    fn unet(&self) -> Result<Checkpoint, LoadError> {
        let mut model = UNet2DConditionModel::load(&self.unet.config, &self.unet.weights, self.dtype, &self.device)?;
        self.loras.merge_into(LoraNetwork::UNet, &mut model, self.dtype)?;
        Ok(model.checkpoint(self.dtype))
    }

    fn vae(&self) -> Result<Checkpoint, LoadError> {
        Ok(AutoencoderKL::load(&self.vae.config, &self.vae.weights, self.dtype, &self.device)?.checkpoint(self.dtype))
    }
}

/// Writes a folder in diffusers' layout.
fn write_folder(model: &Opened<'_>, path: &Path, replace: bool) -> Result<Vec<String>, ConvertError> {
    let failed = |cause| ConvertError::Write { path: path.to_owned(), cause };
    // What goes wrong is a matter of the model or of the disk.
    let mut refused = None;
    let written = ae_files::write_folder_by_path(path, replace, |draft| {
        fill(model, draft).map_err(|error| match error {
            ConvertError::Write { cause, .. } => cause,
            error => {
                refused = Some(error);
                io::Error::other("the model cannot be converted")
            }
        })
    });
    match refused {
        Some(error) => Err(error),
        None => written.map_err(failed).map(|()| Vec::new()),
    }
}

fn fill(model: &Opened<'_>, folder: &Path) -> Result<(), ConvertError> {
    let failed = |cause| ConvertError::Write { path: folder.to_owned(), cause };
    let text = |file: &str, text: &str| {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().expect("a file in a folder")).map_err(failed)?;
        ae_files::write_file(&path, |file| io::Write::write_all(file, text.as_bytes())).map_err(failed)
    };
    let weights = |file: &str, checkpoint: Checkpoint| {
        ae_files::write_file_by_path(&folder.join(file), |draft| checkpoint.write(draft)).map_err(failed)
    };
    let scheduler = model.scheduler.kind().map_or("PNDMScheduler", |kind| kind.class_name());
    text("model_index.json", &index(scheduler, model.unet.config.is_inpainting()))?;
    text("scheduler/scheduler_config.json", &model.scheduler.to_json())?;
    let texts = model.files.texts()?;
    for (file, content) in &texts {
        text(file, content)?;
    }
    let tokenizer = &model.files.tokenizers()?[0];
    if !texts.iter().any(|(file, _)| file.starts_with("tokenizer/")) {
        let place = folder.join("tokenizer");
        fs::create_dir_all(&place).map_err(failed)?;
        tokenizer.save(&place).map_err(failed)?;
    }
    text("text_encoder/config.json", &config(&model.text_encoder.config, &text_encoder_class(tokenizer)))?;
    weights("text_encoder/model.safetensors", model.text_encoder()?)?;
    text("unet/config.json", &config(&model.unet.config, &unet_class(&model.unet.config)))?;
    weights("unet/diffusion_pytorch_model.safetensors", model.unet()?)?;
    text("vae/config.json", &config(&model.vae.config, &vae_class(&model.vae.config)))?;
    weights("vae/diffusion_pytorch_model.safetensors", model.vae()?)
}

/// The version of diffusers whose layout is written.
const VERSION: &str = "0.42.1";

/// `model_index.json`: the classes of the pipeline and its parts.
fn index(scheduler: &str, is_inpainting: bool) -> String {
    let nothing = [Value::Null, Value::Null];
    let index = json!({
        "_class_name": if is_inpainting { "StableDiffusionInpaintPipeline" } else { "StableDiffusionPipeline" },
        "_diffusers_version": VERSION,
        "feature_extractor": nothing,
        "image_encoder": nothing,
        "requires_safety_checker": false,
        "safety_checker": nothing,
        "scheduler": ["diffusers", scheduler],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    });
    format!("{index:#}\n")
}

fn class(name: &str) -> Value {
    json!({ "_class_name": name, "_diffusers_version": VERSION })
}

/// One number for both sides, as every reader takes it.
fn unet_class(config: &UNetConfig) -> Value {
    let mut fields = class("UNet2DConditionModel");
    let [height, width] = config.sample_size;
    fields["sample_size"] = if height == width { json!(height) } else { json!([height, width]) };
    fields
}

fn text_encoder_class(tokenizer: &ClipTokenizer) -> Value {
    let [start, end, padding] = tokenizer.special_ids();
    json!({
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": padding,
    })
}

/// Diffusers takes the number of levels from these.
fn vae_class(config: &VaeConfig) -> Value {
    let levels = config.block_out_channels.len();
    let mut fields = class("AutoencoderKL");
    fields["down_block_types"] = json!(vec!["DownEncoderBlock2D"; levels]);
    fields["up_block_types"] = json!(vec!["UpDecoderBlock2D"; levels]);
    fields
}

/// The text of a `config.json`: the fields of a config, and more.
fn config(config: &impl serde::Serialize, more: &Value) -> String {
    let mut fields = serde_json::to_value(config).unwrap_or_default();
    if let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
    format!("{fields:#}\n")
}
