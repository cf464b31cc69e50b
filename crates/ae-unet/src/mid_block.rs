use std::ops::ControlFlow;

use ae_tensor::nn::ResnetBlock2D;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::shape::BlockShape;
use crate::text::TextLayers;
use crate::transformer::{Transformer2DModel, TransformerSite};
use crate::{AttentionProcessor, Place};

/// `UNetMidBlock2DCrossAttn`: a transformer between two resnets.
#[derive(Module, Debug)]
pub(crate) struct MidBlock2D {
    resnets: Vec<ResnetBlock2D>,
    pub(crate) attentions: Vec<Transformer2DModel>,
}

impl MidBlock2D {
    pub(crate) fn new(shape: &BlockShape, device: &Device) -> Self {
        Self {
            resnets: shape.resnets.iter().map(|config| config.init(device)).collect(),
            attentions: shape.transformers(device),
        }
    }

    pub(crate) fn forward<B>(
        &self,
        hidden_states: Tensor<4>,
        temb: &Tensor<2>,
        text: &mut TextLayers<'_>,
        processor: &mut dyn AttentionProcessor<Break = B>,
    ) -> ControlFlow<B, Tensor<4>> {
        let mut hidden_states = self.resnets[0].forward(hidden_states, Some(temb));
        for (layer, (attention, resnet)) in self.attentions.iter().zip(&self.resnets[1..]).enumerate() {
            let site = TransformerSite { place: Place::Mid, block: 0, layer };
            hidden_states = attention.forward(hidden_states, text.next(attention.depth()), site, processor)?;
            hidden_states = resnet.forward(hidden_states, Some(temb));
        }
        ControlFlow::Continue(hidden_states)
    }
}
