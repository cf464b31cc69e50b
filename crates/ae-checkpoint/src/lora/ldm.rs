//! Modules of a U-Net in the original layout, as adapters name them: with `_` for `.`.

use crate::single_file::unet_key;

/// The module in diffusers' layout, also with `_` for `.`; `None` for one that is no module of the original layout.
pub(super) fn diffusers_module(flat: &str, layers: usize) -> Option<String> {
    let key = unet_key(&format!("{}.weight", dotted(flat)?), layers)?;
    Some(key.strip_suffix(".weight")?.replace('.', "_"))
}

/// The path with dots around the numbers that tell its place; what is inside a transformer keeps its `_`.
fn dotted(flat: &str) -> Option<String> {
    for (blocks, numbers) in [("input_blocks", 2), ("middle_block", 1), ("output_blocks", 2)] {
        if let Some(rest) = flat.strip_prefix(blocks).and_then(|rest| rest.strip_prefix('_')) {
            let parts: Vec<&str> = rest.splitn(numbers + 1, '_').collect();
            return Some(format!("{blocks}.{}", parts.join(".").replace("_layers_", "_layers.")));
        }
    }
    // time_embed_0, out_2
    let (module, number) = flat.rsplit_once('_')?;
    Some(format!("{module}.{number}"))
}

#[cfg(test)]
mod tests {
    use super::diffusers_module;

    /// `convert_ldm_unet_checkpoint` of diffusers, of every kind of module.
    #[test]
    fn modules_are_those_of_diffusers() {
        for (ldm, diffusers) in [
            ("input_blocks_0_0", "conv_in"),
            ("input_blocks_1_1_proj_in", "down_blocks_0_attentions_0_proj_in"),
            (
                "input_blocks_4_1_transformer_blocks_0_attn1_to_q",
                "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
            ),
            (
                "output_blocks_11_1_transformer_blocks_0_ff_net_0_proj",
                "up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj",
            ),
            (
                "middle_block_1_transformer_blocks_0_attn2_to_out_0",
                "mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0",
            ),
            ("input_blocks_3_0_op", "down_blocks_0_downsamplers_0_conv"),
            ("input_blocks_4_0_skip_connection", "down_blocks_1_resnets_0_conv_shortcut"),
            ("input_blocks_7_0_in_layers_2", "down_blocks_2_resnets_0_conv1"),
            ("middle_block_2_out_layers_3", "mid_block_resnets_1_conv2"),
            ("output_blocks_2_1_conv", "up_blocks_0_upsamplers_0_conv"),
            ("output_blocks_5_2_conv", "up_blocks_1_upsamplers_0_conv"),
            ("output_blocks_8_0_emb_layers_1", "up_blocks_2_resnets_2_time_emb_proj"),
            ("time_embed_2", "time_embedding_linear_2"),
            ("out_2", "conv_out"),
        ] {
            assert_eq!(diffusers_module(ldm, 2).as_deref(), Some(diffusers), "{ldm}");
        }
        let one = diffusers_module("input_blocks_3_1_proj_in", 1);
        assert_eq!(one.as_deref(), Some("down_blocks_1_attentions_0_proj_in"));
    }

    #[test]
    fn other_modules_have_no_name() {
        for flat in ["", "down_blocks_0_attentions_0_proj_in", "input_blocks_x_1_proj_in", "middle_block_3_x", "mid"] {
            assert_eq!(diffusers_module(flat, 2), None, "{flat}");
        }
    }
}
