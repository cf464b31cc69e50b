use crate::embedding::{BUNDLED, is_embedding, is_sdxl_embedding};
use crate::lora::{is_other_adapter, is_update};
use crate::single_file::{UNET, VAE};
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
    /// A low-rank adaptation, or another update of weights: LoHa, LoKr, differences.
    Lora,
    /// An adaptation that is no update of weights: OFT, IA3 and the like.
    OtherAdapter,
    /// A textual inversion embedding.
    Embedding,
    /// A textual inversion embedding of Stable Diffusion XL or 3: one for each of several text encoders.
    SdxlEmbedding,
    /// A ControlNet.
    ControlNet,
    /// Stable Diffusion XL.
    Sdxl,
    /// The refiner of Stable Diffusion XL.
    SdxlRefiner,
    /// A Stable Diffusion 2 that draws variations of pictures.
    UnClip,
    /// A Stable Diffusion that enlarges pictures.
    Upscaler,
    /// A model of moving pictures on the base of Stable Diffusion.
    Video,
    /// Stable Diffusion 3.
    Sd3,
    /// Flux.
    Flux,
    /// A U-Net of Stable Diffusion in the original layout, without text encoder and autoencoder.
    OriginalUNet,
    /// A model of another architecture.
    Unknown,
}

impl CheckpointKind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::StableDiffusion,
        Self::UNet,
        Self::Vae,
        Self::TextEncoder,
        Self::Lora,
        Self::OtherAdapter,
        Self::Embedding,
        Self::SdxlEmbedding,
        Self::ControlNet,
        Self::Sdxl,
        Self::SdxlRefiner,
        Self::UnClip,
        Self::Upscaler,
        Self::Video,
        Self::Sd3,
        Self::Flux,
        Self::OriginalUNet,
        Self::Unknown,
    ];

    /// Looks at the names of the tensors, and where names are the same at their shapes: first which network there is, then what
    /// it is fed with. A single tensor of a name that another kind has decides nothing.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let has = |prefix: &str| checkpoint.has_prefix(prefix);
        let any = |part: &str| checkpoint.tensors().keys().any(|key| key.contains(part));
        if let Some(kind) = Self::of_original(checkpoint).or_else(|| Self::of_diffusers(checkpoint)) {
            kind
        } else if has(BUNDLED) || checkpoint.tensors().keys().any(|key| is_update(key)) {
            Self::Lora
        } else if checkpoint.tensors().keys().any(|key| is_other_adapter(key)) {
            Self::OtherAdapter
        } else if has("control_model.") || has("controlnet_cond_embedding.") || has("input_hint_block.") {
            Self::ControlNet
        } else if any("joint_blocks.") && any("context_embedder.") {
            Self::Sd3
        } else if any("double_blocks.") && any("single_blocks.") {
            Self::Flux
        } else if any("motion_modules.") || any("temporal_transformer") {
            Self::Video
        } else if has("text_model.") || has("cond_stage_model.") || has("transformer.resblocks.") {
            Self::TextEncoder
        } else if has("first_stage_model.") || has("decoder.mid.") || has("decoder.mid_block.") {
            Self::Vae
        } else if is_sdxl_embedding(checkpoint) {
            Self::SdxlEmbedding
        } else if is_embedding(checkpoint) {
            Self::Embedding
        } else {
            Self::Unknown
        }
    }

    /// What it is, in words: "a LoRA".
    pub fn description(self) -> &'static str {
        self.describe().0
    }

    /// A checkpoint with a U-Net in the original layout.
    fn of_original(checkpoint: &Checkpoint) -> Option<Self> {
        let has = |prefix: &str| checkpoint.has_prefix(prefix);
        let is_there = |prefix: &&str| has(&format!("{prefix}input_blocks.")) && has(&format!("{prefix}out."));
        let prefix = [UNET, ""].into_iter().find(is_there)?;
        // Labels beside the timestep: sizes of the picture, noise levels, or what a picture shows.
        let is_labelled = has(&format!("{prefix}label_emb."));
        let context = width_of_context(checkpoint, prefix);
        Some(if has("control_model.") {
            Self::ControlNet
        } else if is_temporal(checkpoint, prefix) {
            Self::Video
        } else if checkpoint.get(&format!("{prefix}label_emb.weight")).is_some() {
            Self::Upscaler
        } else if context == Some(2048) || (is_labelled && has("conditioner.embedders.1.")) {
            Self::Sdxl
        } else if context == Some(1280) || (is_labelled && has("conditioner.")) {
            Self::SdxlRefiner
        } else if is_labelled {
            Self::UnClip
        } else if prefix.is_empty() || !["cond_stage_model.", "conditioner.", VAE].into_iter().any(has) {
            Self::OriginalUNet
        } else {
            Self::StableDiffusion
        })
    }

    /// A network of a folder in diffusers' layout, other than an autoencoder or a text encoder.
    fn of_diffusers(checkpoint: &Checkpoint) -> Option<Self> {
        let has = |prefix: &str| checkpoint.has_prefix(prefix);
        if has("transformer_blocks.0.attn.add_k_proj.") {
            return Some(if has("single_transformer_blocks.") { Self::Flux } else { Self::Sd3 });
        }
        if !(has("down_blocks.") && has("up_blocks.") && has("time_embedding.")) {
            return None;
        }
        Some(if is_temporal(checkpoint, "") {
            Self::Video
        } else if has("add_embedding.") {
            if width_of_context(checkpoint, "") == Some(1280) { Self::SdxlRefiner } else { Self::Sdxl }
        } else if checkpoint.get("class_embedding.weight").is_some() {
            Self::Upscaler
        } else if has("class_embedding.") {
            Self::UnClip
        } else {
            Self::UNet
        })
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

    /// What it is, in words, and what to do where a model was expected.
    pub(crate) fn describe(self) -> (&'static str, &'static str) {
        const OTHER: &str = "; this project draws with Stable Diffusion 1 and 2";
        match self {
            Self::StableDiffusion => ("a Stable Diffusion checkpoint", ""),
            Self::UNet => ("the U-Net of a diffusers folder", "; name the folder"),
            Self::Vae => ("an autoencoder (VAE) alone", "; give it as the VAE of a model"),
            Self::TextEncoder => ("a text encoder alone", "; name the whole model"),
            Self::Lora => ("a LoRA", "; give it as a LoRA of a model"),
            Self::OtherAdapter => ("an adapter of a kind that is not supported (OFT, IA3, GLoRA ...)", ""),
            Self::Embedding => ("a textual inversion embedding", "; give it as an embedding of a model"),
            Self::SdxlEmbedding => ("a textual inversion embedding for Stable Diffusion XL or 3", OTHER),
            Self::ControlNet => ("a ControlNet", OTHER),
            Self::Sdxl => ("a Stable Diffusion XL checkpoint", OTHER),
            Self::SdxlRefiner => ("a refiner of Stable Diffusion XL", OTHER),
            Self::UnClip => ("a Stable Diffusion unCLIP checkpoint, which draws variations of a picture", OTHER),
            Self::Upscaler => ("a Stable Diffusion upscaler", OTHER),
            Self::Video => ("a model of moving pictures (Stable Video Diffusion, AnimateDiff ...)", OTHER),
            Self::Sd3 => ("a Stable Diffusion 3 checkpoint", OTHER),
            Self::Flux => ("a Flux checkpoint", OTHER),
            Self::OriginalUNet => (
                "a U-Net alone, without text encoder and autoencoder",
                "; such files are for ComfyUI and its GGUF nodes: take the file of the whole model (of GGUF those that stable-diffusion.cpp writes)",
            ),
            Self::Unknown => ("no checkpoint of a known kind", ""),
        }
    }
}

/// The width of the text that the U-Net below `prefix` attends to.
fn width_of_context(checkpoint: &Checkpoint, prefix: &str) -> Option<usize> {
    let below = checkpoint.tensors().range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
    let mut widths = below.filter(|(key, _)| key.ends_with(".attn2.to_k.weight"));
    widths.next()?.1.shape().get(1).copied()
}

/// Whether the network below `prefix` has layers between pictures that follow each other.
fn is_temporal(checkpoint: &Checkpoint, prefix: &str) -> bool {
    const PARTS: [&str; 5] = [".time_stack.", ".time_mixer.", ".temporal_", ".temp_convs.", ".motion_modules."];
    let below = checkpoint.tensors().keys().filter(|key| key.starts_with(prefix));
    below.into_iter().any(|key| PARTS.iter().any(|part| key.contains(part)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tensor::Source;
    use crate::{ElementType, SingleFile, StoredTensor};

    fn checkpoint(keys: &[(&str, &[usize])]) -> Checkpoint {
        let tensor = |shape: &[usize]| {
            let bytes = vec![0; shape.iter().product()];
            StoredTensor::new(ElementType::U8, shape.to_vec(), Source::Memory(bytes.into()))
        };
        let tensors: BTreeMap<_, _> = keys.iter().map(|(key, shape)| ((*key).to_owned(), tensor(shape))).collect();
        Checkpoint::new("test", tensors)
    }

    const ONE: &[usize] = &[1];

    type Keys<'a> = Vec<(&'a str, &'a [usize])>;

    /// A U-Net in the original layout whose text is so wide, and what else is in the file.
    fn original<'a>(width: &'a [usize], others: &[&'a str]) -> Keys<'a> {
        let unet: [(&str, &[usize]); 3] = [
            ("model.diffusion_model.input_blocks.0.0.weight", &[1, 4]),
            ("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", width),
            ("model.diffusion_model.out.2.weight", ONE),
        ];
        unet.into_iter().chain(others.iter().map(|key| (*key, ONE))).collect()
    }

    #[test]
    fn a_checkpoint_is_known_by_its_network_and_what_feeds_it() {
        const LABELS: &str = "model.diffusion_model.label_emb.0.0.weight";
        const OPEN_CLIP: &str = "conditioner.embedders.0.model.ln_final.weight";
        const CLIP: &str = "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight";
        let cases = [
            // Stable Diffusion 1 and 2 in both layouts; sd_turbo's own file is the third.
            (original(&[1, 768], &["cond_stage_model.transformer.text_model.x"]), CheckpointKind::StableDiffusion),
            (original(&[1, 1024], &["cond_stage_model.model.ln_final.weight"]), CheckpointKind::StableDiffusion),
            (original(&[1, 1024], &[OPEN_CLIP]), CheckpointKind::StableDiffusion),
            (original(&[1, 768], &[CLIP]), CheckpointKind::StableDiffusion),
            (original(&[1, 2048], &[LABELS, CLIP, "conditioner.embedders.1.model.x"]), CheckpointKind::Sdxl),
            (original(&[1, 2048], &[LABELS]), CheckpointKind::Sdxl),
            (original(&[1, 16], &[LABELS, CLIP, "conditioner.embedders.1.model.x"]), CheckpointKind::Sdxl),
            (original(&[1, 1280], &[LABELS, OPEN_CLIP]), CheckpointKind::SdxlRefiner),
            (original(&[1, 1024], &[LABELS, "cond_stage_model.model.x", "noise_augmentor.x"]), CheckpointKind::UnClip),
            (
                original(&[1, 1024], &["model.diffusion_model.label_emb.weight", "cond_stage_model.model.x"]),
                CheckpointKind::Upscaler,
            ),
            (
                original(&[1, 1024], &[LABELS, "model.diffusion_model.input_blocks.1.0.time_stack.out_layers.0.bias"]),
                CheckpointKind::Video,
            ),
            (original(&[1, 768], &["control_model.input_blocks.0.0.weight"]), CheckpointKind::ControlNet),
            // One stray tensor makes it nothing else.
            (
                original(&[1, 768], &["x.lora_down.weight", "cond_stage_model.transformer.x"]),
                CheckpointKind::StableDiffusion,
            ),
            (original(&[1, 768], &["conditioner.embedders.2.y"]), CheckpointKind::StableDiffusion),
            (
                original(&[1, 768], &["double_blocks.0.x", "emb_params", "cond_stage_model.transformer.x"]),
                CheckpointKind::StableDiffusion,
            ),
            // As ComfyUI's folder of U-Nets and its GGUF nodes have them, with an average or without.
            (original(&[1, 768], &[]), CheckpointKind::OriginalUNet),
            (original(&[1, 1024], &["model_ema.x"]), CheckpointKind::OriginalUNet),
            (original(&[1, 768], &["first_stage_model.x"]), CheckpointKind::StableDiffusion),
        ];
        for (keys, expected) in cases {
            assert_eq!(CheckpointKind::of(&checkpoint(&keys)), expected, "{keys:?}");
        }
    }

    #[test]
    fn networks_of_folders_and_bare_ones_are_known() {
        let diffusers = |width: &'static [usize], others: &[&'static str]| -> Keys<'static> {
            let key = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
            let unet = [(key, width), ("up_blocks.0.x", ONE), ("time_embedding.linear_1.bias", ONE)];
            unet.into_iter().chain(others.iter().map(|key| (*key, ONE))).collect()
        };
        let cases = [
            (diffusers(&[1, 768], &[]), CheckpointKind::UNet),
            (diffusers(&[1, 2048], &["add_embedding.linear_1.bias"]), CheckpointKind::Sdxl),
            (diffusers(&[1, 1280], &["add_embedding.linear_1.bias"]), CheckpointKind::SdxlRefiner),
            (diffusers(&[1, 1024], &["class_embedding.weight"]), CheckpointKind::Upscaler),
            (diffusers(&[1, 1024], &["class_embedding.linear_1.bias"]), CheckpointKind::UnClip),
            (diffusers(&[1, 768], &["down_blocks.0.motion_modules.0.x"]), CheckpointKind::Video),
            (
                vec![("transformer_blocks.0.attn.add_k_proj.bias", &[1]), ("single_transformer_blocks.0.x", &[1])],
                CheckpointKind::Flux,
            ),
            (vec![("transformer_blocks.0.attn.add_k_proj.bias", &[1])], CheckpointKind::Sd3),
            (vec![("input_blocks.0.0.weight", &[1, 4]), ("out.2.weight", &[1])], CheckpointKind::OriginalUNet),
            (vec![("down_blocks.0.motion_modules.0.x", &[1])], CheckpointKind::Video),
            (
                vec![("controlnet_cond_embedding.conv_in.bias", &[1]), ("down_blocks.0.x", &[1])],
                CheckpointKind::ControlNet,
            ),
        ];
        for (keys, expected) in cases {
            assert_eq!(CheckpointKind::of(&checkpoint(&keys)), expected, "{keys:?}");
        }
    }

    #[test]
    fn both_layouts_of_text_encoders_are_split_off() {
        for (width, key, family, expected) in [
            (
                [1, 768],
                "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias",
                crate::Family::StableDiffusion1,
                "text_model.final_layer_norm.bias",
            ),
            (
                [1, 768],
                "cond_stage_model.transformer.final_layer_norm.bias",
                crate::Family::StableDiffusion1,
                "text_model.final_layer_norm.bias",
            ),
            (
                [1, 1024],
                "conditioner.embedders.0.model.ln_final.bias",
                crate::Family::StableDiffusion2,
                "text_model.final_layer_norm.bias",
            ),
        ] {
            let split = SingleFile::split(&checkpoint(&original(&width, &[key]))).unwrap();
            assert_eq!(split.family, family, "{key}");
            assert_eq!(split.text_encoder.tensors().keys().collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn scaled_weights_are_refused_by_name_wherever_they_are() {
        for key in [
            "model.diffusion_model.scaled_fp8",
            "model.diffusion_model.input_blocks.1.0.in_layers.2.scale_weight",
            "model.diffusion_model.input_blocks.1.0.in_layers.2.weight_scale",
            "model.diffusion_model.input_blocks.1.0.in_layers.2.weight.absmax",
            "model.diffusion_model.input_blocks.1.0.in_layers.2.comfy_quant",
        ] {
            let keys = original(&[1, 768], &[key, "cond_stage_model.transformer.final_layer_norm.bias"]);
            let error = SingleFile::split(&checkpoint(&keys)).unwrap_err().to_string();
            assert!(error.contains("scales beside them, in ") && error.contains(key), "{error}");
        }
    }
}
