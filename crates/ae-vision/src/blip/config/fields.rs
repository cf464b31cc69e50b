//! The fields as the file has them, with the defaults of transformers' `configuration_blip.py`, and their check. The bounds
//! lie far beyond every published BLIP; a damaged file must not ask for all memory.

use ae_clip::Activation;
use serde::Deserialize;

use super::{BlipConfig, BlipConfigError, BlipTextConfig, BlipVisionConfig};

const MODEL_TYPE: &str = "blip";
const ARCHITECTURE: &str = "BlipForConditionalGeneration";
/// The names of the parts, as errors show them.
const VISION: &str = "vision_config";
const TEXT: &str = "text_config";
const MAX_PATCHES: usize = 1 << 14;

#[derive(Deserialize)]
pub(super) struct Fields {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    vision_config: Option<VisionFields>,
    text_config: Option<TextFields>,
    tie_word_embeddings: Option<bool>,
}

impl Fields {
    pub(super) fn into_config(self) -> Result<BlipConfig, BlipConfigError> {
        if let Some(found) = self.model_type.filter(|found| found != MODEL_TYPE) {
            return Err(BlipConfigError::Model { found });
        }
        let architectures = self.architectures.unwrap_or_default();
        if !architectures.is_empty() && !architectures.iter().any(|name| name == ARCHITECTURE) {
            return Err(BlipConfigError::Model { found: architectures.join(", ") });
        }
        Ok(BlipConfig {
            vision: self.vision_config.unwrap_or_default().into_config()?,
            text: self.text_config.unwrap_or_default().into_config()?,
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(true),
        })
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct VisionFields {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    image_size: usize,
    patch_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
}

impl Default for VisionFields {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 384,
            patch_size: 16,
            hidden_act: "gelu".to_owned(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl VisionFields {
    fn into_config(self) -> Result<BlipVisionConfig, BlipConfigError> {
        let sizes = [
            ("hidden_size", self.hidden_size, 1 << 14),
            ("intermediate_size", self.intermediate_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 256),
            ("num_attention_heads", self.num_attention_heads, 256),
            ("image_size", self.image_size, 1 << 11),
            ("patch_size", self.patch_size, self.image_size),
        ];
        check_sizes(VISION, &sizes)?;
        check_heads(VISION, self.hidden_size, self.num_attention_heads)?;
        if (self.image_size / self.patch_size).pow(2) > MAX_PATCHES {
            let Self { image_size, patch_size, .. } = self;
            return Err(BlipConfigError::Patches { image_size, patch_size, max: MAX_PATCHES });
        }
        Ok(BlipVisionConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            image_size: self.image_size,
            patch_size: self.patch_size,
            hidden_act: activation(VISION, self.hidden_act)?,
            layer_norm_eps: epsilon(VISION, self.layer_norm_eps)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct TextFields {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    bos_token_id: u32,
    sep_token_id: u32,
    is_decoder: bool,
}

impl Default for TextFields {
    fn default() -> Self {
        Self {
            vocab_size: 30_524,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 512,
            hidden_act: "gelu".to_owned(),
            layer_norm_eps: 1e-12,
            bos_token_id: 30_522,
            sep_token_id: 102,
            is_decoder: true,
        }
    }
}

impl TextFields {
    fn into_config(self) -> Result<BlipTextConfig, BlipConfigError> {
        if !self.is_decoder {
            return Err(BlipConfigError::Encoder);
        }
        let vocab_size = self.vocab_size;
        let sizes = [
            ("vocab_size", vocab_size, 1 << 20),
            ("hidden_size", self.hidden_size, 1 << 14),
            ("intermediate_size", self.intermediate_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 256),
            ("num_attention_heads", self.num_attention_heads, 256),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 12),
        ];
        check_sizes(TEXT, &sizes)?;
        check_heads(TEXT, self.hidden_size, self.num_attention_heads)?;
        for (field, found) in [("bos_token_id", self.bos_token_id), ("sep_token_id", self.sep_token_id)] {
            if found as usize >= vocab_size {
                return Err(BlipConfigError::Token { field, found, vocab_size });
            }
        }
        Ok(BlipTextConfig {
            vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            max_position_embeddings: self.max_position_embeddings,
            hidden_act: activation(TEXT, self.hidden_act)?,
            layer_norm_eps: epsilon(TEXT, self.layer_norm_eps)?,
            bos_token_id: self.bos_token_id,
            sep_token_id: self.sep_token_id,
        })
    }
}

fn check_sizes(part: &'static str, sizes: &[(&'static str, usize, usize)]) -> Result<(), BlipConfigError> {
    match sizes.iter().find(|(_, found, max)| !(1..=*max).contains(found)) {
        Some(&(field, found, max)) => Err(BlipConfigError::Size { part, field, found, max }),
        None => Ok(()),
    }
}

fn check_heads(part: &'static str, hidden_size: usize, heads: usize) -> Result<(), BlipConfigError> {
    if hidden_size.is_multiple_of(heads) { Ok(()) } else { Err(BlipConfigError::Heads { part, hidden_size, heads }) }
}

fn activation(part: &'static str, found: String) -> Result<Activation, BlipConfigError> {
    match found.as_str() {
        "gelu" => Ok(Activation::Gelu),
        "quick_gelu" => Ok(Activation::QuickGelu),
        _ => Err(BlipConfigError::Activation { part, found }),
    }
}

fn epsilon(part: &'static str, found: f64) -> Result<f64, BlipConfigError> {
    if found > 0.0 && found < 1.0 { Ok(found) } else { Err(BlipConfigError::Epsilon { part, found }) }
}
