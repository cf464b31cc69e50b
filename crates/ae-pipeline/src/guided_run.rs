use std::sync::Arc;

use ae_clip::{Subject, TokenizedPrompt};
use ae_guidance::{AttendAndExcite, Guidance, GuidanceSettings, MapSet, Objective, Plan, Subjects};

use crate::attention::{AttentionLayers, default_resolution};
use crate::{
    EotNormalization, Method, ObjectiveFactory, ObjectiveInputs, ObjectiveSetup, Pipeline, PipelineError, Request,
};

/// Guidance by an objective, set up for one request.
pub(crate) struct GuidedRun {
    pub(crate) guidance: Guidance,
    /// Those of every set of maps that the objective reads.
    pub(crate) layers: Vec<AttentionLayers>,
    pub(crate) subjects: Vec<Subject>,
    /// Steps that image-to-image leaves out: guidance counts them, since its plan belongs to noise levels.
    pub(crate) first_step: usize,
}

impl GuidedRun {
    /// None for methods without guidance.
    pub(crate) fn set_up(
        pipeline: &Pipeline,
        request: &Request,
        prompt: &TokenizedPrompt,
        latent_size: [usize; 2],
        first_step: usize,
    ) -> Result<Option<Self>, PipelineError> {
        let paper;
        let (inputs, factory): (ObjectiveInputs, &dyn ObjectiveFactory) = match &request.method {
            Method::AttendAndExcite { subjects, settings, attention_resolution, eot_normalization } => {
                let (settings, name) = (settings.clone(), request.method.name());
                paper = Paper { name, settings, resolution: *attention_resolution, eot: *eot_normalization };
                (subjects.clone().into(), &paper)
            }
            Method::Guided { inputs, objective } => (inputs.clone(), objective.as_ref()),
            Method::StableDiffusion | Method::StructureDiffusion { .. } | Method::ComposableDiffusion => {
                return Ok(None);
            }
        };
        let sites = pipeline.unet_config.attention_sites(latent_size);
        let setup = ObjectiveSetup {
            prompt,
            subjects: Vec::new(),
            pairs: Vec::new(),
            groups: Vec::new(),
            boxes: Vec::new(),
            tokens: pipeline.tokenizer.max_length(),
            family: pipeline.family,
            resolution: default_resolution(pipeline, latent_size),
            sites: &sites,
        };
        let setup = setup.with_inputs(&inputs, factory)?;
        let objective = factory.build(&setup)?;
        let layers = objective.maps().iter().map(|set| AttentionLayers::find(&sites, set)).collect::<Result<_, _>>()?;
        Ok(Some(Self { guidance: Guidance::new(objective)?, layers, subjects: setup.subjects, first_step }))
    }

    /// With one update at the first step in place of the plan.
    pub(crate) fn updating_once(self) -> Result<Self, PipelineError> {
        let plan = Plan::new(self.first_step..self.first_step + 1, self.guidance.plan().step_size);
        Ok(Self { guidance: self.guidance.with_plan(plan)?, ..self })
    }
}

/// Makes the objective of Attend-and-Excite.
#[derive(Debug)]
struct Paper {
    name: &'static str,
    settings: GuidanceSettings,
    resolution: Option<[usize; 2]>,
    eot: EotNormalization,
}

impl ObjectiveFactory for Paper {
    fn name(&self) -> &'static str {
        self.name
    }

    fn build(&self, setup: &ObjectiveSetup<'_>) -> Result<Arc<dyn Objective>, PipelineError> {
        let resolution = self.resolution.unwrap_or(setup.resolution);
        setup.resolution_of(&MapSet::cross(resolution))?;
        let (names, positions) =
            setup.subjects.iter().map(|subject| (subject.text.clone(), subject.positions.clone())).unzip();
        let eot = self.eot.is_on(setup.family).then(|| setup.prompt.end());
        let subjects = Subjects::new(positions, setup.tokens, eot)?.with_names(names);
        Ok(Arc::new(AttendAndExcite::new(self.settings.clone(), subjects, resolution)?))
    }
}
