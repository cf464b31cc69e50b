use ae_tensor::nn::ResnetBlock2D;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::VaeConfig;
use crate::attention::Attention;

/// Two resnets of the coarsest level with self-attention between them (diffusers' `UNetMidBlock2D`).
#[derive(Module, Debug)]
pub(crate) struct MidBlock2D {
    resnets: Vec<ResnetBlock2D>,
    /// One, or none.
    attentions: Vec<Attention>,
}

impl MidBlock2D {
    pub(crate) fn new(config: &VaeConfig, device: &Device) -> Self {
        let channels = config.block_out_channels[config.reductions()];
        let attention = || Attention::new(channels, config.norm_num_groups, device);
        Self {
            resnets: (0..2).map(|_| config.resnet(channels, channels).init(device)).collect(),
            attentions: config.mid_block_add_attention.then(attention).into_iter().collect(),
        }
    }

    /// # Shapes
    /// - input and output: `[batch, rows, columns, channels]`
    pub(crate) fn forward(&self, hidden_states: Tensor<4>) -> Tensor<4> {
        let mut hidden_states = self.resnets[0].forward(hidden_states, None);
        for attention in &self.attentions {
            hidden_states = attention.forward(hidden_states);
        }
        self.resnets[1].forward(hidden_states, None)
    }
}
