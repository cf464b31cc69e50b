use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::{Checkpoint, CheckpointKind, ForeignError, OpenError, StoredTensor};

/// A low-rank adaptation (Hu et al. 2021): small updates to the weights of a model.
#[derive(Clone, Debug)]
pub struct Lora {
    /// The file.
    pub name: String,
    /// The updates, each of one weight.
    pub layers: Vec<LoraLayer>,
}

/// The update of one weight: `scale * up * down`, for convolutions over the channels.
#[derive(Clone, Debug)]
pub struct LoraLayer {
    /// The network it belongs to.
    pub network: LoraNetwork,
    /// The path of the module within the network in diffusers' names, with `_` for `.`: kohya's files do not
    /// tell the two apart.
    pub module: String,
    /// `[rank, input]` or `[rank, input, rows, cols]`
    pub down: StoredTensor,
    /// `[output, rank]` or `[output, rank, 1, 1]`
    pub up: StoredTensor,
    /// `[rank, rank, rows, cols]`, between the two in LoCon files that decompose the kernel too.
    pub mid: Option<StoredTensor>,
    /// The factor of the product: alpha over rank.
    pub scale: f64,
}

/// A network that a LoRA changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoraNetwork {
    /// The U-Net.
    UNet,
    /// The text encoder.
    TextEncoder,
}

/// A file that holds no LoRA that can be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoraError {
    /// The file cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file holds something else.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// A tensor of a kind this crate does not apply.
    #[error("the LoRA '{name}' has '{key}': {what} is not supported")]
    Unsupported {
        /// The file.
        name: String,
        /// The tensor.
        key: String,
        /// What the tensor is a sign of.
        what: &'static str,
    },
    /// A tensor without its partner, or of the wrong shape.
    #[error("the LoRA '{name}' is damaged: {reason}")]
    Damaged {
        /// The file.
        name: String,
        /// Which tensor, and what is wrong with it.
        reason: String,
    },
    /// A tensor cannot be read.
    #[error("cannot read '{key}' in the LoRA '{name}': {source}")]
    Read {
        /// The file.
        name: String,
        /// The tensor.
        key: String,
        /// What went wrong.
        source: io::Error,
    },
}

/// The tensors of one layer with their names, each in the place of its [`Role`], while the file is sorted.
type Parts<'a> = [Option<(&'a str, &'a StoredTensor)>; 4];

/// What a tensor is to its layer, by the end of its name.
#[derive(Clone, Copy)]
enum Role {
    Down,
    Up,
    Mid,
    Alpha,
}

/// The endings of the formats: kohya's, PEFT's, diffusers' before PEFT (three of them).
const ENDINGS: [(&str, Role); 12] = [
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_mid.weight", Role::Mid),
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    (".alpha", Role::Alpha),
];

/// Whether a tensor is a factor of a LoRA, by its name.
pub(crate) fn is_factor(key: &str) -> bool {
    ENDINGS.iter().any(|(ending, role)| matches!(role, Role::Down | Role::Up) && key.ends_with(ending))
}

/// What stands in front of a module's path; without any of them it is the U-Net's.
const PREFIXES: [(&str, LoraNetwork); 5] = [
    ("lora_unet_", LoraNetwork::UNet),
    ("unet_", LoraNetwork::UNet),
    ("lora_te1_", LoraNetwork::TextEncoder),
    ("lora_te_", LoraNetwork::TextEncoder),
    ("text_encoder_", LoraNetwork::TextEncoder),
];

/// Signs of adaptations that need more than two factors.
const UNSUPPORTED: [(&str, &str); 4] =
    [("dora_scale", "DoRA"), ("lora_magnitude_vector", "DoRA"), (".lora_A.bias", "a bias"), (".lora_B.bias", "a bias")];

impl Lora {
    /// Reads a LoRA with the keys of kohya's sd-scripts (`lora_unet_...`, LoCon included) or of diffusers
    /// (PEFT's `lora_A`, and the formats before), for the U-Net and the text encoder.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, holds something else, or is not whole.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoraError> {
        Self::read(&Checkpoint::open(path)?)
    }

    /// Takes the LoRA out of an opened file; see [`Lora::open`].
    ///
    /// # Errors
    ///
    /// When the checkpoint holds something else or is not whole.
    pub fn read(checkpoint: &Checkpoint) -> Result<Self, LoraError> {
        let name = checkpoint.name();
        CheckpointKind::Lora.check(checkpoint, "a LoRA")?;
        let mut modules: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
        for (key, tensor) in checkpoint.tensors() {
            if let Some((_, what)) = UNSUPPORTED.iter().find(|(sign, _)| key.contains(sign)) {
                return Err(LoraError::Unsupported { name: name.to_owned(), key: key.clone(), what });
            }
            let ending = ENDINGS.iter().find_map(|(ending, role)| Some((key.strip_suffix(ending)?, *role)));
            let Some((module, role)) = ending else {
                return Err(LoraError::Unsupported { name: name.to_owned(), key: key.clone(), what: "this tensor" });
            };
            modules.entry(module).or_default()[role as usize] = Some((key, tensor));
        }
        let adapters = AdapterConfigs::of(checkpoint)?;
        let layers = modules.into_iter().map(|(module, parts)| layer(name, module, parts, &adapters));
        Ok(Self { name: name.to_owned(), layers: layers.collect::<Result<_, _>>()? })
    }
}

fn layer(name: &str, key: &str, parts: Parts<'_>, adapters: &AdapterConfigs) -> Result<LoraLayer, LoraError> {
    let damaged = |reason| LoraError::Damaged { name: name.to_owned(), reason };
    let [Some((_, down)), Some((_, up)), mid, alpha] = parts else {
        return Err(damaged(format!("'{key}' lacks one of its two factors")));
    };
    let rank = match (down.shape(), up.shape()) {
        ([rank, _], [_, inner]) if rank == inner => *rank,
        ([rank, _, _, _], [_, inner, 1, 1]) if rank == inner => *rank,
        (down, up) => return Err(damaged(format!("the factors of '{key}' have the shapes {down:?} and {up:?}"))),
    };
    if rank == 0 {
        return Err(damaged(format!("'{key}' has the rank 0")));
    }
    if let Some((_, mid)) = mid
        && !matches!((mid.shape(), down.shape()), ([a, b, _, _], [_, _, 1, 1]) if *a == rank && *b == rank)
    {
        return Err(damaged(format!("the middle factor of '{key}' has the shape {:?}", mid.shape())));
    }
    let (network, module) = module(key);
    let scale = match alpha {
        Some((key, tensor)) => number(name, key, tensor)? / rank as f64,
        None => adapters.scale(network, &module, rank),
    };
    if !scale.is_finite() {
        return Err(damaged(format!("the factor of '{key}' is {scale}")));
    }
    Ok(LoraLayer { network, module, down: down.clone(), up: up.clone(), mid: mid.map(|(_, mid)| mid.clone()), scale })
}

/// The network of a layer, and the path of its module in that.
fn module(key: &str) -> (LoraNetwork, String) {
    // Before PEFT, diffusers named the layers of an attention by its processor.
    let key = match key.split_once(".processor.") {
        Some((attention, "to_out")) => format!("{attention}.to_out.0"),
        Some((attention, projection)) => format!("{attention}.{projection}"),
        None => key.to_owned(),
    };
    let flat = key.replace('.', "_");
    let (network, path) = PREFIXES
        .iter()
        .find_map(|(prefix, network)| Some((*network, flat.strip_prefix(prefix)?)))
        .unwrap_or((LoraNetwork::UNet, &flat));
    if network == LoraNetwork::UNet {
        return (network, path.to_owned());
    }
    // Our text encoder, like transformers' since version 5, has no module around the whole.
    let path = path.strip_prefix("text_model_").unwrap_or(path);
    // The oldest files of diffusers name its projections as the U-Net's.
    let renames = [("_to_q", "_q_proj"), ("_to_k", "_k_proj"), ("_to_v", "_v_proj"), ("_to_out", "_out_proj")];
    let renamed = renames.iter().find_map(|(old, new)| Some(format!("{}{new}", path.strip_suffix(old)?)));
    (network, renamed.unwrap_or_else(|| path.to_owned()))
}

fn number(name: &str, key: &str, tensor: &StoredTensor) -> Result<f64, LoraError> {
    if tensor.num_elements() != 1 {
        let reason = format!("'{key}' has the shape {:?}; expected one number", tensor.shape());
        return Err(LoraError::Damaged { name: name.to_owned(), reason });
    }
    let read = |source| LoraError::Read { name: name.to_owned(), key: key.to_owned(), source };
    Ok(f64::from(tensor.to_f32().map_err(read)?[0]))
}

/// The settings that diffusers writes into the header of a file: one JSON object for all networks.
struct AdapterConfigs(Value);

impl AdapterConfigs {
    fn of(checkpoint: &Checkpoint) -> Result<Self, LoraError> {
        let Some(text) = checkpoint.metadata().get("lora_adapter_metadata") else { return Ok(Self(Value::Null)) };
        let name = || checkpoint.name().to_owned();
        let value: Value = serde_json::from_str(text)
            .map_err(|error| LoraError::Damaged { name: name(), reason: format!("lora_adapter_metadata: {error}") })?;
        let has_dora = value.as_object().is_some_and(|settings| {
            settings.iter().any(|(key, value)| key.ends_with("use_dora") && value.as_bool() == Some(true))
        });
        if has_dora {
            return Err(LoraError::Unsupported { name: name(), key: "use_dora".to_owned(), what: "DoRA" });
        }
        Ok(Self(value))
    }

    /// PEFT's factor: alpha over rank, or over its root; 1 where the file says nothing.
    fn scale(&self, network: LoraNetwork, module: &str, rank: usize) -> f64 {
        let prefix = match network {
            LoraNetwork::UNet => "unet",
            LoraNetwork::TextEncoder => "text_encoder",
        };
        let setting = |name: &str| &self.0[format!("{prefix}.{name}")];
        let own = setting("alpha_pattern").as_object().into_iter().flatten();
        let own = own.filter(|(pattern, _)| module.ends_with(&pattern.replace('.', "_"))).find_map(|(_, a)| a.as_f64());
        let Some(alpha) = own.or_else(|| setting("lora_alpha").as_f64()) else { return 1.0 };
        let rank = rank as f64;
        alpha / if setting("use_rslora").as_bool() == Some(true) { rank.sqrt() } else { rank }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    fn checkpoint(tensors: &[(&str, &[usize])], metadata: Option<&str>) -> Checkpoint {
        let zeros = vec![0u8; 4096];
        let view = |shape: &[usize]| {
            let size = shape.iter().product::<usize>() * 4;
            TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..size]).unwrap()
        };
        let metadata = metadata.map(|text| HashMap::from([("lora_adapter_metadata".to_owned(), text.to_owned())]));
        let tensors = tensors.iter().map(|(key, shape)| (*key, view(shape)));
        Checkpoint::from_bytes("x", safetensors::serialize(tensors, metadata).unwrap().into()).unwrap()
    }

    fn only_layer(down: &str, up: &str) -> LoraLayer {
        let lora = Lora::read(&checkpoint(&[(down, &[2, 3]), (up, &[5, 2])], None)).unwrap();
        assert_eq!(lora.layers.len(), 1);
        lora.layers[0].clone()
    }

    #[test]
    fn every_format_names_the_same_module() {
        for (down, up) in [
            (
                "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0.lora_down.weight",
                "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0.lora_up.weight",
            ),
            (
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.lora_A.weight",
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.lora_B.weight",
            ),
            (
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_out_lora.down.weight",
                "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
            ),
            (
                "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.lora.down.weight",
                "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0.lora.up.weight",
            ),
        ] {
            let layer = only_layer(down, up);
            assert_eq!(layer.network, LoraNetwork::UNet);
            assert_eq!(layer.module, "down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0", "{down}");
        }
        for (down, up) in [
            (
                "lora_te_text_model_encoder_layers_3_mlp_fc1.lora_down.weight",
                "lora_te_text_model_encoder_layers_3_mlp_fc1.lora_up.weight",
            ),
            (
                "text_encoder.encoder.layers.3.mlp.fc1.lora_A.weight",
                "text_encoder.encoder.layers.3.mlp.fc1.lora_B.weight",
            ),
            (
                "text_encoder.text_model.encoder.layers.3.mlp.fc1.lora_linear_layer.down.weight",
                "text_encoder.text_model.encoder.layers.3.mlp.fc1.lora_linear_layer.up.weight",
            ),
        ] {
            let layer = only_layer(down, up);
            assert_eq!((layer.network, layer.module.as_str()), (LoraNetwork::TextEncoder, "encoder_layers_3_mlp_fc1"));
        }
    }

    #[test]
    fn the_oldest_files_name_text_projections_as_the_unets() {
        let prefix = "text_encoder.text_model.encoder.layers.0.self_attn";
        for (old, new) in [("to_q", "q_proj"), ("to_out", "out_proj")] {
            let layer =
                only_layer(&format!("{prefix}.{old}_lora.down.weight"), &format!("{prefix}.{old}_lora.up.weight"));
            assert_eq!(layer.module, format!("encoder_layers_0_self_attn_{new}"));
        }
    }

    #[test]
    fn the_header_of_diffusers_gives_the_scale() {
        let tensors: [(&str, &[usize]); 2] = [("unet.a.lora_A.weight", &[4, 3]), ("unet.a.lora_B.weight", &[5, 4])];
        for (metadata, expected) in [
            (None, 1.0),
            (Some(r#"{"unet.lora_alpha": 8, "unet.r": 4}"#), 2.0),
            (Some(r#"{"unet.lora_alpha": 8, "unet.use_rslora": true}"#), 4.0),
            (Some(r#"{"unet.lora_alpha": 8, "unet.alpha_pattern": {"a": 2}}"#), 0.5),
        ] {
            let scale = Lora::read(&checkpoint(&tensors, metadata)).unwrap().layers[0].scale;
            assert!((scale - expected).abs() < 1e-12, "{metadata:?}: {scale}");
        }
    }

    #[test]
    fn what_cannot_be_applied_is_named() {
        let down = ("lora_unet_a.lora_down.weight", [2, 3].as_slice());
        let up = ("lora_unet_a.lora_up.weight", [5, 2].as_slice());
        let refusal = |tensors: &[(&str, &[usize])]| Lora::read(&checkpoint(tensors, None)).unwrap_err().to_string();
        assert!(refusal(&[down]).contains("lacks one of its two factors"));
        assert!(refusal(&[down, ("lora_unet_a.lora_up.weight", &[5, 3])]).contains("shapes [2, 3] and [5, 3]"));
        assert!(refusal(&[down, up, ("lora_unet_a.dora_scale", &[5, 1])]).contains("DoRA is not supported"));
        assert!(refusal(&[down, up, ("lora_unet_a.alpha", &[2])]).contains("expected one number"));
        assert!(refusal(&[down, up, ("lora_unet_a.other", &[2])]).contains("'lora_unet_a.other'"));
        assert!(refusal(&[("emb_params", &[1, 4])]).contains("is a textual inversion embedding; expected a LoRA"));
        let dora = checkpoint(&[down, up], Some(r#"{"unet.use_dora": true}"#));
        assert!(Lora::read(&dora).unwrap_err().to_string().contains("DoRA"));
    }
}
