mod built_in;
mod embedding_tokens;
mod error;
mod files;
mod special_tokens;
mod token_entry;

use std::io;
use std::path::Path;

use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

pub use error::TokenizerError;

use crate::prompt::{END_OF_WORD, Piece, PieceKind, SpecialIds, TokenizedPrompt};
use crate::weighting::{WeightedPrompt, parse_weighted_prompt};
use files::Vocabulary;
use special_tokens::SpecialTokens;

/// The longest prompt [`ClipTokenizer::tokenize`] accepts, in bytes.
///
/// The whole prompt is tokenized, so that what does not fit can be named. This bound keeps that work to
/// a fraction of a second; it is some two hundred times what the model can read.
pub const MAX_PROMPT_BYTES: usize = 1 << 16;

/// CLIP's split of a prompt into words, from transformers' `CLIPTokenizer`.
const WORD_PATTERN: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The texts of the files that, beside the vocabulary, make a tokenizer folder. Each may be absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenizerSettings<'a> {
    /// `tokenizer_config.json`: special tokens and `model_max_length`.
    pub tokenizer_config: Option<&'a str>,
    /// `special_tokens_map.json`: in Stable Diffusion 2, what makes `!` the padding.
    pub special_tokens_map: Option<&'a str>,
    /// `added_tokens.json`: tokens beyond the vocabulary, such as those that textual inversion has trained.
    pub added_tokens: Option<&'a str>,
}

/// CLIP's tokenizer: lowercase byte pair encoding between `<|startoftext|>` and `<|endoftext|>`, padded to
/// the model's length.
///
/// Its ids equal those of `CLIPTokenizer` in transformers 5 (`models/clip/tokenization_clip.py`), called with
/// `padding="max_length", truncation=True`.
#[derive(Clone, Debug)]
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    special: SpecialIds,
    max_length: usize,
}

impl ClipTokenizer {
    /// Builds the tokenizer from the texts of `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    ///
    /// Texts that do not parse, merges and special tokens beyond the vocabulary, ids that are no indices.
    pub fn from_vocab_and_merges(
        vocab_json: &str,
        merges_txt: &str,
        settings: TokenizerSettings<'_>,
    ) -> Result<Self, TokenizerError> {
        Self::new(Vocabulary::from_vocab_and_merges(vocab_json, merges_txt)?, settings)
    }

    /// Builds the tokenizer from the text of `tokenizer.json`, of which, as in transformers, only vocabulary,
    /// merges and added tokens count.
    ///
    /// # Errors
    ///
    /// Those of [`Self::from_vocab_and_merges`], and a model that is no byte pair encoding.
    pub fn from_tokenizer_json(json: &str, settings: TokenizerSettings<'_>) -> Result<Self, TokenizerError> {
        Self::new(Vocabulary::from_tokenizer_json(json)?, settings)
    }

    /// Reads a tokenizer folder: `tokenizer.json` when there is one, else `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and the errors of the other two constructors.
    pub fn from_dir(folder: &Path) -> Result<Self, TokenizerError> {
        let tokenizer_config = read_optional(&folder.join("tokenizer_config.json"))?;
        let special_tokens_map = read_optional(&folder.join("special_tokens_map.json"))?;
        let added_tokens = read_optional(&folder.join("added_tokens.json"))?;
        let settings = TokenizerSettings {
            tokenizer_config: tokenizer_config.as_deref(),
            special_tokens_map: special_tokens_map.as_deref(),
            added_tokens: added_tokens.as_deref(),
        };
        if let Some(json) = read_optional(&folder.join("tokenizer.json"))? {
            return Self::from_tokenizer_json(&json, settings);
        }
        let (vocab, merges) = (read(&folder.join("vocab.json"))?, read(&folder.join("merges.txt"))?);
        Self::from_vocab_and_merges(&vocab, &merges, settings)
    }

    fn new(vocabulary: Vocabulary, settings: TokenizerSettings<'_>) -> Result<Self, TokenizerError> {
        let tokens = SpecialTokens::resolve(settings, &vocabulary)?;
        let build = |error: tokenizers::Error| TokenizerError::Build { reason: error.to_string() };

        let model = BPE::builder()
            .vocab_and_merges(vocabulary.ids, vocabulary.merges)
            .continuing_subword_prefix(String::new())
            .end_of_word_suffix(END_OF_WORD.to_owned())
            .unk_token(tokens.unk.clone())
            .build()
            .map_err(build)?;
        let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ").map_err(build)?;
        let words = SplitPattern::Regex(WORD_PATTERN.to_owned());
        // Inverted: the matches are kept, what lies between them (white space) is removed.
        let words = Split::new(words, SplitDelimiterBehavior::Removed, true).map_err(build)?;

        let mut tokenizer = Tokenizer::new(model);
        tokenizer
            .with_normalizer(Some(Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()])))
            .map_err(build)?
            .with_pre_tokenizer(Some(PreTokenizers::new(vec![
                words.into(),
                ByteLevel::default().add_prefix_space(false).into(),
            ])));
        // After the normalizer, to which tokens with `normalized` are subject.
        tokenizer.add_tokens(tokens.added).map_err(build)?;

        let id = |token: &str| tokenizer.token_to_id(token).expect("special tokens are in the vocabulary or added");
        let special = SpecialIds { start: id(&tokens.bos), end: id(&tokens.eos), padding: id(&tokens.pad) };
        Ok(Self { tokenizer, special, max_length: tokens.max_length })
    }

    /// Writes the files of a tokenizer folder, which must be there: `vocab.json`, `merges.txt` and `tokenizer_config.json`, which
    /// transformers and [`from_dir`](Self::from_dir) read as this tokenizer. Tokens beyond the vocabulary are not among them.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        use tokenizers::Model as _;
        self.tokenizer.get_model().save(folder, None).map_err(io::Error::other)?;
        let token = |id| self.tokenizer.id_to_token(id);
        let config = serde_json::json!({
            "tokenizer_class": "CLIPTokenizer",
            "bos_token": token(self.special.start),
            "eos_token": token(self.special.end),
            "unk_token": token(self.special.end),
            "pad_token": token(self.special.padding),
            "model_max_length": self.max_length,
        });
        std::fs::write(folder.join("tokenizer_config.json"), format!("{config:#}\n"))
    }

    /// The ids of start, end and padding.
    pub fn special_ids(&self) -> [u32; 3] {
        [self.special.start, self.special.end, self.special.padding]
    }

    /// The number of ids of every prompt: 77 for CLIP.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Tokenizes a prompt. What does not fit is cut, and reported by [`TokenizedPrompt::truncation`].
    ///
    /// # Errors
    ///
    /// A prompt above [`MAX_PROMPT_BYTES`], and one with bytes for which neither the vocabulary has a token
    /// nor an unknown token stands in.
    pub fn tokenize(&self, prompt: &str) -> Result<TokenizedPrompt, TokenizerError> {
        check_length(prompt)?;
        Ok(self.frame(prompt, self.pieces(prompt, 0)?))
    }

    /// Tokenizes a prompt with weights in it, see [`parse_weighted_prompt`]. Its text, and so its words and
    /// spans, is that without the syntax of the weights.
    ///
    /// As in diffusers' community pipeline `lpw_stable_diffusion.py`, each part is tokenized on its own: a
    /// weight within a word splits it into tokens as white space does. The result is framed, cut and padded
    /// as by [`Self::tokenize`]: there are no further chunks of 75 tokens, and the padding follows the end,
    /// which that pipeline puts last (no difference where `<|endoftext|>` is the padding).
    ///
    /// # Errors
    ///
    /// Those of [`Self::tokenize`] and of [`parse_weighted_prompt`].
    pub fn tokenize_weighted(&self, prompt: &str) -> Result<WeightedPrompt, TokenizerError> {
        check_length(prompt)?;
        let (mut text, mut pieces, mut piece_weights) = (String::new(), Vec::new(), Vec::new());
        for (part, weight) in parse_weighted_prompt(prompt)? {
            pieces.extend(self.pieces(&part, text.len())?);
            piece_weights.resize(pieces.len(), weight);
            text.push_str(&part);
        }
        let prompt = self.frame(&text, pieces);
        let mut weights = vec![1.0; prompt.tokens().len()];
        let text_positions = 1..prompt.end();
        weights[text_positions.clone()].copy_from_slice(&piece_weights[..text_positions.len()]);
        Ok(WeightedPrompt { prompt, weights })
    }

    /// Tokenizes a prompt as [`Self::tokenize_weighted`] if `weighting`, otherwise as [`Self::tokenize`], with weights of 1.
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub fn tokenize_with(&self, prompt: &str, weighting: bool) -> Result<WeightedPrompt, TokenizerError> {
        if weighting {
            return self.tokenize_weighted(prompt);
        }
        let prompt = self.tokenize(prompt)?;
        let weights = vec![1.0; prompt.tokens().len()];
        Ok(WeightedPrompt { prompt, weights })
    }

    /// The tokens of a text that begins at the byte `offset` of the prompt.
    fn pieces(&self, text: &str, offset: usize) -> Result<Vec<Piece>, TokenizerError> {
        // Start, end, truncation and padding are left to `TokenizedPrompt`, which keeps account of them.
        let encoding =
            self.tokenizer.encode(text, false).map_err(|error| TokenizerError::Encode { reason: error.to_string() })?;
        let added = self.tokenizer.get_added_vocabulary().get_added_tokens_decoder();
        let mut pieces = Vec::with_capacity(encoding.len());
        for (&id, &(start, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            let span = offset + start..offset + end;
            match added.get(&id) {
                Some(token) if token.special => pieces.push(Piece { id, span, kind: PieceKind::Special }),
                Some(token) if self.is_placeholder(&token.content) => {
                    let vector = |id| Piece { id, span: span.clone(), kind: PieceKind::Embedding };
                    pieces.extend(self.vector_ids(&token.content).map(vector));
                }
                _ => pieces.push(Piece { id, span, kind: PieceKind::Text }),
            }
        }
        Ok(pieces)
    }

    fn frame(&self, text: &str, pieces: Vec<Piece>) -> TokenizedPrompt {
        let added = self.tokenizer.get_added_vocabulary().get_added_tokens_decoder();
        // The library gives an added token in lowercase.
        let vocabulary = |id| match added.get(&id) {
            Some(token) => token.content.clone(),
            None => self.tokenizer.id_to_token(id).unwrap_or_default(),
        };
        TokenizedPrompt::new(text, pieces, self.special, self.max_length, vocabulary)
    }
}

/// Bytes of a file, far above any vocabulary.
const LARGEST_FILE: u64 = 64 << 20;

fn check_length(prompt: &str) -> Result<(), TokenizerError> {
    if prompt.len() > MAX_PROMPT_BYTES {
        return Err(TokenizerError::PromptTooLong { bytes: prompt.len(), max: MAX_PROMPT_BYTES });
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, TokenizerError> {
    ae_files::read_text(path, LARGEST_FILE).map_err(|cause| TokenizerError::Io { path: path.to_owned(), cause })
}

fn read_optional(path: &Path) -> Result<Option<String>, TokenizerError> {
    match ae_files::read_text(path, LARGEST_FILE) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(TokenizerError::Io { path: path.to_owned(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::testing::{tokenizer, vocabulary};

    #[test]
    fn frames_and_pads_to_77() {
        let prompt = tokenizer().tokenize("a cat").unwrap();
        let pieces: Vec<_> = prompt.tokens().iter().map(|token| token.piece.as_str()).collect();
        assert_eq!(pieces[..4], ["<|startoftext|>", "a</w>", "cat</w>", "<|endoftext|>"]);
        assert_eq!(pieces[4..], ["<|endoftext|>"; 73]);
        assert_eq!(prompt.ids().len(), 77);
    }

    #[test]
    fn the_special_tokens_map_chooses_the_padding() {
        let (vocab, merges) = vocabulary();
        let settings =
            TokenizerSettings { special_tokens_map: Some(r#"{"pad_token": "!"}"#), ..TokenizerSettings::default() };
        let tokenizer = ClipTokenizer::from_vocab_and_merges(&vocab, &merges, settings).unwrap();
        let ids = tokenizer.tokenize("a cat").unwrap().ids();
        assert_eq!(ids[4..], [tokenizer.special.padding; 73]);
        assert_ne!(tokenizer.special.padding, tokenizer.special.end);
    }

    #[test]
    fn hostile_prompts_are_tokenized() {
        let tokenizer = tokenizer();
        let prompts = [
            "",
            " \t\n",
            "\0",
            "a\0cat",
            "🐱🐱\u{200d}",
            "\u{301}",
            "\u{feff}",
            "</w>",
            "<|endoftext|><|startoftext|>",
            "\u{10ffff}",
            "'s's's",
            "İ",
            "-",
            "''",
            "a-",
            "ﬃ",
        ];
        for prompt in prompts {
            let tokenized = tokenizer.tokenize(prompt).unwrap();
            assert_eq!(tokenized.ids().len(), 77, "{prompt:?}");
            assert_eq!(tokenized.tokens()[tokenized.end()].piece, "<|endoftext|>", "{prompt:?}");
        }
    }

    #[test]
    fn the_longest_prompt_is_quick_and_a_longer_one_is_refused() {
        let tokenizer = tokenizer();
        let start = Instant::now();
        for unit in ["a", "cat ", "-a", "'", "🐱", "é"] {
            let prompt = unit.repeat(MAX_PROMPT_BYTES / unit.len());
            let tokenized = tokenizer.tokenize(&prompt).unwrap();
            assert_eq!(tokenized.end(), 76);
        }
        assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());

        let error = tokenizer.tokenize(&"x".repeat(1 << 20)).unwrap_err().to_string();
        assert!(error.starts_with("the prompt has 1048576 bytes; at most 65536 are accepted"), "{error}");
    }

    #[test]
    fn a_folder_without_a_tokenizer_is_named() {
        let error = ClipTokenizer::from_dir(Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read 'no/such/folder"), "{error}");
        assert!(error.ends_with("a tokenizer folder holds tokenizer.json, or vocab.json and merges.txt"), "{error}");
    }

    #[test]
    fn a_byte_the_vocabulary_lacks_is_the_unknown_token() {
        let vocab = r#"{"a</w>": 0, "<|startoftext|>": 1, "<|endoftext|>": 2}"#;
        let tokenizer = ClipTokenizer::from_vocab_and_merges(vocab, "", TokenizerSettings::default()).unwrap();
        assert_eq!(tokenizer.tokenize("a b a").unwrap().ids()[..5], [1, 0, 2, 0, 2]);
    }

    /// `get_prompts_with_weights(pipe, ["un(happi:1.4)ness, a (cat:1.5) [dog]"], 75)` of
    /// `lpw_stable_diffusion.py`.
    #[test]
    fn a_weighted_prompt_has_the_tokens_of_its_parts() {
        let tokenizer = ClipTokenizer::stable_diffusion_1();
        let WeightedPrompt { prompt, weights } =
            tokenizer.tokenize_weighted("un(happi:1.4)ness, a (cat:1.5) [dog]").unwrap();
        assert_eq!(prompt.text(), "unhappiness, a cat dog");
        let cut = prompt.end();
        assert_eq!(prompt.ids()[..cut], [49_406, 2271, 784, 328, 1294, 267, 320, 2368, 1929]);
        assert_eq!(weights[..cut], [1.0, 1.0, 1.4, 1.4, 1.0, 1.0, 1.0, 1.5, 0.909_090_94]);
        assert_eq!(weights[cut..], [1.0; 77][cut..]);
        // Words are those of the text, whatever parts it came from.
        let words: Vec<_> = prompt.words().iter().map(|word| (&*word.text, &*word.positions)).collect();
        assert_eq!(words, [("unhappiness", [1, 2, 3, 4].as_slice()), ("a", &[6]), ("cat", &[7]), ("dog", &[8])]);
        assert!(prompt.words().iter().all(|word| prompt.text()[word.span.clone()] == word.text));
    }

    #[test]
    fn a_weighted_prompt_without_weights_is_the_plain_one() {
        let tokenizer = tokenizer();
        for prompt in ["", "a cat and a dog", "zoo 🐱 'tis a red-bear", &"cat ".repeat(100)] {
            let weighted = tokenizer.tokenize_weighted(prompt).unwrap();
            assert_eq!(weighted.prompt, tokenizer.tokenize(prompt).unwrap());
            assert_eq!(weighted.weights, [1.0; 77]);
        }
        assert!(tokenizer.tokenize("(cat:1.5)").unwrap().words().iter().any(|word| word.text == "5"));
    }

    #[test]
    fn a_long_weighted_prompt_is_cut_like_a_plain_one() {
        let weighted = tokenizer().tokenize_weighted(&format!("{}(cat dog:2) [zoo]", "a ".repeat(74))).unwrap();
        assert_eq!(weighted.weights[74..], [1.0, 2.0, 1.0]);
        let expected = crate::Truncation { text: "dog zoo".to_owned(), tokens: 4 };
        assert_eq!(weighted.prompt.truncation(), Some(&expected));
    }

    #[test]
    fn weights_that_are_no_numbers_are_refused() {
        let error = tokenizer().tokenize_weighted("a (cat:1.2.3)").unwrap_err().to_string();
        assert!(error.starts_with("'1.2.3' is no weight"), "{error}");
        let error = tokenizer().tokenize_weighted(&"x".repeat(1 << 20)).unwrap_err().to_string();
        assert!(error.starts_with("the prompt has 1048576 bytes"), "{error}");
    }
}
