use std::num::NonZeroUsize;
use std::path::PathBuf;

use ae_pipeline::LayerChoice;
use attend_and_excite::Seeds;
use clap::{Args, ValueEnum};

use super::devices::DEVICE;
use super::{DeviceArgs, FolderArgs, OfPictures, PromptArgs, SettingsArgs, WordsArgs};

/// What stands below the short help, and below the long one.
pub(super) const MORE: &str = "Every option, with examples: --help";
pub(super) const EXAMPLES: &str = include_str!("examples.txt").trim_ascii_end();

/// What the help puts the options under that the table of settings does not have.
const AGAIN: &str = "From a picture's settings";
const PICTURE: &str = "Picture";
const START: &str = "Start picture";
const OUTPUT: &str = "Output";

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) prompts: PromptArgs,

    #[command(flatten)]
    pub(crate) words: WordsArgs,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs<OfPictures>,

    #[command(flatten)]
    pub(crate) folders: FolderArgs,

    /// Seeds, one picture each: "0,1,2", ranges "0-63" [default: 42].
    #[arg(long, help_heading = PICTURE)]
    pub(crate) seeds: Option<Seeds>,

    /// Start from latents in a safetensors file (`latents.initial`, as `--save-tensors` writes them) instead of noise.
    #[arg(long, value_name = "FILE", help_heading = START, hide_short_help = true)]
    pub(crate) latents: Option<PathBuf>,

    /// Draw a picture again by the settings in its file, ours, AUTOMATIC1111's, ComfyUI's, InvokeAI's or NovelAI's; other options replace them.
    #[arg(long, value_name = "PICTURE", help_heading = AGAIN)]
    pub(crate) from: Option<PathBuf>,

    /// Draw without a value of the picture's settings that cannot be honoured. May be given several times.
    #[arg(long, value_name = "NAME", requires = "from", help_heading = AGAIN, hide_short_help = true)]
    pub(crate) ignore: Vec<String>,

    #[command(flatten)]
    pub(crate) devices: DeviceArgs,

    /// Draw on the studio of another machine, by the address that its `ae serve` prints; without a token in it, by that of AE_TOKEN.
    #[arg(long, value_name = "URL", help_heading = DEVICE)]
    pub(crate) host: Option<String>,

    /// Folder for the pictures; `-` writes the one picture to standard output.
    #[arg(long, default_value = "outputs", value_name = "DIR", help_heading = OUTPUT)]
    pub(crate) output: PathBuf,

    /// Also draw the plain picture of the same seed, and both side by side.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) compare: bool,

    /// Leave prompt, methods and seeds out of pictures side by side and grids, as papers want them.
    #[arg(long, help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) no_labels: bool,

    /// Also draw the cross-attention maps of the subjects, or of all tokens, as heat maps: at the last step, over the steps,
    /// and the loss of every subject as a chart.
    #[arg(long, value_enum, value_name = "WHOSE", num_args = 0..=1, default_missing_value = "subjects", help_heading = OUTPUT)]
    pub(crate) maps: Option<Whose>,

    /// Also write an animated PNG of the steps: the decoded latents beside the maps.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) animation: bool,

    /// Also write a report: one HTML file with pictures, maps, losses and settings, which needs nothing else.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) report: bool,

    /// Steps between two decoded previews in figures, animation and report [default: 1, for pictures above 256 pixels 5].
    #[arg(long, value_name = "N", help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) preview_every: Option<NonZeroUsize>,

    /// Also show every picture on the terminal, in coloured blocks.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) preview: bool,

    /// Also write the trace of the run as JSON: timesteps, losses, refinement, wall time.
    #[arg(long, help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) trace: bool,

    /// Also write raw tensors for research: the latents of every step, the gradients of guidance, and the attention of
    /// `--save-attention`. One seed at a time.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) save_tensors: Option<PathBuf>,

    /// Layers whose attention is among the tensors, by their path with `*` for anything and `#` before heads, such as
    /// "up_blocks.*.attn2#0,3". May be given several times.
    #[arg(long, value_name = "LAYER", requires = "save_tensors", help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) save_attention: Vec<LayerChoice>,
}

impl GenerateArgs {
    /// Whether anything is made of the steps.
    pub(crate) fn shows_steps(&self) -> bool {
        self.maps.is_some() || self.animation || self.report
    }

    /// Whether the picture goes to standard output.
    pub(crate) fn is_piped(&self) -> bool {
        self.output.as_os_str() == "-"
    }
}

/// Whose attention is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whose {
    /// The subjects of the prompt.
    Subjects,
    /// Every token of the prompt.
    All,
}
