//! The options of settings, from the table that REST and the studio read too.

use std::marker::PhantomData;

use ae_settings::{FormerOption, Group, Kind, OptionInfo, Overrides, all_options, default_value};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use serde_json::{Map, Value};

use super::values::model_names;

/// Options of a command whose short help has all of them; of more, it has the common ones.
const SHORT: usize = 12;

/// Which options of the settings a command has.
pub(crate) trait Chosen {
    /// Whether it has this one.
    fn has(option: &OptionInfo) -> bool;
}

/// Everything but what belongs to a prompt, which can be given several times.
#[derive(Clone, Debug)]
pub(crate) struct OfPictures;

/// What pictures of an evaluation share.
#[derive(Clone, Debug)]
pub(crate) struct OfEvaluations;

/// What is loaded.
#[derive(Clone, Debug)]
pub(crate) struct OfModels;

/// Which weights of a model are downloaded.
#[derive(Clone, Debug)]
pub(crate) struct OfWeights;

impl Chosen for OfWeights {
    fn has(option: &OptionInfo) -> bool {
        ["dtype", "variant"].contains(&option.name)
    }
}

/// What a model has in it when it is converted. Textual inversions are no part of a model.
#[derive(Clone, Debug)]
pub(crate) struct OfConversions;

impl Chosen for OfConversions {
    fn has(option: &OptionInfo) -> bool {
        OfModels::has(option) && option.name != "embeddings"
    }
}

/// What decides the tokens of a prompt.
#[derive(Clone, Debug)]
pub(crate) struct OfTokens;

impl Chosen for OfPictures {
    fn has(option: &OptionInfo) -> bool {
        !matches!(option.group, Group::Prompt | Group::Record)
    }
}

impl Chosen for OfEvaluations {
    fn has(option: &OptionInfo) -> bool {
        OfPictures::has(option) && !matches!(option.group, Group::InitImage | Group::Method)
    }
}

impl Chosen for OfModels {
    fn has(option: &OptionInfo) -> bool {
        option.group == Group::Loaded && option.name != "model"
    }
}

impl Chosen for OfTokens {
    fn has(option: &OptionInfo) -> bool {
        ["model", "embeddings", "prompt_syntax", "long_prompts"].contains(&option.name)
    }
}

/// The settings that a command line gives.
#[derive(Clone, Debug)]
pub(crate) struct SettingsArgs<C> {
    /// Those of the command line, and the defaults that the user has set.
    pub(crate) given: Overrides,
    /// Those of the command line alone.
    pub(crate) said: Overrides,
    chosen: PhantomData<C>,
}

impl<C: Chosen> SettingsArgs<C> {
    fn options() -> impl Iterator<Item = (Option<&'static str>, &'static OptionInfo)> {
        all_options().filter(|(_, option)| C::has(option))
    }

    /// Switches of former versions that stand for options of this command.
    fn former() -> impl Iterator<Item = &'static FormerOption> {
        let has = |name: &str| Self::options().any(|(_, option)| option.name == name);
        FormerOption::ALL.iter().filter(move |former| former.stands_for.iter().all(|(name, _)| has(name)))
    }
}

impl<C: Chosen> clap::Args for SettingsArgs<C> {
    fn augment_args(command: Command) -> Command {
        let mut options: Vec<_> = Self::options().map(|(_, option)| option).collect();
        // Headings come in the order of their first options.
        options.sort_by_key(|option| OptionInfo::HEADINGS.iter().position(|heading| *heading == option.heading()));
        let is_long = options.len() > SHORT;
        let command = options.into_iter().fold(command, |command, option| {
            let hidden = is_long && !option.common;
            command.arg(argument(option).help_heading(option.heading()).hide_short_help(hidden))
        });
        Self::former().fold(command, |command, former| {
            let argument = Arg::new(former.name).long(former.name.replace('_', "-")).hide(true);
            command.arg(argument.action(ArgAction::SetTrue))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Chosen> clap::FromArgMatches for SettingsArgs<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = Self::values(matches, false)?;
        Ok(Self { given, said: Self::values(matches, true)?, chosen: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<C: Chosen> SettingsArgs<C> {
    /// The values of the options, or of those that the command line itself names. An option has a default for clap only where the user
    /// has set one.
    fn values(matches: &ArgMatches, said_only: bool) -> Result<Overrides, clap::Error> {
        let is_said = |name: &str| {
            matches!(matches.try_contains_id(name), Ok(true))
                && matches.value_source(name) == Some(ValueSource::CommandLine)
        };
        let mut all = Map::new();
        for (group, option) in Self::options() {
            let is_there = match option.kind {
                Kind::Switch => matches.get_flag(option.name),
                _ => matches.value_source(option.name).is_some(),
            };
            // A default must not undo what the command line refines.
            let is_undone = option.name == "smoothing" && (is_said("sigma") || is_said("kernel_size"));
            if !is_there || (said_only || is_undone) && !is_said(option.name) {
                continue;
            }
            let value = match option.kind {
                Kind::Switch => Value::Bool(!option.is_negated()),
                kind if kind.repeats() => {
                    let values = matches.get_many::<Value>(option.name).into_iter().flatten();
                    // Each is a list of one.
                    Value::Array(values.filter_map(Value::as_array).flatten().cloned().collect())
                }
                _ => matches.get_one::<Value>(option.name).cloned().unwrap_or_default(),
            };
            let members = match group {
                None => &mut all,
                Some(group) => {
                    all.entry(group).or_insert_with(|| Value::Object(Map::new())).as_object_mut().expect("an object")
                }
            };
            members.insert(option.name.to_owned(), value);
        }
        let former = Self::former().filter(|former| matches.get_flag(former.name));
        let former = former.filter(|former| !said_only || is_said(former.name));
        all.extend(former.map(|former| (former.name.to_owned(), Value::Bool(true))));
        Overrides::from_json(&Value::Object(all))
            .map_err(|error| clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{error}\n")))
    }
}

/// An option as clap takes it.
fn argument(option: &'static OptionInfo) -> Arg {
    let argument = Arg::new(option.name).long(option.flag()).help(help(option));
    let argument = match option.kind {
        Kind::Switch => argument.action(ArgAction::SetTrue),
        kind => {
            let parse = move |text: &str| {
                let value = (option.parse)(text)?;
                option.check(&value)?;
                Ok::<_, String>(value)
            };
            let action = if kind.repeats() { ArgAction::Append } else { ArgAction::Set };
            argument.action(action).value_name(option.value_name).value_parser(parse).allow_hyphen_values(true)
        }
    };
    let argument = match option.kind {
        Kind::Choice(choices) => {
            let names = move || choices.iter().map(|choice| CompletionCandidate::new(choice.name)).collect::<Vec<_>>();
            argument.add(ArgValueCandidates::new(names))
        }
        _ if option.name == "model" => argument.add(ArgValueCandidates::new(model_names)),
        _ => argument,
    };
    match option.name {
        // What would change nothing is refused.
        "smoothing" => argument.conflicts_with_all(["sigma", "kernel_size"]),
        "strength" => argument.requires("init_image"),
        _ => argument,
    }
}

/// The help of an option with its default.
fn help(option: &OptionInfo) -> String {
    let text = option.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let text = text.strip_suffix('.').unwrap_or(&text);
    if option.is_negated() {
        let mut letters = text.chars();
        let first = letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
        return format!("Do not {first}{}", letters.as_str());
    }
    let default = default_of(option);
    if default.is_empty() { text.to_owned() } else { format!("{text} [default: {default}]") }
}

/// The default of an option in words; nothing for a switch.
pub(crate) fn default_of(option: &OptionInfo) -> String {
    let group = all_options().find(|(_, other)| other.name == option.name).and_then(|(group, _)| group);
    match (option.default_text, default_value(group, option.name)) {
        (Some(text), _) => text.to_owned(),
        (None, Some(value)) if option.kind != Kind::Switch => option.text(&value),
        _ => String::new(),
    }
}

/// The help of an option that a command line reads in a way of its own.
pub(crate) fn help_of(name: &str) -> String {
    let (_, option) = all_options().find(|(_, option)| option.name == name).expect("an option of the table");
    help(option)
}
