use std::ops::Range;

use tokenizers::{AddedToken, Model, NormalizedString, Normalizer};

use super::{ClipTokenizer, TokenizerError};

impl ClipTokenizer {
    /// Adds the placeholder of a textual inversion, and gives the ids of its vectors: diffusers'
    /// `load_textual_inversion` (`loaders/textual_inversion.py`).
    ///
    /// An embedding of several vectors gets the tokens `name`, `name_1`, `name_2` and so on at the end of the
    /// vocabulary. Where a prompt has `name`, its tokens are those of all vectors, and the placeholder is one
    /// word; in diffusers, `maybe_convert_prompt` writes them out. As in the tokenizers library, case does not
    /// count, and the name is found inside other words too.
    ///
    /// Two things differ from diffusers, which would read something else than the prompt says: a name that the
    /// prompt writes in another case has all its vectors, not the first alone; and a name is refused that only
    /// its case tells from another, or that is another's with the number of its next vector.
    ///
    /// The rows of the text model come from
    /// [`ClipTextModel::add_token_embeddings`](crate::ClipTextModel::add_token_embeddings).
    ///
    /// # Errors
    ///
    /// A name that is blank, in the vocabulary already or read as part of another embedding, no vectors, and
    /// more than a prompt has room for. The tokenizer is then as before.
    #[expect(clippy::missing_panics_doc, reason = "an added token has an id")]
    pub fn add_embedding_tokens(&mut self, name: &str, vectors: usize) -> Result<Range<u32>, TokenizerError> {
        let max = self.max_length - 2;
        if !(1..=max).contains(&vectors) {
            return Err(TokenizerError::EmbeddingVectors { name: name.to_owned(), found: vectors, max });
        }
        if name.trim().is_empty() {
            return Err(TokenizerError::BlankEmbeddingName);
        }
        // `name_1` of an embedding that has one vector: its prompts would read what is there already.
        let tokens = (0..vectors.max(2)).map(|index| vector_token(name, index));
        if let Some(token) = tokens.clone().find_map(|token| self.equal_token(&token)) {
            return Err(TokenizerError::EmbeddingTokenExists { name: name.to_owned(), token });
        }
        if let Some((other, index)) = name.rsplit_once('_')
            && self.is_placeholder(other)
            && index == self.vector_ids(other).count().to_string()
        {
            return Err(TokenizerError::EmbeddingNameContinues { name: name.to_owned(), other: other.to_owned() });
        }

        let tokens = tokens.take(vectors).map(|token| AddedToken::from(token, false));
        self.tokenizer.add_tokens(tokens).map_err(|error| TokenizerError::Build { reason: error.to_string() })?;
        let first = self.tokenizer.token_to_id(name).expect("the token was added");
        Ok(first..first + vectors as u32)
    }

    /// Whether the token stands for a textual inversion: an added token that is neither special nor of the
    /// vocabulary. A tokenizer folder can hold such tokens too.
    pub(super) fn is_placeholder(&self, token: &str) -> bool {
        let added = self.tokenizer.get_added_vocabulary();
        let is_added = added.get_vocab().contains_key(token) && !added.is_special_token(token);
        is_added && self.tokenizer.get_model().token_to_id(token).is_none()
    }

    /// The ids of a placeholder's vectors.
    pub(super) fn vector_ids(&self, placeholder: &str) -> impl Iterator<Item = u32> {
        let added = self.tokenizer.get_added_vocabulary().get_vocab();
        (0..).map_while(|index| added.get(&vector_token(placeholder, index)).copied())
    }

    /// The token of the vocabulary that would be read where `token` is, if there is one.
    fn equal_token(&self, token: &str) -> Option<String> {
        if self.tokenizer.token_to_id(token).is_some() {
            return Some(token.to_owned());
        }
        let normalized = self.normalize(token);
        let mut added = self.tokenizer.get_added_vocabulary().get_vocab().keys();
        added.find(|other| self.normalize(other) == normalized).cloned()
    }

    fn normalize(&self, text: &str) -> String {
        let mut normalized = NormalizedString::from(text);
        let normalizer = self.tokenizer.get_normalizer().expect("every tokenizer gets one when it is built");
        normalizer.normalize(&mut normalized).expect("NFC, lowercase and white space have no failing path");
        normalized.get().to_owned()
    }
}

/// The token of one vector of an embedding, as diffusers names it.
fn vector_token(name: &str, index: usize) -> String {
    if index == 0 { name.to_owned() } else { format!("{name}_{index}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{tokenizer, vocabulary};
    use crate::tokenizer::TokenizerSettings;

    fn with_embeddings(embeddings: &[(&str, usize)]) -> ClipTokenizer {
        let mut tokenizer = ClipTokenizer::stable_diffusion_1();
        for (name, vectors) in embeddings {
            tokenizer.add_embedding_tokens(name, *vectors).unwrap();
        }
        tokenizer
    }

    fn refusal(tokenizer: &mut ClipTokenizer, name: &str, vectors: usize) -> String {
        let before = tokenizer.tokenizer.get_vocab_size(true);
        let error = tokenizer.add_embedding_tokens(name, vectors).unwrap_err();
        assert_eq!(tokenizer.tokenizer.get_vocab_size(true), before);
        error.to_string()
    }

    #[test]
    fn the_tokens_follow_the_vocabulary() {
        let mut tokenizer = ClipTokenizer::stable_diffusion_1();
        assert_eq!(tokenizer.add_embedding_tokens("<toy>", 3).unwrap(), 49_408..49_411);
        assert_eq!(tokenizer.add_embedding_tokens("my-style", 1).unwrap(), 49_411..49_412);
        let ids = ["<toy>", "<toy>_1", "<toy>_2", "my-style"].map(|token| tokenizer.tokenizer.token_to_id(token));
        assert_eq!(ids, [49_408, 49_409, 49_410, 49_411].map(Some));
    }

    /// ```python
    /// for token in ["<toy>", "<toy>_1", "my-style", "<Cap>"]: tokenizer.add_tokens(token)
    /// tokenizer(pipe.maybe_convert_prompt(prompt, tokenizer)).input_ids[1:-1]
    /// ```
    #[test]
    fn prompts_read_as_in_diffusers() {
        let tokenizer = with_embeddings(&[("<toy>", 2), ("my-style", 1), ("<Cap>", 1)]);
        let expected: [(&str, &[u32]); 11] = [
            ("a <toy>", &[320, 49_408, 49_409]),
            ("a<toy>b", &[320, 49_408, 49_409, 321]),
            ("<toy>_12", &[49_409, 273]),
            ("<toy>'s bowl", &[49_408, 49_409, 568, 3814]),
            ("<toy", &[283, 5988]),
            ("< toy>", &[283, 5988, 285]),
            ("A MY-STYLES", &[320, 49_410, 338]),
            ("xmy-style", &[343, 49_410]),
            ("my -style", &[607, 268, 1844]),
            ("<cap> <CAP>", &[49_411, 49_411]),
            // A mark that makes another character of the ">".
            ("a <toy>\u{338}", &[320, 283, 5988, 22_684, 363]),
        ];
        for (prompt, expected) in expected {
            let tokenized = tokenizer.tokenize(prompt).unwrap();
            assert_eq!(tokenized.ids()[1..tokenized.end()], *expected, "{prompt}");
        }
    }

    #[test]
    fn a_name_in_another_case_has_all_its_vectors() {
        let tokenizer = with_embeddings(&[("<toy>", 2)]);
        let prompt = tokenizer.tokenize("a <TOY>").unwrap();
        assert_eq!(prompt.ids()[2..5], [49_408, 49_409, 49_407]);
        assert_eq!(prompt.words()[1].text, "<TOY>");
    }

    #[test]
    fn vectors_that_do_not_fit_cut_their_word() {
        let prompt = with_embeddings(&[("<toy>", 3)]).tokenize(&format!("{}<toy>", "cat ".repeat(73))).unwrap();
        let word = prompt.words().last().unwrap();
        assert_eq!((word.positions.as_slice(), word.is_cut), ([74, 75].as_slice(), true));
        let truncation = prompt.truncation().unwrap();
        assert_eq!((truncation.text.as_str(), truncation.tokens), ("<toy>", 1));
    }

    #[test]
    fn names_that_overlap_in_a_prompt_are_tokenized() {
        let tokenizer = with_embeddings(&[("qqi", 1), ("\u{307}z", 2), ("<toy>", 1), ("'s!", 1), ("🐱", 1)]);
        // "İ" is "i" and a mark in lowercase, of which each belongs to another name.
        let overlapping = tokenizer.tokenize("qqİz").unwrap();
        assert_eq!(overlapping.ids()[1..4], [49_408, 49_409, 49_410]);

        let parts = ["qqİz", "<TOY>", "'s!", "'s", "\u{301}", " ", "ﬃ", "🐱", "e"];
        for index in 0..parts.len().pow(4) {
            let text: String = (0..4).map(|place| parts[index / parts.len().pow(place) % parts.len()]).collect();
            let prompt = tokenizer.tokenize(&text).unwrap();
            assert!(prompt.words().iter().all(|word| text[word.span.clone()] == word.text), "{text:?}");
        }
    }

    #[test]
    fn tokens_show_their_names() {
        let prompt = with_embeddings(&[("Été", 2)]).tokenize("été").unwrap();
        let shown: Vec<_> = prompt.tokens()[1..3].iter().map(|token| (&*token.piece, &*token.text)).collect();
        assert_eq!(shown, [("Été", "Été"), ("Été_1", "Été_1")]);
    }

    #[test]
    fn placeholders_of_a_tokenizer_folder_count_too() {
        let (vocab, merges) = vocabulary();
        let config = r#"{"added_tokens_decoder": {
            "900": {"content": "<toy>", "normalized": true}, "901": {"content": "<toy>_1", "normalized": true}}}"#;
        let settings = TokenizerSettings { tokenizer_config: Some(config), ..TokenizerSettings::default() };
        let tokenizer = ClipTokenizer::from_vocab_and_merges(&vocab, &merges, settings).unwrap();
        let prompt = tokenizer.tokenize("a <toy> cat").unwrap();
        assert_eq!(prompt.words()[1].positions, [2, 3]);
        assert_eq!(prompt.words()[2].positions, [4]);
    }

    /// diffusers raises "Token cat already in tokenizer vocabulary.", and the like for a `<one>_1`.
    #[test]
    fn tokens_that_are_there_are_refused() {
        let mut tokenizer = with_embeddings(&[("<toy>", 2), ("<one>_1", 1)]);
        for (name, token) in [("cat", "cat"), ("<toy>", "<toy>"), ("<toy>_1", "<toy>_1"), ("<one>", "<one>_1")] {
            let expected = format!(
                "the embedding '{name}' cannot be added: the token '{token}' is already in the vocabulary; \
                 choose another name"
            );
            assert_eq!(refusal(&mut tokenizer, name, 1), expected);
        }
        // The prompt would not tell which one it means.
        assert!(refusal(&mut tokenizer, "<TOY>", 1).contains("the token '<toy>' is already in the vocabulary"));
        assert!(refusal(&mut tokenizer, "<|EndOfText|>", 1).contains("the token '<|endoftext|>' is already"));
    }

    #[test]
    fn a_name_that_continues_another_embedding_is_refused() {
        let mut tokenizer = with_embeddings(&[("<toy>", 2)]);
        let expected = "the embedding '<toy>_2' cannot be added: its name would read as a further vector of \
                        '<toy>'; choose another name";
        assert_eq!(refusal(&mut tokenizer, "<toy>_2", 1), expected);
        assert!(tokenizer.add_embedding_tokens("<toy>_3", 1).is_ok());
    }

    #[test]
    fn names_and_numbers_that_no_prompt_can_have_are_refused() {
        let mut tokenizer = tokenizer();
        for name in ["", " \t\u{a0}"] {
            let expected = "the name of an embedding is blank; give it one such as '<toy>'";
            assert_eq!(refusal(&mut tokenizer, name, 1), expected);
        }
        for vectors in [0, 76, usize::MAX] {
            let expected = format!("the embedding '<toy>' has {vectors} vectors; a prompt has room for 1..=75");
            assert_eq!(refusal(&mut tokenizer, "<toy>", vectors), expected);
        }
    }
}
