use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::values::model_names;
use super::{OfConversions, SettingsArgs};

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// A model, as `--model` of `ae generate` takes it.
    #[arg(value_name = "MODEL", add = ArgValueCandidates::new(model_names))]
    pub(crate) model: String,

    /// Where to write it: a folder in diffusers' layout, or a single file in the original layout if it ends with .safetensors.
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,

    /// Replace a model that is there.
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs<OfConversions>,
}
