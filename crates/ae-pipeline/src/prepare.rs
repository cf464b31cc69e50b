use std::sync::Arc;

use ae_clip::{Subject, TokenizedPrompt, subject_name};
use ae_settings::{Method, Settings};
use image::{GrayImage, RgbImage};

use crate::attention::AttentionLayers;
use crate::conditioning::PromptTexts;
use crate::guided_run::GuidedRun;
use crate::init_image::first_step;
use crate::inpainting::Inpainting;
use crate::latent_size::latent_size;
use crate::{InitialLatents, Phrase, Pipeline, PipelineError, PromptPart, Request, SubjectChoice};

/// A request that has been checked and understood: its tokens, its subjects and its size are known, and every setting has
/// its value. [`Pipeline::draw`] draws it, as often as one likes.
#[derive(Clone, Debug)]
pub struct Prepared {
    settings: Settings,
    pub(crate) seeds: Vec<u64>,
    pub(crate) init_image: Option<RgbImage>,
    pub(crate) latents: Option<InitialLatents>,
    pub(crate) latent_size: [usize; 2],
    pub(crate) inpainting: Option<Arc<Inpainting>>,
    notes: Vec<String>,
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
        let Request { mut settings, seeds, init_image, mask, latents, attention_maps, .. } = request.clone();
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
        let (inpainting, notes) = self.inpainting(&settings, init_image.as_ref(), mask.as_ref(), latent_size)?;
        let usual = if mask.is_some() { 1.0 } else { 0.8 };
        settings.strength = init_image.as_ref().map(|_| settings.strength.unwrap_or(usual));
        let first_step = settings.strength.map_or(0, |strength| first_step(settings.steps, strength));
        let kind = settings.scheduler.map_or_else(|| self.default_scheduler(), Ok)?;
        self.build_scheduler(kind, &settings, first_step)?;
        let texts = PromptTexts::new(self, &settings, attention_maps)?;
        let prompt = &texts.prompt.prompt;
        let choice = SubjectChoice::of(&settings);
        let guided = GuidedRun::set_up(self, request, prompt, latent_size)?;
        let subjects = match &guided {
            Some(guided) => guided.subjects.clone(),
            None => match choice.resolve(prompt) {
                // Only guidance needs a subject where nobody named one.
                Err(PipelineError::NoSubject { .. }) if choice == SubjectChoice::Auto => Vec::new(),
                subjects => subjects?,
            },
        };
        let shown = attention_maps.then(|| {
            let read = guided.iter().flat_map(|guided| &guided.layers).find(|layers| layers.are_cross());
            read.map_or_else(|| AttentionLayers::default_of(self, latent_size), |layers| Ok(layers.clone()))
        });
        let shown = shown.transpose()?;

        let scale = self.vae_config.scale();
        settings.height = Some(latent_size[0] * scale);
        settings.width = Some(latent_size[1] * scale);
        settings.scheduler = Some(kind);
        if choice == SubjectChoice::Auto && guided.is_some() && !subjects.is_empty() {
            name_subjects(&mut settings, prompt, &subjects);
        }
        if let Some(phrases) = texts.phrases() {
            settings.phrases = Some(phrases.iter().map(|phrase| phrase.text.clone()).collect());
        }
        Ok(Prepared {
            settings,
            seeds,
            // With a mask it is there already, at the size that is drawn.
            init_image: init_image.filter(|_| inpainting.is_none()),
            latents,
            latent_size,
            inpainting,
            notes,
            first_step,
            texts,
            subjects,
            guided,
            shown,
        })
    }

    /// What a mask asks for, and what is to be said of it.
    fn inpainting(
        &self,
        settings: &Settings,
        image: Option<&RgbImage>,
        mask: Option<&GrayImage>,
        latent_size: [usize; 2],
    ) -> Result<(Option<Arc<Inpainting>>, Vec<String>), PipelineError> {
        let alone = |option, value: String, expected: &str| {
            Err(PipelineError::Option { option, value, expected: expected.to_owned() })
        };
        let Some(mask) = mask else {
            let Settings { mask_blur, mask_padding, mask_invert, mask_overlay, .. } = settings;
            let given = [
                ("mask_blur", (*mask_blur > 0.0).then(|| mask_blur.to_string())),
                ("mask_padding", mask_padding.map(|padding| padding.to_string())),
                ("mask_invert", mask_invert.then(|| "on".to_owned())),
                ("mask_overlay", (!mask_overlay).then(|| "off".to_owned())),
            ];
            if let Some((option, Some(value))) = given.into_iter().find(|(_, value)| value.is_some()) {
                return alone(option, value, "a mask with it");
            }
            let everything = "the model is one for inpainting: without a mask it draws the whole picture anew";
            return Ok((None, self.is_inpainting().then(|| everything.to_owned()).into_iter().collect()));
        };
        let Some(image) = image else {
            return alone("mask", "given alone".to_owned(), "an initial image with it, of which a part is drawn anew");
        };
        let scale = self.vae_config.scale();
        let (inpainting, note) = Inpainting::new(image, mask, settings, latent_size.map(|side| side * scale), scale)?;
        Ok((Some(Arc::new(inpainting)), note.into_iter().collect()))
    }
}

impl Prepared {
    /// The settings with every value resolved: size, sampler, subjects. The seed is the first.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is to be said of the request before it is drawn.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The seeds, one image each.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The prompt as the text encoder sees it.
    pub fn prompt(&self) -> &TokenizedPrompt {
        &self.texts.prompt.prompt
    }

    /// The negative prompt as the text encoder sees it.
    pub fn negative_prompt(&self) -> &TokenizedPrompt {
        &self.texts.negative.prompt
    }

    /// The subjects: those that are guided, or whose attention can be shown. Without guidance there may be none.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
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
