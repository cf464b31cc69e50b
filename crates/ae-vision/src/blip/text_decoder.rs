//! transformers' `BlipTextLMHeadModel` (`models/blip/modeling_blip_text.py`): BERT as a decoder that looks at a picture.

mod attention;
mod cache;
mod embeddings;
mod head;
mod layer;

use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::config::BlipTextConfig;
pub(super) use cache::DecoderCache;
use embeddings::BlipTextEmbeddings;
use head::BlipTextOnlyMlmHead;
use layer::BlipTextLayer;

/// The text decoder with its head: token ids and a picture to the logits of the tokens that follow.
#[derive(Module, Debug)]
pub(super) struct BlipTextLmHeadModel {
    bert: BlipTextModel,
    cls: BlipTextOnlyMlmHead,
}

/// transformers' `BlipTextModel`.
#[derive(Module, Debug)]
struct BlipTextModel {
    embeddings: BlipTextEmbeddings,
    encoder: BlipTextEncoder,
}

/// The stack of layers: transformers' `BlipTextEncoder`.
#[derive(Module, Debug)]
struct BlipTextEncoder {
    layer: Vec<BlipTextLayer>,
}

impl BlipTextLmHeadModel {
    /// For image embeddings of the width `encoder_hidden_size`.
    pub(super) fn new(config: &BlipTextConfig, encoder_hidden_size: usize, device: &Device) -> Self {
        let layer = |_| BlipTextLayer::new(config, encoder_hidden_size, device);
        let bert = BlipTextModel {
            embeddings: BlipTextEmbeddings::new(config, device),
            encoder: BlipTextEncoder { layer: (0..config.num_hidden_layers).map(layer).collect() },
        };
        Self { bert, cls: BlipTextOnlyMlmHead::new(config, device) }
    }

    /// What is kept of these pictures while captions of them are written.
    ///
    /// # Shapes
    /// - image_embeds: `[pictures, positions, encoder_hidden_size]`
    pub(super) fn cache(&self, image_embeds: Tensor<3>) -> DecoderCache {
        let image_embeds = image_embeds.cast(self.bert.embeddings.dtype());
        DecoderCache::new(self.bert.encoder.layer.iter().map(|layer| layer.look_at(image_embeds.clone())).collect())
    }

    /// The logits behind every one of the tokens, in single precision. The tokens follow those that `cache` has seen,
    /// and it sees them too. The rows of one picture stand beside each other, as many for each.
    ///
    /// # Shapes
    /// - ids: `rows` of one length
    /// - output: `[rows, sequence, vocab_size]`
    pub(super) fn forward(&self, ids: &[impl AsRef<[u32]>], cache: &mut DecoderCache) -> Tensor<3> {
        self.cls.forward(self.hidden_states(ids, cache)).cast(DType::F32)
    }

    /// The logits behind the last of the tokens alone; see [`Self::forward`].
    ///
    /// # Shapes
    /// - output: `[rows, 1, vocab_size]`
    pub(super) fn forward_last(&self, ids: &[impl AsRef<[u32]>], cache: &mut DecoderCache) -> Tensor<3> {
        let hidden_states = self.hidden_states(ids, cache);
        let last = hidden_states.dims()[1] - 1;
        self.cls.forward(hidden_states.narrow(1, last, 1)).cast(DType::F32)
    }

    fn hidden_states(&self, ids: &[impl AsRef<[u32]>], cache: &mut DecoderCache) -> Tensor<3> {
        let (rows, sequence) = (ids.len(), ids[0].as_ref().len());
        let ids = ids.iter().flat_map(|ids| ids.as_ref().iter().map(|id| id.cast_signed())).collect::<Vec<i32>>();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, sequence]), &self.bert.embeddings.device());
        let hidden_states = self.bert.embeddings.forward(ids, cache.length());
        let layers = self.bert.encoder.layer.iter().zip(cache.extend_by(sequence));
        layers.fold(hidden_states, |hidden_states, (layer, cache)| layer.forward(hidden_states, cache))
    }
}
