use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ae_figures::{Step, Subject, Term, Token};
use ae_settings::{EmbeddingRef, LongPrompts, LoraRef, Method, Overrides, PromptSyntax, Vocabulary};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::GenerateRequest;

/// Who draws. The server calls [`draw`](Self::draw) from one thread, and the others at any time.
pub trait Engine: Send + Sync + 'static {
    /// The models that can be chosen, the default first.
    fn models(&self) -> Vec<Model>;

    /// The LoRAs, textual inversions and autoencoders that can be chosen beside a model.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    fn adapters(&self) -> Result<Adapters, EngineError> {
        Ok(Adapters::default())
    }

    /// Brings a model of [`models`](Self::models) that is not here onto this machine; `observe` hears how far it is and ends it by
    /// breaking. It is called from a thread of its own, for several models at a time.
    ///
    /// # Errors
    ///
    /// When there is nothing to be brought, it fails, or `observe` breaks ([`EngineError::Interrupted`]).
    fn download(
        &self,
        model: &str,
        observe: &mut (dyn FnMut(&Transfer) -> ControlFlow<()> + Send),
    ) -> Result<(), EngineError> {
        let _ = observe;
        Err(EngineError::refused("model", format!("the model '{model}' cannot be downloaded")))
    }

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

    /// Asks what is drawn to end as soon as it can, in the middle of a step if it can; comes at any time from any thread. An engine that
    /// does nothing ends when `observe` breaks.
    fn interrupt(&self) {}
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Model {
    /// What a request names.
    pub id: String,
    /// What a person reads.
    pub title: String,
    /// Whether it is in memory.
    pub loaded: bool,
    /// Whether it can be drawn with only after it was downloaded.
    pub remote: bool,
    /// Bytes of its files; before it is downloaded about so many.
    pub bytes: Option<u64>,
    /// The name of the licence of its weights, where it is known.
    pub licence: Option<String>,
    /// One line on what it is, where it is known.
    pub description: Option<String>,
    /// The words that it knows, of a model of few things: `things` under what they are, and `colours`.
    #[schema(value_type = Option<Object>)]
    pub vocabulary: Option<Vocabulary>,
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
    /// The same for each method that guides, by its name, as far as it depends on the method.
    #[schema(value_type = Object)]
    pub methods: BTreeMap<String, Overrides>,
}

/// The files that can be chosen beside a model: what the folders of the server have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Adapters {
    /// LoRAs, for `loras` of a request and for `<lora:NAME:STRENGTH>` in a prompt.
    pub loras: Vec<Adapter>,
    /// Textual inversions, for `embeddings`.
    pub embeddings: Vec<Adapter>,
    /// Autoencoders, for `vae`.
    pub vaes: Vec<Adapter>,
}

/// A file that can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Adapter {
    /// What a request names; never a path.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it is loaded where a request says nothing.
    pub usual: bool,
}

/// How far the download of a model is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Transfer {
    /// Bytes that have arrived.
    pub bytes: u64,
    /// Bytes in all; 0 while that is not known.
    pub total: u64,
    /// What is done just now, in words.
    pub doing: String,
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
#[derive(Clone, Debug, Default, PartialEq, Deserialize, ToSchema)]
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
    /// The LoRAs, as in `/api/generate`: some bring tokens.
    #[schema(value_type = Option<Vec<Object>>)]
    pub loras: Option<Vec<LoraRef>>,
    /// The textual inversions, as in `/api/generate`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub embeddings: Option<Vec<EmbeddingRef>>,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Tokens {
    /// From the start token to the end token.
    pub tokens: Vec<PromptToken>,
    /// The words that can be subjects.
    pub words: Vec<Word>,
    /// What the model does not read, if anything.
    pub truncation: Option<Truncation>,
    /// The nouns that the model has not learned, where it says what it knows.
    pub unknown: Vec<String>,
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
