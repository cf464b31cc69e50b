//! The command line, as clap reads it.

mod convert;
pub(crate) mod defaults;
mod devices;
mod eval;
mod folders;
mod generate;
mod models;
mod serve;
mod settings;
mod values;

use std::io::Read as _;

use ae_settings::{FloatType, OptionValue, Overrides, SubjectBox, WordGroup, WordPair};
use ae_tensor::DeviceChoice;
use clap::{Args, Parser, Subcommand};
use clap_complete::ArgValueCandidates;

pub(crate) use convert::ConvertArgs;
pub(crate) use devices::DeviceArgs;
pub(crate) use eval::{EvalCommand, EvalReportArgs, EvalRunArgs, EvalScoreArgs, of_folder};
pub(crate) use folders::FolderArgs;
pub(crate) use generate::{GenerateArgs, Whose};
pub(crate) use models::{ModelsCommand, RemovalArgs};
pub(crate) use serve::ServeArgs;
pub(crate) use settings::{
    OfConversions, OfEvaluations, OfModels, OfPictures, OfTokens, OfWeights, SettingsArgs, default_of, help_of,
};

/// How a shell completes commands, options, methods, samplers and names of models.
const COMPLETION: &str =
    "Completion: put `source <(COMPLETE=bash ae)` into ~/.bashrc; zsh, fish, elvish and powershell likewise";

/// Text-to-image with Attend-and-Excite: every subject of the prompt appears in the picture.
#[derive(Debug, Parser)]
#[command(name = "ae", version, propagate_version = true, after_help = format!("{COMPLETION}\n\n{}", defaults::ORDER))]
pub(crate) struct Cli {
    /// Say nothing but errors and results.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say the settings and every loss.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Draw pictures of a prompt.
    #[command(after_help = generate::MORE, after_long_help = generate::EXAMPLES)]
    Generate(Box<GenerateArgs>),
    /// Draw a prompt with and without guidance, and everything that explains the difference.
    ///
    /// As `generate --compare --maps --animation --report`.
    #[command(after_help = generate::MORE)]
    Explain(Box<GenerateArgs>),
    /// Open the studio: a page in the browser to draw, watch and compare, and its REST API.
    Serve(Box<ServeArgs>),
    /// Evaluate methods: draw the prompts of a benchmark, score the pictures, report.
    Eval {
        #[command(subcommand)]
        command: EvalCommand,
    },
    /// Show the tokens of a prompt and which of them are subjects.
    Tokens(Box<TokensArgs>),
    /// List the models that are compiled in, cached, and known by a short name; download and remove them.
    Models {
        #[command(subcommand)]
        command: Option<ModelsCommand>,
    },
    /// Say what a file, a folder or a model is, what is inside and what would be used, without loading it.
    Inspect {
        /// A file, a folder, or a name as in `ae generate`. Nothing is downloaded.
        #[arg(value_name = "PATH|NAME", add = ArgValueCandidates::new(values::model_names))]
        name: String,

        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a model as others read it, with LoRAs and another autoencoder merged into it.
    Convert(Box<ConvertArgs>),
    /// List the devices of this build and this machine.
    Devices,
    /// Compare a device with the CPU: whether its results can be trusted.
    SelfTest(SelfTestArgs),
    /// Show the defaults of options and where they come from; change those of the config file.
    #[command(after_help = defaults::ORDER)]
    Config {
        #[command(subcommand)]
        command: Option<ConfigCommand>,
    },
    /// Print the licence notices of the embedded model.
    #[cfg(feature = "embedded")]
    Notices,
}

/// What can be done with the config file.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print where the config file is.
    Path,
    /// Set the default of an option.
    Set {
        /// An option, as `ae config` lists it.
        name: String,

        /// Its value; several, where the option may be given several times.
        #[arg(required = true, allow_hyphen_values = true)]
        values: Vec<String>,
    },
    /// Take an option out of the config file.
    Unset {
        /// An option, as `ae config` lists it.
        name: String,
    },
}

/// What the help puts prompts and what belongs to them under.
const PROMPT: &str = "Prompt";

/// Prompts, and what belongs to each.
#[derive(Debug, Args)]
pub(crate) struct PromptArgs {
    /// What to draw; `-` reads prompts from standard input, one a line.
    #[arg(value_name = "PROMPT", conflicts_with = "prompt")]
    text: Option<String>,

    /// What to draw; may be given several times.
    #[arg(long, value_name = "TEXT", help_heading = PROMPT, hide_short_help = true)]
    prompt: Vec<String>,

    #[arg(long, value_name = "WORDS", help_heading = PROMPT, conflicts_with = "token_indices", help = once_per_prompt("subjects"))]
    pub(crate) subjects: Vec<String>,

    #[arg(long, value_name = "INDICES", help_heading = PROMPT, hide_short_help = true, help = once_per_prompt("token_indices"))]
    pub(crate) token_indices: Vec<String>,
}

/// What of each prompt belongs together, and where it is to be.
#[derive(Debug, Default, Args)]
pub(crate) struct WordsArgs {
    #[arg(long, value_name = "PHRASES", help_heading = PROMPT, hide_short_help = true, help = once_per_prompt("phrases"))]
    phrases: Vec<String>,

    #[arg(long, value_name = "WORD:NOUN,..", help_heading = PROMPT, hide_short_help = true, help = once_per_prompt("pairs"))]
    pairs: Vec<String>,

    #[arg(long, value_name = "WORDS;..", help_heading = PROMPT, hide_short_help = true, conflicts_with_all = ["pairs", "subjects", "token_indices"], help = once_per_prompt("groups"))]
    groups: Vec<String>,

    #[arg(long, value_name = "WORD:L,T,R,B;..", help_heading = PROMPT, hide_short_help = true, help = once_per_prompt("boxes"))]
    boxes: Vec<String>,
}

/// The help of an option that is given once per prompt.
fn once_per_prompt(name: &str) -> String {
    format!("{}. Once per prompt", help_of(name))
}

impl PromptArgs {
    /// The settings of every prompt.
    ///
    /// # Errors
    ///
    /// Names the option that is given another number of times, or the value that cannot be read; standard input that cannot be read, or
    /// has no prompt.
    pub(crate) fn settings(&self, words: &WordsArgs) -> Result<Vec<Overrides>, String> {
        let prompts = match &self.text {
            Some(text) if text == "-" => prompts_of_stdin()?,
            text => text.iter().chain(&self.prompt).cloned().collect(),
        };
        let count = prompts.len();
        let per_prompt = |option: &str, values: &[String]| match values.len() {
            0 => Ok(vec![None; count]),
            given if given == count => Ok(values.iter().cloned().map(Some).collect()),
            given => Err(format!("{count} prompt(s) but {given} times --{option}: give it once per prompt")),
        };
        // One prompt may have its boxes one by one.
        let boxes = if count == 1 && !words.boxes.is_empty() { &[words.boxes.join(";")] } else { &words.boxes[..] };
        let subjects = per_prompt("subjects", &self.subjects)?;
        let indices = per_prompt("token-indices", &self.token_indices)?;
        let phrases = per_prompt("phrases", &words.phrases)?;
        let pairs = per_prompt("pairs", &words.pairs)?;
        let groups = per_prompt("groups", &words.groups)?;
        let boxes = per_prompt("boxes", boxes)?;
        let settings = (0..count).map(|index| {
            let mut own = Overrides::default();
            own.prompt = Some(prompts[index].clone());
            own.subjects = read::<Vec<String>>(subjects[index].as_deref())?;
            own.phrases = read::<Vec<String>>(phrases[index].as_deref())?;
            own.pairs = read::<Vec<WordPair>>(pairs[index].as_deref())?;
            own.groups = read::<Vec<WordGroup>>(groups[index].as_deref())?;
            own.boxes = read::<Vec<SubjectBox>>(boxes[index].as_deref())?;
            own.token_indices = read::<Vec<usize>>(indices[index].as_deref())
                .map_err(|expected| format!("'{}' is not a token index: {expected}", self.token_indices[index]))?;
            Ok(own)
        });
        settings.collect()
    }
}

/// A value of one prompt, if it is given.
fn read<T: OptionValue>(text: Option<&str>) -> Result<Option<T::Given>, String> {
    text.map(T::parse).transpose()
}

/// The lines of standard input that are not empty.
fn prompts_of_stdin() -> Result<Vec<String>, String> {
    /// Beyond this it is something else.
    const LARGEST: u64 = 1 << 20;
    let mut bytes = Vec::new();
    let read = std::io::stdin().take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input is no prompt: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("standard input is no prompt: it has more than {LARGEST} bytes"));
    }
    let text = ae_files::decode_text(bytes).map_err(|error| format!("standard input is no prompt: {error}"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let prompts: Vec<String> = lines.map(str::to_owned).collect();
    if prompts.is_empty() { Err("standard input has no prompt".to_owned()) } else { Ok(prompts) }
}

#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    #[command(flatten)]
    pub(crate) prompts: PromptArgs,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs<OfTokens>,
}

#[derive(Debug, Args)]
pub(crate) struct SelfTestArgs {
    /// Devices to compare [default: every device but the CPU].
    #[arg(long, value_delimiter = ',', value_name = "DEVICE,..")]
    pub(crate) device: Vec<DeviceChoice>,

    /// Type of weights and activations on the device: f32, f16, bf16 or q8.
    #[arg(long, default_value_t = FloatType::F32, conflicts_with = "quick")]
    pub(crate) dtype: FloatType,

    /// Compare only the operations that tell most, without a model: what `--device auto` asks for.
    #[arg(long)]
    pub(crate) quick: bool,

    /// A model as in `ae generate` [default: the embedded model].
    #[arg(long, value_name = "PATH|NAME", conflicts_with = "quick")]
    pub(crate) model: Option<String>,
}
