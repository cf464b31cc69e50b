//! The texts of a graph.

use super::graph::Graph;
use crate::{EmbeddingRef, Overrides, PromptSyntax};

/// Before the name of a textual inversion.
const EMBEDDING: &str = "embedding:";

pub(super) struct Texts;

impl Texts {
    /// Reads a prompt and a negative one: round brackets are weights, square ones are text, and a backslash makes a bracket a text.
    pub(super) fn read(texts: [&str; 2], graph: &mut Graph<'_>, read: &mut Overrides) {
        let options: [&'static [&'static str]; 2] = [&["prompt"], &["negative_prompt"]];
        let is_weighted = texts.map(has_weights);
        for ((text, options), _) in texts.iter().zip(options).zip(is_weighted).filter(|(_, weighted)| *weighted) {
            let reason = "weights are applied otherwise there, from the empty prompt on; ignored, they are those of AUTOMATIC1111's program";
            graph.refuse("Prompt weights", text, reason, options);
        }
        let weighting = is_weighted.contains(&true);
        let mut embeddings: Vec<EmbeddingRef> = Vec::new();
        let [prompt, negative_prompt] = texts.map(|text| {
            let text = take_embeddings(text, &mut embeddings);
            if weighting { without_words(&text.replace('[', "\\[").replace(']', "\\]")) } else { unescaped(&text) }
        });
        read.prompt_syntax = Some(if weighting { PromptSyntax::A1111 } else { PromptSyntax::Plain });
        read.prompt = Some(prompt);
        read.negative_prompt = Some(negative_prompt);
        read.embeddings = (!embeddings.is_empty()).then_some(embeddings);
    }
}

/// Whether there are brackets that are not text.
fn has_weights(text: &str) -> bool {
    let mut symbols = text.chars();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '\\' => drop(symbols.next()),
            '(' | ')' => return true,
            _ => {}
        }
    }
    false
}

/// Without the words of AUTOMATIC1111's syntax, which are text here: CLIP knows no capitals.
fn without_words(text: &str) -> String {
    text.replace("AND", "and").replace("BREAK", "break")
}

fn unescaped(text: &str) -> String {
    text.replace("\\(", "(").replace("\\)", ")")
}

/// Names textual inversions by their files, `embedding:NAME`, which become words of the prompt.
fn take_embeddings(text: &str, embeddings: &mut Vec<EmbeddingRef>) -> String {
    let (mut taken, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(EMBEDDING) {
        taken.push_str(&rest[..start]);
        rest = &rest[start + EMBEDDING.len()..];
        let end = rest.find(|symbol: char| symbol.is_whitespace() || ",():".contains(symbol)).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('.');
        if name.is_empty() {
            taken.push_str(EMBEDDING);
            continue;
        }
        rest = &rest[name.len()..];
        let base = super::base_name(name);
        let token = base.rsplit_once('.').map_or(base, |(stem, _)| stem).to_owned();
        taken.push_str(&token);
        if embeddings.iter().all(|known| known.name != base) {
            embeddings.push(EmbeddingRef::new(base, Some(token)));
        }
    }
    taken + rest
}
