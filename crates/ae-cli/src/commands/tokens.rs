use ae_pipeline::{PipelineError, Subject, SubjectChoice, TokenKind, TokenizedPrompt, load_tokenizer};

use crate::args::TokensArgs;
use crate::error::CliError;
use crate::model;
use crate::output::{Download, print, warn_of_truncation};

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
            // A prompt without content words still has tokens to show.
            Err(_) if choice == SubjectChoice::Auto => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        print(&table(&tokens, &subjects));
        warn_of_truncation(&tokens);
    }
    Ok(())
}

/// The table, without the padding.
fn table(prompt: &TokenizedPrompt, subjects: &[Subject]) -> String {
    let chosen = |index| subjects.iter().any(|subject| subject.positions.contains(&index));
    let rows = prompt.tokens().iter().filter(|token| token.kind != TokenKind::Padding).map(|token| {
        let word = token.word.map_or("", |word| &prompt.words()[word].text);
        let mark = if chosen(token.index) { "subject" } else { "" };
        [token.index.to_string(), token.piece.clone(), word.to_owned(), mark.to_owned()]
    });
    let rows: Vec<[String; 4]> =
        std::iter::once(["index", "token", "word", ""].map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [index, token, word] = [width(0), width(1), width(2)];
    let lines = rows.iter().map(|row| {
        let line = format!("{:>index$}  {:<token$}  {:<word$}  {}", row[0], row[1], row[2], row[3]);
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}
