use std::fmt;

use ae_tensor::nn::LAYER_NORM_EPSILON;
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, sigmoid};
use serde::Deserialize;

/// The architecture of a [`ClipTextModel`](crate::ClipTextModel), as in the `config.json` of transformers'
/// `CLIPTextModel`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipTextModelConfig {
    /// The number of token ids.
    pub vocab_size: usize,
    /// The width of the hidden states and of the text embeddings.
    pub hidden_size: usize,
    /// The width inside the feed-forward blocks.
    pub intermediate_size: usize,
    /// The number of encoder layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// The longest sequence of token ids.
    pub max_position_embeddings: usize,
    /// The activation of the feed-forward blocks.
    pub hidden_act: Activation,
    /// What layer normalisation adds to the variance.
    pub layer_norm_eps: f64,
}

/// The activation between the two feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`, in OpenAI's models (Stable Diffusion 1).
    QuickGelu,
    /// The exact GELU, in OpenCLIP's models (Stable Diffusion 2).
    Gelu,
}

impl Activation {
    /// Activates every element.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::QuickGelu => x.clone() * sigmoid(x * 1.702),
            Self::Gelu => gelu(x),
        }
    }
}

/// A `config.json` that describes no text model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is no JSON, or a field has the wrong type.
    #[error("the text encoder's config.json is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// A size that no text model has.
    #[error("{field} is {found} in the text encoder's config.json; expected 1..={max}")]
    Size {
        /// The field.
        field: &'static str,
        /// Its value.
        found: usize,
        /// The largest value accepted.
        max: usize,
    },
    /// The hidden size cannot be shared among the heads.
    #[error(
        "hidden_size {hidden_size} in the text encoder's config.json is no multiple of num_attention_heads {heads}"
    )]
    Heads {
        /// The hidden size.
        hidden_size: usize,
        /// The number of heads.
        heads: usize,
    },
    /// An activation this crate does not have.
    #[error("hidden_act is '{0}' in the text encoder's config.json; supported are quick_gelu and gelu")]
    Activation(String),
    /// Another epsilon than that of every CLIP, with which the shared layer normalisation computes.
    #[error("layer_norm_eps is {0} in the text encoder's config.json; supported is {LAYER_NORM_EPSILON}")]
    Epsilon(f64),
}

impl ClipTextModelConfig {
    /// Reads a `config.json`. Missing fields have the values of transformers' `CLIPTextConfig`, unknown ones
    /// do not matter.
    ///
    /// # Errors
    ///
    /// JSON that does not parse, and values no text model has.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let fields: Fields = serde_json::from_str(json)?;
        let hidden_act = match fields.hidden_act.as_str() {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            _ => return Err(ConfigError::Activation(fields.hidden_act)),
        };
        let config = Self {
            vocab_size: fields.vocab_size,
            hidden_size: fields.hidden_size,
            intermediate_size: fields.intermediate_size,
            num_hidden_layers: fields.num_hidden_layers,
            num_attention_heads: fields.num_attention_heads,
            max_position_embeddings: fields.max_position_embeddings,
            hidden_act,
            layer_norm_eps: fields.layer_norm_eps,
        };
        config.validate()?;
        Ok(config)
    }

    /// The bounds lie far beyond every published CLIP; a damaged file must not ask for all memory.
    fn validate(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 20),
            ("hidden_size", self.hidden_size, 1 << 14),
            ("intermediate_size", self.intermediate_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 256),
            ("num_attention_heads", self.num_attention_heads, 256),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 12),
        ];
        for (field, found, max) in sizes {
            if !(1..=max).contains(&found) {
                return Err(ConfigError::Size { field, found, max });
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(ConfigError::Heads { hidden_size: self.hidden_size, heads: self.num_attention_heads });
        }
        if self.layer_norm_eps.to_bits() != LAYER_NORM_EPSILON.to_bits() {
            return Err(ConfigError::Epsilon(self.layer_norm_eps));
        }
        Ok(())
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QuickGelu => "quick_gelu",
            Self::Gelu => "gelu",
        })
    }
}

/// The fields as the file has them.
#[derive(Deserialize)]
#[serde(default)]
struct Fields {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: String,
    layer_norm_eps: f64,
}

impl Default for Fields {
    /// transformers' `configuration_clip.py`, `CLIPTextConfig`.
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;

    fn refusal(json: &str) -> String {
        ClipTextModelConfig::from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn reads_the_text_encoder_of_stable_diffusion_2() {
        let json = r#"{"architectures": ["CLIPTextModel"], "bos_token_id": 0, "hidden_act": "gelu", "hidden_size": 1024,
            "intermediate_size": 4096, "layer_norm_eps": 1e-05, "max_position_embeddings": 77,
            "model_type": "clip_text_model", "num_attention_heads": 16, "num_hidden_layers": 23, "vocab_size": 49408}"#;
        let expected = ClipTextModelConfig {
            vocab_size: 49_408,
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 23,
            num_attention_heads: 16,
            max_position_embeddings: 77,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-5,
        };
        assert_eq!(ClipTextModelConfig::from_json(json).unwrap(), expected);
    }

    #[test]
    fn sizes_outside_every_clip_are_named() {
        let expected = "vocab_size is 0 in the text encoder's config.json; expected 1..=1048576";
        assert_eq!(refusal(r#"{"vocab_size": 0}"#), expected);
        for field in ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"] {
            for size in ["0", "4000000000"] {
                let error = refusal(&format!(r#"{{"{field}": {size}}}"#));
                assert!(error.starts_with(&format!("{field} is {size} ")), "{error}");
            }
        }
        assert!(refusal(r#"{"max_position_embeddings": 100000}"#).starts_with("max_position_embeddings is 100000"));
    }

    #[test]
    fn values_that_do_not_fit_together_are_named() {
        let heads = refusal(r#"{"hidden_size": 100, "num_attention_heads": 8}"#);
        assert!(heads.starts_with("hidden_size 100") && heads.ends_with("num_attention_heads 8"), "{heads}");
        assert!(refusal(r#"{"hidden_act": "swish"}"#).starts_with("hidden_act is 'swish'"));
        for epsilon in ["0.0", "-1e-5", "2.0", "1e-6"] {
            assert!(refusal(&format!(r#"{{"layer_norm_eps": {epsilon}}}"#)).starts_with("layer_norm_eps is"));
        }
    }

    #[test]
    fn malformed_json_says_where() {
        assert!(refusal("{").contains("malformed: EOF while parsing an object at line 1 column 1"));
        assert!(refusal(r#"{"hidden_size": -4}"#).contains("invalid value: integer `-4`"));
    }

    /// ```python
    /// x = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0])
    /// transformers.activations.ACT2FN["quick_gelu"](x), ACT2FN["gelu"](x)
    /// ```
    // gelu(-3) cancels in float32: torch itself is 5e-7 off the exact -0.00404969.
    #[test]
    fn activations_equal_transformers() {
        let x = Tensor::<3>::from_data([[[-3.0, -1.0, 0.0, 0.5, 2.0]]], &Device::flex());
        let expected = [
            (Activation::QuickGelu, [-0.018_071_31, -0.154_204_23, 0.0, 0.350_388_44, 1.935_658_6]),
            (Activation::Gelu, [-0.004_050_225, -0.158_655_26, 0.0, 0.345_731_23, 1.954_499_7_f32]),
        ];
        for (activation, values) in expected {
            let values = TensorData::new(values.to_vec(), [1, 1, 5]);
            let actual = activation.apply(x.clone()).into_data();
            actual.assert_approx_eq(&values, Tolerance::<f32>::rel_abs(1e-6, 1e-6));
        }
    }
}
