use std::collections::BTreeMap;

use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::files::{Vocabulary, parse_merges};
use super::special_tokens::{END, START};
use super::{ClipTokenizer, TokenizerError, TokenizerSettings};
use crate::prompt::END_OF_WORD;

/// The merges of OpenAI's CLIP; `assets/LICENSE` gives their origin.
const MERGES: &str = include_str!("../../assets/merges.txt");

impl ClipTokenizer {
    /// The tokenizer of every Stable Diffusion 1 model, from the vocabulary built into this crate: for
    /// checkpoints of one file, which carry no tokenizer. The padding is `<|endoftext|>`, id 49407.
    #[expect(clippy::missing_panics_doc, reason = "the vocabulary is a constant")]
    pub fn stable_diffusion_1() -> Self {
        Self::built_in(TokenizerSettings::default()).expect("the vocabulary is a constant")
    }

    /// The tokenizer of every Stable Diffusion 2 model, see [`Self::stable_diffusion_1`]. The padding is `!`,
    /// id 0.
    ///
    /// As in diffusers, the padding is a special token: a `!` in a prompt has its id too.
    #[expect(clippy::missing_panics_doc, reason = "the vocabulary is a constant")]
    pub fn stable_diffusion_2() -> Self {
        let map = r#"{"pad_token": "!"}"#;
        let settings = TokenizerSettings { special_tokens_map: Some(map), ..TokenizerSettings::default() };
        Self::built_in(settings).expect("the vocabulary is a constant")
    }

    fn built_in(settings: TokenizerSettings<'_>) -> Result<Self, TokenizerError> {
        Self::new(vocabulary()?, settings)
    }
}

/// Numbers the tokens as OpenAI's `SimpleTokenizer` does (`clip/simple_tokenizer.py`): the bytes, the bytes
/// that end a word, what each merge makes, start and end.
fn vocabulary() -> Result<Vocabulary, TokenizerError> {
    // `bytes_to_unicode` lists the printable bytes first, which keep their code points; the others follow
    // from 256 on. That is the order of the code points.
    let mut bytes: Vec<_> = ByteLevel::alphabet().into_iter().map(String::from).collect();
    bytes.sort_unstable();
    let ends = bytes.iter().map(|byte| format!("{byte}{END_OF_WORD}")).collect();
    let merges = parse_merges(MERGES)?;
    let merged = merges.iter().map(|(left, right)| format!("{left}{right}")).collect();
    let tokens = [bytes, ends, merged, vec![START.to_owned(), END.to_owned()]].into_iter().flatten();
    Ok(Vocabulary { ids: tokens.zip(0..).collect(), merges, added: BTreeMap::new() })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn text_ids(tokenizer: &ClipTokenizer, prompt: &str) -> Vec<u32> {
        let prompt = tokenizer.tokenize(prompt).unwrap();
        prompt.tokens()[1..prompt.end()].iter().map(|token| token.id).collect()
    }

    #[test]
    fn a_tokenizer_is_saved_as_itself() {
        for tokenizer in [ClipTokenizer::stable_diffusion_1(), ClipTokenizer::stable_diffusion_2()] {
            let folder = tempfile::tempdir().unwrap();
            tokenizer.save(folder.path()).unwrap();
            let again = ClipTokenizer::from_dir(folder.path()).unwrap();
            assert_eq!((again.special_ids(), again.max_length()), (tokenizer.special_ids(), tokenizer.max_length()));
            for prompt in ["a lion and a RED car!", "caf\u{e9} \u{1f408} ,,, zebra's", ""] {
                assert_eq!(
                    again.tokenize(prompt).unwrap().ids(),
                    tokenizer.tokenize(prompt).unwrap().ids(),
                    "{prompt}"
                );
            }
        }
    }

    /// `CLIPTokenizer.from_pretrained(folder)(prompt)["input_ids"]` in transformers 5.24, of a folder with `vocab.json`,
    /// `merges.txt` and these files; "<CAT-toy>" is not the special `<cat-toy>`.
    #[test]
    fn tokens_beyond_the_vocabulary_have_the_ids_of_transformers() {
        type Case<'a> = (TokenizerSettings<'a>, &'a [&'a str], &'a [&'a [u32]]);
        const PROMPTS: [&str; 2] = ["a <cat-toy> and a dog", "a <CAT-toy>, dog"];
        const TOY: Option<&str> = Some(r#"{"<cat-toy>": 49408}"#);
        const SPECIAL: Option<&str> = Some(r#"{"additional_special_tokens": ["<cat-toy>"]}"#);
        let file = |added_tokens| TokenizerSettings { added_tokens, ..TokenizerSettings::default() };
        let split: &[u32] = &[320, 283, 2368, 268, 5988, 29, 267, 1929];
        let cases: [Case<'_>; 8] = [
            (file(TOY), &PROMPTS, &[&[320, 49408, 537, 320, 1929], &[320, 49408, 267, 1929]]),
            (
                file(Some(r#"{"<cat-toy>_1": 49409, "<cat-toy>": 49408, "<|endoftext|>": 49407}"#)),
                &["a <cat-toy> <cat-toy>_1 dog"],
                &[&[320, 49408, 49409, 49409, 1929]],
            ),
            // The next free ids in the order of those of the file.
            (file(Some(r#"{"<b>": 49410, "<a>": 49408}"#)), &["<a> <b> a"], &[&[49408, 49409, 320]]),
            (file(Some(r#"{"zwx": 49408}"#)), &["a zwx dog", "a zwxdog"], &[&[320, 49408, 1929], &[320, 49408, 1929]]),
            (
                TokenizerSettings { special_tokens_map: SPECIAL, ..file(TOY) },
                &PROMPTS,
                &[&[320, 49408, 537, 320, 1929], &[320, 49408, 267, 1929]],
            ),
            (
                TokenizerSettings {
                    tokenizer_config: Some(
                        r#"{"added_tokens_decoder": {"49407": {"content": "<|endoftext|>", "special": true}}}"#,
                    ),
                    ..file(TOY)
                },
                &PROMPTS,
                &[&[320, 283, 2368, 268, 5988, 285, 537, 320, 1929], split],
            ),
            (
                TokenizerSettings { tokenizer_config: SPECIAL, ..file(None) },
                &PROMPTS,
                &[&[320, 49408, 537, 320, 1929], split],
            ),
            (
                TokenizerSettings {
                    special_tokens_map: Some(r#"{"additional_special_tokens": ["<x>", "<cat-toy>"]}"#),
                    ..file(None)
                },
                &PROMPTS,
                &[&[320, 49409, 537, 320, 1929], split],
            ),
        ];
        for (settings, prompts, expected) in cases {
            let tokenizer = ClipTokenizer::built_in(settings).unwrap();
            for (prompt, expected) in prompts.iter().zip(expected) {
                assert_eq!(text_ids(&tokenizer, prompt), *expected, "{settings:?}: {prompt}");
            }
        }
        let error = ClipTokenizer::built_in(file(Some("[]"))).unwrap_err().to_string();
        assert!(error.starts_with("added_tokens.json is malformed"), "{error}");
    }

    #[test]
    fn the_vocabulary_has_the_tokens_of_clip() {
        let vocabulary = vocabulary().unwrap();
        assert_eq!((vocabulary.ids.len(), vocabulary.merges.len()), (49_408, 48_894));
        let ids = ["!", "!</w>", "in", "jekyll</w>", START, END].map(|token| vocabulary.ids[token]);
        assert_eq!(ids, [0, 256, 512, 49_405, 49_406, 49_407]);
    }

    /// ```python
    /// tokenizer = CLIPTokenizer(vocab, merges)  # from bpe_simple_vocab_16e6.txt.gz, numbered by SimpleTokenizer
    /// tokenizer(prompt, padding="max_length").input_ids, tokenizer(prompt).input_ids[1:-1]
    /// ```
    #[test]
    fn ids_equal_transformers() {
        let tokenizer = ClipTokenizer::stable_diffusion_1();
        let ids = tokenizer.tokenize("a photo of a cat").unwrap().ids();
        assert_eq!(ids[..7], [49_406, 320, 1125, 539, 320, 2368, 49_407]);
        assert_eq!(ids[7..], [49_407; 70]);
        let expected: [(&str, &[u32]); 4] = [
            ("don't!", &[847, 713, 256]),
            ("café t-shirt 3.14", &[15_304, 339, 268, 2523, 274, 269, 272, 275]),
            ("日本語の猫 🐱", &[39_121, 44_353, 34_002, 252, 21_575, 163, 234, 360, 22_979]),
            ("İ ﬃ\u{a0}ß", &[328, 16_384, 171, 105, 481, 127, 509]),
        ];
        for (prompt, expected) in expected {
            assert_eq!(text_ids(&tokenizer, prompt), expected, "{prompt}");
        }
    }

    /// The same with `pad_token="!"`.
    #[test]
    fn stable_diffusion_2_pads_with_an_exclamation_mark() {
        let tokenizer = ClipTokenizer::stable_diffusion_2();
        let ids = tokenizer.tokenize("a photo of a cat").unwrap().ids();
        assert_eq!(ids[..7], [49_406, 320, 1125, 539, 320, 2368, 49_407]);
        assert_eq!(ids[7..], [0; 70]);
        assert_eq!(text_ids(&tokenizer, "don't!"), &[847, 713, 0]);
    }

    #[test]
    fn building_it_takes_a_fraction_of_a_second() {
        let start = Instant::now();
        ClipTokenizer::stable_diffusion_1();
        assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    }
}
