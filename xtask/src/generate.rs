use std::process::Command;

use crate::failure::Failure;
use crate::process::{cargo, run_instead};

/// The prompt of a call without one, so that the shortest command shows something.
const PROMPT: &str = "a lion and a red car";

/// What `--backend` takes: the features of `ae-cli` that bring a device, the default first.
pub(crate) const BACKENDS: [&str; 6] = ["cpu", "wgpu", "vulkan", "metal", "cuda", "rocm"];

/// Draw a picture: build `ae` and run `ae generate`
///
/// --backend BACKEND compiles a backend in (cpu, wgpu, vulkan, metal, cuda or rocm) and draws on it; it can be given more than
/// once, the first is then the one drawn on unless --device says otherwise. All other arguments go to `ae generate`:
/// `cargo xtask generate -- --help` explains them. Without --prompt the prompt is "a lion and a red car".
#[derive(Debug, clap::Args)]
#[command(override_usage = "cargo xtask generate [--backend BACKEND]... [ARGUMENT OF ae generate]...")]
pub(crate) struct Arguments {
    // Not split by clap, which would take `--backend` only in front of what it does not know.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let call = Call::parse("generate", &arguments.arguments)?;
    if call.is_default_prompt {
        eprintln!("no --prompt given: drawing \"{PROMPT}\"");
    }
    call.run()
}

/// Open the studio: build `ae` and run `ae serve`
///
/// --backend BACKEND compiles a backend in, as for `generate`. All other arguments go to `ae serve`: `cargo xtask studio -- --help`
/// explains them.
#[derive(Debug, clap::Args)]
#[command(override_usage = "cargo xtask studio [--backend BACKEND]... [ARGUMENT OF ae serve]...")]
pub(crate) struct StudioArguments {
    // As for `generate`.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run_studio(arguments: &StudioArguments) -> Result<(), Failure> {
    Call::parse("serve", &arguments.arguments)?.run()
}

/// A call of `ae`, and the features of the build that can do it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Call {
    subcommand: &'static str,
    /// Besides the default features: a build for the CPU is the one that the tests use.
    features: Vec<String>,
    arguments: Vec<String>,
    is_default_prompt: bool,
}

impl Call {
    fn parse(subcommand: &'static str, arguments: &[String]) -> Result<Self, Failure> {
        let (backends, mut arguments) = split_backends(arguments)?;
        if let Some(first) = backends.first()
            && !has_option(&arguments, "--device")
        {
            arguments.splice(0..0, ["--device".to_owned(), first.clone()]);
        }
        let asks_for_help = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
        let is_default_prompt = subcommand == "generate" && !asks_for_help && !has_option(&arguments, "--prompt");
        if is_default_prompt {
            arguments.splice(0..0, ["--prompt".to_owned(), PROMPT.to_owned()]);
        }
        let features = backends.into_iter().filter(|backend| backend != BACKENDS[0]).collect();
        Ok(Self { subcommand, features, arguments, is_default_prompt })
    }

    /// Becomes the call. Of a first build it says why it takes so long.
    fn run(&self) -> Result<(), Failure> {
        if !is_built() {
            eprintln!(
                "building `ae`, once: some 400 crates, of which burn, the tensor library, takes longest; \
                 about 5 minutes on two cores. Later calls take seconds."
            );
        }
        run_instead(&mut self.command())
    }

    fn command(&self) -> Command {
        // Cargo is not quiet: the first build takes minutes, and silence would look like a hang.
        let mut command = cargo();
        command.args(["run", "--release", "--package", "ae-cli"]);
        if !self.features.is_empty() {
            command.arg("--features").arg(self.features.join(","));
        }
        command.args(["--", self.subcommand]).args(&self.arguments);
        command
    }
}

/// Whether `ae` was built before. This program stands in the target folder of the development profile.
fn is_built() -> bool {
    let Ok(this) = std::env::current_exe() else { return false };
    let name = format!("ae{}", std::env::consts::EXE_SUFFIX);
    this.ancestors().nth(2).is_some_and(|target| target.join("release").join(name).exists())
}

/// Takes every `--backend` out of the arguments.
fn split_backends(arguments: &[String]) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (mut backends, mut others) = (Vec::new(), Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let backend = if argument == "--backend" {
            arguments.next().map(String::as_str)
        } else if let Some(backend) = argument.strip_prefix("--backend=") {
            Some(backend)
        } else {
            others.push(argument.clone());
            continue;
        };
        match backend {
            Some(backend) if BACKENDS.contains(&backend) => backends.push(backend.to_owned()),
            other => {
                let found = other.map_or("nothing".to_owned(), |other| format!("'{other}'"));
                return Err(Failure::usage(format!("--backend expects one of {}, found {found}", BACKENDS.join(", "))));
            }
        }
    }
    Ok((backends, others))
}

fn has_option(arguments: &[String], option: &str) -> bool {
    arguments
        .iter()
        .any(|argument| argument.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command_line(arguments: &[&str]) -> Result<String, Failure> {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let command = Call::parse("generate", &arguments)?.command();
        Ok(command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_cpu_needs_no_feature() {
        let run = "run --release --package ae-cli -- generate";
        for (arguments, expected) in [
            (&[][..], "--prompt a lion and a red car"),
            (&["--compare"], "--prompt a lion and a red car --compare"),
            (&["--prompt", "a cat"], "--prompt a cat"),
            (&["--prompt=a cat", "--seeds", "7"], "--prompt=a cat --seeds 7"),
            (&["--prompt", "a cat", "--backend", "cpu"], "--device cpu --prompt a cat"),
            (&["--help"], "--help"),
        ] {
            assert_eq!(command_line(arguments).unwrap(), format!("{run} {expected}"));
        }
    }

    #[test]
    fn another_backend_is_compiled_in_and_drawn_on() {
        for (arguments, features, expected) in [
            (&["--backend", "vulkan", "--prompt", "a cat"][..], "vulkan", "--device vulkan --prompt a cat"),
            (&["--prompt", "a cat", "--backend=cuda"], "cuda", "--device cuda --prompt a cat"),
            (
                &["--backend", "cuda", "--device", "cuda:1", "--prompt", "a cat"],
                "cuda",
                "--device cuda:1 --prompt a cat",
            ),
            (&["--backend=wgpu", "--backend=cuda", "--prompt=a"], "wgpu,cuda", "--device wgpu --prompt=a"),
        ] {
            let run = format!("run --release --package ae-cli --features {features} -- generate");
            assert_eq!(command_line(arguments).unwrap(), format!("{run} {expected}"));
        }
    }

    #[test]
    fn the_studio_has_no_prompt() {
        let arguments = ["--backend=wgpu", "--port", "0"].map(str::to_owned);
        let command = Call::parse("serve", &arguments).unwrap().command();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let expected = "run --release --package ae-cli --features wgpu -- serve --device wgpu --port 0";
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn an_unknown_backend_is_wrong_usage() {
        for (arguments, found) in
            [(&["--backend", "gpu"][..], "'gpu'"), (&["--backend="], "''"), (&["--backend"], "nothing")]
        {
            let failure = command_line(arguments).unwrap_err();
            assert_eq!(failure.code, 2);
            assert!(failure.message.ends_with(&format!("rocm, found {found}")), "{}", failure.message);
        }
    }
}
