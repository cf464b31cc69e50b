use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::AddedToken;
// The library's map of tokens, of which WordPiece's alias is private.
use tokenizers::models::bpe::Vocab;

use super::BertTokenizerError;

/// What a tokenizer's files say about its tokens, checked.
pub(super) struct Vocabulary {
    pub(super) ids: Vocab,
    /// Tokens that `tokenizer.json` lists beside its model, by rising id.
    pub(super) added: Vec<(u32, AddedToken)>,
}

impl Vocabulary {
    /// One token a line; of a token that stands there twice, the later id counts.
    pub(super) fn from_lines(text: &str) -> Result<Self, BertTokenizerError> {
        let ids = (0..).zip(text.lines()).map(|(id, token)| (token.to_owned(), id)).collect();
        Self { ids, added: Vec::new() }.checked()
    }

    pub(super) fn from_tokenizer_json(json: &str) -> Result<Self, BertTokenizerError> {
        let file: TokenizerFile = parse("tokenizer.json", json)?;
        // Files written before tokenizers 0.14 may lack the type.
        if let Some(found) = file.model.kind.filter(|kind| kind != "WordPiece") {
            return Err(BertTokenizerError::NotWordPiece { found });
        }
        let mut added: Vec<_> = file.added_tokens.into_iter().map(|entry| (entry.id, entry.token)).collect();
        added.sort_by_key(|(id, _)| *id);
        Self { ids: file.model.vocab, added }.checked()
    }

    fn checked(self) -> Result<Self, BertTokenizerError> {
        match self.ids.iter().find(|(_, id)| i32::try_from(**id).is_err()) {
            Some((token, &id)) => Err(BertTokenizerError::HugeId { token: token.clone(), id }),
            None => Ok(self),
        }
    }
}

/// What `tokenizer_config.json` says.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    pub(super) do_lower_case: bool,
    pub(super) strip_accents: Option<bool>,
    pub(super) tokenize_chinese_chars: bool,
    pub(super) clean_up_tokenization_spaces: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            do_lower_case: true,
            strip_accents: None,
            tokenize_chinese_chars: true,
            clean_up_tokenization_spaces: true,
        }
    }
}

impl Settings {
    pub(super) fn from_json(json: Option<&str>) -> Result<Self, BertTokenizerError> {
        json.map_or_else(|| Ok(Self::default()), |json| parse("tokenizer_config.json", json))
    }
}

fn parse<T: DeserializeOwned>(file: &'static str, json: &str) -> Result<T, BertTokenizerError> {
    serde_json::from_str(json).map_err(|cause| BertTokenizerError::Json { file, cause })
}

#[derive(Deserialize)]
struct TokenizerFile {
    model: ModelEntry,
    #[serde(default)]
    added_tokens: Vec<AddedEntry>,
}

#[derive(Deserialize)]
struct ModelEntry {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Vocab,
}

#[derive(Deserialize)]
struct AddedEntry {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}
