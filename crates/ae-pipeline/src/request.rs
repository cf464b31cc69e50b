use std::sync::Arc;

use ae_clip::{Subject, TokenizedPrompt, find_subjects, subjects_at};
use ae_settings::{Overrides, Settings};
use image::{GrayImage, RgbImage};

use crate::automatic_subjects::automatic_subjects;
use crate::{InitialLatents, ObjectiveFactory, ObjectiveInputs, Pipeline, PipelineError};

/// What to draw: settings, and what settings cannot hold.
///
/// [`Pipeline::request`] fills it with the model's defaults.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// All that decides the image. The members that say what is loaded are not read: the pipeline is loaded already.
    pub settings: Settings,
    /// One image per seed, drawn together; [`Settings::seed`] is not read.
    pub seeds: Vec<u64>,
    /// The image to start from instead of noise (image-to-image, SDEdit: Meng et al. 2022), with
    /// [`Settings::strength`]. It is resized to the size of the settings; without one, to its own size rounded down to what
    /// the model can draw.
    pub init_image: Option<RgbImage>,
    /// White where the initial image is drawn anew, black where it stays (inpainting), with the settings of the mask. Without one
    /// a model for inpainting draws everything anew.
    pub mask: Option<GrayImage>,
    /// Initial latents to start from instead of the noise of the seeds.
    pub latents: Option<InitialLatents>,
    /// An objective of the caller's own, which guides instead of [`Settings::method`]. Settings cannot hold it: those of such a
    /// picture do not draw it again.
    pub objective: Option<OwnObjective>,
    /// Show the observer the attention maps of every step ([`Event::Denoised`](crate::Event::Denoised)).
    pub attention_maps: bool,
}

impl Request {
    /// One image with the seed of the settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            seeds: vec![settings.seed],
            settings,
            init_image: None,
            mask: None,
            latents: None,
            objective: None,
            attention_maps: false,
        }
    }

    /// The request with a change.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// An objective of the caller's own.
#[derive(Clone, Debug)]
pub struct OwnObjective {
    /// What the objective is told about the prompt.
    pub inputs: ObjectiveInputs,
    /// Makes the objective.
    pub factory: Arc<dyn ObjectiveFactory>,
}

/// The same factory, not another one with the same parameters.
impl PartialEq for OwnObjective {
    fn eq(&self, other: &Self) -> bool {
        self.inputs == other.inputs && Arc::ptr_eq(&self.factory, &other.factory)
    }
}

impl Pipeline {
    /// A request for one image of `prompt`, seed 42, with Attend-and-Excite at the defaults of the model and the preset that it needs.
    pub fn request(&self, prompt: impl Into<String>) -> Request {
        let mut settings = Settings::default();
        settings.apply(&self.settings_under(&Overrides::default()));
        settings.prompt = prompt.into();
        Request::new(settings)
    }

    /// A request with these settings over the model's defaults: of the later ones of these the values count, the paper's, the
    /// model's, those of the preset that is given or that the model [needs](Self::preset), and those that are given.
    ///
    /// # Errors
    ///
    /// When a setting is outside its range.
    pub fn request_with(&self, overrides: &Overrides) -> Result<Request, PipelineError> {
        let under = self.settings_under(overrides);
        let mut settings = Settings::combine([&under, overrides])?;
        settings.preset = under.preset;
        Ok(Request::new(settings))
    }
}

/// Which tokens of the prompt are subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubjectChoice {
    /// The things of the prompt: the heads of its noun phrases, but not what says how the picture is made (`a photo of`),
    /// and the placeholders of textual inversions. The rules are those of [`ae_phrases`].
    #[default]
    Auto,
    /// Words or phrases of the prompt.
    Words(Vec<String>),
    /// Token positions, with `<sot>` at 0; each is a subject of its own, as in the references.
    Indices(Vec<usize>),
}

impl SubjectChoice {
    /// The choice that settings make.
    pub fn of(settings: &Settings) -> Self {
        match (&settings.subjects, &settings.token_indices) {
            (Some(words), _) => Self::Words(words.clone()),
            (None, Some(indices)) => Self::Indices(indices.clone()),
            (None, None) => Self::Auto,
        }
    }

    /// The subjects that the choice means in a prompt.
    ///
    /// # Errors
    ///
    /// When a subject is not in the prompt, an index is on no word, or there is no noun to choose.
    pub fn resolve(&self, prompt: &TokenizedPrompt) -> Result<Vec<Subject>, PipelineError> {
        let subjects = match self {
            Self::Auto => automatic_subjects(prompt),
            Self::Words(words) => find_subjects(prompt, words)?,
            Self::Indices(indices) => subjects_at(prompt, indices)?,
        };
        if subjects.is_empty() {
            return Err(PipelineError::NoSubject { prompt: prompt.text().chars().take(60).collect() });
        }
        Ok(subjects)
    }

    /// The subjects that the choice means in each text of a prompt that changes. A subject that a text does not have is left out
    /// there; every one must be in some text.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), and for token positions where there are several texts.
    pub(crate) fn resolve_each(&self, texts: &[&TokenizedPrompt]) -> Result<Vec<Vec<Subject>>, PipelineError> {
        if let [text] = texts {
            return Ok(vec![self.resolve(text)?]);
        }
        match self {
            Self::Auto => {
                let subjects: Vec<_> = texts.iter().map(|text| automatic_subjects(text)).collect();
                if subjects.iter().all(Vec::is_empty) {
                    self.resolve(texts[0])?;
                }
                Ok(subjects)
            }
            Self::Words(words) => {
                let has = |text: &TokenizedPrompt, word: &String| find_subjects(text, &[word]).is_ok();
                if let Some(missing) = words.iter().find(|word| !texts.iter().any(|text| has(text, word))) {
                    find_subjects(texts[0], &[missing])?;
                }
                let found = texts.iter().map(|text| {
                    let words: Vec<_> = words.iter().filter(|word| has(text, word)).collect();
                    find_subjects(text, &words)
                });
                Ok(found.collect::<Result<_, _>>()?)
            }
            Self::Indices(indices) => {
                let expected = "subjects by their words: the prompt changes, and positions are of one text".to_owned();
                Err(PipelineError::Option { option: "token_indices", value: format!("{indices:?}"), expected })
            }
        }
    }
}
