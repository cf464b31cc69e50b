//! Texts that are no prompts: no panic, and an end soon.

use std::time::{Duration, Instant};

use ae_phrases::{MAX_BYTES, noun_phrases};

/// Reads a text, and checks what holds of every answer.
fn read(text: &str) -> usize {
    let start = Instant::now();
    let phrases = noun_phrases(text);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {} bytes", start.elapsed(), text.len());
    let mut last = 0;
    for phrase in &phrases {
        assert!(last <= phrase.span.start && phrase.span.start <= phrase.head.start && !phrase.head.is_empty());
        assert_eq!(phrase.head.end, phrase.span.end);
        let (modifiers, head) = (&text[phrase.span.start..phrase.head.start], &text[phrase.head.clone()]);
        assert!(head.contains(char::is_alphanumeric), "{head:?} after {modifiers:?}");
        assert!(
            phrase.colours.iter().all(|colour| !text[colour.clone()].is_empty() && colour.end <= phrase.head.start)
        );
        last = phrase.span.end;
    }
    phrases.len()
}

#[test]
fn nothing_to_find() {
    for text in
        ["", " ", "\n\t\r", ",.;:!?", "''", "🐱🐶", "\u{0}\u{1}\u{7f}", "\u{feff}", "\u{300}\u{301}", "(((", "-"]
    {
        assert_eq!(read(text), 0, "{text:?}");
    }
}

#[test]
fn what_has_no_grammar() {
    for text in [
        "a",
        "the the the",
        "a an a an",
        "and and",
        "of",
        "1",
        "two",
        "red",
        "a red",
        "'s cat",
        "a's",
        "a cat's",
        "cat's's's",
        "🐱 cat 🐶dog",
        "a\u{0}cat\u{1}and\u{2}a\u{3}dog",
        "eine Katze und ein Hund",
        "кошка и собака",
        "猫和狗",
        "قط وكلب",
        "בְּרֵאשִׁית",
        "a cafe\u{301} İstanbul ǅ ﬁsh ß",
        "ＦＵＬＬ　ＷＩＤＴＨ cat",
        "don't isn't",
        "--a--cat--",
        "a-",
        "-a",
        "½ cat",
        "٣ cats",
        "and red, and blue",
        "very very very",
        "<|endoftext|>",
        "a , , , cat",
    ] {
        read(text);
    }
}

#[test]
fn every_pair_of_words_of_a_few() {
    let words = [
        "a", "two", "red", "cat", "'s", "and", ",", "ing", "sleeping", "very", "of", "orange", "runs", "3d", "n't",
        "🐱",
    ];
    for first in words {
        for second in words {
            for third in words {
                for fourth in words {
                    read(&format!("{first} {second} {third} {fourth}"));
                }
            }
        }
    }
}

#[test]
fn ten_megabytes() {
    let length = 10 << 20;
    for part in ["a cat and ", "cat ", "a ", "red ", "x", "'s", "very ", "a cat's ", "🐱", "é", "and red, ", ",", "1"]
    {
        read(&part.repeat(length / part.len()));
    }
}

#[test]
fn what_is_beyond_the_limit_is_not_read() {
    let text = format!("a cat, {}a dog", " ".repeat(MAX_BYTES));
    assert_eq!(read(&text), 1);
    // The limit lies inside a character.
    let text = format!("{}éé", "x".repeat(MAX_BYTES - 1));
    assert_eq!(noun_phrases(&text)[0].span, 0..MAX_BYTES - 1);
}
