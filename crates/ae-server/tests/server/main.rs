//! The server as its clients meet it, with an engine that paints one colour.

mod access;
mod client;
mod crowd;
mod curation;
mod engine;
mod exposed;
mod gallery;
mod images;
mod jobs;
mod load;
mod malformed;
mod models;
mod openai;
mod openapi;
mod place;
mod restart;
mod watch;
mod webui;
