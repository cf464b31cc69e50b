//! Prints the token table of a prompt.
//!
//! ```text
//! cargo run --release -p ae-clip --example tokens -- MODEL/tokenizer "a cat and a polar bear" cat "polar bear"
//! ```
//!
//! Words after the prompt are marked in it.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::env;
use std::error::Error;
use std::path::Path;

use ae_clip::{ClipTokenizer, TokenKind, find_subjects};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [folder, prompt, subjects @ ..] = arguments.as_slice() else {
        return Err("usage: tokens TOKENIZER_FOLDER PROMPT [SUBJECT ...]".into());
    };

    let prompt = ClipTokenizer::from_dir(Path::new(folder))?.tokenize(prompt)?;
    let subjects = find_subjects(&prompt, subjects)?;

    println!("{:>5}  {:<20} {:<20} chosen", "index", "token", "word");
    for token in prompt.tokens().iter().filter(|token| token.kind != TokenKind::Padding) {
        let word = token.word.map_or("", |word| prompt.words()[word].text.as_str());
        let is_chosen = subjects.iter().any(|subject| subject.positions.contains(&token.index));
        println!("{:>5}  {:<20} {word:<20} {}", token.index, token.piece, if is_chosen { "*" } else { "" });
    }
    if let Some(cut) = prompt.truncation() {
        println!("{} tokens did not fit: {}", cut.tokens, cut.text);
    }
    Ok(())
}
