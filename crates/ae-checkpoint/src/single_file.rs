//! Checkpoints of the original repositories (CompVis, Stability AI): all networks in one file, under names
//! of their own.

mod error;
mod join;
mod keys;
mod text_encoder;
mod unet;
mod vae;

use std::collections::BTreeMap;

pub use error::SingleFileError;
pub(crate) use unet::key as unet_key;

use crate::{Checkpoint, CheckpointKind, ForeignError, StoredTensor};
use keys::number;
use text_encoder::{Part, open_clip};

/// The generation of Stable Diffusion a checkpoint belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// 1.1 to 1.5: OpenAI's CLIP.
    StableDiffusion1,
    /// 2.0 and 2.1: OpenCLIP.
    StableDiffusion2,
}

/// The weights of a single-file checkpoint's networks, under diffusers' names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SingleFile {
    /// The generation, which the names of the text encoder's tensors tell.
    pub family: Family,
    /// The U-Net.
    pub unet: Checkpoint,
    /// The text encoder.
    pub text_encoder: Checkpoint,
    /// The autoencoder; some files leave it out.
    pub vae: Option<Checkpoint>,
}

const EXPECTED: &str = "a Stable Diffusion 1 or 2 checkpoint";
pub(crate) const UNET: &str = "model.diffusion_model.";
pub(crate) const VAE: &str = "first_stage_model.";
/// Where the text encoder is: in the layouts of CompVis' latent-diffusion and of Stability AI's generative-models (sgm).
const TEXT: [&str; 2] = ["cond_stage_model.", "conditioner.embedders.0."];
/// Stable Diffusion 1: transformers' `CLIPTextModel`. The oldest converters left out `text_model.`.
const CLIP: &str = "transformer.";
/// Stable Diffusion 2.
const OPEN_CLIP: &str = "model.";

impl SingleFile {
    /// Splits a checkpoint into its networks. Nothing is read or copied but the names.
    ///
    /// EMA weights (`model_ema.*`), schedule buffers and everything else that belongs to no network is
    /// left aside.
    ///
    /// # Errors
    ///
    /// When the checkpoint is something else (it is named), or lacks the U-Net or the text encoder.
    pub fn split(checkpoint: &Checkpoint) -> Result<Self, SingleFileError> {
        let name = || checkpoint.name().to_owned();
        CheckpointKind::StableDiffusion.check(checkpoint, EXPECTED)?;
        checkpoint.check_unscaled()?;
        let below = |network: &str| {
            let mut places = TEXT.into_iter().map(|place| format!("{place}{network}"));
            places.find(|prefix| checkpoint.has_prefix(prefix))
        };
        let (family, text_encoder) = if let Some(prefix) = below(OPEN_CLIP) {
            (Family::StableDiffusion2, convert_open_clip(checkpoint, &prefix))
        } else if let Some(prefix) = below(CLIP) {
            (Family::StableDiffusion1, convert_clip(checkpoint, &prefix))
        } else {
            return Err(SingleFileError::Incomplete {
                name: name(),
                network: "text encoder",
                advice: "; take the file of the whole model",
            });
        };
        let vae = checkpoint.has_prefix(VAE).then(|| convert_vae(checkpoint, VAE));
        Ok(Self { family, unet: convert_unet(checkpoint), text_encoder, vae })
    }

    /// The autoencoder of a file that holds one: a VAE alone in either layout, or a whole checkpoint.
    ///
    /// # Errors
    ///
    /// When there is none in the file.
    pub fn vae_of(checkpoint: &Checkpoint) -> Result<Checkpoint, SingleFileError> {
        checkpoint.check_unscaled()?;
        Ok(match CheckpointKind::of(checkpoint) {
            CheckpointKind::StableDiffusion | CheckpointKind::Vae if checkpoint.has_prefix(VAE) => {
                convert_vae(checkpoint, VAE)
            }
            CheckpointKind::Vae if checkpoint.has_prefix("decoder.mid_block.") => convert_diffusers_vae(checkpoint),
            CheckpointKind::Vae => convert_vae(checkpoint, ""),
            CheckpointKind::StableDiffusion => {
                let name = checkpoint.name().to_owned();
                return Err(SingleFileError::Incomplete { name, network: "autoencoder (VAE)", advice: "" });
            }
            kind => {
                let (name, (found, _)) = (checkpoint.name().to_owned(), kind.describe());
                let advice = ", or its autoencoder (VAE)";
                return Err(ForeignError { name, found, expected: EXPECTED, advice }.into());
            }
        })
    }
}

/// The tensors below `prefix`, under the names `rename` gives to what follows it; those without are left out.
fn select(
    checkpoint: &Checkpoint,
    prefix: &str,
    rename: impl Fn(&str, &StoredTensor) -> Vec<(String, StoredTensor)>,
) -> Checkpoint {
    let below = checkpoint.tensors().range(prefix.to_owned()..).map_while(|(key, tensor)| {
        let rest = key.strip_prefix(prefix)?;
        Some(rename(rest, tensor))
    });
    let tensors = below.flatten().collect::<BTreeMap<_, _>>();
    Checkpoint::new(checkpoint.name(), tensors).with_files(checkpoint.files().to_vec())
}

fn renamed(key: Option<String>, tensor: &StoredTensor) -> Vec<(String, StoredTensor)> {
    key.map(|key| (key, tensor.clone())).into_iter().collect()
}

fn convert_unet(checkpoint: &Checkpoint) -> Checkpoint {
    // The first downsampling stands behind the residual blocks of the first level.
    let is_resnet = |index: &usize| checkpoint.has_prefix(&format!("{UNET}input_blocks.{index}.0.in_layers."));
    let layers = (1..=checkpoint.tensors().len()).take_while(is_resnet).count();
    select(checkpoint, UNET, |key, tensor| renamed(unet::key(key, layers), tensor))
}

fn convert_vae(checkpoint: &Checkpoint, prefix: &str) -> Checkpoint {
    let levels = checkpoint.count_from(0, &format!("{prefix}decoder.up."));
    select(checkpoint, prefix, |key, tensor| {
        let Some(key) = vae::key(key, levels) else { return Vec::new() };
        let tensor = if vae::is_linear(&key) { without_kernel(tensor) } else { tensor.clone() };
        vec![(key, tensor)]
    })
}

/// A VAE file in diffusers' layout may carry tensors of a training beside its own.
fn convert_diffusers_vae(checkpoint: &Checkpoint) -> Checkpoint {
    select(checkpoint, "", |key, tensor| {
        let is_part =
            ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."].iter().any(|part| key.starts_with(part));
        renamed(is_part.then(|| key.to_owned()), tensor)
    })
}

/// The weight of a 1x1 convolution as that of a linear layer.
fn without_kernel(tensor: &StoredTensor) -> StoredTensor {
    match *tensor.shape() {
        [out, input, 1, 1] => tensor.clone().reshaped(&[out, input]).unwrap_or_else(|| tensor.clone()),
        _ => tensor.clone(),
    }
}

fn convert_clip(checkpoint: &Checkpoint, prefix: &str) -> Checkpoint {
    select(checkpoint, prefix, |key, tensor| {
        let key = key.strip_prefix("text_model.").unwrap_or(key);
        let is_part = ["embeddings.", "encoder.", "final_layer_norm."].iter().any(|part| key.starts_with(part));
        let is_buffer = key == "embeddings.position_ids";
        renamed((is_part && !is_buffer).then(|| format!("text_model.{key}")), tensor)
    })
}

fn convert_open_clip(checkpoint: &Checkpoint, prefix: &str) -> Checkpoint {
    let blocks = checkpoint.tensors().keys().filter_map(|key| {
        number(key.strip_prefix(prefix)?.strip_prefix("transformer.resblocks.")?).map(|(block, _)| block + 1)
    });
    let blocks = blocks.max().unwrap_or(0);
    select(checkpoint, prefix, |key, tensor| {
        let parts = open_clip(key, blocks).into_iter();
        let part = |Part { key, index, count }| Some((key, tensor.clone().chunk(index, count)?));
        parts.filter_map(part).collect()
    })
}
