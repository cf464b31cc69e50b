use ae_tensor::nn::{linear, softmax};
use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};

use crate::error::check;
use crate::{GaussianSmoothing, GuidanceError, Layers, MapKind, MapSet, Pass, Subjects};

/// How the maps of words are read from cross-attention: from which layers, and what becomes of the probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    layers: Layers,
    resolution: [usize; 2],
    /// Factor in front of a softmax over the tokens; without it the probabilities stay what they are.
    attention_scale: Option<f64>,
    smoothing: Option<GaussianSmoothing>,
}

impl Reading {
    /// The probabilities of every layer with maps of `resolution` (rows, cols).
    pub fn new(resolution: [usize; 2]) -> Self {
        Self { layers: Layers::Resolution(resolution), resolution, attention_scale: None, smoothing: None }
    }

    /// Reads only these layers, whose maps must be of the resolution.
    #[must_use]
    pub fn with_layers(self, layers: Layers) -> Self {
        Self { layers, ..self }
    }

    /// A word has its share in the softmax over tokens of `scale` times the probabilities, as in Attend-and-Excite.
    ///
    /// # Errors
    ///
    /// When the scale is not a positive number.
    pub fn with_softmax(self, scale: f64) -> Result<Self, GuidanceError> {
        check("attention-scale", scale, scale.is_finite() && scale > 0.0, "a positive number")?;
        Ok(Self { attention_scale: Some(scale), ..self })
    }

    /// The maps are smoothed.
    ///
    /// # Errors
    ///
    /// When a parameter of the filter is outside its range, or the maps are too small for it.
    pub fn with_smoothing(self, smoothing: GaussianSmoothing) -> Result<Self, GuidanceError> {
        smoothing.check()?;
        let [rows, cols] = self.resolution;
        if rows.min(cols) <= smoothing.radius() {
            return Err(GuidanceError::MapTooSmall { rows, cols, kernel_size: smoothing.kernel_size });
        }
        Ok(Self { smoothing: Some(smoothing), ..self })
    }

    /// Rows and columns of the maps.
    pub fn resolution(&self) -> [usize; 2] {
        self.resolution
    }

    /// The layers, for [`Objective::maps`](crate::Objective::maps).
    pub fn set(&self) -> MapSet {
        MapSet::new(MapKind::Cross, self.layers.clone())
    }

    /// Smooths maps `[batch, words, rows, cols]`, if that is wanted.
    pub fn smoothed(&self, maps: Tensor<4>) -> Tensor<4> {
        match self.smoothing {
            Some(smoothing) => smoothing.forward(maps),
            None => maps,
        }
    }

    /// The map of every word before it is smoothed: how much of a patch's attention goes to the word. A word of several tokens has
    /// the sum of their shares.
    ///
    /// # Shapes
    /// - maps: `[batch, rows, cols, tokens]`, as [`aggregate_attention`](crate::aggregate_attention) gives them
    /// - output: `[batch, words, rows, cols]`
    pub fn unsmoothed(&self, words: &Subjects, maps: Tensor<4>) -> Tensor<4> {
        let [batch, rows, cols, tokens] = maps.dims();
        let (count, device) = (words.count(), maps.device().without_autodiff());
        let all = 0..tokens;
        let (maps, windows) = match self.attention_scale {
            Some(scale) => (softmax(maps, words.windows(), scale), words.windows()),
            None => (maps, std::slice::from_ref(&all)),
        };
        let width = windows.iter().map(ExactSizeIterator::len).sum();
        let selection = TensorData::new(words.selection(windows), [width, count]);
        let selection = Linear { weight: Param::from_tensor(Tensor::from_data(selection, &device)), bias: None };
        let shares = linear(&selection, maps.reshape([batch, rows * cols, width]), None);
        shares.swap_dims(1, 2).reshape([batch, count, rows, cols])
    }

    /// The map of every word, of set `index` of the maps of a pass.
    ///
    /// # Shapes
    /// - output: `[images, words, rows, cols]`
    pub fn maps(&self, words: &Subjects, pass: &Pass<'_>, index: usize) -> Tensor<4> {
        self.smoothed(self.unsmoothed(words, pass.aggregate(index, self.resolution)))
    }
}
