use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ae_eval::Shard;
use ae_settings::Method;
use ae_tensor::DeviceChoice;
use attend_and_excite::Seeds;
use attend_and_excite::evaluation::Ablation;
use clap::{Args, Command, Subcommand};

use super::{DeviceArgs, OfEvaluations, SettingsArgs};

/// The parts of an evaluation.
#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Draw every prompt with every seed by every method; goes on where it was interrupted.
    Run(Box<EvalRunArgs>),
    /// Score the pictures of a folder, ours or anyone's; each once, whatever interrupts.
    Score(EvalScoreArgs),
    /// Make tables, charts and a page of the scores.
    Report(EvalReportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EvalRunArgs {
    /// The paper's 276 prompts, one of its sets (animals, animals-objects, objects), numbers (two, three and four things), or a
    /// file: text with one prompt per line, or JSON with subjects.
    #[arg(long, default_value = "paper", value_name = "SET|FILE")]
    pub(crate) prompts: String,

    /// Only so many prompts of every set, evenly chosen.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Seeds of every prompt: "0,1,2", ranges "0-63", which are the paper's.
    #[arg(long, default_value = "0-3")]
    pub(crate) seeds: Seeds,

    /// What is compared; the first is what the others are compared with.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "METHOD,..",
        default_value = "stable-diffusion,composable-diffusion,structure-diffusion,attend-and-excite"
    )]
    pub(crate) methods: Vec<Method>,

    /// Compare settings of Attend-and-Excite instead of methods.
    #[arg(long, value_enum, conflicts_with = "methods")]
    pub(crate) ablation: Option<Ablation>,

    /// Folder of the evaluation.
    #[arg(long, default_value = "evaluation", value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// Draw one part of several, INDEX/COUNT from 0 [default: what a Slurm array or an indexed Kubernetes Job says, or all].
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,

    /// Folder of LoRAs that prompts name with `<lora:NAME:STRENGTH>`. May be given several times.
    #[arg(long, value_name = "DIR")]
    pub(crate) lora_dir: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) devices: DeviceArgs,

    /// Then score the pictures with the detector of the embedded model's subjects, and report.
    #[arg(long, conflicts_with = "shard")]
    pub(crate) report: bool,

    // Last, because its heading would cover what follows.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs<OfEvaluations>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalScoreArgs {
    /// Folder of an evaluation, or any folder of pictures METHOD/PROMPT/SEED.png.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,

    /// Folder for the scores [default: DIR].
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,

    /// Only these methods, by the names of their folders [default: all].
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    pub(crate) methods: Vec<String>,

    /// CLIP, as a folder of the Hugging Face hub (openai/clip-vit-base-patch16 is the paper's): full prompt and minimum object.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) clip: Option<PathBuf>,

    /// BLIP captioner, as a folder of the Hugging Face hub (Salesforce/blip-image-captioning-base): text-text similarity.
    #[arg(long, value_name = "FOLDER", requires = "clip")]
    pub(crate) blip: Option<PathBuf>,

    /// Without the detector of the embedded model's subjects.
    #[arg(long)]
    pub(crate) no_detector: bool,

    /// Device of the scorers; see `ae devices`.
    #[arg(long, default_value_t = DeviceChoice::Auto, value_name = "DEVICE")]
    pub(crate) device: DeviceChoice,
}

#[derive(Debug, Args)]
pub(crate) struct EvalReportArgs {
    /// Folder of an evaluation that has been scored.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,

    /// Folder of the scores, and for the report [default: DIR].
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,

    /// Best and worst pictures of every method in the page.
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub(crate) examples: usize,

    /// What makes pictures best and worst, by its key [default: the first metric].
    #[arg(long, value_name = "METRIC")]
    pub(crate) by: Option<String>,

    /// Prompts, evenly chosen, whose first pictures stand side by side in pictures.png.
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub(crate) rows: usize,
}

/// The arguments as if only the folder was given.
pub(crate) fn of_folder<T: Args>(folder: &Path) -> T {
    let command = T::augment_args(Command::new("eval").no_binary_name(true));
    let matches = command.try_get_matches_from([OsStr::new("--"), folder.as_os_str()]);
    matches.and_then(|matches| T::from_arg_matches(&matches)).expect("nothing else is required")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_enough() {
        // A name that begins as an option does is none.
        let folder = Path::new("--device");
        let score: EvalScoreArgs = of_folder(folder);
        assert_eq!((score.folder.as_path(), score.device, score.no_detector), (folder, DeviceChoice::Auto, false));
        let report: EvalReportArgs = of_folder(folder);
        assert_eq!((report.folder.as_path(), report.examples, report.rows), (folder, 6, 6));
    }
}
