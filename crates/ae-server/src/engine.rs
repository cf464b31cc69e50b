use std::ops::ControlFlow;

use ae_figures::{Step, Subject, Term, Token};
use ae_settings::{LongPrompts, Method, Overrides, PromptSyntax};
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
    /// When it cannot be drawn: a model that is not there, a subject that is not in the prompt, a file that is not loaded. An
    /// engine does all that a request's settings ask for, or refuses it here or in [`draw`](Self::draw).
    fn check(&self, request: &GenerateRequest) -> Result<(), EngineError>;

    /// The call of `ae generate` that draws a request.
    ///
    /// # Errors
    ///
    /// When the model is not known.
    fn command(&self, request: &GenerateRequest) -> Result<String, EngineError> {
        Ok(request.command_line(request.overrides.model.as_deref()))
    }

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
#[non_exhaustive]
pub enum EngineError {
    /// The request cannot be done.
    #[error("{message}")]
    Refused {
        /// The field of the request that is to blame, if it is one; a member of a group as `attend_and_excite.sigma`.
        field: Option<String>,
        /// What is wrong and what to change.
        message: String,
    },
    /// Drawing failed.
    #[error("{0}")]
    Failed(String),
    /// The observer ended it.
    #[error("interrupted")]
    Interrupted,
}

impl EngineError {
    /// A request that cannot be done for a field of it.
    pub fn refused(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused { field: Some(field.into()), message: message.into() }
    }
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ModelDefaults {
    /// Sides are multiples of it, in pixels.
    pub multiple: usize,
    /// What is drawn with where a request says nothing, as far as it is not the paper's: size, sampler, scales, and what was
    /// loaded with the model.
    #[schema(value_type = Object)]
    pub settings: Overrides,
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
    /// How the prompt is read: `plain` or `a1111`; absent: plain.
    #[schema(value_type = Option<String>)]
    pub prompt_syntax: Option<PromptSyntax>,
    /// What becomes of a long prompt: `chunks`, `padded` or `cut`; absent: as the syntax has it.
    #[schema(value_type = Option<String>)]
    pub long_prompts: Option<LongPrompts>,
    /// The former name of `prompt_syntax`: true stands for `a1111`.
    pub prompt_weighting: Option<bool>,
}

impl TokensRequest {
    /// How the prompt is read, by today's or the former name.
    pub fn prompt_syntax(&self) -> Option<PromptSyntax> {
        self.prompt_syntax.or((self.prompt_weighting == Some(true)).then_some(PromptSyntax::A1111))
    }
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
        method: Method,
        /// Number of denoising steps.
        num_steps: usize,
        /// The tokens of the prompt.
        tokens: &'a [Token],
        /// The subjects whose attention is shown.
        subjects: &'a [Subject],
        /// The terms of the loss; none where there is none.
        terms: &'a [Term],
        /// What a person should know of it: options that have no effect, what was ignored, settings that do not suit the model.
        notes: &'a [String],
    },
    /// The loss was evaluated.
    Loss {
        /// Index of the denoising step.
        step: usize,
        /// Refinement updates made in this step so far.
        iteration: usize,
        /// Every term.
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
