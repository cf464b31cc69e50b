use std::collections::BTreeMap;

use serde::Deserialize;
use tokenizers::AddedToken;

use super::files::Vocabulary;
use super::token_entry::TokenEntry;
use super::{TokenizerError, TokenizerSettings};

/// CLIP's context length, used where no file names another.
const DEFAULT_MAX_LENGTH: usize = 77;

/// Lengths above this mean "no limit": transformers writes 1e30.
const NO_LIMIT: f64 = 65_536.0;

pub(super) const START: &str = "<|startoftext|>";
pub(super) const END: &str = "<|endoftext|>";

/// The special tokens of a tokenizer folder, and its length.
#[derive(Debug, PartialEq)]
pub(super) struct SpecialTokens {
    pub(super) bos: String,
    pub(super) eos: String,
    pub(super) unk: String,
    pub(super) pad: String,
    /// Every token that is cut out of a prompt as a whole, in the order in which they are to be added.
    pub(super) added: Vec<AddedToken>,
    pub(super) max_length: usize,
}

impl SpecialTokens {
    /// Follows `PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend.__init__` of transformers 5:
    /// `special_tokens_map.json` overrides `tokenizer_config.json`, unless the latter has an
    /// `added_tokens_decoder`; only without one do the tokens of `added_tokens.json` and `tokenizer.json` count, those of the
    /// latter before the others. They are added in the order of their ids, and get the next free ones.
    ///
    /// Stricter in one point: a special token that no file gives an id is an error, not a new token.
    pub(super) fn resolve(settings: TokenizerSettings<'_>, vocabulary: &Vocabulary) -> Result<Self, TokenizerError> {
        let config: ConfigFile = parse("tokenizer_config.json", settings.tokenizer_config)?;
        let map: RoleTokens = parse("special_tokens_map.json", settings.special_tokens_map)?;
        let legacy: BTreeMap<String, u32> = parse("added_tokens.json", settings.added_tokens)?;
        let (roles, declared) = if let Some(declared) = config.added_tokens_decoder {
            (config.roles, declared)
        } else {
            let roles = config.roles.overridden_by(map);
            let special = roles.contents();
            let legacy = legacy.into_iter().map(|(content, id)| {
                let is_special = special.contains(&content);
                (id, TokenEntry::of_legacy(content, is_special))
            });
            let declared: BTreeMap<_, _> = legacy.chain(vocabulary.added.clone()).collect();
            (roles, declared)
        };

        let is_declared = |content: &str| declared.values().any(|entry| entry.content == content);
        let mut undeclared = Vec::new();
        let mut named = |role, token: Option<RoleToken>, default: &str| {
            let entry = token.map_or_else(|| TokenEntry::special(default), RoleToken::into_entry);
            let token = entry.content.clone();
            if !is_declared(&token) {
                if !vocabulary.ids.contains_key(&token) {
                    return Err(TokenizerError::MissingSpecialToken { role, token });
                }
                undeclared.push(entry.into_added_token());
            }
            Ok(token)
        };
        let bos = named("bos_token", roles.bos_token, START)?;
        let eos = named("eos_token", roles.eos_token, END)?;
        let unk = named("unk_token", roles.unk_token, END)?;
        let pad = named("pad_token", roles.pad_token, END)?;
        let extra = roles.extra_special_tokens.or(roles.additional_special_tokens).map(Extra::into_entries);
        let extra = extra.unwrap_or_default().into_iter().filter(|entry| !is_declared(&entry.content));
        undeclared.extend(extra.map(TokenEntry::into_added_token));
        let added = declared.into_values().map(TokenEntry::into_added_token).chain(undeclared).collect();
        Ok(Self { bos, eos, unk, pad, added, max_length: max_length(config.model_max_length)? })
    }
}

fn parse<T: Default + for<'de> Deserialize<'de>>(file: &'static str, json: Option<&str>) -> Result<T, TokenizerError> {
    let parsed = json.map(serde_json::from_str).transpose();
    Ok(parsed.map_err(|cause| TokenizerError::Json { file, cause })?.unwrap_or_default())
}

fn max_length(found: Option<f64>) -> Result<usize, TokenizerError> {
    match found {
        None => Ok(DEFAULT_MAX_LENGTH),
        Some(length) if length > NO_LIMIT => Ok(DEFAULT_MAX_LENGTH),
        #[expect(clippy::cast_sign_loss, reason = "between 3 and NO_LIMIT")]
        Some(length) if length >= 3.0 => Ok(length as usize),
        Some(found) => Err(TokenizerError::MaxLength { found }),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    #[serde(flatten)]
    roles: RoleTokens,
    model_max_length: Option<f64>,
    added_tokens_decoder: Option<BTreeMap<u32, TokenEntry>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RoleTokens {
    bos_token: Option<RoleToken>,
    eos_token: Option<RoleToken>,
    unk_token: Option<RoleToken>,
    pad_token: Option<RoleToken>,
    /// Further tokens that are cut out as a whole, and their name before transformers 5.
    extra_special_tokens: Option<Extra>,
    additional_special_tokens: Option<Extra>,
}

/// Tokens as a list, or each under a name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Extra {
    List(Vec<RoleToken>),
    Named(BTreeMap<String, RoleToken>),
}

impl Extra {
    fn into_entries(self) -> Vec<TokenEntry> {
        match self {
            Self::List(tokens) => tokens.into_iter().map(RoleToken::into_entry).collect(),
            Self::Named(tokens) => tokens.into_values().map(RoleToken::into_entry).collect(),
        }
    }
}

impl RoleTokens {
    /// The texts of those that make a line of `added_tokens.json` special, which are not all in transformers 5.
    fn contents(&self) -> Vec<String> {
        let named = [&self.bos_token, &self.eos_token, &self.unk_token, &self.pad_token].into_iter().flatten();
        let extra: Vec<&RoleToken> = match &self.extra_special_tokens {
            None => Vec::new(),
            Some(Extra::List(tokens)) => tokens.iter().collect(),
            Some(Extra::Named(tokens)) => tokens.values().collect(),
        };
        named.chain(extra).map(|token| token.content().to_owned()).collect()
    }

    fn overridden_by(self, other: Self) -> Self {
        Self {
            bos_token: other.bos_token.or(self.bos_token),
            eos_token: other.eos_token.or(self.eos_token),
            unk_token: other.unk_token.or(self.unk_token),
            pad_token: other.pad_token.or(self.pad_token),
            extra_special_tokens: other.extra_special_tokens.or(self.extra_special_tokens),
            additional_special_tokens: other.additional_special_tokens.or(self.additional_special_tokens),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RoleToken {
    Text(String),
    Entry(TokenEntry),
}

impl RoleToken {
    fn content(&self) -> &str {
        match self {
            Self::Text(content) => content,
            Self::Entry(entry) => &entry.content,
        }
    }

    fn into_entry(self) -> TokenEntry {
        match self {
            Self::Text(content) => TokenEntry::special(&content),
            Self::Entry(entry) => entry.into_special(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_resolve(config: Option<&str>, map: Option<&str>) -> Result<SpecialTokens, TokenizerError> {
        let vocab = r#"{"!": 0, "<unk>": 1, "<|endoftext|>": 2, "<|startoftext|>": 3, "</s>": 4}"#;
        let vocabulary = Vocabulary::from_vocab_and_merges(vocab, "").unwrap();
        let settings =
            TokenizerSettings { tokenizer_config: config, special_tokens_map: map, ..TokenizerSettings::default() };
        SpecialTokens::resolve(settings, &vocabulary)
    }

    fn resolve(config: Option<&str>, map: Option<&str>) -> SpecialTokens {
        try_resolve(config, map).unwrap()
    }

    #[test]
    fn without_files_the_tokens_are_clips() {
        let tokens = resolve(None, None);
        assert_eq!((tokens.bos.as_str(), tokens.max_length), (START, 77));
        assert_eq!([&tokens.eos, &tokens.unk, &tokens.pad], [END; 3]);
        assert!(tokens.added.iter().all(|token| token.special && !token.normalized));
    }

    #[test]
    fn the_special_tokens_map_overrides_the_config() {
        let config = r#"{"pad_token": "<|endoftext|>", "eos_token": {"__type": "AddedToken", "content": "</s>"}}"#;
        let map = r#"{"pad_token": "!", "unk_token": {"content": "<unk>", "normalized": true}}"#;
        let tokens = resolve(Some(config), Some(map));
        assert_eq!([&tokens.pad, &tokens.unk, &tokens.eos], ["!", "<unk>", "</s>"]);
        let unk = tokens.added.iter().find(|token| token.content == "<unk>").unwrap();
        assert!(unk.special && unk.normalized);
    }

    #[test]
    fn an_added_tokens_decoder_silences_the_special_tokens_map() {
        let config = r#"{"added_tokens_decoder": {
            "9": {"content": "<toy>", "special": false}, "2": {"content": "<|endoftext|>", "special": true}}}"#;
        let tokens = resolve(Some(config), Some(r#"{"pad_token": "!"}"#));
        assert_eq!(tokens.pad, END);
        let contents: Vec<_> = tokens.added.iter().map(|token| token.content.as_str()).collect();
        assert_eq!(contents, [END, "<toy>", START]);
    }

    #[test]
    fn a_length_is_sensible_or_refused() {
        assert_eq!(resolve(Some(r#"{"model_max_length": 1e30}"#), None).max_length, 77);
        assert_eq!(resolve(Some(r#"{"model_max_length": 248}"#), None).max_length, 248);
        for length in ["0", "-5", "2.5"] {
            let config = format!(r#"{{"model_max_length": {length}}}"#);
            let error = try_resolve(Some(&config), None).unwrap_err();
            assert!(error.to_string().ends_with("expected at least 3 (CLIP: 77)"), "{error}");
        }
    }

    #[test]
    fn malformed_files_are_named() {
        for (config, map, file) in
            [(Some("{"), None, "tokenizer_config.json"), (None, Some("[]x"), "special_tokens_map.json")]
        {
            let error = try_resolve(config, map).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{file} is malformed")), "{error}");
        }
    }

    #[test]
    fn a_special_token_without_an_id_is_named() {
        let error = try_resolve(Some(r#"{"pad_token": "<pad>"}"#), None).unwrap_err();
        let expected = "the pad_token '<pad>' is not in the vocabulary; CLIP needs <|startoftext|> and <|endoftext|>";
        assert_eq!(error.to_string(), expected);
    }
}
