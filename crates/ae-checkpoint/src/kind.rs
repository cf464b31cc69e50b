use crate::lora::is_factor;
use crate::{Checkpoint, ForeignError};

/// What a checkpoint holds, as far as the names of its tensors tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckpointKind {
    /// Stable Diffusion 1 or 2 in the original layout, all networks in one file.
    StableDiffusion,
    /// The U-Net of a diffusers folder.
    UNet,
    /// An autoencoder, in the original layout or diffusers'.
    Vae,
    /// A CLIP text encoder.
    TextEncoder,
    /// A low-rank adaptation.
    Lora,
    /// Another kind of adaptation: LoHa, LoKr and the like.
    OtherAdapter,
    /// A textual inversion embedding.
    Embedding,
    /// A ControlNet.
    ControlNet,
    /// Stable Diffusion XL, or its refiner.
    Sdxl,
    /// Stable Diffusion 3.
    Sd3,
    /// Flux.
    Flux,
    /// A model of another architecture.
    Unknown,
}

impl CheckpointKind {
    /// Looks at the names of the tensors.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let has = |prefix: &str| checkpoint.has_prefix(prefix);
        let any = |part: &str| checkpoint.tensors().keys().any(|key| key.contains(part));
        if checkpoint.tensors().keys().any(|key| is_factor(key)) {
            Self::Lora
        } else if any(".hada_w1_") || any(".lokr_w") || any(".oft_") || any(".diff_b") {
            Self::OtherAdapter
        } else if has("control_model.") || any("controlnet_cond_embedding.") || any("input_hint_block.") {
            Self::ControlNet
        } else if has("model.diffusion_model.joint_blocks.") || has("joint_blocks.") {
            Self::Sd3
        } else if any("double_blocks.") || has("transformer_blocks.0.attn.add_k_proj.") {
            Self::Flux
        } else if has("conditioner.embedders.") || any("add_embedding.linear_1.") || any("label_emb.") {
            Self::Sdxl
        } else if has("model.diffusion_model.input_blocks.") {
            Self::StableDiffusion
        } else if has("down_blocks.") && has("time_embedding.") {
            Self::UNet
        } else if has("text_model.") || has("cond_stage_model.") || has("transformer.resblocks.") {
            Self::TextEncoder
        } else if has("first_stage_model.") || has("decoder.mid.") || has("decoder.mid_block.") {
            Self::Vae
        } else if any("string_to_param") || any("emb_params") || Self::is_bare_embedding(checkpoint) {
            Self::Embedding
        } else {
            Self::Unknown
        }
    }

    /// What it is, in words: "a LoRA".
    pub fn description(self) -> &'static str {
        self.describe().0
    }

    /// Refuses a checkpoint of another kind; `expected` is what errors call this one.
    pub(crate) fn check(self, checkpoint: &Checkpoint, expected: &'static str) -> Result<(), ForeignError> {
        let kind = Self::of(checkpoint);
        if kind == self {
            return Ok(());
        }
        let (found, advice) = kind.describe();
        Err(ForeignError { name: checkpoint.name().to_owned(), found, expected, advice })
    }

    /// diffusers' textual inversion: one tensor under the name of its token.
    fn is_bare_embedding(checkpoint: &Checkpoint) -> bool {
        let mut tensors = checkpoint.tensors().iter();
        matches!((tensors.next(), tensors.next()), (Some((key, tensor)), None)
            if !key.contains('.') && matches!(tensor.shape(), [_] | [_, _]))
    }

    /// What it is, in words, and what to do where a model was expected.
    pub(crate) fn describe(self) -> (&'static str, &'static str) {
        const OTHER: &str = "; this project draws with Stable Diffusion 1 and 2";
        match self {
            Self::StableDiffusion => ("a Stable Diffusion checkpoint", ""),
            Self::UNet => ("the U-Net of a diffusers folder", "; name the folder"),
            Self::Vae => ("an autoencoder (VAE) alone", "; give it as the VAE of a model"),
            Self::TextEncoder => ("a text encoder alone", "; name the whole model"),
            Self::Lora => ("a LoRA", "; give it as a LoRA of a model"),
            Self::OtherAdapter => ("an adapter of a kind that is not supported (LoHa, LoKr, OFT ...)", ""),
            Self::Embedding => ("a textual inversion embedding", "; give it as an embedding of a model"),
            Self::ControlNet => ("a ControlNet", OTHER),
            Self::Sdxl => ("a Stable Diffusion XL checkpoint", OTHER),
            Self::Sd3 => ("a Stable Diffusion 3 checkpoint", OTHER),
            Self::Flux => ("a Flux checkpoint", OTHER),
            Self::Unknown => ("no checkpoint of a known kind", ""),
        }
    }
}
