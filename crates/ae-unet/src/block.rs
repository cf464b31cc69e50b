use std::ops::ControlFlow;

use ae_tensor::nn::{Downsample2D, DownsamplePadding, ResnetBlock2D, Upsample2D, join_channels, repeated, shared};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::Place;
use crate::pass::Pass;
use crate::shape::BlockShape;
use crate::transformer::{Transformer2DModel, TransformerSite};

/// A block on the way down or up, with transformers or without, or the one in the middle: resnets, each but the last of the
/// middle followed by its transformer (diffusers' `models/unets/unet_2d_blocks.py`).
#[derive(Module, Debug)]
pub(crate) struct Block2D {
    resnets: Vec<ResnetBlock2D>,
    /// One per resnet, one in the middle, or none.
    pub(crate) attentions: Vec<Transformer2DModel>,
    /// One on the way down, or none in the last block.
    downsamplers: Vec<Downsample2D>,
    /// One on the way up, or none in the last block.
    upsamplers: Vec<Upsample2D>,
}

impl Block2D {
    pub(crate) fn new(shape: &BlockShape, device: &Device) -> Self {
        let resamples = |place| shape.resample && shape.place == place;
        let downsample = || Downsample2D::new(shape.channels, DownsamplePadding::Symmetric, device);
        let upsample = || Upsample2D::new(shape.channels, device);
        Self {
            resnets: shape.resnets.iter().map(|config| config.init(device)).collect(),
            attentions: shape.transformers(device),
            downsamplers: resamples(Place::Down).then(downsample).into_iter().collect(),
            upsamplers: resamples(Place::Up).then(upsample).into_iter().collect(),
        }
    }

    /// On the way down it pushes the output of each layer onto the skips. On the way up it pops one per layer, and what remains
    /// on top tells the size to enlarge to.
    pub(crate) fn forward<B>(
        &self,
        mut hidden_states: Tensor<4>,
        (place, block): (Place, usize),
        pass: &mut Pass<'_, B>,
    ) -> ControlFlow<B, Tensor<4>> {
        for (layer, resnet) in self.resnets.iter().enumerate() {
            if place == Place::Up {
                let skip = pass.skips.pop().expect("the config check pairs every up layer with a skip");
                let skip = repeated(skip, hidden_states.dims()[0]);
                hidden_states = join_channels(hidden_states, skip);
            }
            hidden_states = resnet.forward(hidden_states, Some(&pass.temb));
            if let Some(attention) = self.attentions.get(layer) {
                let site = TransformerSite { place, block, layer };
                hidden_states = attention.forward(hidden_states, site, pass)?;
            }
            if place == Place::Down {
                hidden_states = skipping(hidden_states, &mut pass.skips);
            }
        }
        for downsampler in &self.downsamplers {
            hidden_states = skipping(downsampler.forward(hidden_states), &mut pass.skips);
        }
        for upsampler in &self.upsamplers {
            let [_, rows, columns, _] = pass.skips.last().expect("an upsampling block is followed by another").dims();
            hidden_states = upsampler.forward(hidden_states, [rows, columns]);
        }
        ControlFlow::Continue(hidden_states)
    }
}

/// Keeps a layer's output for the way up, and returns it for the next layer.
pub(crate) fn skipping(hidden_states: Tensor<4>, skips: &mut Vec<Tensor<4>>) -> Tensor<4> {
    let [skip, hidden_states] = shared(hidden_states);
    skips.push(skip);
    hidden_states
}
