//! The module that an update belongs to, whatever a trainer put in front of its path.

use super::LoraNetwork;

/// Network and module of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) network: LoraNetwork,
    /// The path in the network, with `_` for `.`.
    pub(super) module: String,
}

/// What wraps a model in the names of kohya, LyCORIS, PEFT, ComfyUI, the original repository and PyTorch's parallel modules.
const WRAPPERS: &[&str] = &["lora_", "lycoris_", "base_model_model_", "model_", "diffusion_model_", "module_"];

/// What names a network.
const NETWORKS: &[(&str, LoraNetwork)] = &[
    ("unet_", LoraNetwork::UNet),
    ("te_", LoraNetwork::TextEncoder),
    ("te1_", LoraNetwork::TextEncoder),
    ("text_encoder_", LoraNetwork::TextEncoder),
    ("text_encoders_", LoraNetwork::TextEncoder),
    ("cond_stage_model_", LoraNetwork::TextEncoder),
    ("clip_l_", LoraNetwork::TextEncoder),
    ("clip_h_", LoraNetwork::TextEncoder),
];

/// What a text encoder's path begins with.
const TEXT_MODULES: &[&str] = &["text_model_", "transformer_text_model_", "encoder_layers_"];

const SDXL: &str = "a LoRA for Stable Diffusion XL";
const TRANSFORMER: &str = "a LoRA for a diffusion transformer (Stable Diffusion 3, Flux or a newer model)";
/// What paths of other models begin with, once the wrappers are off.
const FOREIGN: &[(&str, &str)] = &[
    ("te2_", SDXL),
    ("text_encoder_2_", SDXL),
    ("text_encoders_clip_g_", SDXL),
    ("clip_g_", SDXL),
    ("te3_", TRANSFORMER),
    ("text_encoder_3_", TRANSFORMER),
    ("text_encoders_t5xxl_", TRANSFORMER),
    ("t5xxl_", TRANSFORMER),
    ("joint_blocks_", "a LoRA for Stable Diffusion 3"),
    ("double_blocks_", "a LoRA for Flux"),
    ("single_blocks_", "a LoRA for Flux"),
    ("single_transformer_blocks_", "a LoRA for Flux"),
    ("transformer_", TRANSFORMER),
    ("blocks_", "a LoRA for a video model (Wan or the like)"),
    ("prior_", "a LoRA for Stable Cascade"),
];

impl Address {
    /// Reads the name of a module; of one of another family of models, what it is.
    pub(super) fn of(key: &str) -> Result<Self, &'static str> {
        // Before PEFT, diffusers named the layers of an attention by its processor.
        let key = match key.split_once(".processor.") {
            Some((attention, "to_out")) => format!("{attention}.to_out.0"),
            Some((attention, projection)) => format!("{attention}.{projection}"),
            None => key.to_owned(),
        };
        let flat = key.replace('.', "_");
        let (mut path, mut network) = (flat.as_str(), None);
        loop {
            let is_text = network.map_or_else(
                || TEXT_MODULES.iter().any(|start| path.starts_with(start)),
                |network| network == LoraNetwork::TextEncoder,
            );
            if let Some((_, found)) = FOREIGN.iter().find(|(start, _)| !is_text && path.starts_with(start)) {
                return Err(*found);
            }
            if let Some((rest, named)) =
                NETWORKS.iter().find_map(|(start, named)| Some((path.strip_prefix(start)?, named)))
            {
                (path, network) = (rest, Some(*named));
            } else if let Some(rest) = WRAPPERS.iter().find_map(|start| path.strip_prefix(start)) {
                path = rest;
            } else {
                return Ok(if is_text {
                    Self::text(path)
                } else {
                    Self { network: LoraNetwork::UNet, module: path.to_owned() }
                });
            }
        }
    }

    fn text(path: &str) -> Self {
        // Our text encoder, like transformers' since version 5, has no module around the whole.
        let path = path.strip_prefix("transformer_").unwrap_or(path);
        let path = path.strip_prefix("text_model_").unwrap_or(path);
        // The oldest files of diffusers name its projections as the U-Net's.
        let renames = [("_to_q", "_q_proj"), ("_to_k", "_k_proj"), ("_to_v", "_v_proj"), ("_to_out", "_out_proj")];
        let renamed = renames.iter().find_map(|(old, new)| Some(format!("{}{new}", path.strip_suffix(old)?)));
        Self { network: LoraNetwork::TextEncoder, module: renamed.unwrap_or_else(|| path.to_owned()) }
    }
}
