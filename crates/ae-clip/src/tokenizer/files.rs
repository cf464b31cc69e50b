use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use tokenizers::models::bpe::{Merges, Vocab};

use super::TokenizerError;
use super::token_entry::TokenEntry;

/// What a tokenizer's files say about its byte pair encoding, checked.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) ids: Vocab,
    pub(super) merges: Merges,
    /// Tokens that `tokenizer.json` lists beside its model, by id; none when the files are `vocab.json` and `merges.txt`.
    pub(super) added: BTreeMap<u32, TokenEntry>,
}

impl Vocabulary {
    pub(super) fn from_vocab_and_merges(vocab_json: &str, merges_txt: &str) -> Result<Self, TokenizerError> {
        let ids =
            serde_json::from_str(vocab_json).map_err(|cause| TokenizerError::Json { file: "vocab.json", cause })?;
        Self { ids, merges: parse_merges(merges_txt)?, added: BTreeMap::new() }.checked()
    }

    /// Takes vocabulary and merges only: transformers, too, builds the rest of a `CLIPTokenizer` itself
    /// (`TokenizersBackend.convert_to_native_format`).
    pub(super) fn from_tokenizer_json(json: &str) -> Result<Self, TokenizerError> {
        let file: TokenizerFile =
            serde_json::from_str(json).map_err(|cause| TokenizerError::Json { file: "tokenizer.json", cause })?;
        // Files written before tokenizers 0.14 may lack the type.
        if let Some(found) = file.model.kind.filter(|kind| kind != "BPE") {
            return Err(TokenizerError::NotBpe { found });
        }
        let merges = file.model.merges.into_iter().enumerate().map(|(index, merge)| match merge {
            Merge::Pair(left, right) => Ok((left, right)),
            Merge::Text(text) => parse_merge(index + 1, &text),
        });
        let merges = merges.collect::<Result<_, _>>()?;
        let added = file.added_tokens.into_iter().map(|token| (token.id, token.entry)).collect();
        Self { ids: file.model.vocab, merges, added }.checked()
    }

    /// The tokenizers library indexes by what is checked here, and would panic.
    fn checked(self) -> Result<Self, TokenizerError> {
        let mut tokens = HashMap::with_capacity(self.ids.len());
        for (token, &id) in &self.ids {
            if i32::try_from(id).is_err() {
                return Err(TokenizerError::HugeId { token: token.clone(), id });
            }
            if let Some(other) = tokens.insert(id, token) {
                let (first, second) = if other < token { (other, token) } else { (token, other) };
                return Err(TokenizerError::RepeatedId { id, first: first.clone(), second: second.clone() });
            }
        }
        for (left, right) in &self.merges {
            let merged = format!("{left}{right}");
            if let Some(token) = [left, right, &merged].into_iter().find(|token| !self.ids.contains_key(*token)) {
                let token = token.clone();
                return Err(TokenizerError::UnknownMergeToken { left: left.clone(), right: right.clone(), token });
            }
        }
        Ok(self)
    }
}

pub(super) fn parse_merges(text: &str) -> Result<Merges, TokenizerError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    lines.map(|(index, line)| parse_merge(index + 1, line)).collect()
}

fn parse_merge(line: usize, text: &str) -> Result<(String, String), TokenizerError> {
    match text.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err(TokenizerError::MergeLine { line, text: text.to_owned() }),
    }
}

#[derive(Deserialize)]
struct TokenizerFile {
    model: ModelEntry,
    #[serde(default)]
    added_tokens: Vec<AddedTokenEntry>,
}

#[derive(Deserialize)]
struct ModelEntry {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Vocab,
    merges: Vec<Merge>,
}

/// Older files write a merge as one text, newer ones as a pair.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Text(String),
}

#[derive(Deserialize)]
struct AddedTokenEntry {
    id: u32,
    #[serde(flatten)]
    entry: TokenEntry,
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: &str = r#"{"a": 0, "b</w>": 1, "ab</w>": 2}"#;

    fn refusal(vocab: &str, merges: &str) -> String {
        Vocabulary::from_vocab_and_merges(vocab, merges).unwrap_err().to_string()
    }

    #[test]
    fn reads_both_layouts_of_the_same_vocabulary() {
        let files = Vocabulary::from_vocab_and_merges(VOCAB, "#version: 0.2\r\na b</w>\r\n").unwrap();
        let merge = ("a".to_owned(), "b</w>".to_owned());
        assert_eq!(files.merges, [merge]);
        for merges in [r#"["a b</w>"]"#, r#"[["a", "b</w>"]]"#] {
            let json = format!(r#"{{"model": {{"type": "BPE", "vocab": {VOCAB}, "merges": {merges}}}}}"#);
            let single = Vocabulary::from_tokenizer_json(&json).unwrap();
            assert_eq!((&single.ids, &single.merges), (&files.ids, &files.merges));
        }
    }

    #[test]
    fn malformed_json_names_the_file() {
        assert!(refusal("{\"a\": 0,", "").starts_with("vocab.json is malformed: EOF while parsing"));
        assert!(refusal(r#"{"a": -1}"#, "").starts_with("vocab.json is malformed: invalid value: integer `-1`"));
        assert!(refusal("[1, 2]", "").starts_with("vocab.json is malformed: invalid type: sequence"));
        let error = Vocabulary::from_tokenizer_json("{}").unwrap_err().to_string();
        assert!(error.starts_with("tokenizer.json is malformed: missing field `model`"), "{error}");
    }

    #[test]
    fn another_kind_of_model_is_refused() {
        let json = r#"{"model": {"type": "WordPiece", "vocab": {}, "merges": []}}"#;
        let error = Vocabulary::from_tokenizer_json(json).unwrap_err().to_string();
        assert_eq!(error, "tokenizer.json describes a 'WordPiece' model; CLIP's is 'BPE'");
    }

    #[test]
    fn a_merge_line_that_is_no_pair_is_named() {
        for line in ["a", "a b c", " a", "a "] {
            let merges = format!("#version: 0.2\n{line}\n");
            let expected = format!("merges.txt, line 2: expected two tokens with a space between them, found '{line}'");
            assert_eq!(refusal(VOCAB, &merges), expected);
        }
    }

    #[test]
    fn a_merge_beyond_the_vocabulary_is_named() {
        let expected = "the merge 'a x' needs the token 'x', which the vocabulary lacks; \
                        vocabulary and merges must come from the same tokenizer";
        assert_eq!(refusal(VOCAB, "a x"), expected);
        // Longer than every token: the library would slice out of range.
        assert!(refusal(VOCAB, "ab</w> ab</w>").contains("needs the token 'ab</w>ab</w>'"));
    }

    #[test]
    fn ids_that_are_no_indices_are_named() {
        let expected = "the vocabulary gives the id 7 to both 'a' and 'b'";
        assert_eq!(refusal(r#"{"b": 7, "a": 7}"#, ""), expected);
        assert!(refusal(r#"{"a": 4294967295}"#, "").starts_with("the vocabulary gives 'a' the id 4294967295"));
    }
}
