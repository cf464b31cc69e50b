use super::keys::{number, rename, rename_back};

const TOP: [(&str, &str); 5] = [
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
];

const RESNET: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// The diffusers name of a U-Net parameter (below `model.diffusion_model.`), after
/// `convert_ldm_unet_checkpoint` in diffusers' `loaders/single_file_utils.py`.
///
/// A level has `layers` residual blocks on the way down and one more on the way up.
pub(crate) fn key(key: &str, layers: usize) -> Option<String> {
    if let Some(key) = rename(key, &TOP) {
        return Some(key);
    }
    if let Some(rest) = key.strip_prefix("input_blocks.") {
        let (index, rest) = number(rest)?;
        let (level, layer) = ((index.checked_sub(1)?) / (layers + 1), (index - 1) % (layers + 1));
        let block = format!("down_blocks.{level}");
        return match number(rest)? {
            (0, rest) if rest.starts_with("op.") => rename(rest, &[("op", &format!("{block}.downsamplers.0.conv"))]),
            (0, rest) => Some(format!("{block}.resnets.{layer}.{}", rename(rest, &RESNET)?)),
            (1, rest) => Some(format!("{block}.attentions.{layer}.{rest}")),
            _ => None,
        };
    }
    if let Some(rest) = key.strip_prefix("middle_block.") {
        return match number(rest)? {
            (place @ (0 | 2), rest) => Some(format!("mid_block.resnets.{}.{}", place / 2, rename(rest, &RESNET)?)),
            (1, rest) => Some(format!("mid_block.attentions.0.{rest}")),
            _ => None,
        };
    }
    let (index, rest) = number(key.strip_prefix("output_blocks.")?)?;
    let (level, layer) = (index / (layers + 1), index % (layers + 1));
    let block = format!("up_blocks.{level}");
    match number(rest)? {
        (0, rest) => Some(format!("{block}.resnets.{layer}.{}", rename(rest, &RESNET)?)),
        // Behind the attention, or in its place where a level has none.
        (1 | 2, rest) if rest.starts_with("conv.") => Some(format!("{block}.upsamplers.0.{rest}")),
        (1, rest) => Some(format!("{block}.attentions.{layer}.{rest}")),
        _ => None,
    }
}

/// The way back: the original's name of a U-Net parameter. `has_attention` says it of a level on the way up.
pub(super) fn original_key(key: &str, layers: usize, has_attention: impl Fn(usize) -> bool) -> Option<String> {
    if let Some(key) = rename_back(key, &TOP) {
        return Some(key);
    }
    let part = |rest: &str, resnets: &str, others: &str| -> Option<(usize, String)> {
        if let Some((layer, rest)) = rest.strip_prefix("resnets.").and_then(number) {
            return Some((layer, format!("{resnets}.{}", rename_back(rest, &RESNET)?)));
        }
        let (layer, rest) = rest.strip_prefix("attentions.").and_then(number)?;
        Some((layer, format!("{others}.{rest}")))
    };
    if let Some((level, rest)) = key.strip_prefix("down_blocks.").and_then(number) {
        let first = 1 + level * (layers + 1);
        if let Some(rest) = rest.strip_prefix("downsamplers.0.conv.") {
            return Some(format!("input_blocks.{}.0.op.{rest}", first + layers));
        }
        let (layer, rest) = part(rest, "0", "1")?;
        return Some(format!("input_blocks.{}.{rest}", first + layer));
    }
    if let Some(rest) = key.strip_prefix("mid_block.") {
        let (layer, rest) = part(rest, "", "1")?;
        return Some(match rest.strip_prefix('.') {
            Some(resnet) => format!("middle_block.{}.{resnet}", 2 * layer),
            None => format!("middle_block.{rest}"),
        });
    }
    let (level, rest) = key.strip_prefix("up_blocks.").and_then(number)?;
    let first = level * (layers + 1);
    if let Some(rest) = rest.strip_prefix("upsamplers.0.") {
        let place = if has_attention(level) { 2 } else { 1 };
        return Some(format!("output_blocks.{}.{place}.{rest}", first + layers));
    }
    let (layer, rest) = part(rest, "0", "1")?;
    Some(format!("output_blocks.{}.{rest}", first + layer))
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_those_of_diffusers() {
        for (ldm, diffusers) in [
            ("time_embed.2.bias", "time_embedding.linear_2.bias"),
            ("input_blocks.0.0.weight", "conv_in.weight"),
            ("input_blocks.1.0.in_layers.0.weight", "down_blocks.0.resnets.0.norm1.weight"),
            ("input_blocks.3.0.op.bias", "down_blocks.0.downsamplers.0.conv.bias"),
            ("input_blocks.5.1.proj_in.weight", "down_blocks.1.attentions.1.proj_in.weight"),
            ("middle_block.2.out_layers.3.weight", "mid_block.resnets.1.conv2.weight"),
            ("middle_block.1.norm.bias", "mid_block.attentions.0.norm.bias"),
            ("output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight"),
            ("output_blocks.5.2.conv.weight", "up_blocks.1.upsamplers.0.conv.weight"),
            ("output_blocks.11.0.skip_connection.bias", "up_blocks.3.resnets.2.conv_shortcut.bias"),
            (
                "output_blocks.8.1.transformer_blocks.0.attn2.to_out.0.weight",
                "up_blocks.2.attentions.2.transformer_blocks.0.attn2.to_out.0.weight",
            ),
        ] {
            assert_eq!(super::key(ldm, 2).as_deref(), Some(diffusers), "{ldm}");
        }
    }

    #[test]
    fn what_is_no_unet_key_has_no_name() {
        for key in ["", "input_blocks.0.1.x", "input_blocks.1.2.x", "middle_block.3.x", "label_emb.0.0.weight"] {
            assert_eq!(super::key(key, 2), None, "{key}");
        }
    }
}
