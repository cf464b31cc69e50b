use super::keys::{number, rename, rename_back};

const TOP: [(&str, &str); 2] = [("quant_conv", "quant_conv"), ("post_quant_conv", "post_quant_conv")];

const HALF: [(&str, &str); 5] = [
    ("conv_in", "conv_in"),
    ("conv_out", "conv_out"),
    ("norm_out", "conv_norm_out"),
    ("mid.block_1", "mid_block.resnets.0"),
    ("mid.block_2", "mid_block.resnets.1"),
];

/// The parts of the attention: diffusers' names of now and before 0.18, which converters have left in files of the original
/// layout, and the original's own.
const ATTENTION: [(&str, [&str; 3]); 5] = [
    ("group_norm", ["group_norm", "group_norm", "norm"]),
    ("to_q", ["to_q", "query", "q"]),
    ("to_k", ["to_k", "key", "k"]),
    ("to_v", ["to_v", "value", "v"]),
    ("to_out.0", ["to_out.0", "proj_attn", "proj_out"]),
];

fn attention(key: &str) -> Option<String> {
    let rest = key.strip_prefix("mid.attn_1.")?;
    ATTENTION.iter().find_map(|(name, spellings)| {
        let place = format!("mid_block.attentions.0.{name}");
        spellings.iter().find_map(|spelling| rename(rest, &[(spelling, &place)]))
    })
}

/// The diffusers name of an autoencoder parameter (below `first_stage_model.`), after
/// `convert_ldm_vae_checkpoint` in diffusers' `loaders/single_file_utils.py`.
///
/// The decoder of the original counts its `levels` from the finest, diffusers' from the coarsest.
pub(super) fn key(key: &str, levels: usize) -> Option<String> {
    if let Some(key) = rename(key, &TOP) {
        return Some(key);
    }
    let (half, rest) = key.split_once('.')?;
    let rest = rest.replace("nin_shortcut.", "conv_shortcut.");
    let place = rename(&rest, &HALF).or_else(|| attention(&rest));
    let place = match half {
        "encoder" => place.or_else(|| {
            let (level, rest) = number(rest.strip_prefix("down.")?)?;
            block(&format!("down_blocks.{level}"), rest, ("downsample", "downsamplers.0"))
        }),
        "decoder" => place.or_else(|| {
            let (level, rest) = number(rest.strip_prefix("up.")?)?;
            let level = levels.checked_sub(level + 1)?;
            block(&format!("up_blocks.{level}"), rest, ("upsample", "upsamplers.0"))
        }),
        _ => None,
    };
    place.map(|place| format!("{half}.{place}"))
}

fn block(name: &str, rest: &str, resample: (&str, &str)) -> Option<String> {
    let inner = match rest.strip_prefix("block.") {
        Some(resnet) => format!("resnets.{resnet}"),
        None => rename(rest, &[resample])?,
    };
    Some(format!("{name}.{inner}"))
}

/// The way back: the original's own name of an autoencoder parameter.
pub(super) fn original_key(key: &str, levels: usize) -> Option<String> {
    if let Some(key) = rename_back(key, &TOP) {
        return Some(key);
    }
    let (half, rest) = key.split_once('.')?;
    let attention = || {
        let rest = rest.strip_prefix("mid_block.attentions.0.")?;
        let names = ATTENTION.map(|(name, [.., own])| (own, name));
        Some(format!("mid.attn_1.{}", rename_back(rest, &names)?))
    };
    let place = rename_back(rest, &HALF).or_else(attention);
    let (blocks, name, resample) = match half {
        "encoder" => ("down_blocks.", "down", ("downsample", "downsamplers.0")),
        "decoder" => ("up_blocks.", "up", ("upsample", "upsamplers.0")),
        _ => return None,
    };
    let place = place.or_else(|| {
        let (level, rest) = number(rest.strip_prefix(blocks)?)?;
        let level = if half == "decoder" { levels.checked_sub(level + 1)? } else { level };
        Some(format!("{name}.{level}.{}", rename_back(rest, &[("block", "resnets"), resample])?))
    })?;
    Some(format!("{half}.{}", place.replace("conv_shortcut.", "nin_shortcut.")))
}

/// Whether a parameter is a linear layer that the original writes as a 1x1 convolution.
pub(super) fn is_linear(key: &str) -> bool {
    key.ends_with(".weight") && key.contains("mid_block.attentions.0.to_")
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_those_of_diffusers() {
        for (ldm, diffusers) in [
            ("quant_conv.weight", "quant_conv.weight"),
            ("encoder.conv_in.bias", "encoder.conv_in.bias"),
            ("decoder.norm_out.weight", "decoder.conv_norm_out.weight"),
            ("encoder.down.1.block.0.nin_shortcut.weight", "encoder.down_blocks.1.resnets.0.conv_shortcut.weight"),
            ("encoder.down.0.downsample.conv.weight", "encoder.down_blocks.0.downsamplers.0.conv.weight"),
            ("decoder.up.3.block.2.norm1.bias", "decoder.up_blocks.0.resnets.2.norm1.bias"),
            ("decoder.up.1.upsample.conv.bias", "decoder.up_blocks.2.upsamplers.0.conv.bias"),
            ("decoder.mid.block_2.conv1.weight", "decoder.mid_block.resnets.1.conv1.weight"),
            ("encoder.mid.attn_1.norm.weight", "encoder.mid_block.attentions.0.group_norm.weight"),
            ("encoder.mid.attn_1.proj_out.weight", "encoder.mid_block.attentions.0.to_out.0.weight"),
            ("decoder.mid.attn_1.q.bias", "decoder.mid_block.attentions.0.to_q.bias"),
            ("decoder.mid.attn_1.to_k.weight", "decoder.mid_block.attentions.0.to_k.weight"),
            ("decoder.mid.attn_1.to_out.0.bias", "decoder.mid_block.attentions.0.to_out.0.bias"),
            ("decoder.mid.attn_1.value.weight", "decoder.mid_block.attentions.0.to_v.weight"),
            ("encoder.mid.attn_1.proj_attn.weight", "encoder.mid_block.attentions.0.to_out.0.weight"),
            ("encoder.mid.attn_1.group_norm.weight", "encoder.mid_block.attentions.0.group_norm.weight"),
        ] {
            assert_eq!(super::key(ldm, 4).as_deref(), Some(diffusers), "{ldm}");
        }
        assert_eq!(super::key("decoder.up.4.block.0.norm1.bias", 4), None);
        assert_eq!(super::key("loss.logvar", 4), None);
        assert_eq!(super::key("decoder.mid.attn_1.to_out.1.weight", 4), None);
    }
}
