//! From a prompt to pictures in which every subject appears: Attend-and-Excite on a Stable Diffusion
//! model: a folder in diffusers' layout, or a single file in the original one.
//!
//! A [`Pipeline`] is loaded from a [`ModelSource`]. A [`Request`] says what to draw, with the model's
//! own defaults; [`Pipeline::generate`] draws it, tells an observer of every [`Event`] on the way, and
//! returns the pictures with the whole [`Trace`].
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use ae_pipeline::{DeviceSpec, FloatType, ModelSource, Pipeline};
//!
//! let device = DeviceSpec::CPU.open()?;
//! let pipeline = Pipeline::load(&ModelSource::folder("stable-diffusion-v1-4"), FloatType::F32, &device)?;
//! let request = pipeline.request("a cat and a dog");
//! let output = pipeline.generate(&request, &mut |_event| ControlFlow::Continue(()))?;
//! output.pictures[0].image.save("cat-and-dog.png")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod additions;
mod attention;
mod attention_maps;
mod automatic_subjects;
mod composition;
mod conditioning;
mod defaults;
mod error;
mod event;
mod folder;
mod generate;
mod guided_run;
mod init_image;
mod latent_size;
mod load;
mod model_files;
mod model_index;
mod options;
mod output;
mod phrases;
mod pipeline;
mod request;
mod residency;
mod run;
mod single_file;
mod source;
mod stages;
mod trace;

pub use attention_maps::AttentionMaps;
pub use composition::{PromptPart, prompt_parts};
pub use defaults::ModelDefaults;
pub use error::{LoadError, PipelineError};
pub use event::Event;
pub use init_image::InitImage;
pub use load::load_tokenizer;
pub use model_files::{ModelFiles, open_model};
pub use options::{EmbeddingChoice, LoadOptions, LoraChoice};
pub use output::{Output, Picture};
pub use phrases::{Phrase, PhraseChoice};
pub use pipeline::Pipeline;
pub use request::{EotNormalization, Method, Request, SubjectChoice};
pub use source::{EmbeddedModel, ModelSource};
pub use stages::Stages;
pub use trace::{StepTrace, Trace};

// What a caller needs to fill in a request or to read an output.
pub use ae_checkpoint::Family;
pub use ae_clip::{
    ClipTokenizer, Subject, SubjectError, Token, TokenKind, TokenizedPrompt, Truncation, Word, subject_name,
};
pub use ae_guidance::{GaussianSmoothing, GuidanceSettings, GuidanceTrace, Losses};
pub use ae_scheduler::{PredictionType, SchedulerKind};
pub use ae_tensor::{Component, DeviceSpec, FloatType, NoiseKind};
pub use ae_vae::VaeTiling;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
