use std::ops::RangeInclusive;

use serde::Serialize;

use crate::prompt::{TokenKind, TokenizedPrompt};
use crate::words::{Word, key, word_spans};

/// Something the picture is to show: a word of the prompt and its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The word as it is written in the prompt.
    pub text: String,
    /// The positions of its tokens, ascending and not empty.
    pub positions: Vec<usize>,
}

/// A subject that is not to be found among the tokens of the prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// A subject without a letter or digit.
    #[error("the subject '{subject}' has no word; name a word of the prompt")]
    Empty {
        /// The subject as given.
        subject: String,
    },
    /// No word, or row of words, is the subject.
    #[error("'{subject}' is not in the prompt; {}", the_words(words))]
    NotInPrompt {
        /// The subject as given.
        subject: String,
        /// The words the model reads.
        words: Vec<String>,
    },
    /// The ordinal of `cat#3` is 0 or beyond the last occurrence.
    #[error("there is no '{subject}': the prompt has '{phrase}' {}, counted from #1", times(*count))]
    NoSuchOccurrence {
        /// The subject as given.
        subject: String,
        /// The subject without its ordinal.
        phrase: String,
        /// How often the prompt has it.
        count: usize,
    },
    /// Every occurrence already belongs to another subject of the list.
    #[error("'{subject}' has no word left: the prompt has it {}, and other subjects took it", times(*count))]
    Taken {
        /// The subject as given.
        subject: String,
        /// How often the prompt has it.
        count: usize,
    },
    /// The subject is in the part of the prompt that the model does not read.
    #[error(
        "'{subject}' is in the part of the prompt that was cut (the model reads {length} tokens); shorten the prompt"
    )]
    Truncated {
        /// The subject as given.
        subject: String,
        /// The number of positions.
        length: usize,
    },
    /// A token index beyond the last position.
    #[error("token index {index} is out of range 0..={}; {}", length - 1, the_choice(choice))]
    IndexOutOfRange {
        /// The index.
        index: usize,
        /// The number of positions.
        length: usize,
        /// The tokens that can be chosen.
        choice: Vec<(usize, String)>,
    },
    /// A token index at a start, end, padding or other special token.
    #[error("token index {index} is {token}, which is no part of the prompt's text; {}", the_choice(choice))]
    IndexOfSpecial {
        /// The index.
        index: usize,
        /// What is there.
        token: String,
        /// The tokens that can be chosen.
        choice: Vec<(usize, String)>,
    },
}

fn the_words(words: &[String]) -> String {
    if words.is_empty() { "it has no words".to_owned() } else { format!("its words are: {}", words.join(", ")) }
}

fn times(count: usize) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn the_choice(choice: &[(usize, String)]) -> String {
    if choice.is_empty() {
        return "the prompt has no tokens to choose".to_owned();
    }
    let tokens: Vec<_> = choice.iter().map(|(index, token)| format!("{index} {token}")).collect();
    format!("choose from: {}", tokens.join(", "))
}

/// Finds each subject in the prompt, one occurrence per subject.
///
/// - Words compare without case and as a whole: neither `cats` nor `cat-like` is `cat`, but `cat's` is.
///   Punctuation around a subject does not count.
/// - A word that CLIP splits gives the positions of all its tokens.
/// - The placeholder of a textual inversion is a word: `<toy>` and `toy` both name it, the latter also the plain
///   word. It gives the positions of all its vectors.
/// - A phrase (`polar bear`) is a row of words with nothing but white space between them. Its subject is its
///   head noun, which in English is the last word: the other words only say which one is meant.
/// - A repeated word names the first occurrence that no other subject has, so that `cat, cat` are two
///   cats; `cat#2` is the second one in the prompt whatever else is in the list.
///
/// # Errors
///
/// See [`SubjectError`]; subjects of which only some tokens fit count as cut.
pub fn find_subjects(prompt: &TokenizedPrompt, subjects: &[impl AsRef<str>]) -> Result<Vec<Subject>, SubjectError> {
    let found = find_rows(prompt, subjects)?;
    Ok(found.into_iter().map(|row| Subject::of(&prompt.words()[*row.end()])).collect())
}

/// Finds each phrase in the prompt as [`find_subjects`] finds subjects, and gives the positions of all its tokens, from those
/// of the first word to those of the last.
///
/// # Errors
///
/// See [`SubjectError`].
pub fn find_phrases(
    prompt: &TokenizedPrompt,
    phrases: &[impl AsRef<str>],
) -> Result<Vec<RangeInclusive<usize>>, SubjectError> {
    let found = find_rows(prompt, phrases)?;
    let positions = |word: usize| &prompt.words()[word].positions;
    let ends = |row: RangeInclusive<usize>| Some(*positions(*row.start()).first()?..=*positions(*row.end()).last()?);
    // Whole rows of words: none was cut, for a word after it was not.
    Ok(found.into_iter().filter_map(ends).collect())
}

/// The words of every phrase, as indices into the prompt's words.
fn find_rows(
    prompt: &TokenizedPrompt,
    phrases: &[impl AsRef<str>],
) -> Result<Vec<RangeInclusive<usize>>, SubjectError> {
    let queries = phrases.iter().map(|phrase| Query::parse(prompt, phrase.as_ref()));
    let queries = queries.collect::<Result<Vec<_>, _>>()?;

    // Numbered subjects choose first, whatever their place in the list.
    let mut chosen = vec![None; queries.len()];
    for numbered in [true, false] {
        for (index, query) in queries.iter().enumerate().filter(|(_, query)| query.ordinal.is_some() == numbered) {
            chosen[index] = Some(query.choose(prompt, &chosen)?);
        }
    }
    Ok(chosen.into_iter().flatten().zip(&queries).map(|(head, query)| head - query.modifiers..=head).collect())
}

/// Takes token positions as they are, one subject each, like `token_indices` of the diffusers pipeline.
///
/// # Errors
///
/// Positions out of range and positions of special tokens, with the list of those that can be chosen.
pub fn subjects_at(prompt: &TokenizedPrompt, indices: &[usize]) -> Result<Vec<Subject>, SubjectError> {
    let choice = || {
        let tokens = prompt.tokens().iter().filter(|token| token.kind == TokenKind::Text);
        tokens.map(|token| (token.index, token.text.clone())).collect()
    };
    let subject = |&index: &usize| match prompt.tokens().get(index) {
        None => Err(SubjectError::IndexOutOfRange { index, length: prompt.tokens().len(), choice: choice() }),
        Some(token) if token.kind != TokenKind::Text => {
            Err(SubjectError::IndexOfSpecial { index, token: describe(token.kind, &token.piece), choice: choice() })
        }
        Some(token) => {
            let text = token.word.map_or(&token.text, |word| &prompt.words()[word].text);
            Ok(Subject { text: text.clone(), positions: vec![index] })
        }
    };
    indices.iter().map(subject).collect()
}

/// What names exactly one word of the prompt: its text, with its number where the prompt has it several times (`cat#2`).
///
/// [`find_subjects`] gives back the word, unless it did not fit.
///
/// # Panics
///
/// When `word` is no index into the prompt's words.
pub fn subject_name(prompt: &TokenizedPrompt, word: usize) -> String {
    let text = &prompt.words()[word].text;
    let heads = Query::parse(prompt, text).map(|query| query.heads).unwrap_or_default();
    match heads.iter().position(|head| *head == word) {
        // A placeholder may end like a number.
        Some(place) if heads.len() > 1 || text.contains('#') => format!("{text}#{}", place + 1),
        _ => text.clone(),
    }
}

fn describe(kind: TokenKind, piece: &str) -> String {
    if kind == TokenKind::Padding { "padding".to_owned() } else { piece.to_owned() }
}

impl Subject {
    /// The subject that is the whole of a word.
    pub(crate) fn of(word: &Word) -> Self {
        Self { text: word.text.clone(), positions: word.positions.clone() }
    }
}

/// A subject as the user wrote it, and where the prompt has it.
struct Query<'a> {
    subject: &'a str,
    phrase: &'a str,
    ordinal: Option<usize>,
    /// The head words of its occurrences, as indices into the prompt's words.
    heads: Vec<usize>,
    /// The number of words before the head.
    modifiers: usize,
}

impl<'a> Query<'a> {
    fn parse(prompt: &TokenizedPrompt, subject: &'a str) -> Result<Self, SubjectError> {
        let (phrase, ordinal) = split_ordinal(subject);
        let keys = keys(prompt, phrase);
        if keys.is_empty() {
            return Err(SubjectError::Empty { subject: subject.to_owned() });
        }
        let rows = prompt.words().windows(keys.len()).enumerate();
        let rows = rows.filter(|(_, row)| {
            row.iter().zip(&keys).all(|(word, key)| is_called(word, key)) && is_phrase(prompt.text(), row)
        });
        let heads: Vec<_> = rows.map(|(first, _)| first + keys.len() - 1).collect();
        let modifiers = keys.len() - 1;
        if heads.is_empty() {
            let words = prompt.words().iter().filter(|word| !word.is_cut).map(|word| word.text.clone()).collect();
            return Err(SubjectError::NotInPrompt { subject: subject.to_owned(), words });
        }
        Ok(Self { subject, phrase: phrase.trim(), ordinal, heads, modifiers })
    }

    fn choose(&self, prompt: &TokenizedPrompt, taken: &[Option<usize>]) -> Result<usize, SubjectError> {
        let (subject, count) = (self.subject.to_owned(), self.heads.len());
        let is_free = |head: &usize| !taken.contains(&Some(*head));
        let head = match self.ordinal {
            None => self.heads.iter().copied().find(is_free),
            Some(ordinal) => {
                let named = ordinal.checked_sub(1).and_then(|index| self.heads.get(index));
                let Some(named) = named else {
                    return Err(SubjectError::NoSuchOccurrence { subject, phrase: self.phrase.to_owned(), count });
                };
                Some(*named).filter(is_free)
            }
        };
        let Some(head) = head else {
            return Err(SubjectError::Taken { subject, count });
        };
        if prompt.words()[head].is_cut {
            return Err(SubjectError::Truncated { subject, length: prompt.tokens().len() });
        }
        Ok(head)
    }
}

/// Splits `cat#2` into `cat` and 2. A number too large for a `usize` is no occurrence either way.
fn split_ordinal(subject: &str) -> (&str, Option<usize>) {
    match subject.trim_end().rsplit_once('#') {
        Some((phrase, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            (phrase, Some(digits.parse().unwrap_or(usize::MAX)))
        }
        _ => (subject, None),
    }
}

/// What the words of a phrase are compared by. The name of a textual inversion may be no word by the letters it
/// has, so those of the prompt are looked for first.
fn keys(prompt: &TokenizedPrompt, phrase: &str) -> Vec<String> {
    let is_placeholder =
        |name: &String| prompt.words().iter().any(|word| word.placeholder.is_some() && is_called(word, name));
    let whole = key(phrase.trim());
    if is_placeholder(&whole) {
        return vec![whole];
    }
    let mut keys = Vec::new();
    for part in phrase.split_whitespace() {
        match Some(key(part)).filter(is_placeholder) {
            Some(name) => keys.push(name),
            None => keys.extend(word_spans(part).into_iter().map(|span| key(&part[span]))),
        }
    }
    keys
}

/// Whether a word has the name: a placeholder has two, with and without its angle brackets.
fn is_called(word: &Word, name: &str) -> bool {
    word.key == name || word.placeholder.as_deref() == Some(name)
}

/// Whether only white space separates the words.
fn is_phrase(text: &str, row: &[Word]) -> bool {
    row.windows(2).all(|pair| text[pair[0].span.end..pair[1].span.start].trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    fn prompt(text: &str) -> TokenizedPrompt {
        tokenizer().tokenize(text).unwrap()
    }

    fn positions(text: &str, subjects: &[&str]) -> Vec<Vec<usize>> {
        let subjects = find_subjects(&prompt(text), subjects).unwrap();
        subjects.into_iter().map(|subject| subject.positions).collect()
    }

    fn refusal(text: &str, subjects: &[&str]) -> String {
        find_subjects(&prompt(text), subjects).unwrap_err().to_string()
    }

    #[test]
    fn words_give_the_positions_of_the_paper() {
        // Section 4: "a cat and a dog" -> cat 2, dog 5, with <|startoftext|> at 0.
        let subjects = find_subjects(&prompt("a cat and a dog"), &["cat", "dog"]).unwrap();
        let subject = |text: &str, position| Subject { text: text.to_owned(), positions: vec![position] };
        assert_eq!(subjects, [subject("cat", 2), subject("dog", 5)]);
    }

    #[test]
    fn case_accents_and_edge_punctuation_do_not_count() {
        assert_eq!(positions("A Cat, and a dog!", &["CAT", " dog. ", "\"a\""]), [[2], [6], [1]]);
        let composed = positions("a café", &["CAFE\u{301}"]);
        assert_eq!(composed, positions("a cafe\u{301}", &["café"]));
        assert_eq!(composed[0].len(), 5);
    }

    #[test]
    fn a_word_of_several_pieces_has_them_all() {
        assert_eq!(
            positions("a zoo and a t-shirt", &["zoo", "t-shirt"]),
            [vec![2, 3, 4], vec![7, 8, 9, 10, 11, 12, 13]]
        );
    }

    #[test]
    fn a_phrase_is_its_head_noun() {
        assert_eq!(positions("a polar bear and a red cat", &["polar bear", "Red  Cat"]), [[3], [7]]);
        assert_eq!(positions("a cat, red cat", &["red cat"]), [[5]]);
        // A comma makes two phrases of it.
        assert!(refusal("a red, cat", &["red cat"]).starts_with("'red cat' is not in the prompt"));
        // The words must belong to one row, in this order.
        assert!(refusal("a bear polar", &["polar bear"]).starts_with("'polar bear' is not in the prompt"));
    }

    #[test]
    fn a_phrase_has_the_positions_of_all_its_words() {
        let prompt = prompt("a red cat and a t-shirt, a red cat");
        let found = find_phrases(&prompt, &["a red cat", "t-shirt", "red cat"]).unwrap();
        assert_eq!(found, [1..=3, 6..=12, 15..=16]);
        let refusal = find_phrases(&prompt, &["a blue cat"]).unwrap_err().to_string();
        assert!(refusal.starts_with("'a blue cat' is not in the prompt"), "{refusal}");
    }

    #[test]
    fn every_word_has_a_name_of_its_own() {
        let prompt = prompt("A cat's zoo and a t-shirt, a red Cat and the cat");
        let names: Vec<_> = (0..prompt.words().len()).map(|word| subject_name(&prompt, word)).collect();
        assert_eq!(names[..4], ["A#1", "cat#1", "zoo", "and#1"]);
        assert_eq!((names[7].as_str(), names[8].as_str()), ("red", "Cat#2"));
        for (word, name) in prompt.words().iter().zip(&names) {
            assert_eq!(find_subjects(&prompt, &[name]).unwrap(), [Subject::of(word)], "{name}");
        }
    }

    #[test]
    fn a_repeated_word_names_the_next_occurrence() {
        let text = "a cat and a dog and a cat";
        assert_eq!(positions(text, &["cat"]), [[2]]);
        assert_eq!(positions(text, &["cat", "dog", "cat"]), [[2], [5], [8]]);
        assert_eq!(positions(text, &["cat#2"]), [[8]]);
        assert_eq!(positions(text, &["cat", "cat#1"]), [[8], [2]]);
        assert_eq!(positions("a red cat and a cat", &["red cat", "cat"]), [[3], [6]]);
    }

    #[test]
    fn occurrences_that_are_not_there_are_refused() {
        let text = "a cat and a cat";
        let expected = "'cat' has no word left: the prompt has it 2 times, and other subjects took it";
        assert_eq!(refusal(text, &["cat", "cat", "cat"]), expected);
        let expected = "there is no 'cat#3': the prompt has 'cat' 2 times, counted from #1";
        assert_eq!(refusal(text, &["cat#3"]), expected);
        for subject in ["cat#0", "cat#99999999999999999999999"] {
            assert!(refusal(text, &[subject]).starts_with(&format!("there is no '{subject}'")));
        }
        assert!(refusal(text, &["cat#1", "cat#1"]).starts_with("'cat#1' has no word left"));
    }

    #[test]
    fn a_missing_subject_lists_the_words() {
        let expected = "'bird' is not in the prompt; its words are: a, cat, and, a, dog";
        assert_eq!(refusal("a cat and a dog!", &["bird"]), expected);
        assert_eq!(refusal("", &["bird"]), "'bird' is not in the prompt; it has no words");
        // Whole words only.
        assert!(refusal("cats catalogue", &["cat"]).ends_with("its words are: cats, catalogue"));
    }

    #[test]
    fn a_subject_without_a_word_is_refused() {
        for subject in ["", "  ", "!?", "#2", "🐱"] {
            let expected = format!("the subject '{subject}' has no word; name a word of the prompt");
            assert_eq!(refusal("a cat", &[subject]), expected);
        }
    }

    #[test]
    fn a_subject_that_was_cut_is_refused() {
        let text = format!("{}zoo dog", "cat ".repeat(74));
        // "zoo" has three tokens, of which one fits.
        for subject in ["dog", "zoo", "zoo dog", "cat zoo"] {
            let error = refusal(&text, &[subject]);
            assert!(error.starts_with(&format!("'{subject}' is in the part of the prompt that was cut")), "{error}");
        }
        assert!(!refusal(&text, &["bird"]).contains("zoo"));
    }

    #[test]
    fn indices_are_taken_as_they_are() {
        let subjects = subjects_at(&prompt("a zoo, red"), &[6, 2, 3, 5]).unwrap();
        let texts: Vec<_> = subjects.iter().map(|subject| subject.text.as_str()).collect();
        assert_eq!(texts, ["red", "zoo", "zoo", ","]);
        assert_eq!(subjects[0].positions, [6]);
    }

    #[test]
    fn indices_beside_the_text_are_refused() {
        let prompt = prompt("a cat");
        let refusal = |index| subjects_at(&prompt, &[index]).unwrap_err().to_string();
        assert_eq!(refusal(77), "token index 77 is out of range 0..=76; choose from: 1 a, 2 cat");
        let special = "which is no part of the prompt's text; choose from: 1 a, 2 cat";
        assert_eq!(refusal(0), format!("token index 0 is <|startoftext|>, {special}"));
        assert_eq!(refusal(3), format!("token index 3 is <|endoftext|>, {special}"));
        assert_eq!(refusal(76), format!("token index 76 is padding, {special}"));
        let error = subjects_at(&tokenizer().tokenize("").unwrap(), &[1]).unwrap_err().to_string();
        assert!(error.ends_with("the prompt has no tokens to choose"), "{error}");
    }

    #[test]
    fn a_placeholder_is_found_by_its_name_with_and_without_angle_brackets() {
        let mut tokenizer = tokenizer();
        for (name, vectors) in [("<toy>", 2), ("<art_style>", 1), ("my-style", 1), ("two words", 1), ("<*>", 1)] {
            tokenizer.add_embedding_tokens(name, vectors).unwrap();
        }
        let positions = |prompt: &str, subjects: &[&str]| {
            let subjects = find_subjects(&tokenizer.tokenize(prompt).unwrap(), subjects)?;
            Ok::<_, SubjectError>(subjects.into_iter().map(|subject| subject.positions).collect::<Vec<_>>())
        };
        for subject in ["<toy>", "toy", "TOY", "red <toy>", "red toy", "<toy>,", " <Toy> "] {
            assert_eq!(positions("a red <toy>'s cat", &[subject]).unwrap(), [[3, 4]], "{subject}");
        }
        // The whole name is the placeholder's alone.
        assert_eq!(positions("t <toy> t toy", &["toy", "<toy>#1"]).unwrap(), [vec![5, 6, 7], vec![2, 3]]);
        assert_eq!(positions("a <toy> and a <toy>", &["<toy>#2"]).unwrap(), [[6, 7]]);

        let prompt = "a my-style two words <art_style> <*>";
        let subjects = ["my-style", "two words", "art_style", "<*>"];
        assert_eq!(positions(prompt, &subjects).unwrap(), [[2], [3], [4], [5]]);
        assert_eq!(positions(prompt, &["my-style"]).unwrap(), positions(prompt, &["a my-style"]).unwrap());
        // Without a placeholder in the prompt, angle brackets are punctuation as ever.
        assert_eq!(positions("a toy", &["<toy>"]).unwrap(), [[2, 3, 4]]);
    }
}
