//! Configs from the shapes of the parameters.

use serde_json::json;

use super::Family;
use crate::Checkpoint;

/// Channels of an attention head of Stable Diffusion 2, and of CLIP.
const HEAD: usize = 64;

/// One extent of a tensor.
fn extent(weights: &Checkpoint, key: &str, dimension: usize) -> Result<usize, String> {
    let Some(tensor) = weights.get(key) else { return Err(format!("the tensor '{key}' is missing")) };
    let extent = tensor.shape().get(dimension).copied();
    extent.ok_or_else(|| format!("the tensor '{key}' has the shape {:?}", tensor.shape()))
}

/// The channels of every level, by the output of its first residual block.
fn levels(weights: &Checkpoint, prefix: &str) -> Result<Vec<usize>, String> {
    let levels = weights.count_from(0, prefix);
    if levels == 0 {
        return Err(format!("no tensor begins with '{prefix}0.'"));
    }
    (0..levels).map(|level| extent(weights, &format!("{prefix}{level}.resnets.0.conv1.weight"), 0)).collect()
}

/// A `unet/config.json`. What shapes do not tell is that of the family: Stable Diffusion 1 has 8 heads
/// everywhere, Stable Diffusion 2 heads of 64 channels.
pub(super) fn unet(weights: &Checkpoint, family: Family) -> Result<String, String> {
    let channels = levels(weights, "down_blocks.")?;
    let attends = |blocks: &str, level: usize| weights.has_prefix(&format!("{blocks}.{level}.attentions."));
    let down = |level| if attends("down_blocks", level) { "CrossAttnDownBlock2D" } else { "DownBlock2D" };
    let up = |level| if attends("up_blocks", level) { "CrossAttnUpBlock2D" } else { "UpBlock2D" };
    let projection = weights.get("mid_block.attentions.0.proj_in.weight").map(|tensor| tensor.shape().len());
    let heads = match family {
        Family::StableDiffusion1 => json!(8),
        Family::StableDiffusion2 => json!(channels.iter().map(|channels| (channels / HEAD).max(1)).collect::<Vec<_>>()),
    };
    let context = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    let config = json!({
        "_class_name": "UNet2DConditionModel",
        "in_channels": extent(weights, "conv_in.weight", 1)?,
        "out_channels": extent(weights, "conv_out.weight", 0)?,
        "sample_size": 64,
        "down_block_types": (0..channels.len()).map(down).collect::<Vec<_>>(),
        "up_block_types": (0..channels.len()).map(up).collect::<Vec<_>>(),
        "block_out_channels": channels,
        "layers_per_block": weights.count_from(0, "down_blocks.0.resnets."),
        "cross_attention_dim": extent(weights, context, 1)?,
        "attention_head_dim": heads,
        "use_linear_projection": projection == Some(2),
    });
    Ok(config.to_string())
}

/// A `vae/config.json`.
pub(super) fn vae(weights: &Checkpoint) -> Result<String, String> {
    let config = json!({
        "_class_name": "AutoencoderKL",
        "in_channels": extent(weights, "encoder.conv_in.weight", 1)?,
        "out_channels": extent(weights, "decoder.conv_out.weight", 0)?,
        "latent_channels": extent(weights, "decoder.conv_in.weight", 1)?,
        "block_out_channels": levels(weights, "encoder.down_blocks.")?,
        "layers_per_block": weights.count_from(0, "encoder.down_blocks.0.resnets."),
        "use_quant_conv": weights.has_prefix("quant_conv."),
        "use_post_quant_conv": weights.has_prefix("post_quant_conv."),
        "scaling_factor": 0.18215,
    });
    Ok(config.to_string())
}

/// A `text_encoder/config.json`.
pub(super) fn text_encoder(weights: &Checkpoint, family: Family) -> Result<String, String> {
    let tokens = "text_model.embeddings.token_embedding.weight";
    let hidden = extent(weights, tokens, 1)?;
    let activation = match family {
        Family::StableDiffusion1 => "quick_gelu",
        Family::StableDiffusion2 => "gelu",
    };
    let config = json!({
        "vocab_size": extent(weights, tokens, 0)?,
        "hidden_size": hidden,
        "intermediate_size": extent(weights, "text_model.encoder.layers.0.mlp.fc1.weight", 0)?,
        "num_hidden_layers": weights.count_from(0, "text_model.encoder.layers."),
        "num_attention_heads": (hidden / HEAD).max(1),
        "max_position_embeddings": extent(weights, "text_model.embeddings.position_embedding.weight", 0)?,
        "hidden_act": activation,
        "layer_norm_eps": 1e-5,
    });
    Ok(config.to_string())
}
