use std::ops::ControlFlow;

use ae_tensor::nn::{Downsample2D, DownsamplePadding, ResnetBlock2D};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::shape::BlockShape;
use crate::text::TextLayers;
use crate::transformer::{Transformer2DModel, TransformerSite};
use crate::{AttentionProcessor, Place};

/// `DownBlock2D`, or `CrossAttnDownBlock2D` where it has transformers
/// (diffusers' `models/unets/unet_2d_blocks.py`).
#[derive(Module, Debug)]
pub(crate) struct DownBlock2D {
    resnets: Vec<ResnetBlock2D>,
    /// One per resnet, or none.
    pub(crate) attentions: Vec<Transformer2DModel>,
    /// One, or none in the last block.
    pub(crate) downsamplers: Vec<Downsample2D>,
}

impl DownBlock2D {
    pub(crate) fn new(shape: &BlockShape, device: &Device) -> Self {
        let resnets = shape.resnets.iter().map(|config| config.init(device)).collect();
        let downsample = || Downsample2D::new(shape.channels, DownsamplePadding::Symmetric, device);
        Self {
            resnets,
            attentions: shape.transformers(device),
            downsamplers: shape.resample.then(downsample).into_iter().collect(),
        }
    }

    /// Pushes the output of each layer onto `skips`.
    pub(crate) fn forward<B>(
        &self,
        mut hidden_states: Tensor<4>,
        temb: &Tensor<2>,
        text: &mut TextLayers<'_>,
        block: usize,
        processor: &mut dyn AttentionProcessor<Break = B>,
        skips: &mut Vec<Tensor<4>>,
    ) -> ControlFlow<B, Tensor<4>> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            hidden_states = resnet.forward(hidden_states, Some(temb));
            if let Some(attention) = self.attentions.get(layer) {
                let site = TransformerSite { place: Place::Down, block, layer };
                hidden_states = attention.forward(hidden_states, text.next(attention.depth()), site, processor)?;
            }
            skips.push(hidden_states.clone());
        }
        for downsampler in &self.downsamplers {
            hidden_states = downsampler.forward(hidden_states);
            skips.push(hidden_states.clone());
        }
        ControlFlow::Continue(hidden_states)
    }
}
