use ae_pipeline::{PipelineError, Subject, SubjectChoice, TokenKind, TokenizedPrompt, load_tokenizer};

use crate::args::TokensArgs;
use crate::error::CliError;
use crate::model;
use crate::output::{Align, Download, print, table, warn_of_truncation};

/// Prints index, token, word and choice of every token of the prompts.
pub(crate) fn tokens(args: &TokensArgs) -> Result<(), CliError> {
    let prompts = model::prompts(&args.prompts)?;
    let source = model::source(args.prompts.model.as_deref(), false, &mut Download::new(false))?;
    let tokenizer = load_tokenizer(&source, &args.prompts.embedding)?;
    for (prompt, choice) in prompts {
        let tokens = if args.prompts.prompt_weighting {
            tokenizer.tokenize_weighted(prompt).map(|weighted| weighted.prompt)
        } else {
            tokenizer.tokenize(prompt)
        };
        let tokens = tokens.map_err(PipelineError::from)?;
        let subjects = match choice.resolve(&tokens) {
            Ok(subjects) => subjects,
            // A prompt without nouns still has tokens to show.
            Err(_) if choice == SubjectChoice::Auto => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        print(&token_table(&tokens, &subjects));
        warn_of_truncation(&tokens);
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
