use std::sync::Arc;

use ae_checkpoint::Family;
use ae_clip::{Subject, TokenizedPrompt};
use ae_guidance::{AttendAndExcite, GaussianSmoothing, Guidance, GuidanceSettings, MapSet, Objective, Subjects};
use ae_settings::{EotNormalization, Method, Settings};

use crate::attention::{AttentionLayers, default_resolution};
use crate::{ObjectiveFactory, ObjectiveInputs, ObjectiveSetup, Pipeline, PipelineError, Request, SubjectChoice};

/// An objective, set up for one request.
#[derive(Clone, Debug)]
pub(crate) struct GuidedRun {
    pub(crate) objective: Arc<dyn Objective>,
    /// Those of every set of maps that the objective reads.
    pub(crate) layers: Vec<AttentionLayers>,
    pub(crate) subjects: Vec<Subject>,
}

impl GuidedRun {
    /// None for methods without guidance.
    pub(crate) fn set_up(
        pipeline: &Pipeline,
        request: &Request,
        prompt: &TokenizedPrompt,
        latent_size: [usize; 2],
    ) -> Result<Option<Self>, PipelineError> {
        let settings = &request.settings;
        let paper;
        let (inputs, factory): (ObjectiveInputs, &dyn ObjectiveFactory) = match &request.objective {
            Some(_) if settings.method == Method::ComposableDiffusion => {
                let expected =
                    "another with an objective of one's own: it never reads the prompt as a whole".to_owned();
                let value = settings.method.name().to_owned();
                return Err(PipelineError::Option { option: "method", value, expected });
            }
            Some(own) => (own.inputs.clone(), own.factory.as_ref()),
            None if settings.method == Method::AttendAndExcite => {
                paper = Paper(settings);
                (SubjectChoice::of(settings).into(), &paper)
            }
            None => return Ok(None),
        };
        let sites = pipeline.unet_config.attention_sites(latent_size);
        let resolution = default_resolution(pipeline, latent_size);
        let setup = ObjectiveSetup::new(pipeline, prompt, &sites, resolution, &inputs, factory)?;
        let objective = factory.build(&setup)?;
        let layers = objective.maps().iter().map(|set| AttentionLayers::find(&sites, set)).collect::<Result<_, _>>()?;
        Guidance::new(Arc::clone(&objective))?;
        Ok(Some(Self { objective, layers, subjects: setup.subjects }))
    }
}

/// Makes the objective of Attend-and-Excite.
#[derive(Debug)]
struct Paper<'a>(&'a Settings);

impl ObjectiveFactory for Paper<'_> {
    fn name(&self) -> &'static str {
        self.0.method.name()
    }

    fn build(&self, setup: &ObjectiveSetup<'_>) -> Result<Arc<dyn Objective>, PipelineError> {
        let own = &self.0.attend_and_excite;
        let resolution = own.attention_res.unwrap_or(setup.resolution);
        setup.resolution_of(&MapSet::cross(resolution))?;
        let (names, positions) =
            setup.subjects.iter().map(|subject| (subject.text.clone(), subject.positions.clone())).unzip();
        let leaves_out_end = match own.eot_normalization {
            EotNormalization::On => true,
            EotNormalization::Off => false,
            EotNormalization::Auto => setup.family == Family::StableDiffusion2,
        };
        let eot = leaves_out_end.then(|| setup.prompt.end());
        let subjects = Subjects::new(positions, setup.tokens, eot)?.with_names(names);
        Ok(Arc::new(AttendAndExcite::new(guidance_settings(self.0), subjects, resolution)?))
    }
}

/// The parameters in a run of as many denoising steps as the settings have.
fn guidance_settings(settings: &Settings) -> GuidanceSettings {
    let own = &settings.attend_and_excite;
    let max_iter_to_alter = own.max_iter_to_alter.resolve(settings.steps);
    GuidanceSettings {
        max_iter_to_alter,
        thresholds: own.thresholds.resolve(settings.steps, max_iter_to_alter),
        max_refinement_steps: own.max_refinement_steps,
        scale_factor: own.scale_factor,
        scale_range: own.scale_range,
        attention_scale: own.attention_scale,
        smoothing: own.smoothing.then_some(GaussianSmoothing { kernel_size: own.kernel_size, sigma: own.sigma }),
    }
}
