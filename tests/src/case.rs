use std::collections::BTreeMap;
use std::path::PathBuf;

use ae_pipeline::{EotNormalization, Method, Pipeline, Request, SchedulerKind, StepIndex, Thresholds};
use burn::tensor::{Device, Tensor};
use image::RgbImage;
use serde::Deserialize;

use crate::{Tensors, fixtures};

/// One run of the reference script (`tests/reference/make_reference.py`), with everything it recorded.
#[derive(Debug)]
pub struct Case {
    /// Its folder below `tests/fixtures/runs`.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// What the reference was called with.
    pub arguments: Arguments,
    /// Rows and columns of the attention maps.
    pub attention_resolution: [usize; 2],
    /// Every denoising step of the guided run.
    pub steps: Vec<RecordedStep>,
    folder: PathBuf,
    /// Guided cases have them.
    stages: Option<Tensors>,
}

/// The arguments of `make_reference.run`.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the names of the script")]
pub struct Arguments {
    pub prompt: String,
    pub negative_prompt: String,
    pub tokens: Vec<usize>,
    pub seed: u64,
    pub steps: usize,
    pub guidance_scale: f64,
    pub height: Option<usize>,
    pub width: Option<usize>,
    pub max_iter_to_alter: usize,
    pub scale_factor: f64,
    pub attention_scale: f64,
    pub thresholds: BTreeMap<usize, f64>,
    pub scheduler: Option<String>,
    pub guided: bool,
}

/// The losses the reference saw in one denoising step: one, or one before the refinement, one per
/// iteration, one after.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the names of the script")]
pub struct RecordedStep {
    pub timestep: f64,
    pub losses: Vec<f32>,
}

impl RecordedStep {
    /// Number of refinement updates.
    pub fn refinement_steps(&self) -> usize {
        self.losses.len().saturating_sub(2)
    }
}

#[derive(Deserialize)]
struct File {
    model: String,
    arguments: Arguments,
    attention_resolution: [usize; 2],
    steps: Vec<RecordedStep>,
}

impl Case {
    /// Reads a case.
    ///
    /// # Panics
    ///
    /// When its files are not there or not whole.
    pub fn read(name: &str) -> Self {
        let folder = fixtures("runs").join(name);
        let read = |file: &str| std::fs::read(folder.join(file)).unwrap_or_else(|e| panic!("{name}/{file}: {e}"));
        let File { model, arguments, attention_resolution, steps } =
            serde_json::from_slice(&read("case.json")).unwrap_or_else(|e| panic!("{name}/case.json: {e}"));
        let stages = arguments.guided.then(|| Tensors::read(&folder.join("stages.safetensors")));
        Self { name: name.to_owned(), model, arguments, attention_resolution, steps, folder, stages }
    }

    /// The names of all cases.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn names() -> Vec<String> {
        let entries = std::fs::read_dir(fixtures("runs")).expect("tests/fixtures/runs");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        assert!(!names.is_empty(), "no cases in tests/fixtures/runs");
        names
    }

    /// Whether the case recorded a stage.
    pub fn has(&self, stage: &str) -> bool {
        self.stages.as_ref().is_some_and(|stages| stages.has(stage))
    }

    fn stages(&self) -> &Tensors {
        self.stages.as_ref().unwrap_or_else(|| panic!("{} is not guided", self.name))
    }

    /// The values and the shape of a stage, converted to f32.
    ///
    /// # Panics
    ///
    /// When there is no such stage.
    pub fn stage(&self, stage: &str) -> (Vec<f32>, Vec<usize>) {
        if stage != "updated_latents" {
            return self.stages().values(stage);
        }
        // One latent step with the step size of step 0, to the bit as torch computes it.
        let (latents, shape) = self.stage("initial_latents");
        let (gradient, step_size) = (self.values("gradient"), self.arguments.scale_factor as f32);
        let updated = latents.iter().zip(gradient).map(|(latent, gradient)| latent - step_size * gradient);
        (updated.collect(), shape)
    }

    /// A stage as a tensor.
    pub fn tensor<const D: usize>(&self, stage: &str, device: &Device) -> Tensor<D> {
        self.stages().tensor(stage, device)
    }

    /// The values of a stage.
    pub fn values(&self, stage: &str) -> Vec<f32> {
        self.stage(stage).0
    }

    /// The picture `image.png` (guided) or `plain.png`.
    ///
    /// # Panics
    ///
    /// When there is no such picture.
    pub fn picture(&self, file: &str) -> RgbImage {
        image::open(self.folder.join(file)).unwrap_or_else(|e| panic!("{}/{file}: {e}", self.name)).into_rgb8()
    }

    /// The sampler of the case, if not the folder's.
    ///
    /// # Panics
    ///
    /// When the fixture names one that does not exist.
    pub fn scheduler(&self) -> Option<SchedulerKind> {
        let class = self.arguments.scheduler.as_ref()?;
        let kind = SchedulerKind::ALL.iter().copied().find(|kind| kind.class_name() == class);
        Some(kind.unwrap_or_else(|| panic!("{}: {class}", self.name)))
    }

    /// The request that the reference was given.
    pub fn request(&self, pipeline: &Pipeline, guided: bool) -> Request {
        let arguments = &self.arguments;
        let mut request = pipeline.request(&arguments.prompt);
        request.seeds = vec![arguments.seed];
        let settings = &mut request.settings;
        settings.negative_prompt.clone_from(&arguments.negative_prompt);
        settings.height = arguments.height;
        settings.width = arguments.width;
        settings.steps = arguments.steps;
        settings.guidance_scale = arguments.guidance_scale;
        settings.scheduler = self.scheduler();
        if !guided {
            settings.method = Method::StableDiffusion;
            return request;
        }
        settings.token_indices = Some(arguments.tokens.clone());
        let guidance = &mut settings.attend_and_excite;
        guidance.max_iter_to_alter = StepIndex::Steps(arguments.max_iter_to_alter);
        let thresholds = arguments.thresholds.iter();
        guidance.thresholds =
            Thresholds::new(thresholds.map(|(&step, &threshold)| (StepIndex::Steps(step), threshold)));
        guidance.scale_factor = arguments.scale_factor;
        guidance.attention_scale = arguments.attention_scale;
        guidance.attention_res = Some(self.attention_resolution);
        guidance.eot_normalization = EotNormalization::Off;
        request
    }
}
