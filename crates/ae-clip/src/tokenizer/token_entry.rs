use serde::Deserialize;
use tokenizers::AddedToken;

/// The fields of Python's `AddedToken` with its defaults.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the file")]
pub(super) struct TokenEntry {
    pub(super) content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl TokenEntry {
    pub(super) fn special(content: &str) -> Self {
        let content = content.to_owned();
        Self { content, single_word: false, lstrip: false, rstrip: false, normalized: None, special: true }
    }

    /// As transformers makes one of a line of `added_tokens.json`.
    pub(super) fn of_legacy(content: String, special: bool) -> Self {
        Self { content, single_word: false, lstrip: false, rstrip: false, normalized: Some(!special), special }
    }

    /// Keeps its flags.
    pub(super) fn into_special(self) -> Self {
        Self { special: true, ..self }
    }

    pub(super) fn into_added_token(self) -> AddedToken {
        let normalized = self.normalized.unwrap_or(!self.special);
        AddedToken::from(self.content, self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(normalized)
    }
}
