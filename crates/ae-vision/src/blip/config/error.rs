/// A `config.json` that describes no BLIP captioner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlipConfigError {
    /// The text is no JSON, or a field has the wrong type.
    #[error("BLIP's config.json is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// Another model.
    #[error(
        "config.json describes a '{found}' model; expected BLIP's captioner (model_type 'blip', \
         BlipForConditionalGeneration)"
    )]
    Model {
        /// What the file calls it.
        found: String,
    },
    /// A text model without cross-attention.
    #[error("text_config.is_decoder is false in BLIP's config.json; a captioner's text model looks at the picture")]
    Encoder,
    /// A size that no BLIP has.
    #[error("{part}.{field} is {found} in BLIP's config.json; expected 1..={max}")]
    Size {
        /// `vision_config` or `text_config`.
        part: &'static str,
        /// The field.
        field: &'static str,
        /// Its value.
        found: usize,
        /// The largest value accepted.
        max: usize,
    },
    /// Far more patches than any BLIP has.
    #[error(
        "{image_size} pixels in patches of {patch_size} are more than {max} patches, in vision_config of BLIP's config.json"
    )]
    Patches {
        /// The side of the picture.
        image_size: usize,
        /// The side of a patch.
        patch_size: usize,
        /// The largest number of patches accepted.
        max: usize,
    },
    /// The hidden size cannot be shared among the heads.
    #[error(
        "{part}.hidden_size is {hidden_size} in BLIP's config.json, no multiple of the {heads} of num_attention_heads"
    )]
    Heads {
        /// `vision_config` or `text_config`.
        part: &'static str,
        /// The hidden size.
        hidden_size: usize,
        /// The number of heads.
        heads: usize,
    },
    /// An activation this crate does not have.
    #[error("{part}.hidden_act is '{found}' in BLIP's config.json; supported are gelu and quick_gelu")]
    Activation {
        /// `vision_config` or `text_config`.
        part: &'static str,
        /// The activation.
        found: String,
    },
    /// An epsilon that is no small positive number.
    #[error("{part}.layer_norm_eps is {found} in BLIP's config.json; expected a number between 0 and 1")]
    Epsilon {
        /// `vision_config` or `text_config`.
        part: &'static str,
        /// Its value.
        found: f64,
    },
    /// A special token beyond the vocabulary.
    #[error("text_config.{field} is {found} in BLIP's config.json; its vocabulary has {vocab_size} tokens")]
    Token {
        /// The field.
        field: &'static str,
        /// The id.
        found: u32,
        /// The number of tokens.
        vocab_size: usize,
    },
}
