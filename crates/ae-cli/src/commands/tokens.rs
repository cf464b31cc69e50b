use ae_files::show_foreign;
use ae_pipeline::{ReadPart, Subject, SubjectChoice, TokenKind, TokenizedPrompt, load_tokenizer, read_prompt};
use ae_settings::a1111::{take_networks, without_comments};
use ae_settings::{PromptSyntax, Settings};
use attend_and_excite::{Align, table, truncation_warning};

use crate::Verbosity;
use crate::args::{TokensArgs, WordsArgs};
use crate::error::CliError;
use crate::models;
use crate::output::{Download, print, say};

/// Prints index, token, word and choice of every token of the prompts.
pub(crate) fn tokens(args: &TokensArgs, verbosity: Verbosity) -> Result<(), CliError> {
    let prompts = args.prompts.settings(&WordsArgs::default()).map_err(CliError::Usage)?;
    let mut shared = Settings::default();
    shared.apply(&args.settings.given);
    let found = models::find(&shared, &mut Download::new(verbosity.quiet))?;
    let tokenizer = load_tokenizer(&found.source, &shared.loras, &shared.embeddings)?;
    for own in prompts {
        let mut settings = shared.clone();
        settings.apply(&own);
        if settings.prompt_syntax == PromptSyntax::A1111 {
            settings.prompt = take_networks(&without_comments(&settings.prompt)).prompt;
        }
        let parts = read_prompt(&tokenizer, &settings, settings.steps)?;
        let texts: Vec<_> = parts.iter().flat_map(ReadPart::tokenized).collect();
        let choice = SubjectChoice::of(&settings);
        for tokens in &texts {
            let subjects = match choice.resolve(tokens) {
                Ok(subjects) => subjects,
                // A prompt without nouns still has tokens to show, and one of several texts need not have all subjects in each.
                Err(_) if choice == SubjectChoice::Auto || texts.len() > 1 => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            if texts.len() > 1 {
                print(&format!("{}\n", show_foreign(tokens.text().trim(), 200, false)));
            }
            print(&token_table(tokens, &subjects));
            if let Some(warning) = truncation_warning("prompt", tokens) {
                say(&warning);
            }
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
