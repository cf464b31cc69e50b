#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! The crate knows no model. A program gives [`Server::bind`] an [`Engine`] that draws; the server queues what clients ask for,
//! lets the engine draw it one job after the other, tells who listens of every step, and keeps the pictures in a folder.
//!
//! - The API is described by the OpenAPI document at `/api/openapi.json`, which is made from the handlers themselves. What can be
//!   drawn is said by the table of options of [`ae_settings`] alone: `/api/generate`, `/api/schema` and the page read it.
//! - `/sdapi/v1` is as in AUTOMATIC1111's program and `/v1` as OpenAI's images, so that their clients work here. Their errors
//!   have the shape that they expect.
//! - Every other error is a JSON object with the key `error`.
//!
//! # Security
//!
//! The server is for one person or a trusted group. On a loopback address it takes every local client; on another one it
//! takes only those that know its token ([`Config::token`]). It refuses requests that a page of another origin makes in the
//! browser of its user, opens no path that a client names, tells none, and bounds sizes, steps, seeds, bodies, times and connections
//! ([`Limits`]). What failed stands in the log (`tracing`) under the id that the answer has as `x-request-id`.

mod access;
mod api;
mod app;
mod assets;
mod body;
mod config;
mod connections;
mod context;
mod downloads;
mod engine;
mod error;
mod gallery;
mod guard;
mod images;
mod job;
mod limits;
mod log;
mod metrics;
mod name;
mod number;
mod openai;
mod png_text;
mod public_text;
mod queue;
mod request;
mod server;
mod wait;
mod webui;

pub use config::Config;
pub use engine::{
    Adapter, Adapters, Device, Drawn, Engine, EngineError, Model, ModelDefaults, PICTURE_NAMES, PromptToken, Tokens,
    TokensRequest, Transfer, Truncation, Update, Word,
};
pub use error::ServerError;
pub use images::InputFiles;
pub use limits::{Limit, LimitError, Limits};
pub use request::GenerateRequest;
pub use server::{Server, Stopper};
