//! The server as its clients meet it, with an engine that paints one colour.

mod access;
mod client;
mod crowd;
mod engine;
mod gallery;
mod images;
mod jobs;
mod load;
mod malformed;
mod openapi;
mod place;
mod webui;
