use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use super::values::model_names;
use super::{OfWeights, SettingsArgs};

/// What can be done with the models of the hub's cache.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Download a model, or what of it is missing, and print where it is.
    Pull {
        /// A name, as `--model` of `ae generate` takes it.
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(model_names))]
        name: String,

        #[command(flatten)]
        settings: Box<SettingsArgs<OfWeights>>,
    },
    /// Remove models from the cache: all commits of NAME, or those of NAME@REVISION.
    Rm {
        /// A name, as `ae models` lists it.
        #[arg(value_name = "NAME", required = true, add = ArgValueCandidates::new(model_names))]
        names: Vec<String>,

        #[command(flatten)]
        removal: RemovalArgs,
    },
    /// Remove downloads that broke off, and contents that no model has, from the cache.
    Clean {
        #[command(flatten)]
        removal: RemovalArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RemovalArgs {
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}
