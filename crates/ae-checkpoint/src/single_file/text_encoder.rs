use super::keys::{number, rename, rename_back};

/// A parameter in transformers' layout, and which part of how many it is of the stored tensor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: String,
    pub(super) index: usize,
    pub(super) count: usize,
}

impl Part {
    pub(super) fn whole(key: String) -> Self {
        Self { key, index: 0, count: 1 }
    }
}

const TOP: [(&str, &str); 3] = [
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("token_embedding", "text_model.embeddings.token_embedding"),
    ("ln_final", "text_model.final_layer_norm"),
];

const LAYER: [(&str, &str); 5] = [
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
];

/// The parameters in transformers' layout that an OpenCLIP tensor (below `cond_stage_model.model.`) holds,
/// after `convert_open_clip_checkpoint` in diffusers' `loaders/single_file_utils.py`. OpenCLIP fuses the
/// projections of queries, keys and values.
///
/// Stable Diffusion 2 takes the hidden states before the last block: of `blocks` blocks the last has no name. A file that was written of
/// transformers' network, which has no such block, has the 23 before it alone.
pub(super) fn open_clip(key: &str, blocks: usize) -> Vec<Part> {
    /// Of OpenCLIP's ViT-H, without the last.
    const BEFORE_LAST: usize = 23;
    let read = if blocks == BEFORE_LAST { blocks } else { blocks.saturating_sub(1) };
    if let Some(key) = rename(key, &TOP) {
        return vec![Part::whole(key)];
    }
    let Some((block, rest)) = key.strip_prefix("transformer.resblocks.").and_then(number) else { return Vec::new() };
    if block >= read {
        return Vec::new();
    }
    let layer = format!("text_model.encoder.layers.{block}");
    let fused = |parameter: &str| {
        let projections = ["q_proj", "k_proj", "v_proj"].into_iter().enumerate();
        let part =
            |(index, projection)| Part { key: format!("{layer}.self_attn.{projection}.{parameter}"), index, count: 3 };
        projections.map(part).collect()
    };
    match rest {
        "attn.in_proj_weight" => fused("weight"),
        "attn.in_proj_bias" => fused("bias"),
        rest => rename(rest, &LAYER).map(|rest| Part::whole(format!("{layer}.{rest}"))).into_iter().collect(),
    }
}

/// The way back: the OpenCLIP tensor that holds a parameter, and as which of its parts.
pub(super) fn original_key(key: &str) -> Option<Part> {
    const FUSED: [&str; 3] = ["q_proj", "k_proj", "v_proj"];
    if let Some(key) = rename_back(key, &TOP) {
        return Some(Part::whole(key));
    }
    let (layer, rest) = key.strip_prefix("text_model.encoder.layers.").and_then(number)?;
    let block = format!("transformer.resblocks.{layer}");
    if let Some(rest) = rename_back(rest, &LAYER) {
        return Some(Part::whole(format!("{block}.{rest}")));
    }
    let (projection, parameter) = rest.strip_prefix("self_attn.")?.split_once('.')?;
    let index = FUSED.iter().position(|name| *name == projection)?;
    Some(Part { key: format!("{block}.attn.in_proj_{parameter}"), index, count: FUSED.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(key: &str) -> Vec<String> {
        open_clip(key, 24).into_iter().map(|part| part.key).collect()
    }

    #[test]
    fn keys_are_those_of_transformers() {
        assert_eq!(keys("positional_embedding"), ["text_model.embeddings.position_embedding.weight"]);
        assert_eq!(keys("ln_final.bias"), ["text_model.final_layer_norm.bias"]);
        assert_eq!(keys("transformer.resblocks.22.mlp.c_fc.weight"), ["text_model.encoder.layers.22.mlp.fc1.weight"]);
    }

    #[test]
    fn a_fused_projection_is_three_parts() {
        let parts = open_clip("transformer.resblocks.0.attn.in_proj_bias", 24);
        let k = Part { key: "text_model.encoder.layers.0.self_attn.k_proj.bias".to_owned(), index: 1, count: 3 };
        assert_eq!((parts.len(), &parts[1]), (3, &k));
    }

    /// `SD_2_TEXT_ENCODER_KEYS_TO_IGNORE` in diffusers' `single_file_utils.py` has the block 23 by its number.
    #[test]
    fn the_layers_are_those_of_diffusers_with_the_last_block_or_without() {
        for blocks in [23, 24] {
            let read = (0..blocks).filter(|block| {
                let key = format!("transformer.resblocks.{block}.ln_1.weight");
                !open_clip(&key, blocks).is_empty()
            });
            assert_eq!(read.collect::<Vec<_>>(), (0..23).collect::<Vec<_>>(), "of {blocks}");
        }
        // Small models.
        assert_eq!(open_clip("transformer.resblocks.2.ln_1.weight", 3), []);
        assert_eq!(open_clip("transformer.resblocks.1.ln_1.weight", 3).len(), 1);
    }

    #[test]
    fn the_last_block_and_the_projection_are_left_out() {
        assert_eq!(keys("transformer.resblocks.23.ln_1.weight"), [""; 0]);
        assert_eq!(keys("text_projection"), [""; 0]);
        assert_eq!(keys("logit_scale"), [""; 0]);
    }
}
