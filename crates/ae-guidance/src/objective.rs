use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::{GuidanceError, Losses, MapSet, Plan, State, aggregate_attention};

/// A loss over attention maps, whose gradient by the latents guides sampling.
///
/// The objective says what it reads ([`maps`](Self::maps)), when and how far the latents are shifted ([`plan`](Self::plan)),
/// and what the loss is ([`evaluate`](Self::evaluate)). [`Guidance`](crate::Guidance) does the rest. The images of a batch must
/// not interact: each gets the gradient of its own loss. What an objective remembers of an image belongs into the [`State`] of
/// the [`Pass`], not into the objective: so it is always that of the right image, and a new run begins without it.
pub trait Objective: Debug + Send + Sync {
    /// The attention that [`evaluate`](Self::evaluate) reads; the denoiser forms no other probabilities.
    fn maps(&self) -> Vec<MapSet>;

    /// The steps, step sizes and refinements. It is read once for each run.
    fn plan(&self) -> Plan;

    /// The names of the [terms](Score::terms), for those who show them before there is one; empty where they are not known yet.
    fn term_names(&self) -> Arc<[String]> {
        Arc::default()
    }

    /// The loss of every image of a pass.
    ///
    /// Where the gradient is wanted, the maps are tracked by autodiff. Choices that are made on the host (a threshold, a
    /// connected component) may read them back with [`ae_tensor::read`]; they carry no gradient.
    ///
    /// # Errors
    ///
    /// What keeps the objective from being computed.
    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError>;

    /// Whether an image with these losses needs no refinement at denoising step `step`.
    fn is_satisfied(&self, step: usize, losses: &Losses) -> bool;

    /// Whether these losses say that the gradient is zero. Where it is for all images and the losses are known, it is not
    /// computed.
    fn has_zero_gradient(&self, losses: &Losses) -> bool {
        let _ = losses;
        false
    }
}

/// A denoising step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DenoisingStep {
    /// Its index. A run that leaves out steps at the beginning (image-to-image) counts them.
    pub index: usize,
    /// Number of steps, also counting those left out.
    pub count: usize,
    /// The denoiser's timestep.
    pub timestep: f64,
}

impl DenoisingStep {
    /// Step `index` of `count`, at a timestep of the denoiser.
    pub fn new(index: usize, count: usize, timestep: f64) -> Self {
        Self { index, count, timestep }
    }
}

/// One pass of the denoiser over some images of the batch, as an [`Objective`] sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pass<'a> {
    /// The denoising step.
    pub step: DenoisingStep,
    /// The probabilities of every layer of each of the objective's [`maps`](Objective::maps), set by set, each
    /// `[images, heads, rows * cols, tokens]`.
    pub maps: Vec<Vec<Tensor<4>>>,
    /// What the objective remembers of these images.
    pub state: State<'a>,
}

impl Pass<'_> {
    /// The mean over heads and layers of set `index`, see [`aggregate_attention`].
    ///
    /// # Shapes
    /// - output: `[images, rows, cols, tokens]`
    ///
    /// # Panics
    ///
    /// When the maps of the set are not of the resolution.
    pub fn aggregate(&self, index: usize, resolution: [usize; 2]) -> Tensor<4> {
        aggregate_attention(self.maps[index].clone(), resolution)
    }

    /// The pass as an objective sees it that is a part of another, such as a sum: `sets` of the maps, and under `name` a state of
    /// its own.
    ///
    /// # Panics
    ///
    /// When there are not so many sets.
    pub fn part(&mut self, sets: Range<usize>, name: &str) -> Pass<'_> {
        Pass { step: self.step, maps: self.maps[sets].to_vec(), state: self.state.part(name) }
    }
}

/// What an [`Objective`] says of the images of a pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Score {
    /// Loss of every image, for the latent update: `[images]`
    pub loss: Tensor<1>,
    /// Loss of every image in a refinement, where it is another: `[images]`
    pub refinement_loss: Option<Tensor<1>>,
    /// What the loss consists of, for the record and for [`Objective::is_satisfied`]: `[images, terms]`
    pub terms: Tensor<2>,
    /// The name of every term.
    pub names: Arc<[String]>,
}

impl Score {
    /// A loss `[images]` that consists of named terms `[images, terms]`.
    pub fn new(loss: Tensor<1>, names: Arc<[String]>, terms: Tensor<2>) -> Self {
        Self { loss, refinement_loss: None, terms, names }
    }

    /// With another loss `[images]` in refinements.
    #[must_use]
    pub fn with_refinement_loss(self, refinement_loss: Tensor<1>) -> Self {
        Self { refinement_loss: Some(refinement_loss), ..self }
    }
}
