use ae_pipeline::{PipelineError, Subject, SubjectChoice, TokenKind, TokenizedPrompt, load_tokenizer};
use ae_settings::Settings;
use attend_and_excite::{Align, table, truncation_warning};

use crate::Verbosity;
use crate::args::TokensArgs;
use crate::error::CliError;
use crate::models;
use crate::output::{Download, print, say};

/// Prints index, token, word and choice of every token of the prompts.
pub(crate) fn tokens(args: &TokensArgs, verbosity: Verbosity) -> Result<(), CliError> {
    let prompts = args.prompts.settings(&[]).map_err(CliError::Usage)?;
    let mut shared = Settings::default();
    shared.apply(&args.settings.given);
    let found = models::find(&shared, &mut Download::new(verbosity.quiet))?;
    let tokenizer = load_tokenizer(&found.source, &shared.loras, &shared.embeddings)?;
    for own in prompts {
        let mut settings = shared.clone();
        settings.apply(&own);
        let tokens = tokenizer.tokenize_with(&settings.prompt, settings.prompt_weighting);
        let tokens = tokens.map_err(PipelineError::from)?.prompt;
        let choice = SubjectChoice::of(&settings);
        let subjects = match choice.resolve(&tokens) {
            Ok(subjects) => subjects,
            // A prompt without nouns still has tokens to show.
            Err(_) if choice == SubjectChoice::Auto => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        print(&token_table(&tokens, &subjects));
        if let Some(warning) = truncation_warning("prompt", &tokens) {
            say(&warning);
        }
    }
    Ok(())
}

/// The tokens as a table, without the padding.
fn token_table(prompt: &TokenizedPrompt, subjects: &[Subject]) -> String {
    let chosen = |index| subjects.iter().any(|subject| subject.positions.contains(&index));
    let rows = prompt.tokens().iter().filter(|token| token.kind != TokenKind::Padding).map(|token| {
        let word = token.word.map_or("", |word| &prompt.words()[word].text);
        let mark = if chosen(token.index) { "subject" } else { "" };
        [token.index.to_string(), token.piece.clone(), word.to_owned(), mark.to_owned()]
    });
    let rows: Vec<[String; 4]> =
        std::iter::once(["index", "token", "word", ""].map(str::to_owned)).chain(rows).collect();
    table([Align::Right, Align::Left, Align::Left, Align::Left], &rows)
}
