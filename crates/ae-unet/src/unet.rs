use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::Path;

use ae_tensor::nn::{Conv2d, channels_first, channels_last, repeated, silu};
use ae_tensor::{
    Checkpoint, CheckpointError, Component, FloatType, KeyRules, checkpoint_of, load_weights, restore_weights,
};
use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::block::{Block2D, skipping};
use crate::embedding::{TimeProjection, TimestepEmbedding, guidance_features};
use crate::pass::Pass;
use crate::{AttentionProcessor, ConditioningText, Place, UNetConfig};

/// The largest latents, rows times columns, whose transformers are kept for the backward pass.
const RECOMPUTED_ABOVE: usize = 64 * 64;

/// The noise predictor of Stable Diffusion 1 and 2
/// (diffusers' `models/unets/unet_2d_condition.py`).
#[derive(Module, Debug)]
pub struct UNet2DConditionModel {
    conv_in: Conv2d,
    time_embedding: TimestepEmbedding,
    down_blocks: Vec<Block2D>,
    mid_block: Block2D,
    up_blocks: Vec<Block2D>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    #[module(skip)]
    time_proj: TimeProjection,
    #[module(skip)]
    time_cond_proj_dim: Option<usize>,
    #[module(skip)]
    recomputes_above: usize,
}

impl UNet2DConditionModel {
    /// Builds the model; its parameters are not allocated before they are loaded or used.
    pub fn new(config: &UNetConfig, device: &Device) -> Self {
        let channels = config.block_out_channels[0];
        let time_proj =
            TimeProjection { channels, flip_sin_to_cos: config.flip_sin_to_cos, freq_shift: config.freq_shift };
        Self {
            conv_in: Conv2d::new_3x3(config.in_channels, channels, device),
            time_embedding: TimestepEmbedding::new(
                channels,
                config.time_embed_dim(),
                config.time_cond_proj_dim,
                device,
            ),
            down_blocks: config.down_shapes().iter().map(|shape| Block2D::new(shape, device)).collect(),
            mid_block: Block2D::new(&config.mid_shape(), device),
            up_blocks: config.up_shapes().iter().map(|shape| Block2D::new(shape, device)).collect(),
            conv_norm_out: GroupNormConfig::new(config.norm_num_groups, channels)
                .with_epsilon(config.norm_eps)
                .init(device),
            conv_out: Conv2d::new_3x3(channels, config.out_channels, device),
            time_proj,
            time_cond_proj_dim: config.time_cond_proj_dim,
            recomputes_above: RECOMPUTED_ABOVE,
        }
    }

    /// The model whose backward pass computes transformers again for latents of any size.
    ///
    /// Where the gradient by the latents is wanted, it does so by itself above 64x64 of them, pictures of 512x512 pixels. Of the
    /// transformers nothing is kept then but the inputs of their parts, except where a processor wants the probabilities; the
    /// gradient is bit by bit the same. On a GPU all is kept.
    #[must_use]
    pub fn recomputing(self) -> Self {
        Self { recomputes_above: 0, ..self }
    }

    /// Builds the model and fills it from a diffusers checkpoint
    /// (`unet/diffusion_pytorch_model.safetensors`).
    ///
    /// # Errors
    ///
    /// See [`load_weights`].
    pub fn load(
        config: &UNetConfig,
        checkpoint: &Checkpoint,
        dtype: FloatType,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let mut model = Self::new(config, device);
        load_weights(&mut model, checkpoint, &KeyRules::default(), dtype)?;
        Ok(model)
    }

    /// Its parameters under diffusers' names, as [`load`](Self::load) takes them.
    pub fn checkpoint(&self, dtype: FloatType) -> Checkpoint {
        checkpoint_of(self, "the U-Net", "", dtype)
    }

    /// Reads the parameters of some names again from the weights that the model was loaded from; see [`restore_weights`].
    ///
    /// # Errors
    ///
    /// When a tensor cannot be read.
    pub fn restore(
        &mut self,
        checkpoint: &Checkpoint,
        dtype: FloatType,
        names: &BTreeSet<String>,
    ) -> Result<(), CheckpointError> {
        restore_weights(self, checkpoint, &KeyRules::default(), dtype, names)
    }

    /// Loads a folder in diffusers' layout (`unet`): `config.json`, and the weights in any of their formats.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another kind of model. The error names the file.
    pub fn from_folder(folder: impl AsRef<Path>, dtype: FloatType, device: &Device) -> Result<Self, CheckpointError> {
        let Component { config, weights } = Component::from_folder(folder, dtype != FloatType::F32)?;
        Self::load(&config, &weights, dtype, device)
    }

    /// Keys and values of text embeddings, for any number of passes.
    ///
    /// # Shapes
    /// - context: `[batch, tokens, cross_attention_dim]`
    pub fn read_text(&self, context: &Tensor<3>) -> ConditioningText {
        self.read_text_with_values(context, context)
    }

    /// As [`read_text`](Self::read_text), with the values of other text embeddings than the keys: where the patches look is
    /// then decided by one text, and what they find there by another (StructureDiffusion; Feng et al. 2022, section 3).
    ///
    /// # Shapes
    /// - key_context, value_context: `[batch, tokens, cross_attention_dim]`
    pub fn read_text_with_values(&self, key_context: &Tensor<3>, value_context: &Tensor<3>) -> ConditioningText {
        let dtype = self.conv_in.dtype();
        let (keys, values) = (key_context.clone().cast(dtype), value_context.clone().cast(dtype));
        let down = self.down_blocks.iter().flat_map(|block| &block.attentions);
        let up = self.up_blocks.iter().flat_map(|block| &block.attentions);
        let transformers = down.chain(&self.mid_block.attentions).chain(up);
        ConditioningText::new(transformers.flat_map(|transformer| transformer.attended(&keys, &values)).collect())
    }

    /// Predicts the noise (or the velocity) in `latents`.
    ///
    /// Input and output are single precision whatever the type of the weights. With more texts than latents, every latent
    /// is combined with `texts / latents` of them, in the order of the latents repeated; what comes before the first text
    /// is computed once.
    ///
    /// # Shapes
    /// - latents: `[pictures, in_channels, rows, columns]`, already scaled to the model's input
    /// - text: of a multiple of `pictures`
    /// - output: `[texts, out_channels, rows, columns]`
    pub fn forward(&self, latents: Tensor<4>, timestep: f64, text: &ConditioningText) -> Tensor<4> {
        self.forward_with(latents, timestep, text, &mut ())
    }

    /// As [`forward`](Self::forward), with a processor of the attention that never ends the pass.
    ///
    /// # Panics
    ///
    /// When the processor changes the shape of probabilities.
    pub fn forward_with(
        &self,
        latents: Tensor<4>,
        timestep: f64,
        text: &ConditioningText,
        processor: &mut dyn AttentionProcessor<Break = Infallible>,
    ) -> Tensor<4> {
        let ControlFlow::Continue(output) = self.try_forward_with(latents, timestep, text, processor);
        output
    }

    /// As [`forward_with`](Self::forward_with), with a processor that may end the pass; a break where it did.
    ///
    /// # Panics
    ///
    /// As [`forward_with`](Self::forward_with).
    pub fn try_forward_with<B>(
        &self,
        latents: Tensor<4>,
        timestep: f64,
        text: &ConditioningText,
        processor: &mut dyn AttentionProcessor<Break = B>,
    ) -> ControlFlow<B, Tensor<4>> {
        processor.begin(timestep);
        // One row for the whole batch, on the plain device of the weights; activated here, once,
        // rather than in every resnet.
        let device = self.conv_in.device();
        let dtype = self.conv_in.dtype();
        let features = self.time_proj.forward(timestep, &device).cast(dtype);
        let scale = self.time_cond_proj_dim.zip(text.guidance_scale());
        let guidance = scale.map(|(width, scale)| guidance_features(scale, width, &device).cast(dtype));
        let temb = silu(self.time_embedding.forward(features, guidance));
        let text_batch = text.batch();
        let (text, skips, recomputes) = (text.layers(), Vec::new(), self.recomputes(&latents));
        let mut pass = Pass { temb, text, processor, skips, recomputes };

        let mut hidden_states = skipping(self.conv_in.forward(channels_last(latents.cast(dtype))), &mut pass.skips);
        for (index, block) in self.down_blocks.iter().enumerate() {
            hidden_states = block.forward(hidden_states, (Place::Down, index), &mut pass)?;
        }
        hidden_states = self.mid_block.forward(hidden_states, (Place::Mid, 0), &mut pass)?;
        // Where no transformer has done it.
        hidden_states = repeated(hidden_states, text_batch);
        for (index, block) in self.up_blocks.iter().enumerate() {
            hidden_states = block.forward(hidden_states, (Place::Up, index), &mut pass)?;
        }
        let output = self.conv_out.forward_normed(&self.conv_norm_out, hidden_states, None, None);
        ControlFlow::Continue(channels_first(output).cast(DType::F32))
    }

    fn recomputes(&self, latents: &Tensor<4>) -> bool {
        let [.., rows, columns] = latents.dims();
        latents.is_tracked() && rows * columns > self.recomputes_above
    }
}
