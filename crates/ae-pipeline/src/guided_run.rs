use std::sync::Arc;

use ae_clip::{Subject, TokenizedPrompt};
use ae_guidance::{Guidance, Objective};
use ae_settings::{BoundingBox, Method};

use crate::attention::{AttentionLayers, default_resolution};
use crate::binding::Binding;
use crate::conditioning::PromptTexts;
use crate::methods::Published;
use crate::objective::binds;
use crate::{ObjectiveFactory, ObjectiveInputs, ObjectiveSetup, Pipeline, PipelineError, Request};

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
    /// Modifiers, each with its noun, where the objective reads them.
    pairs: Vec<[Subject; 2]>,
    /// The box of every subject, where the objective reads them.
    boxes: Vec<BoundingBox>,
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
        let published;
        let (inputs, factory): (ObjectiveInputs, &dyn ObjectiveFactory) = match &request.objective {
            Some(_) if settings.method == Method::ComposableDiffusion => {
                let expected =
                    "another with an objective of one's own: it never reads the prompt as a whole".to_owned();
                let value = settings.method.name().to_owned();
                return Err(PipelineError::Option { option: "method", value, expected });
            }
            Some(own) => (own.inputs.clone(), own.factory.as_ref()),
            None if settings.method.guides() => {
                published = Published(settings);
                (ObjectiveInputs::of(settings, published.inputs()), &published)
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
        let wanted = factory.inputs();
        let bindings = if wanted.is_empty() {
            vec![Binding::default(); prompts.len()]
        } else {
            Binding::of_texts(&inputs, binds(wanted), &prompts)?
        };
        let sites = pipeline.unet_config.attention_sites(latent_size);
        let resolution = default_resolution(pipeline, latent_size);
        let set_up = |(prompt, binding): (&TokenizedPrompt, Binding)| {
            if !wanted.is_empty() && binding.subjects.is_empty() {
                return Ok(None);
            }
            let setup = ObjectiveSetup::new(pipeline, prompt, &sites, resolution, (wanted, &inputs), binding)?;
            let objective = factory.build(&setup)?;
            let layers = AttentionLayers::of_objective(&sites, &*objective)?;
            Guidance::new(Arc::clone(&objective))?;
            let ObjectiveSetup { subjects, pairs, boxes, .. } = setup;
            Ok(Some(GuidedText { objective, layers, subjects, pairs, boxes }))
        };
        let texts = prompts.into_iter().zip(bindings).map(set_up).collect::<Result<_, PipelineError>>()?;
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

    /// The modifiers of every text, each with its noun.
    pub(crate) fn pairs_of_texts(&self) -> Vec<&[[Subject; 2]]> {
        self.texts.iter().map(|text| text.as_ref().map_or(&[][..], |text| &text.pairs)).collect()
    }

    /// The boxes of the subjects of the first text.
    pub(crate) fn boxes(&self) -> &[BoundingBox] {
        self.texts.first().and_then(Option::as_ref).map_or(&[][..], |text| &text.boxes)
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
