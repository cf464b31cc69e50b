mod built_in;
mod chunks;
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

pub use chunks::MOST_CHUNKS;
pub use error::TokenizerError;

use crate::prompt::{END_OF_WORD, Piece, PieceKind, SpecialIds, TokenizedPrompt};
use crate::weighting::{WeightedPrompt, is_break, parse_weighted_prompt};
use chunks::{Chunk, Chunks};
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
        Ok(self.read(&[prompt], false, false)?.remove(0).prompt)
    }

    /// Tokenizes a prompt with weights in it, see [`parse_weighted_prompt`]. Its text, and so its words and
    /// spans, is that without the syntax of the weights.
    ///
    /// As in diffusers' community pipeline `lpw_stable_diffusion.py`, each part is tokenized on its own: a
    /// weight within a word splits it into tokens as white space does. The result is framed, cut and padded
    /// as by [`Self::tokenize`]: there are no further chunks of 75 tokens, so that a `BREAK` ends it, and the
    /// padding follows the end, which that pipeline puts last (no difference where `<|endoftext|>` is the padding).
    ///
    /// # Errors
    ///
    /// Those of [`Self::tokenize`] and of [`parse_weighted_prompt`].
    pub fn tokenize_weighted(&self, prompt: &str) -> Result<WeightedPrompt, TokenizerError> {
        Ok(self.read(&[prompt], true, false)?.remove(0))
    }

    /// Tokenizes a prompt as [`Self::tokenize_weighted`] if `weighting`, otherwise as [`Self::tokenize`], with weights of 1.
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub fn tokenize_with(&self, prompt: &str, weighting: bool) -> Result<WeightedPrompt, TokenizerError> {
        Ok(self.read(&[prompt], weighting, false)?.remove(0))
    }

    /// Tokenizes the texts of a prompt that changes, in chunks of the model's length: all get as many as the longest of them, the
    /// others empty ones at the end. A chunk of CLIP has 75 tokens of the text between its own start and end.
    ///
    /// The chunks are those of AUTOMATIC1111's program: a word of a text that does not fit begins the next chunk, together with
    /// what stands between it and a comma in the last 20 tokens. With `weighting`, `BREAK` begins one too, and stands for a comma
    /// in the text.
    ///
    /// # Errors
    ///
    /// Those of [`Self::tokenize_weighted`], and more than [`MOST_CHUNKS`].
    pub fn tokenize_in_chunks(
        &self,
        texts: &[impl AsRef<str>],
        weighting: bool,
    ) -> Result<Vec<WeightedPrompt>, TokenizerError> {
        self.read(texts, weighting, true)
    }

    /// Tokenizes texts with or without weights and chunks.
    fn read(
        &self,
        texts: &[impl AsRef<str>],
        weighting: bool,
        in_chunks: bool,
    ) -> Result<Vec<WeightedPrompt>, TokenizerError> {
        let room = self.max_length - 2;
        let mut all = Vec::with_capacity(texts.len());
        for text in texts {
            let (text, sections) = self.sections(text.as_ref(), weighting)?;
            let (mut chunks, mut cut) = (Vec::new(), Vec::new());
            if in_chunks {
                let mut filled = Chunks::new(room, self.tokenizer.token_to_id(COMMA));
                for (index, section) in sections.into_iter().enumerate() {
                    if index > 0 {
                        filled.end_chunk();
                    }
                    for (pieces, weight) in section {
                        filled.add(pieces, weight);
                    }
                }
                chunks = filled.finish();
            } else {
                let mut pieces = sections.into_iter().map(|section| -> Chunk {
                    let weighted =
                        |(pieces, weight): (Vec<Piece>, f32)| pieces.into_iter().map(move |piece| (piece, weight));
                    section.into_iter().flat_map(weighted).collect()
                });
                let mut first = pieces.next().unwrap_or_default();
                cut = first.split_off(first.len().min(room));
                cut.extend(pieces.flatten());
                chunks.push(first);
            }
            all.push((text, chunks, cut));
        }
        let most = all.iter().map(|(_, chunks, _)| chunks.len()).max().unwrap_or(1);
        if most > MOST_CHUNKS {
            return Err(TokenizerError::TooManyChunks { chunks: most, max: MOST_CHUNKS });
        }
        let framed = all.into_iter().map(|(text, mut chunks, cut)| {
            chunks.resize_with(most, Vec::new);
            self.frame(&text, chunks, cut)
        });
        Ok(framed.collect())
    }

    /// A prompt without the syntax of its weights, and the tokens between its breaks with their weights.
    fn sections(&self, prompt: &str, weighting: bool) -> Result<(String, Vec<Section>), TokenizerError> {
        check_length(prompt)?;
        if !weighting {
            return Ok((prompt.to_owned(), vec![vec![(self.pieces(prompt, 0)?, 1.0)]]));
        }
        let (mut text, mut sections) = (String::new(), vec![Section::new()]);
        for (part, weight) in parse_weighted_prompt(prompt)? {
            if is_break(&part, weight) {
                text.push_str(BREAK_IN_TEXT);
                sections.push(Section::new());
                continue;
            }
            let pieces = self.pieces(&part, text.len())?;
            sections.last_mut().expect("there is one at least").push((pieces, weight));
            text.push_str(&part);
        }
        Ok((text, sections))
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

    fn frame(&self, text: &str, chunks: Vec<Chunk>, cut: Chunk) -> WeightedPrompt {
        let added = self.tokenizer.get_added_vocabulary().get_added_tokens_decoder();
        // The library gives an added token in lowercase.
        let vocabulary = |id| match added.get(&id) {
            Some(token) => token.content.clone(),
            None => self.tokenizer.id_to_token(id).unwrap_or_default(),
        };
        let mut weights = vec![1.0; chunks.len() * self.max_length];
        for (chunk, weights) in chunks.iter().zip(weights.chunks_mut(self.max_length)) {
            chunk.iter().zip(&mut weights[1..]).for_each(|((_, of_piece), weight)| *weight = *of_piece);
        }
        let pieces = |chunk: Chunk| chunk.into_iter().map(|(piece, _)| piece).collect();
        let chunks = chunks.into_iter().map(pieces).collect();
        let prompt = TokenizedPrompt::new(text, chunks, pieces(cut), self.special, self.max_length, vocabulary);
        WeightedPrompt { prompt, weights }
    }
}

/// The tokens of a prompt between two breaks: those of each of its texts, with the weight.
type Section = Vec<(Vec<Piece>, f32)>;

/// The token of a comma.
const COMMA: &str = ",</w>";

/// What stands for a break in the text of a prompt: words before and after it are no phrase.
const BREAK_IN_TEXT: &str = ", ";

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
    use crate::TokenKind::{End, Padding, Start, Text};
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
    fn a_long_prompt_has_chunks_with_their_own_start_and_end() {
        let tokenizer = tokenizer();
        let text = format!("{}cat, dog zoo", "a ".repeat(72));
        let read = tokenizer.tokenize_in_chunks(&[text.as_str(), "a (cat:1.5)"], true).unwrap();
        // The comma is the last token but one of the first chunk, and "dog" follows it into the second.
        let prompt = &read[0].prompt;
        assert_eq!(prompt.chunks().collect::<Vec<_>>(), [0..77, 77..154]);
        assert_eq!((prompt.chunk_ends(), prompt.end()), (&[75, 82][..], 82));
        let kinds: Vec<_> = [0, 74, 75, 76, 77, 78, 81, 82, 83].map(|at| prompt.tokens()[at].kind).to_vec();
        assert_eq!(kinds, [Start, Text, End, Padding, Start, Text, Text, End, Padding]);
        let word = |text: &str| prompt.words().iter().find(|word| word.text == text).unwrap().positions.clone();
        assert_eq!((word("cat"), word("dog"), word("zoo")), (vec![73], vec![78], vec![79, 80, 81]));
        assert_eq!(prompt.truncation(), None);
        // The other one is as long, and ends where it ends.
        let short = &read[1];
        assert_eq!((short.prompt.tokens().len(), short.prompt.end(), short.weights[2]), (154, 3, 1.5));
        assert_eq!(short.prompt.chunk_ends(), [3, 78]);
        assert_eq!(short.weights[77..], [1.0; 77]);
    }

    #[test]
    fn a_break_begins_a_chunk_and_ends_a_prompt_that_is_cut() {
        let tokenizer = tokenizer();
        let read = tokenizer.tokenize_in_chunks(&["a red BREAK (cat:1.5) BREAK"], true).unwrap().remove(0);
        assert_eq!(read.prompt.chunk_ends(), [3, 79]);
        assert_eq!((read.prompt.text(), read.weights[78], read.prompt.end()), ("a red, cat, ", 1.5, 79));
        // Words on its sides are no phrase.
        assert!(crate::find_subjects(&read.prompt, &["red cat"]).is_err());
        assert_eq!(crate::find_subjects(&read.prompt, &["cat"]).unwrap()[0].positions, [78]);
        let cut = tokenizer.tokenize_weighted("a red BREAK cat").unwrap().prompt;
        assert_eq!((cut.end(), cut.truncation().unwrap().tokens), (3, 1));
        // Without weights it is a word.
        assert_eq!(tokenizer.tokenize_in_chunks(&["a BREAK b"], false).unwrap()[0].prompt.chunk_ends().len(), 1);
    }

    #[test]
    fn more_chunks_than_can_be_read_are_refused() {
        let error = tokenizer().tokenize_in_chunks(&["a BREAK ".repeat(40)], true).unwrap_err().to_string();
        assert!(error.starts_with("the prompt has 40 chunks of tokens; at most 32 are read"), "{error}");
        let long = tokenizer().tokenize_in_chunks(&["a ".repeat(30_000)], false).unwrap_err().to_string();
        assert!(long.starts_with("the prompt has 400 chunks"), "{long}");
    }

    #[test]
    fn weights_that_are_no_numbers_are_refused() {
        let error = tokenizer().tokenize_weighted("a (cat:1.2.3)").unwrap_err().to_string();
        assert!(error.starts_with("'1.2.3' is no weight"), "{error}");
        let error = tokenizer().tokenize_weighted(&"x".repeat(1 << 20)).unwrap_err().to_string();
        assert!(error.starts_with("the prompt has 1048576 bytes"), "{error}");
    }
}
