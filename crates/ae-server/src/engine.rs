use std::ops::ControlFlow;

use ae_figures::{Step, Subject, Term, Token};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::GenerateRequest;

/// Who draws. The server calls [`draw`](Self::draw) from one thread, and the others at any time.
pub trait Engine: Send + Sync + 'static {
    /// The models that can be chosen, the default first.
    fn models(&self) -> Vec<Model>;

    /// The devices that can be chosen, the default first.
    fn devices(&self) -> Vec<Device>;

    /// The samplers that can be chosen.
    fn samplers(&self) -> Vec<String>;

    /// The methods that can be chosen, the default first.
    fn methods(&self) -> Vec<String>;

    /// The generators behind a seed, the default first.
    fn rngs(&self) -> Vec<String>;

    /// The tokens of a prompt.
    ///
    /// # Errors
    ///
    /// When the model is not known or its tokenizer cannot be read.
    fn tokens(&self, request: &TokensRequest) -> Result<Tokens, EngineError>;

    /// Checks a request as far as that is possible without the model itself, before it is queued.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn: a name that is not known, a subject that is not in the prompt.
    fn check(&self, request: &GenerateRequest) -> Result<(), EngineError>;

    /// Draws one seed of a request; `observe` hears of every update and ends the run by breaking.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn, or `observe` breaks ([`EngineError::Interrupted`]).
    fn draw(
        &self,
        request: &GenerateRequest,
        seed: u64,
        observe: &mut (dyn FnMut(Update<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Drawn, EngineError>;
}

/// Why an engine did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The request cannot be done; the message says what to change.
    #[error("{0}")]
    Refused(String),
    /// Drawing failed.
    #[error("{0}")]
    Failed(String),
    /// The observer ended it.
    #[error("interrupted")]
    Interrupted,
}

/// A model that can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Model {
    /// What a request names.
    pub id: String,
    /// What a person reads.
    pub title: String,
    /// Whether it is in memory.
    pub loaded: bool,
    /// The settings that suit it; known once it was loaded.
    pub defaults: Option<ModelDefaults>,
}

/// The settings that suit a model.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ModelDefaults {
    /// Height of a picture in pixels.
    pub height: usize,
    /// Width of a picture in pixels.
    pub width: usize,
    /// Sides are multiples of it.
    pub multiple: usize,
    /// Number of denoising steps.
    pub steps: usize,
    /// Scale of classifier-free guidance.
    pub guidance_scale: f64,
    /// The sampler, if it exists here.
    pub scheduler: Option<String>,
    /// Step size of the latent update.
    pub scale_factor: f64,
    /// Factor before the softmax over tokens.
    pub attention_scale: f64,
}

/// A device that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Device {
    /// What a request names.
    pub id: String,
    /// What a person reads.
    pub title: String,
}

/// Whose tokens are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokensRequest {
    /// The prompt.
    pub prompt: String,
    /// The id of a model; absent: the first.
    pub model: Option<String>,
    /// Read brackets as weights.
    #[serde(default)]
    pub prompt_weighting: bool,
}

/// A prompt as the model reads it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Tokens {
    /// From the start token to the end token.
    pub tokens: Vec<PromptToken>,
    /// The words that can be subjects.
    pub words: Vec<Word>,
    /// What the model does not read, if anything.
    pub truncation: Option<Truncation>,
}

/// A token of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromptToken {
    /// Its position.
    pub index: usize,
    /// The text it stands for.
    pub text: String,
    /// `start`, `text`, `special` or `end`.
    pub kind: String,
    /// Its word, as an index into the words.
    pub word: Option<usize>,
}

/// A word of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Word {
    /// As it is written.
    pub text: String,
    /// What names exactly this word in `subjects`.
    pub subject: String,
    /// The positions of its tokens.
    pub positions: Vec<usize>,
    /// Whether it is a subject where nobody names any.
    pub automatic: bool,
}

/// The end of a prompt that did not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Truncation {
    /// How many tokens were cut.
    pub tokens: usize,
    /// Their text.
    pub text: String,
}

/// What happens while a seed is drawn.
#[derive(Debug)]
pub enum Update<'a> {
    /// A run begins: the guided one, or the plain one beside it.
    Started {
        /// Its method.
        method: &'a str,
        /// Number of denoising steps.
        num_steps: usize,
        /// The tokens of the prompt.
        tokens: &'a [Token],
        /// The subjects whose attention is shown.
        subjects: &'a [Subject],
        /// The terms of the loss.
        terms: &'a [Term],
    },
    /// The loss was evaluated.
    Loss {
        /// Index of the denoising step.
        step: usize,
        /// Refinement updates made in this step so far.
        iteration: usize,
        /// The loss of every term.
        losses: &'a [f32],
    },
    /// A denoising step ended.
    Step(&'a Step),
}

/// A picture, and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The picture as a PNG file that carries its settings in the text chunk `settings`.
    pub picture: Vec<u8>,
    /// Without guidance, if it was asked for; also a PNG file.
    pub plain: Option<Vec<u8>>,
    /// The run as JSON, as [`ae_figures::Explanation::record_with_pictures`] makes it of the names in [`PICTURE_NAMES`].
    pub record: Value,
    /// Losses, refinement and times of every step as JSON.
    pub trace: Value,
}

/// What a record calls the pictures of its runs, the guided one first.
pub const PICTURE_NAMES: [&str; 2] = ["picture.png", "plain.png"];
