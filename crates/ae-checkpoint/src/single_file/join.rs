//! The way back: the networks of a model in one checkpoint of the original layout.

use std::collections::BTreeMap;

use super::keys::number;
use super::{CLIP, Family, OPEN_CLIP, SingleFile, SingleFileError, TEXT, UNET, VAE, text_encoder, unet, vae};
use crate::{Checkpoint, StoredTensor};

type Tensors = BTreeMap<String, StoredTensor>;

impl SingleFile {
    /// Puts networks under diffusers' names into one checkpoint, in the layout of CompVis (Stable Diffusion 1) or Stability AI (2).
    ///
    /// [`split`](Self::split) takes the same networks out of it again: that is checked.
    ///
    /// # Errors
    ///
    /// When the layout has no name for a parameter.
    pub fn join(
        family: Family,
        unet: &Checkpoint,
        text_encoder: &Checkpoint,
        vae: &Checkpoint,
    ) -> Result<Checkpoint, SingleFileError> {
        let mut tensors = join_unet(unet)?;
        tensors.extend(join_vae(vae)?);
        tensors.extend(match family {
            Family::StableDiffusion1 => join_clip(text_encoder),
            Family::StableDiffusion2 => join_open_clip(text_encoder)?,
        });
        let joined = Checkpoint::new(unet.name(), tensors);
        let again = Self::split(&joined)?;
        for (network, before, after) in [
            ("U-Net", unet, Some(&again.unet)),
            ("text encoder", text_encoder, Some(&again.text_encoder)),
            ("autoencoder", vae, again.vae.as_ref()),
        ] {
            let is_there = |key: &str, tensor: &StoredTensor| {
                after.and_then(|after| after.get(key)).is_some_and(|found| found.shape() == tensor.shape())
            };
            if let Some((key, _)) = before.tensors().iter().find(|(key, tensor)| !is_there(key, tensor)) {
                return Err(SingleFileError::NoName { network, tensor: key.clone() });
            }
        }
        Ok(joined)
    }
}

fn no_name(network: &'static str, key: &str) -> SingleFileError {
    SingleFileError::NoName { network, tensor: key.to_owned() }
}

fn join_unet(unet: &Checkpoint) -> Result<Tensors, SingleFileError> {
    let layers = unet.count_from(0, "down_blocks.0.resnets.");
    let has_attention = |level| unet.has_prefix(&format!("up_blocks.{level}.attentions."));
    let rename = |(key, tensor): (&String, &StoredTensor)| {
        let name = unet::original_key(key, layers, has_attention).ok_or_else(|| no_name("U-Net", key))?;
        Ok((format!("{UNET}{name}"), tensor.clone()))
    };
    unet.tensors().iter().map(rename).collect()
}

fn join_vae(vae: &Checkpoint) -> Result<Tensors, SingleFileError> {
    let levels = vae.count_from(0, "decoder.up_blocks.");
    let rename = |(key, tensor): (&String, &StoredTensor)| {
        let name = vae::original_key(key, levels).ok_or_else(|| no_name("autoencoder", key))?;
        let tensor = if vae::is_linear(key) { with_kernel(tensor) } else { tensor.clone() };
        Ok((format!("{VAE}{name}"), tensor))
    };
    vae.tensors().iter().map(rename).collect()
}

/// The weight of a linear layer as that of a 1x1 convolution.
fn with_kernel(tensor: &StoredTensor) -> StoredTensor {
    let shape = [tensor.shape(), &[1, 1]].concat();
    tensor.clone().reshaped(&shape).unwrap_or_else(|| tensor.clone())
}

fn join_clip(text_encoder: &Checkpoint) -> Tensors {
    let tensors = text_encoder.tensors().iter();
    tensors.map(|(key, tensor)| (format!("{}{CLIP}{key}", TEXT[0]), tensor.clone())).collect()
}

fn join_open_clip(text_encoder: &Checkpoint) -> Result<Tensors, SingleFileError> {
    let (mut joined, mut fused) = (Tensors::new(), BTreeMap::<String, BTreeMap<usize, StoredTensor>>::new());
    for (key, tensor) in text_encoder.tensors() {
        let text_encoder::Part { key: name, index, count } =
            text_encoder::original_key(key).ok_or_else(|| no_name("text encoder", key))?;
        if count == 1 {
            joined.insert(name, tensor.clone());
        } else {
            fused.entry(name).or_default().insert(index, tensor.clone());
        }
    }
    joined.extend(fused.into_iter().map(|(name, parts)| (name, below_each_other(parts.into_values().collect()))));
    // Readers take the hidden states before the last block: it must be there, and what is in it does not matter.
    let layers = text_encoder.count_from(0, "text_model.encoder.layers.");
    let last = |name: &String, tensor: &StoredTensor| {
        let (block, rest) = name.strip_prefix("transformer.resblocks.").and_then(number)?;
        (block + 1 == layers).then(|| (format!("transformer.resblocks.{layers}.{rest}"), tensor.clone()))
    };
    let unread: Vec<_> = joined.iter().filter_map(|(name, tensor)| last(name, tensor)).collect();
    joined.extend(unread);
    Ok(joined.into_iter().map(|(name, tensor)| (format!("{}{OPEN_CLIP}{name}", TEXT[0]), tensor)).collect())
}

/// Tensors of one width as one.
fn below_each_other(parts: Vec<StoredTensor>) -> StoredTensor {
    let (element, mut shape) = (parts[0].element(), parts[0].shape().to_vec());
    if let Some(rows) = shape.first_mut() {
        *rows = parts.iter().filter_map(|part| part.shape().first()).sum();
    }
    StoredTensor::computed(element, shape, move || {
        parts.iter().fold(Vec::new(), |mut all, part| {
            all.extend_from_slice(&part.bytes());
            all
        })
    })
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;

    use super::*;

    /// Tensors whose bytes are those of their names.
    fn network(keys: &[String]) -> Checkpoint {
        Checkpoint::of(
            "made up",
            keys.iter().map(|key| {
                let is_bias = key.strip_suffix(".bias").is_some();
                let bytes = key.bytes().cycle().take(if is_bias { 12 } else { 36 }).collect::<Vec<_>>();
                let shape = if is_bias { vec![12] } else { vec![12, 3] };
                (key.clone(), StoredTensor::computed(Dtype::U8, shape, move || bytes.clone()))
            }),
        )
    }

    fn both(module: &str) -> [String; 2] {
        ["weight", "bias"].map(|parameter| format!("{module}.{parameter}"))
    }

    fn resnet(place: &str, norms: &[&str], convs: &[&str]) -> Vec<String> {
        norms.iter().chain(convs).flat_map(|part| both(&format!("{place}.{part}"))).collect()
    }

    /// The parameters of a U-Net with attention in some of its levels.
    fn unet(layers: usize, attention: &[bool]) -> Vec<String> {
        let levels = attention.len();
        let parts = ["conv1", "time_emb_proj", "conv2", "conv_shortcut"];
        let mut keys: Vec<String> =
            ["time_embedding.linear_1", "time_embedding.linear_2", "conv_in", "conv_norm_out", "conv_out"]
                .iter()
                .flat_map(|module| both(module))
                .collect();
        let mut block = |place: String, resnets: usize, attentions: usize| {
            for layer in 0..resnets {
                keys.extend(resnet(&format!("{place}.resnets.{layer}"), &["norm1", "norm2"], &parts));
            }
            for layer in 0..attentions {
                for inner in ["norm", "proj_in", "transformer_blocks.0.attn1.to_out.0", "transformer_blocks.0.ff.net.2"]
                {
                    keys.extend(both(&format!("{place}.attentions.{layer}.{inner}")));
                }
            }
        };
        for (level, has_attention) in attention.iter().enumerate() {
            block(format!("down_blocks.{level}"), layers, if *has_attention { layers } else { 0 });
            let up = format!("up_blocks.{}", levels - 1 - level);
            block(up, layers + 1, if *has_attention { layers + 1 } else { 0 });
        }
        block("mid_block".to_owned(), 2, 1);
        for level in 0..levels - 1 {
            keys.extend(both(&format!("down_blocks.{level}.downsamplers.0.conv")));
            keys.extend(both(&format!("up_blocks.{level}.upsamplers.0.conv")));
        }
        keys
    }

    fn vae(levels: usize) -> Vec<String> {
        let mut keys: Vec<String> = ["quant_conv", "post_quant_conv"].iter().flat_map(|module| both(module)).collect();
        let parts = ["conv1", "conv2", "conv_shortcut"];
        for (half, blocks, resample) in [("encoder", "down", "down"), ("decoder", "up", "up")] {
            for module in ["conv_in", "conv_norm_out", "conv_out"] {
                keys.extend(both(&format!("{half}.{module}")));
            }
            for layer in 0..2 {
                keys.extend(resnet(&format!("{half}.mid_block.resnets.{layer}"), &["norm1", "norm2"], &parts));
            }
            for module in ["group_norm", "to_q", "to_k", "to_v", "to_out.0"] {
                keys.extend(both(&format!("{half}.mid_block.attentions.0.{module}")));
            }
            for level in 0..levels {
                let place = format!("{half}.{blocks}_blocks.{level}");
                keys.extend(resnet(&format!("{place}.resnets.0"), &["norm1", "norm2"], &parts));
                if level + 1 < levels {
                    keys.extend(both(&format!("{place}.{resample}samplers.0.conv")));
                }
            }
        }
        keys
    }

    fn text_encoder(layers: usize) -> Vec<String> {
        let mut keys: Vec<String> = ["token_embedding", "position_embedding"]
            .iter()
            .map(|name| format!("text_model.embeddings.{name}.weight"))
            .collect();
        keys.extend(both("text_model.final_layer_norm"));
        for layer in 0..layers {
            for module in ["layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"] {
                keys.extend(both(&format!("text_model.encoder.layers.{layer}.{module}")));
            }
            for projection in ["q", "k", "v", "out"] {
                keys.extend(both(&format!("text_model.encoder.layers.{layer}.self_attn.{projection}_proj")));
            }
        }
        keys
    }

    fn all(checkpoint: &Checkpoint) -> Vec<(String, Vec<usize>, Vec<u8>)> {
        let tensors = checkpoint.tensors().iter();
        tensors.map(|(key, tensor)| (key.clone(), tensor.shape().to_vec(), tensor.bytes().to_vec())).collect()
    }

    #[test]
    fn networks_that_are_joined_are_taken_out_again_to_the_last_byte() {
        let shapes: [(usize, &[bool]); 4] =
            [(2, &[true, true, true, false]), (1, &[false, true, false]), (1, &[true]), (3, &[false, true])];
        for family in [Family::StableDiffusion1, Family::StableDiffusion2] {
            for (layers, attention) in shapes {
                let networks =
                    [unet(layers, attention), text_encoder(layers), vae(attention.len())].map(|k| network(&k));
                let [unet, text, vae] = &networks;
                let joined = SingleFile::join(family, unet, text, vae).unwrap();
                let again = SingleFile::split(&joined).unwrap();
                assert_eq!(again.family, family);
                assert_eq!(all(&again.unet), all(unet), "{layers} {attention:?}");
                assert_eq!(all(&again.text_encoder), all(text));
                assert_eq!(all(&again.vae.unwrap()), all(vae));
                let expected = unet.tensors().len() + vae.tensors().len();
                let others = joined.tensors().keys().filter(|key| !key.starts_with(TEXT[0])).count();
                assert_eq!(others, expected);
            }
        }
    }

    #[test]
    fn names_are_those_of_the_original() {
        let networks = [unet(2, &[true, true, true, false]), text_encoder(2), vae(4)].map(|keys| network(&keys));
        let joined = |family| SingleFile::join(family, &networks[0], &networks[1], &networks[2]).unwrap();
        let one = joined(Family::StableDiffusion1);
        for key in [
            "model.diffusion_model.input_blocks.3.0.op.weight",
            "model.diffusion_model.output_blocks.2.1.conv.bias",
            "model.diffusion_model.output_blocks.5.2.conv.weight",
            "model.diffusion_model.middle_block.2.out_layers.3.weight",
            "model.diffusion_model.middle_block.1.proj_in.weight",
            "first_stage_model.decoder.up.3.block.0.norm1.bias",
            "first_stage_model.encoder.mid.attn_1.proj_out.bias",
            "first_stage_model.encoder.down.0.block.0.nin_shortcut.weight",
            "cond_stage_model.transformer.text_model.encoder.layers.1.mlp.fc1.weight",
        ] {
            assert!(one.get(key).is_some(), "{key}");
        }
        assert_eq!(one.get("first_stage_model.decoder.mid.attn_1.q.weight").unwrap().shape(), [12, 3, 1, 1]);
        let two = joined(Family::StableDiffusion2);
        let fused = two.get("cond_stage_model.model.transformer.resblocks.2.attn.in_proj_weight").unwrap();
        assert_eq!(fused.shape(), [36, 3]);
        assert!(two.get("cond_stage_model.model.positional_embedding").is_some());
    }

    #[test]
    fn what_the_layout_has_no_name_for_is_refused_by_name() {
        let join = |more: &str| {
            let mut keys = unet(1, &[true, false]);
            keys.push(more.to_owned());
            let error = SingleFile::join(
                Family::StableDiffusion1,
                &network(&keys),
                &network(&text_encoder(1)),
                &network(&vae(2)),
            );
            error.unwrap_err().to_string()
        };
        for key in ["time_embedding.cond_proj.weight", "add_embedding.linear_1.weight", "down_blocks.0.motion.0.weight"]
        {
            let error = join(key);
            assert!(error.contains(&format!("no name for '{key}' of the U-Net")), "{error}");
        }
        // The original counts through levels of one depth: this would take the place of another one.
        assert!(join("up_blocks.0.resnets.2.conv1.weight").contains("no name for '"));
    }
}
