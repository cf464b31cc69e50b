use ae_tensor::nn::repeated;
use burn::tensor::Tensor;

use crate::attention::Attended;

/// Keys and values of a text for every cross-attention of a U-Net: the same at all steps
/// ([`UNet2DConditionModel::read_text`](crate::UNet2DConditionModel::read_text)).
#[derive(Clone, Debug)]
pub struct ConditioningText {
    /// In the order of the pass.
    layers: Vec<Attended>,
    guidance_scale: Option<f64>,
}

impl ConditioningText {
    pub(crate) fn new(layers: Vec<Attended>) -> Self {
        Self { layers, guidance_scale: None }
    }

    /// The same for a model that takes the guidance scale as a condition beside the text
    /// ([`UNetConfig::time_cond_proj_dim`](crate::UNetConfig::time_cond_proj_dim)); others do not look at it.
    #[must_use]
    pub fn with_guidance_scale(self, scale: f64) -> Self {
        Self { guidance_scale: Some(scale), ..self }
    }

    pub(crate) fn guidance_scale(&self) -> Option<f64> {
        self.guidance_scale
    }

    /// Number of texts.
    pub fn batch(&self) -> usize {
        self.layers.first().map_or(1, |layer| layer.key.dims()[0])
    }

    /// Texts `start .. start + count` alone.
    #[must_use]
    pub fn narrow(&self, start: usize, count: usize) -> Self {
        self.map(|tensor| tensor.narrow(0, start, count))
    }

    /// All texts again and again, up to `batch` of them.
    ///
    /// # Panics
    ///
    /// When `batch` is no multiple of the number of texts.
    #[must_use]
    pub fn repeat_to(&self, batch: usize) -> Self {
        self.map(|tensor| repeated(tensor, batch))
    }

    /// Every text `times` times, one after the other.
    #[must_use]
    pub fn repeat_each(&self, times: usize) -> Self {
        if times == 1 {
            return self.clone();
        }
        self.map(|tensor| {
            Tensor::cat(tensor.split(1, 0).into_iter().map(|text| text.repeat_dim(0, times)).collect(), 0)
        })
    }

    fn map(&self, change: impl Fn(Tensor<3>) -> Tensor<3>) -> Self {
        let layer = |layer: &Attended| Attended { key: change(layer.key.clone()), value: change(layer.value.clone()) };
        Self { layers: self.layers.iter().map(layer).collect(), guidance_scale: self.guidance_scale }
    }

    pub(crate) fn layers(&self) -> TextLayers<'_> {
        TextLayers { rest: &self.layers }
    }
}

/// The layers that a pass has not come to yet.
#[derive(Debug)]
pub(crate) struct TextLayers<'a> {
    rest: &'a [Attended],
}

impl<'a> TextLayers<'a> {
    /// Those of the next transformer.
    pub(crate) fn next(&mut self, depth: usize) -> &'a [Attended] {
        let (these, rest) = self.rest.split_at(depth);
        self.rest = rest;
        these
    }
}
