use std::path::PathBuf;

use clap::Args;

/// Where files that settings name are looked for, besides the current folder and the hub's cache.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_field_names, reason = "the names of the options")]
pub(crate) struct FolderArgs {
    /// Folder of models. May be given several times.
    #[arg(long, value_name = "DIR", help_heading = "Model", hide_short_help = true)]
    pub(crate) model_dir: Vec<PathBuf>,

    /// Folder of LoRAs. May be given several times.
    #[arg(long, value_name = "DIR", help_heading = "Model", hide_short_help = true)]
    pub(crate) lora_dir: Vec<PathBuf>,

    /// Folder of textual inversions. May be given several times.
    #[arg(long, value_name = "DIR", help_heading = "Model", hide_short_help = true)]
    pub(crate) embedding_dir: Vec<PathBuf>,

    /// Folder of autoencoders. May be given several times.
    #[arg(long, value_name = "DIR", help_heading = "Model", hide_short_help = true)]
    pub(crate) vae_dir: Vec<PathBuf>,
}
