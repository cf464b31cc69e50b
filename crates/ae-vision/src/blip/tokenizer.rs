mod error;
mod files;

use std::io;
use std::path::Path;

use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Tokenizer};

pub use error::BertTokenizerError;
use files::{Settings, Vocabulary};

const UNKNOWN: &str = "[UNK]";
const START: &str = "[CLS]";
const END: &str = "[SEP]";
/// The tokens of which a decoded text says nothing, where the vocabulary has them.
const SPECIAL: [&str; 5] = [UNKNOWN, END, "[PAD]", START, "[MASK]"];
const PREFIX: &str = "##";

/// BERT's tokenizer: lower-case WordPiece between `[CLS]` and `[SEP]`.
///
/// Ids and texts equal those of transformers' `BertTokenizer` (`models/bert/tokenization_bert.py`). Of a `tokenizer.json`
/// vocabulary and added tokens count, as there.
#[derive(Debug)]
pub struct BertTokenizer {
    tokenizer: Tokenizer,
    start: u32,
    end: u32,
    cleans_up: bool,
}

impl BertTokenizer {
    /// Builds the tokenizer from the text of `vocab.txt`, one token a line, and that of `tokenizer_config.json`.
    ///
    /// # Errors
    ///
    /// A config that does not parse, and a vocabulary without BERT's special tokens.
    pub fn from_vocab(vocab_txt: &str, tokenizer_config: Option<&str>) -> Result<Self, BertTokenizerError> {
        Self::new(Vocabulary::from_lines(vocab_txt)?, &Settings::from_json(tokenizer_config)?)
    }

    /// Builds the tokenizer from the texts of `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// # Errors
    ///
    /// Those of [`Self::from_vocab`], and a model that is not WordPiece.
    pub fn from_tokenizer_json(json: &str, tokenizer_config: Option<&str>) -> Result<Self, BertTokenizerError> {
        Self::new(Vocabulary::from_tokenizer_json(json)?, &Settings::from_json(tokenizer_config)?)
    }

    /// Reads a tokenizer folder: `tokenizer.json` when there is one, else `vocab.txt`, and `tokenizer_config.json` beside
    /// it.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and the errors of the other two constructors.
    pub fn from_dir(folder: &Path) -> Result<Self, BertTokenizerError> {
        let config = read_optional(&folder.join("tokenizer_config.json"))?;
        if let Some(json) = read_optional(&folder.join("tokenizer.json"))? {
            return Self::from_tokenizer_json(&json, config.as_deref());
        }
        let path = folder.join("vocab.txt");
        let vocab = ae_files::read_text(&path, LARGEST_FILE).map_err(|cause| BertTokenizerError::Io { path, cause })?;
        Self::from_vocab(&vocab, config.as_deref())
    }

    fn new(vocabulary: Vocabulary, settings: &Settings) -> Result<Self, BertTokenizerError> {
        let build = |error: tokenizers::Error| BertTokenizerError::Build { reason: error.to_string() };
        let id = |token: &'static str| {
            vocabulary.ids.get(token).copied().ok_or(BertTokenizerError::MissingSpecialToken { token })
        };
        let (start, end) = (id(START)?, id(END)?);
        id(UNKNOWN)?;
        let specials = SPECIAL.into_iter().filter(|token| vocabulary.ids.contains_key(*token));
        let specials: Vec<_> = specials.map(|token| AddedToken::from(token, true)).collect();

        let model = WordPiece::builder()
            .vocab(vocabulary.ids)
            .unk_token(UNKNOWN.to_owned())
            .continuing_subword_prefix(PREFIX.to_owned())
            .build()
            .map_err(build)?;
        let mut tokenizer = Tokenizer::new(model);
        tokenizer
            .with_normalizer(Some(BertNormalizer::new(
                true,
                settings.tokenize_chinese_chars,
                settings.strip_accents,
                settings.do_lower_case,
            )))
            .map_err(build)?
            .with_pre_tokenizer(Some(BertPreTokenizer))
            .with_decoder(Some(WordPieceDecoder::new(PREFIX.to_owned(), true)));
        for (id, token) in vocabulary.added {
            let content = token.content.clone();
            tokenizer.add_tokens([token]).map_err(build)?;
            if tokenizer.token_to_id(&content) != Some(id) {
                return Err(BertTokenizerError::AddedId { token: content, id });
            }
        }
        tokenizer.add_special_tokens(specials).map_err(build)?;
        Ok(Self { tokenizer, start, end, cleans_up: settings.clean_up_tokenization_spaces })
    }

    /// The largest id there is.
    pub fn largest_id(&self) -> u32 {
        self.tokenizer.get_vocab(true).into_values().max().unwrap_or(0)
    }

    /// The ids of a text between those of `[CLS]` and `[SEP]`: `tokenizer(text).input_ids`.
    ///
    /// # Errors
    ///
    /// When the tokenizers library fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, BertTokenizerError> {
        let encoding = self.tokenizer.encode(text, false);
        let encoding = encoding.map_err(|error| BertTokenizerError::Encode { reason: error.to_string() })?;
        Ok([&[self.start], encoding.get_ids(), &[self.end]].concat())
    }

    /// The text of ids, without special tokens and ids that the vocabulary lacks, and without spaces before punctuation:
    /// `tokenizer.decode(ids, skip_special_tokens=True)`.
    ///
    /// transformers 5 leaves the spaces around apostrophes unless `tokenizer_config.json` says
    /// `clean_up_tokenization_spaces`; transformers 4, and LAVIS by it, do so only where it says no. Here it is as in 4.
    ///
    /// # Errors
    ///
    /// When the tokenizers library fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, BertTokenizerError> {
        let text = self.tokenizer.decode(ids, true);
        let text = text.map_err(|error| BertTokenizerError::Decode { reason: error.to_string() })?;
        Ok(if self.cleans_up { clean_up(&text) } else { text })
    }
}

/// transformers' `clean_up_tokenization`.
fn clean_up(text: &str) -> String {
    const SPACED: [&str; 10] = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"];
    SPACED.iter().fold(text.to_owned(), |text, spaced| text.replace(spaced, spaced.trim()))
}

/// Bytes of a file, far above any vocabulary.
const LARGEST_FILE: u64 = 64 << 20;

fn read_optional(path: &Path) -> Result<Option<String>, BertTokenizerError> {
    match ae_files::read_text(path, LARGEST_FILE) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(BertTokenizerError::Io { path: path.to_owned(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\npicture\nof\ncat\n##s\ndog\n'\ns\n,\n.\ncafe\n";

    fn tokenizer(config: Option<&str>) -> BertTokenizer {
        BertTokenizer::from_vocab(VOCAB, config).unwrap()
    }

    #[test]
    fn texts_become_lower_case_pieces_between_start_and_end() {
        let ids = tokenizer(None).encode(" A picture\tof Cats, caf\u{e9} zebra").unwrap();
        assert_eq!(ids, [2, 5, 6, 7, 8, 9, 13, 15, 1, 3]);
        assert_eq!(tokenizer(None).encode("").unwrap(), [2, 3]);
        let cased = tokenizer(Some(r#"{"do_lower_case": false}"#)).encode("A cat").unwrap();
        assert_eq!(cased, [2, 1, 8, 3]);
    }

    #[test]
    fn a_decoded_text_has_no_special_tokens_and_no_spaces_before_punctuation() {
        let ids = [40, 5, 8, 9, 13, 1, 10, 11, 12, 8, 14, 3, 0, u32::MAX];
        assert_eq!(tokenizer(None).decode(&ids).unwrap(), "a cats, dog's cat.");
        let config = r#"{"clean_up_tokenization_spaces": false}"#;
        assert_eq!(tokenizer(Some(config)).decode(&ids).unwrap(), "a cats, dog ' s cat.");
        assert_eq!(tokenizer(None).decode(&[]).unwrap(), "");
    }

    #[test]
    fn a_tokenizer_json_is_the_same_with_its_added_tokens() {
        let vocab: serde_json::Map<_, _> =
            VOCAB.lines().enumerate().map(|(id, token)| (token.into(), id.into())).collect();
        let json = |added: &str| {
            let vocab = serde_json::Value::from(vocab.clone());
            format!(r#"{{"model": {{"type": "WordPiece", "vocab": {vocab}}}, "added_tokens": {added}}}"#)
        };
        let added = r#"[{"id": 16, "content": "[DEC]", "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false}]"#;
        let tokenizer = BertTokenizer::from_tokenizer_json(&json(added), None).unwrap();
        assert_eq!(tokenizer.encode("[DEC] a cat").unwrap(), [2, 16, 5, 8, 3]);
        assert_eq!(tokenizer.decode(&[16, 5, 8]).unwrap(), "a cat");
        assert_eq!(tokenizer.largest_id(), 16);
        let error = BertTokenizer::from_tokenizer_json(&json(&added.replace("16", "17")), None).unwrap_err();
        assert!(error.to_string().starts_with("tokenizer.json gives '[DEC]' the id 17"), "{error}");
    }

    #[test]
    fn what_is_no_bert_tokenizer_is_refused() {
        let error = |result: Result<BertTokenizer, BertTokenizerError>| result.unwrap_err().to_string();
        let bpe = r#"{"model": {"type": "BPE", "vocab": {}, "merges": []}}"#;
        let expected = "tokenizer.json describes a 'BPE' model; BLIP's is 'WordPiece'";
        assert_eq!(error(BertTokenizer::from_tokenizer_json(bpe, None)), expected);
        assert!(error(BertTokenizer::from_tokenizer_json("{", None)).starts_with("tokenizer.json is malformed"));
        assert!(error(BertTokenizer::from_vocab("a\nb\n", None)).starts_with("'[CLS]' is not in the vocabulary"));
        assert!(error(BertTokenizer::from_vocab(VOCAB, Some("{"))).starts_with("tokenizer_config.json is malformed"));
        let huge = r#"{"model": {"vocab": {"[CLS]": 4294967295}}}"#;
        assert!(error(BertTokenizer::from_tokenizer_json(huge, None)).contains("the id 4294967295"));
        let folder = tempfile::tempdir().unwrap();
        assert!(error(BertTokenizer::from_dir(folder.path())).contains("vocab.txt"));
    }
}
