use std::path::Path;

use ae_hub::{FileChoice, Hub, ModelId, Progress};
use ae_pipeline::{EmbeddedModel, ModelSource, PhraseChoice, SubjectChoice};

use crate::args::{GenerateArgs, PromptArgs};
use crate::error::CliError;
use crate::output::say;

/// The model a command asks for: a path that exists, else a name on the hub, which is fetched.
pub(crate) fn source(
    model: Option<&str>,
    prefer_half: bool,
    progress: &mut dyn Progress,
) -> Result<ModelSource, CliError> {
    let Some(model) = model else {
        return embedded()
            .ok_or_else(|| CliError::Usage("this build has no embedded model: name a model with --model".to_owned()));
    };
    if Path::new(model).exists() {
        return Ok(ModelSource::path(model));
    }
    let id = ModelId::parse(model).map_err(|error| CliError::Model { name: model.to_owned(), error })?;
    let fetched = Hub::from_env()?.fetch(&id, FileChoice { prefer_half }, progress)?;
    if let Some(warning) = fetched.warning {
        say(&format!("warning: {warning}"));
    }
    Ok(ModelSource::folder(fetched.folder))
}

/// The model compiled in, if there is one.
fn embedded() -> Option<ModelSource> {
    embedded_model().map(ModelSource::Embedded)
}

/// The files of the model compiled in, if there is one.
pub(crate) fn embedded_model() -> Option<&'static EmbeddedModel> {
    #[cfg(feature = "embedded")]
    let model = Some(&crate::embedded::SPRITES);
    #[cfg(not(feature = "embedded"))]
    let model = None;
    model
}

/// Description and weights of the detector of the embedded model's subjects, if it is compiled in.
pub(crate) fn embedded_detector() -> Option<(&'static str, &'static [u8])> {
    #[cfg(feature = "embedded")]
    let files = Some(crate::embedded::DETECTOR);
    #[cfg(not(feature = "embedded"))]
    let files = None;
    files
}

/// The choice of every prompt's noun phrases.
pub(crate) fn phrases(args: &GenerateArgs) -> Result<Vec<PhraseChoice>, CliError> {
    let prompts = args.prompts.prompt.len();
    if args.phrases.is_empty() {
        return Ok(vec![PhraseChoice::Auto; prompts]);
    }
    paired(prompts, "--phrases", &args.phrases)?;
    Ok(args.phrases.iter().map(|list| PhraseChoice::Phrases(listed(list))).collect())
}

/// That an option is given once per prompt.
fn paired(prompts: usize, option: &str, values: &[String]) -> Result<(), CliError> {
    if values.len() == prompts {
        return Ok(());
    }
    let values = values.len();
    Err(CliError::Usage(format!("{prompts} prompt(s) but {values} times {option}: give it once per prompt")))
}

/// What commas separate.
fn listed(list: &str) -> Vec<String> {
    list.split(',').map(|item| item.trim().to_owned()).collect()
}

/// Every prompt with the choice of its subjects.
pub(crate) fn prompts(args: &PromptArgs) -> Result<Vec<(&str, SubjectChoice)>, CliError> {
    let prompts = args.prompt.iter().map(String::as_str);
    if !args.subjects.is_empty() {
        paired(args.prompt.len(), "--subjects", &args.subjects)?;
        let words = args.subjects.iter().map(|list| SubjectChoice::Words(listed(list)));
        return Ok(prompts.zip(words).collect());
    }
    if !args.token_indices.is_empty() {
        paired(args.prompt.len(), "--token-indices", &args.token_indices)?;
        let number = |part: &str| {
            part.trim().parse().map_err(|_| {
                CliError::Usage(format!("'{part}' is no token index: expected numbers like 2,5 (see `ae tokens`)"))
            })
        };
        let indices =
            args.token_indices.iter().map(|list| list.split(',').map(number).collect::<Result<Vec<usize>, _>>());
        let indices = indices.collect::<Result<Vec<_>, _>>()?;
        return Ok(prompts.zip(indices.into_iter().map(SubjectChoice::Indices)).collect());
    }
    Ok(prompts.map(|prompt| (prompt, SubjectChoice::Auto)).collect())
}
