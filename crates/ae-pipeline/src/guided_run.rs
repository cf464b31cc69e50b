use std::sync::Arc;

use ae_checkpoint::Family;
use ae_clip::{Subject, TokenizedPrompt};
use ae_guidance::{AttendAndExcite, GaussianSmoothing, Guidance, GuidanceSettings, MapSet, Objective, Subjects};
use ae_settings::{EotNormalization, Method, Settings};

use crate::attention::{AttentionLayers, default_resolution};
use crate::conditioning::PromptTexts;
use crate::{
    Input, ObjectiveFactory, ObjectiveInputs, ObjectiveSetup, Pipeline, PipelineError, Request, SubjectChoice,
};

/// Guidance, set up for one request: for every text of the prompt, for it may change from step to step. A text without a subject is
/// drawn without guidance.
#[derive(Clone, Debug)]
pub(crate) struct GuidedRun {
    pub(crate) texts: Vec<Option<GuidedText>>,
}

/// An objective, set up for one text.
#[derive(Clone, Debug)]
pub(crate) struct GuidedText {
    pub(crate) objective: Arc<dyn Objective>,
    /// Those of every set of maps that the objective reads.
    pub(crate) layers: Vec<AttentionLayers>,
    subjects: Vec<Subject>,
}

impl GuidedRun {
    /// None for methods without guidance.
    pub(crate) fn set_up(
        pipeline: &Pipeline,
        request: &Request,
        texts: &PromptTexts,
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
        if texts.prompt.len() > 1 {
            let expected =
                "stable-diffusion or composable-diffusion, or a prompt without AND: guidance reads one text at a step"
                    .to_owned();
            return Err(PipelineError::Option { option: "method", value: factory.name().to_owned(), expected });
        }
        inputs.check(factory)?;
        let prompts = texts.first_part();
        let wants_subjects = factory.inputs().contains(&Input::Subjects);
        let subjects =
            if wants_subjects { inputs.subjects.resolve_each(&prompts)? } else { vec![Vec::new(); prompts.len()] };
        let sites = pipeline.unet_config.attention_sites(latent_size);
        let resolution = default_resolution(pipeline, latent_size);
        let set_up = |(prompt, subjects): (&TokenizedPrompt, Vec<Subject>)| {
            if wants_subjects && subjects.is_empty() {
                return Ok(None);
            }
            let setup = ObjectiveSetup::new(pipeline, prompt, &sites, resolution, &inputs, subjects)?;
            let objective = factory.build(&setup)?;
            let layers =
                objective.maps().iter().map(|set| AttentionLayers::find(&sites, set)).collect::<Result<_, _>>()?;
            Guidance::new(Arc::clone(&objective))?;
            Ok(Some(GuidedText { objective, layers, subjects: setup.subjects }))
        };
        let texts = prompts.into_iter().zip(subjects).map(set_up).collect::<Result<_, PipelineError>>()?;
        Ok(Some(Self { texts }))
    }

    /// A guidance of a new run for each text.
    pub(crate) fn begin(&self) -> Result<Vec<Option<Guidance>>, PipelineError> {
        let begin =
            |text: &Option<GuidedText>| text.as_ref().map(|text| Guidance::new(text.objective.clone())).transpose();
        Ok(self.texts.iter().map(begin).collect::<Result<_, _>>()?)
    }

    /// The layers that the objective reads.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &AttentionLayers> {
        self.texts.iter().flatten().next().into_iter().flat_map(|text| &text.layers)
    }

    /// The subjects of every text.
    pub(crate) fn subjects_of_texts(&self) -> Vec<&[Subject]> {
        self.texts.iter().map(|text| text.as_ref().map_or(&[][..], |text| &text.subjects)).collect()
    }

    /// The subjects of all texts, where several have one of a name that of the first.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let mut texts = self.subjects_of_texts().into_iter();
        let mut all = texts.next().map(<[_]>::to_vec).unwrap_or_default();
        for subject in texts.flatten() {
            if all.iter().all(|known| known.text != subject.text) {
                all.push(subject.clone());
            }
        }
        all
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
        let chunks = setup.prompt.chunks().zip(setup.prompt.chunk_ends());
        let windows = chunks.map(|(chunk, end)| chunk.start + 1..if leaves_out_end { *end } else { chunk.end - 1 });
        let subjects = Subjects::in_windows(positions, windows.collect())?.with_names(names);
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
