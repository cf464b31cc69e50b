use std::sync::Arc;

use ae_clip::{Subject, TokenizedPrompt, subject_name};
use ae_settings::{BoundingBox, Circumstances, InitialNoise, Method, Overrides, Settings, SubjectBox, WordPair};
use ae_vae::VaeTiling;
use image::{GrayImage, RgbImage};

use crate::attention::AttentionLayers;
use crate::automatic_subjects::unknown_nouns;
use crate::conditioning::PromptTexts;
use crate::guided_run::GuidedRun;
use crate::init_image::first_step;
use crate::inpainting::Inpainting;
use crate::latent_size::latent_size;
use crate::noise_search::NoiseSetup;
use crate::read_prompt::evaluations_per_step;
use crate::{InitialLatents, Phrase, Pipeline, PipelineError, PromptPart, ReadPart, Request, SubjectChoice, presets};

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
    /// Denoising steps that image-to-image leaves out.
    pub(crate) first_step: usize,
    pub(crate) texts: PromptTexts,
    subjects: Vec<Subject>,
    pub(crate) guided: Option<GuidedRun>,
    /// The search for the noise to start from, if there is one.
    pub(crate) noise: Option<NoiseSetup>,
    /// Layers whose attention each step reports, if requested.
    pub(crate) shown: Option<AttentionLayers>,
    notes: Vec<String>,
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
        let (inpainting, mut notes) = self.inpainting(&settings, init_image.as_ref(), mask.as_ref(), latent_size)?;
        let usual = if mask.is_some() { 1.0 } else { 0.8 };
        settings.strength = init_image.as_ref().map(|_| settings.strength.unwrap_or(usual));
        let first_step = settings.strength.map_or(0, |strength| first_step(settings.steps, strength));
        let kind = settings.scheduler.map_or_else(|| self.default_scheduler(), Ok)?;
        self.build_scheduler(kind, &settings, first_step)?;
        let evaluations = settings.steps.saturating_mul(evaluations_per_step(kind));
        let texts = PromptTexts::new(self, &settings, evaluations, attention_maps)?;
        let prompts = texts.first_part();
        let choice = SubjectChoice::of(&settings);
        let guided = GuidedRun::set_up(self, request, &texts, latent_size)?;
        let noise = NoiseSetup::new(self, request, &texts, latent_size)?;
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
        if choice == SubjectChoice::Auto
            && (guided.is_some() || noise.is_some())
            && !subjects.is_empty()
            && prompts.len() == 1
        {
            settings.subjects = subjects.iter().map(|subject| name_of(prompts[0], subject)).collect();
        }
        if let Some(guided) = guided.as_ref().filter(|_| request.objective.is_none() && prompts.len() == 1) {
            name_binding(&mut settings, prompts[0], guided);
        }
        if let Some(phrases) = texts.phrases() {
            settings.phrases = Some(phrases.iter().map(|phrase| phrase.text.clone()).collect());
        }
        let mut usual = Settings::default();
        let mut given = Overrides::default();
        given.preset = settings.preset;
        given.method = Some(settings.method);
        usual.apply(&self.settings_under(&given));
        let circumstances = Circumstances {
            takes_scale: self.unet_config.time_cond_proj_dim.is_some(),
            own_objective: request.objective.is_some(),
            shows_attention: attention_maps,
            init_image: init_image.is_some(),
            mask: mask.is_some(),
            latents: latents.is_some(),
            has_tiles: latent_size.into_iter().max() > Some(VaeTiling::default().tile_latent_min_size),
        };
        notes.extend(presets::notes(self, &settings));
        let parts = texts.prompt.iter().flat_map(ReadPart::tokenized);
        notes.extend(self.vocabulary().and_then(|known| known.note(&unknown_nouns(known, parts))));
        let mut asked = request.settings.clone();
        asked.scheduler = Some(kind);
        let idle = asked.without_effect(&usual, circumstances);
        notes.extend(idle.into_iter().map(|(name, reason)| format!("{name} has no effect: {reason}")));
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
            noise,
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

    /// Rows and columns of the latents.
    pub fn latent_size(&self) -> [usize; 2] {
        self.latent_size
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

    /// The modifiers that are read in each text of the prompt, each with its noun, in the order of [`ReadPart::texts`]; none where the method
    /// does not bind.
    pub fn guided_pairs(&self) -> Vec<&[[Subject; 2]]> {
        self.guided.as_ref().map(GuidedRun::pairs_of_texts).unwrap_or_default()
    }

    /// The names of the terms of the loss that guides the first text; none without guidance, or where they are known only later.
    pub fn term_names(&self) -> Arc<[String]> {
        let first = self.guided.as_ref().and_then(|guided| guided.texts.first()?.as_ref());
        first.map(|text| text.objective.term_names()).unwrap_or_default()
    }

    /// The box of every subject; none where the method has none.
    pub fn boxes(&self) -> &[BoundingBox] {
        self.guided.as_ref().map_or(&[][..], GuidedRun::boxes)
    }

    /// The phrases of StructureDiffusion; none with another method.
    pub fn phrases(&self) -> Option<&[Phrase]> {
        self.texts.phrases()
    }

    /// The parts of Composable Diffusion; none with another method.
    pub fn parts(&self) -> Option<Vec<PromptPart>> {
        self.texts.parts()
    }

    /// The attention layers whose maps are shown, by diffusers' paths; none where no maps were asked for.
    pub fn shown_layers(&self) -> Vec<String> {
        self.shown.as_ref().map(AttentionLayers::paths).unwrap_or_default()
    }

    /// What a person should know before the picture is drawn: the preset and why, settings that do not suit the model, options that
    /// have no effect, and a mask that was stretched.
    pub fn notes(&self) -> &[String] {
        &self.notes
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
        self.noise = None;
        self.settings.initial_noise = InitialNoise::Seed;
        self
    }
}

/// What names a word of the prompt so that the name gives the same one again; none for a part of a word.
fn name_of(prompt: &TokenizedPrompt, subject: &Subject) -> Option<String> {
    let word = prompt.words().iter().position(|word| word.positions == subject.positions)?;
    Some(subject_name(prompt, word))
}

/// Writes down what belongs together and where it is to be, as far as the method reads it.
fn name_binding(settings: &mut Settings, prompt: &TokenizedPrompt, guided: &GuidedRun) {
    let method = settings.method;
    if method.reads("pairs") {
        let pair = |[modifier, noun]: &[Subject; 2]| {
            Some(WordPair { modifier: name_of(prompt, modifier)?, noun: name_of(prompt, noun)? })
        };
        let subjects: Option<Vec<_>> = guided.subjects().iter().map(|subject| name_of(prompt, subject)).collect();
        let pairs = guided.pairs_of_texts()[0].iter().map(pair).collect::<Option<Vec<_>>>();
        if let (Some(subjects), Some(pairs)) = (subjects, pairs) {
            // Groups name both.
            settings.groups = None;
            settings.subjects = settings.token_indices.is_none().then_some(subjects);
            settings.pairs = Some(pairs);
        }
    }
    if method.reads("boxes") {
        let subjects = guided.subjects();
        let place = |(subject, place): (&Subject, &BoundingBox)| {
            Some(SubjectBox { subject: name_of(prompt, subject)?, place: *place })
        };
        let boxes: Option<Vec<_>> = subjects.iter().zip(guided.boxes()).map(place).collect();
        settings.boxes = boxes.unwrap_or_else(|| settings.boxes.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ae_guidance::Guidance;
    use ae_settings::{Preset, SchedulerKind, TimestepSpacing};
    use ae_tensor::{DeviceSpec, FloatType};
    use serde_json::{Value, json};

    use super::*;
    use crate::{KnownPreset, LoadOptions, ModelSource};

    /// The embedded model.
    fn pipeline(preset: Option<KnownPreset>) -> Pipeline {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites");
        let mut options = LoadOptions::from(FloatType::F32);
        options.preset = preset;
        Pipeline::load(&ModelSource::folder(folder), options, &DeviceSpec::CPU.open().unwrap()).unwrap()
    }

    fn prepare(pipeline: &Pipeline, given: &Value) -> Prepared {
        let mut given = Overrides::from_json(given).unwrap();
        given.prompt = Some("a cat and a dog".to_owned());
        pipeline.prepare(&pipeline.request_with(&given).unwrap()).unwrap()
    }

    #[test]
    fn presets_lie_over_the_models_defaults_and_under_what_is_given() {
        let pipeline = pipeline(None);
        let prepared = prepare(&pipeline, &json!({ "preset": "turbo" }));
        assert_eq!(prepared.notes(), [""; 0]);
        let settings = prepared.settings();
        assert_eq!(
            (settings.preset, settings.steps, settings.scheduler),
            (Some(Preset::Turbo), 4, Some(SchedulerKind::Euler))
        );
        assert_eq!((settings.guidance_scale, settings.timestep_spacing), (0.0, Some(TimestepSpacing::Trailing)));
        // Two of the four steps are guided, and refined.
        let text = prepared.guided.as_ref().and_then(|guided| guided.texts[0].as_ref()).unwrap();
        let guidance = Guidance::new(text.objective.clone()).unwrap();
        assert_eq!(guidance.plan().altered_steps, 0..2);
        assert_eq!(guidance.plan().refinement.keys().copied().collect::<Vec<_>>(), [0, 1]);

        let given = prepare(&pipeline, &json!({ "preset": "turbo", "steps": 50, "scheduler": "lcm" }));
        assert_eq!((given.settings().steps, given.settings().scheduler), (50, Some(SchedulerKind::Lcm)));
        let expected = "what the preset turbo is for does not suit 50 step(s) (1 to 4), the sampler lcm (euler)";
        assert_eq!(given.notes(), [expected]);
        let plain = prepare(&pipeline, &json!({}));
        assert_eq!((plain.settings().steps, plain.settings().preset), (50, None));
        assert_eq!(prepare(&pipeline, &json!({ "preset": "none" })).settings(), plain.settings());
    }

    #[test]
    fn a_preset_that_is_known_is_said_and_can_be_declined() {
        let pipeline = pipeline(Some(KnownPreset::of_model(Preset::Lcm, "it is the hub's lcm-dreamshaper")));
        let prepared = prepare(&pipeline, &json!({}));
        assert_eq!((prepared.settings().steps, prepared.settings().scheduler), (4, Some(SchedulerKind::Lcm)));
        let said = "preset lcm, because it is the hub's lcm-dreamshaper; the preset none is for other models";
        assert_eq!(prepared.notes(), [said]);
        assert_eq!(pipeline.request("a cat").settings.steps, 4);
        let declined = prepare(&pipeline, &json!({ "preset": "none" }));
        assert_eq!((declined.settings().steps, declined.settings().preset), (50, Some(Preset::Off)));
        let [note] = declined.notes() else { panic!("{:?}", declined.notes()) };
        assert!(
            note.starts_with("what the preset lcm is for does not suit 50 step(s) (2 to 8), a guidance scale of"),
            "{note}"
        );
    }

    #[test]
    fn options_without_effect_are_said() {
        let pipeline = pipeline(None);
        let notes = |given| prepare(&pipeline, &given).notes().to_vec();
        assert_eq!(notes(json!({})), [""; 0]);
        let idle = json!({ "guidance_scale": 1, "guidance_rescale": 0.7, "correct_altered_steps": true, "scheduler": "euler", "strength": 0.5,
            "vae_tiling": true });
        assert_eq!(
            notes(idle),
            [
                "guidance_rescale has no effect: there is no classifier-free guidance at a guidance scale of 1",
                "correct_altered_steps has no effect: unipc alone corrects steps",
                "vae_tiling has no effect: the picture is no larger than a tile",
                "strength has no effect: there is no initial image",
            ]
        );
        let [note] = &notes(json!({ "method": "stable-diffusion", "attend_and_excite": { "sigma": 1 } }))[..] else {
            panic!()
        };
        assert_eq!(
            note,
            "sigma has no effect: the method stable-diffusion does not read it; methods that guide read it"
        );
        assert_eq!(notes(json!({ "scheduler": "unipc", "correct_altered_steps": true })), [""; 0]);
    }

    /// Options that samplers refuse by themselves ([`ae_settings`] lists them as such).
    #[test]
    fn what_a_sampler_lacks_is_refused_by_name() {
        let pipeline = pipeline(None);
        for (name, value, lacks) in [
            ("sigmas", json!("karras"), ["pndm", "ddim", "ddpm", "euler-a", "lcm", "tcd"].as_slice()),
            ("timestep_spacing", json!("trailing"), &["lcm", "tcd"]),
            (
                "eta",
                json!(0.5),
                &["pndm", "ddpm", "euler", "euler-a", "heun", "lms", "dpm2", "dpmpp-2m", "unipc", "lcm"],
            ),
        ] {
            for scheduler in SchedulerKind::ALL {
                let given =
                    Overrides::from_json(&json!({ "prompt": "a cat", "scheduler": scheduler, name: value })).unwrap();
                let prepared = pipeline.prepare(&pipeline.request_with(&given).unwrap());
                let refused = prepared.map(|_| ()).map_err(|error| error.to_string().contains(name));
                if lacks.contains(&scheduler.name()) {
                    assert_eq!(refused, Err(true), "{scheduler} {name}");
                }
                assert_ne!(refused, Err(false), "{scheduler} {name}");
            }
        }
    }
}
