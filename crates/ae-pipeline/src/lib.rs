#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! A [`Pipeline`] is loaded from a [`ModelSource`]. A [`Request`] says what to draw, with the model's
//! own defaults; [`Pipeline::generate`] draws it, tells an observer of every [`Event`] on the way, and
//! returns the pictures with the whole [`Trace`].

mod additions;
mod attention;
mod attention_maps;
mod automatic_subjects;
mod binding;
mod blame;
mod composition;
mod conditioning;
mod convert;
mod defaults;
mod error;
mod event;
mod folder;
mod generate;
mod guided_run;
mod init_image;
mod initial_latents;
mod inpainting;
mod latent_size;
mod layer_choice;
mod load;
mod memory;
mod methods;
mod model_files;
mod model_index;
mod noise_search;
mod objective;
mod options;
mod original_config;
mod output;
mod phrases;
mod pipeline;
mod prepare;
mod presets;
mod read_prompt;
mod request;
mod residency;
mod run;
mod single_file;
mod source;
mod stages;
mod start;
mod tensor_recorder;
mod trace;

pub use attention_maps::AttentionMaps;
pub use automatic_subjects::unknown_nouns;
pub use composition::{PromptPart, prompt_parts};
pub use convert::{ConvertError, Destination, check_written_type, convert};
pub use defaults::ModelDefaults;
pub use error::{LoadError, PipelineError};
pub use event::Event;
pub use generate::Processor;
pub use initial_latents::{InitialLatents, InitialLatentsError};
pub use layer_choice::{LayerChoice, LayerChoiceError};
pub use load::{check_model, load_tokenizer, load_vocabulary};
pub use model_files::{ModelFiles, open_model};
pub use objective::{Input, ObjectiveFactory, ObjectiveInputs, ObjectiveSetup};
pub use options::LoadOptions;
pub use output::{Output, Picture};
pub use phrases::{Phrase, PhraseChoice};
pub use pipeline::Pipeline;
pub use prepare::Prepared;
pub use presets::KnownPreset;
pub use read_prompt::{ReadPart, read_negative_prompt, read_prompt};
pub use request::{OwnObjective, Request, SubjectChoice};
pub use run::Observer;
pub use source::{EmbeddedModel, ModelSource};
pub use stages::Stages;
pub use tensor_recorder::{SaveError, TensorRecorder};
pub use trace::{StepTrace, Trace};

// What a caller needs to fill in a request or to read an output.
pub use ae_checkpoint::Family;
pub use ae_clip::{
    ClipTokenizer, Subject, SubjectError, Token, TokenKind, TokenizedPrompt, Truncation, WeightedPrompt, Word,
    subject_name,
};
pub use ae_guidance::{GuidanceTrace, Losses, Objective, Term};
pub use ae_settings::{
    AttendAndExcite, EmbeddingRef, EotNormalization, FloatType, LongPrompts, LoraRef, Method, NoiseKind, Overrides,
    PredictionType, Preset, PromptSyntax, SchedulerKind, Settings, SettingsError, StepIndex, Thresholds,
};
pub use ae_tensor::{Component, DeviceSpec};
pub use ae_unet::{AttentionKind, AttentionProcessor, AttentionSite, Place, observe_attention};
