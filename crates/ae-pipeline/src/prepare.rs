use ae_clip::{Subject, TokenizedPrompt, subject_name};
use ae_settings::{Method, Settings};
use image::RgbImage;

use crate::attention::AttentionLayers;
use crate::conditioning::PromptTexts;
use crate::guided_run::GuidedRun;
use crate::init_image::first_step;
use crate::latent_size::latent_size;
use crate::read_prompt::evaluations_per_step;
use crate::{InitialLatents, Phrase, Pipeline, PipelineError, PromptPart, ReadPart, Request, SubjectChoice};

/// A request that has been checked and understood: its tokens, its subjects and its size are known, and every setting has
/// its value. [`Pipeline::draw`] draws it, as often as one likes.
#[derive(Clone, Debug)]
pub struct Prepared {
    settings: Settings,
    pub(crate) seeds: Vec<u64>,
    pub(crate) init_image: Option<RgbImage>,
    pub(crate) latents: Option<InitialLatents>,
    pub(crate) latent_size: [usize; 2],
    /// Denoising steps that image-to-image leaves out.
    pub(crate) first_step: usize,
    pub(crate) texts: PromptTexts,
    subjects: Vec<Subject>,
    pub(crate) guided: Option<GuidedRun>,
    /// Layers whose attention each step reports, if requested.
    pub(crate) shown: Option<AttentionLayers>,
}

impl Pipeline {
    /// Checks a request and finds everything that can be known before anything is computed.
    ///
    /// # Errors
    ///
    /// When an option is outside its range or a subject is not in the prompt.
    pub fn prepare(&self, request: &Request) -> Result<Prepared, PipelineError> {
        let Request { mut settings, seeds, init_image, latents, attention_maps, .. } = request.clone();
        settings.check()?;
        if seeds.is_empty() {
            let expected = "at least one seed".to_owned();
            return Err(PipelineError::Option { option: "seeds", value: "empty".to_owned(), expected });
        }
        settings.seed = seeds[0];
        if init_image.is_some() && latents.is_some() {
            let (value, expected) = ("given with an initial image".to_owned(), "one of the two".to_owned());
            return Err(PipelineError::Option { option: "latents", value, expected });
        }
        let latent_size = latent_size(self, request)?;
        if let Some(latents) = &latents {
            latents.check([seeds.len(), self.vae_config.latent_channels, latent_size[0], latent_size[1]])?;
        }
        let first_step = init_image.as_ref().map_or(0, |_| first_step(settings.steps, settings.strength));
        let kind = settings.scheduler.map_or_else(|| self.default_scheduler(), Ok)?;
        self.build_scheduler(kind, &settings, first_step)?;
        let evaluations = settings.steps.saturating_mul(evaluations_per_step(kind));
        let texts = PromptTexts::new(self, &settings, evaluations, attention_maps)?;
        let prompts = texts.first_part();
        let choice = SubjectChoice::of(&settings);
        let guided = GuidedRun::set_up(self, request, &texts, latent_size)?;
        let subjects = match &guided {
            Some(guided) => guided.subjects(),
            // Subjects of a text among several are shown nowhere.
            None if texts.prompt.len() > 1 => Vec::new(),
            None => match choice.resolve_each(&prompts) {
                // Only guidance needs a subject where nobody named one.
                Err(PipelineError::NoSubject { .. }) if choice == SubjectChoice::Auto => Vec::new(),
                subjects => subjects?.swap_remove(0),
            },
        };
        let shown = attention_maps.then(|| {
            let read = guided.iter().flat_map(GuidedRun::layers).find(|layers| layers.are_cross());
            read.map_or_else(|| AttentionLayers::default_of(self, latent_size), |layers| Ok(layers.clone()))
        });
        let shown = shown.transpose()?;

        let scale = self.vae_config.scale();
        settings.height = Some(latent_size[0] * scale);
        settings.width = Some(latent_size[1] * scale);
        settings.scheduler = Some(kind);
        settings.long_prompts = Some(settings.way_with_long_prompts());
        if choice == SubjectChoice::Auto && guided.is_some() && !subjects.is_empty() && prompts.len() == 1 {
            name_subjects(&mut settings, prompts[0], &subjects);
        }
        if let Some(phrases) = texts.phrases() {
            settings.phrases = Some(phrases.iter().map(|phrase| phrase.text.clone()).collect());
        }
        Ok(Prepared { settings, seeds, init_image, latents, latent_size, first_step, texts, subjects, guided, shown })
    }
}

impl Prepared {
    /// The settings with every value resolved: size, sampler, subjects. The seed is the first.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The seeds, one image each.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The prompt as the text encoder sees it; of several parts the first, of one that changes the first text.
    pub fn prompt(&self) -> &TokenizedPrompt {
        &self.texts.prompt[0].first().prompt
    }

    /// The negative prompt as the text encoder sees it; of one that changes the first text.
    pub fn negative_prompt(&self) -> &TokenizedPrompt {
        &self.texts.negative.first().prompt
    }

    /// The prompt in its parts, for each of which the noise is predicted, with all their texts.
    pub fn read_prompt(&self) -> &[ReadPart] {
        self.texts.drawn()
    }

    /// The negative prompt with all its texts.
    pub fn read_negative_prompt(&self) -> &ReadPart {
        &self.texts.negative
    }

    /// The first denoising step with each text of a part, counted from 0, in the order of [`ReadPart::texts`].
    pub fn first_steps(&self, part: &ReadPart) -> Vec<usize> {
        let per_step = self.settings.scheduler.map_or(1, evaluations_per_step);
        part.first_evaluations().into_iter().map(|evaluation| evaluation / per_step).collect()
    }

    /// The subjects: those that are guided, or whose attention can be shown. Without guidance there may be none. Where the prompt
    /// changes, they are those of all its texts, each with its positions in the first text that has it.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The subjects that are guided in each text of the prompt, in the order of [`ReadPart::texts`]; none in a text without any. Without
    /// guidance there is no text.
    pub fn guided_subjects(&self) -> Vec<&[Subject]> {
        self.guided.as_ref().map(GuidedRun::subjects_of_texts).unwrap_or_default()
    }

    /// The phrases of StructureDiffusion; none with another method.
    pub fn phrases(&self) -> Option<&[Phrase]> {
        self.texts.phrases()
    }

    /// The parts of Composable Diffusion; none with another method.
    pub fn parts(&self) -> Option<Vec<PromptPart>> {
        self.texts.parts()
    }

    /// The same request with other seeds.
    ///
    /// # Panics
    ///
    /// When there is no seed.
    #[must_use]
    pub fn with_seeds(mut self, seeds: &[u64]) -> Self {
        self.settings.seed = *seeds.first().expect("at least one seed");
        self.seeds = seeds.to_vec();
        self
    }

    /// The same request by plain sampling.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.settings.method = Method::StableDiffusion;
        self.texts = self.texts.whole();
        self.guided = None;
        self
    }
}

/// Names the subjects so that the names give the same ones again.
fn name_subjects(settings: &mut Settings, prompt: &TokenizedPrompt, subjects: &[Subject]) {
    let word = |positions: &[usize]| prompt.words().iter().position(|word| word.positions == positions);
    let names = subjects.iter().map(|subject| Some(subject_name(prompt, word(&subject.positions)?)));
    settings.subjects = names.collect();
}
