use std::ops::ControlFlow;

use ae_tensor::nn::{ResnetBlock2D, Upsample2D, join_channels, repeated};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::shape::BlockShape;
use crate::text::TextLayers;
use crate::transformer::{Transformer2DModel, TransformerSite};
use crate::{AttentionProcessor, Place};

/// `UpBlock2D`, or `CrossAttnUpBlock2D` where it has transformers.
#[derive(Module, Debug)]
pub(crate) struct UpBlock2D {
    resnets: Vec<ResnetBlock2D>,
    /// One per resnet, or none.
    pub(crate) attentions: Vec<Transformer2DModel>,
    /// One, or none in the last block.
    pub(crate) upsamplers: Vec<Upsample2D>,
}

impl UpBlock2D {
    pub(crate) fn new(shape: &BlockShape, device: &Device) -> Self {
        let upsample = || Upsample2D::new(shape.channels, device);
        Self {
            resnets: shape.resnets.iter().map(|config| config.init(device)).collect(),
            attentions: shape.transformers(device),
            upsamplers: shape.resample.then(upsample).into_iter().collect(),
        }
    }

    /// Pops one of `skips` per layer; what remains on top tells the size to enlarge to.
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
            let skip = skips.pop().expect("the config check pairs every up layer with a skip");
            // What comes from before the first text is there once for all texts.
            let skip = repeated(skip, hidden_states.dims()[0]);
            hidden_states = resnet.forward(join_channels(hidden_states, skip), Some(temb));
            if let Some(attention) = self.attentions.get(layer) {
                let site = TransformerSite { place: Place::Up, block, layer };
                hidden_states = attention.forward(hidden_states, text.next(attention.depth()), site, processor)?;
            }
        }
        for upsampler in &self.upsamplers {
            let [_, rows, columns, _] = skips.last().expect("an upsampling block is followed by another").dims();
            hidden_states = upsampler.forward(hidden_states, [rows, columns]);
        }
        ControlFlow::Continue(hidden_states)
    }
}
