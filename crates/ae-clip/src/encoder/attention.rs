use ae_tensor::nn::{linear, merge_heads, split_heads};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, Tensor};

use super::ClipEncoderConfig;

/// Multi-head self-attention, causal or not: transformers' `CLIPAttention`.
#[derive(Module, Debug)]
pub(super) struct ClipAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
    #[module(skip)]
    is_causal: bool,
}

impl ClipAttention {
    pub(super) fn new(config: &ClipEncoderConfig, device: &Device) -> Self {
        let projection = || LinearConfig::new(config.hidden_size, config.hidden_size).init(device);
        Self {
            q_proj: projection(),
            k_proj: projection(),
            v_proj: projection(),
            out_proj: projection(),
            heads: config.num_attention_heads,
            is_causal: config.is_causal,
        }
    }

    /// # Shapes
    /// - input, output: `[batch, sequence, hidden_size]`
    pub(super) fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let dtype = hidden_states.dtype();
        // In single precision whatever the type of the weights, like every softmax.
        let heads = |states: Tensor<3>| split_heads(states, self.heads).cast(DType::F32);
        let query = heads(linear(&self.q_proj, hidden_states.clone(), None));
        let key = heads(linear(&self.k_proj, hidden_states.clone(), None));
        let value = heads(linear(&self.v_proj, hidden_states, None));
        // burn's default scale, but named: without it cubecl may choose a kernel with f16 products, and a pass
        // over some 77 tokens or 200 patches is no place to trade exactness for speed.
        let scale = (query.dims()[3] as f64).sqrt().recip();
        let options = AttentionModuleOptions { scale: Some(scale), softcap: None, is_causal: self.is_causal };
        let attended = merge_heads(attention(query, key, value, None, None, options)).cast(dtype);
        linear(&self.out_proj, attended, None)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Bool, Distribution, Tolerance};

    use super::*;

    #[test]
    fn the_causal_option_is_a_triangular_mask() {
        let device = Device::flex();
        let random = || Tensor::<4>::random([2, 3, 77, 16], Distribution::Normal(0.0, 1.0), &device);
        let (query, key, value) = (random(), random(), random());
        let mask = Tensor::<2, Bool>::triu_mask([77, 77], 1, &device).bool_not();
        let weights =
            (query.clone().matmul(key.clone().transpose()) / 4.0).mask_fill(mask.unsqueeze(), f32::NEG_INFINITY);
        let expected = burn::tensor::activation::softmax(weights, 3).matmul(value.clone());

        let options = AttentionModuleOptions { scale: Some(0.25), softcap: None, is_causal: true };
        let actual = attention(query, key, value, None, None, options);
        actual.into_data().assert_approx_eq(&expected.into_data(), Tolerance::<f32>::rel_abs(1e-5, 1e-6));
    }
}
