use std::net::IpAddr;
use std::path::PathBuf;

use ae_server::{Config, Limits};
use ae_tensor::DeviceChoice;
use clap::Args;

use super::{FolderArgs, OfModels, SettingsArgs};

/// The studio.
#[derive(Debug, Args)]
#[command(after_help = format!("Limits:\n{}", Limits::table()))]
pub(crate) struct ServeArgs {
    /// A model to choose from, as in `ae generate`; may be given several times, the first is drawn with by default. The
    /// embedded model, those of `--model-dir` and those in the cache of the Hugging Face hub can be chosen too.
    #[arg(long, value_name = "PATH|NAME")]
    pub(crate) model: Vec<String>,

    /// Devices to choose from [default: all that `ae devices` lists, `auto` first].
    #[arg(long, value_delimiter = ',', value_name = "DEVICE,..")]
    pub(crate) device: Vec<DeviceChoice>,

    /// Port; 0 takes a free one.
    #[arg(long, default_value_t = Config::PORT, value_name = "N")]
    pub(crate) port: u16,

    /// Address to listen on. On any but a loopback address clients need a token.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) listen: IpAddr,

    /// What clients must know; also read from the variable AE_TOKEN [default: none on loopback, else a random one].
    #[arg(long, value_name = "TEXT")]
    pub(crate) token: Option<String>,

    /// Folder of the gallery.
    #[arg(long, default_value = "outputs/studio", value_name = "DIR")]
    pub(crate) gallery: PathBuf,

    /// A limit on what clients may ask for, one of those below, such as `max_queue=100` or `max_picture=64M`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) limit: Vec<String>,

    /// Keep a network on the device only while it works, and of guidance as little as above 512x512 pixels; slower, with the same pictures.
    #[arg(long)]
    pub(crate) low_memory: bool,

    #[command(flatten)]
    pub(crate) folders: FolderArgs,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs<OfModels>,
}
