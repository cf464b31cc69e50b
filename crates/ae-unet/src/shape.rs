//! From a config to the sizes of every block.

use ae_tensor::nn::ResnetBlock2DConfig;
use burn::tensor::Device;

use crate::config::{DownBlockType, MidBlockType, UpBlockType};
use crate::transformer::{Transformer2DModel, TransformerConfig};
use crate::{AttentionKind, AttentionSite, Place, UNetConfig};

/// The sizes of one block of the U-Net.
#[derive(Clone, Debug)]
pub(crate) struct BlockShape {
    pub(crate) place: Place,
    pub(crate) channels: usize,
    pub(crate) resnets: Vec<ResnetBlock2DConfig>,
    pub(crate) transformer: Option<TransformerConfig>,
    pub(crate) transformers: usize,
    pub(crate) resample: bool,
}

impl BlockShape {
    pub(crate) fn transformers(&self, device: &Device) -> Vec<Transformer2DModel> {
        let Some(config) = &self.transformer else { return Vec::new() };
        (0..self.transformers).map(|_| Transformer2DModel::new(self.channels, config, device)).collect()
    }
}

impl UNetConfig {
    /// Every attention layer of a pass over latents of `latent_size` (rows, cols), in the order in
    /// which a processor is asked.
    pub fn attention_sites(&self, latent_size: [usize; 2]) -> Vec<AttentionSite> {
        let mut sites = Vec::new();
        for (block, shape, resolution) in self.blocks(latent_size) {
            let place = shape.place;
            let Some(TransformerConfig { heads, layers: depths, .. }) = shape.transformer else { continue };
            for (layer, depth) in (0..shape.transformers).flat_map(|layer| (0..depths).map(move |depth| (layer, depth)))
            {
                for kind in [AttentionKind::SelfAttention, AttentionKind::Cross] {
                    sites.push(AttentionSite { place, block, layer, depth, kind, heads, resolution });
                }
            }
        }
        sites
    }

    /// The blocks in their order, each with its index within its place and the resolution of its feature maps.
    pub(crate) fn blocks(&self, latent_size: [usize; 2]) -> Vec<(usize, BlockShape, [usize; 2])> {
        let mut blocks = Vec::new();
        let mut resolution = latent_size;
        let mut larger = Vec::new();
        for (block, down) in self.down_shapes().into_iter().enumerate() {
            let resample = down.resample;
            blocks.push((block, down, resolution));
            if resample {
                larger.push(resolution);
                resolution = resolution.map(|side| side.div_ceil(2));
            }
        }
        blocks.push((0, self.mid_shape(), resolution));
        for (block, up) in self.up_shapes().into_iter().enumerate() {
            let resample = up.resample;
            blocks.push((block, up, resolution));
            if resample {
                resolution = larger.pop().unwrap_or(latent_size);
            }
        }
        blocks
    }

    /// Width of the time embedding.
    pub(crate) fn time_embed_dim(&self) -> usize {
        4 * self.block_out_channels[0]
    }

    fn resnet(&self, in_channels: usize, out_channels: usize) -> ResnetBlock2DConfig {
        ResnetBlock2DConfig {
            in_channels,
            out_channels,
            temb_channels: Some(self.time_embed_dim()),
            groups: self.norm_num_groups,
            eps: self.norm_eps,
        }
    }

    fn transformer(&self, level: usize) -> TransformerConfig {
        TransformerConfig {
            heads: self.attention_head_dim.at(level),
            cross_attention_dim: self.cross_attention_dim,
            norm_num_groups: self.norm_num_groups,
            use_linear_projection: self.use_linear_projection,
            layers: self.transformer_layers_per_block.at(level),
        }
    }

    pub(crate) fn down_shapes(&self) -> Vec<BlockShape> {
        let last = self.reductions();
        let level_shape = |(level, &kind): (usize, &DownBlockType)| {
            let channels = self.block_out_channels[level];
            let before = self.block_out_channels[level.saturating_sub(1)];
            let layers = self.layers_per_block.at(level);
            let resnets =
                (0..layers).map(|layer| self.resnet(if layer == 0 { before } else { channels }, channels)).collect();
            BlockShape {
                place: Place::Down,
                channels,
                resnets,
                transformer: (kind == DownBlockType::CrossAttnDownBlock2D).then(|| self.transformer(level)),
                transformers: layers,
                resample: level != last,
            }
        };
        self.down_block_types.iter().enumerate().map(level_shape).collect()
    }

    pub(crate) fn mid_shape(&self) -> BlockShape {
        let last = self.reductions();
        let channels = self.block_out_channels[last];
        // Without resnets and transformers the block hands on what it is given.
        let (resnets, transformers) = match self.mid_block_type {
            Some(MidBlockType::UNetMidBlock2DCrossAttn) => (2, 1),
            Some(MidBlockType::UNetMidBlock2D) => (1, 0),
            None => (0, 0),
        };
        BlockShape {
            place: Place::Mid,
            channels,
            resnets: vec![self.resnet(channels, channels); resnets],
            transformer: (transformers > 0).then(|| self.transformer(last)),
            transformers,
            resample: false,
        }
    }

    pub(crate) fn up_shapes(&self) -> Vec<BlockShape> {
        let last = self.reductions();
        let block_shape = |(block, &kind): (usize, &UpBlockType)| {
            let level = last - block;
            let layers = self.layers_per_block.at(level) + 1;
            let channels = self.block_out_channels[level];
            let coming = self.block_out_channels[(level + 1).min(last)];
            // The last layer of a level meets the skip connection of the level above.
            let finer = self.block_out_channels[level.saturating_sub(1)];
            let resnets = (0..layers)
                .map(|layer| {
                    let hidden = if layer == 0 { coming } else { channels };
                    let skip = if layer == layers - 1 { finer } else { channels };
                    self.resnet(hidden + skip, channels)
                })
                .collect();
            BlockShape {
                place: Place::Up,
                channels,
                resnets,
                transformer: (kind == UpBlockType::CrossAttnUpBlock2D).then(|| self.transformer(level)),
                transformers: layers,
                resample: level != 0,
            }
        };
        self.up_block_types.iter().enumerate().map(block_shape).collect()
    }
}

impl BlockShape {
    /// Its parameters and layers, without norms and biases.
    fn cost(&self) -> (f64, usize) {
        let channels = self.channels as f64;
        let resnets = self.resnets.iter().map(|resnet| {
            let (from, to) = (resnet.in_channels as f64, resnet.out_channels as f64);
            // Two convolutions of 3x3, the skip connection, the time.
            9.0 * from * to + 9.0 * to * to + from * to + resnet.temb_channels.unwrap_or(0) as f64 * to
        });
        let depth = self.transformer.as_ref().map_or(0, |transformer| transformer.layers);
        let context = self.transformer.as_ref().map_or(0.0, |transformer| transformer.cross_attention_dim as f64);
        // Self-attention, cross-attention, the feed-forward block of four times the width, which is gated.
        let attention = depth as f64 * (18.0 * channels * channels + 2.0 * channels * context);
        let transformers =
            if depth > 0 { self.transformers as f64 * (attention + 2.0 * channels * channels) } else { 0.0 };
        let resample = if self.resample { 9.0 * channels * channels } else { 0.0 };
        let parameters = resnets.sum::<f64>() + transformers + resample;
        (parameters, self.resnets.len() + self.transformers * depth)
    }
}

impl UNetConfig {
    /// About how many parameters and layers the network has: nothing is built for it.
    pub(crate) fn cost(&self) -> (f64, usize) {
        let blocks = self.down_shapes().into_iter().chain([self.mid_shape()]).chain(self.up_shapes());
        blocks.map(|block| block.cost()).fold((0.0, 0), |(all, count), (more, layers)| (all + more, count + layers))
    }
}
