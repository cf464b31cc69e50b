//! The phrases of prompts that were marked by hand.

use ae_phrases::noun_phrases;

const PROMPTS: &str = include_str!("prompts.txt");

/// A text with the marks of its phrases: `[a <cat>] on [<~top>] of [a red <car>]`.
fn mark(text: &str) -> String {
    let mut marked = String::new();
    let mut done = 0;
    for phrase in noun_phrases(text) {
        let shown = if phrase.is_shown { "" } else { "~" };
        marked += &text[done..phrase.span.start];
        let (modifiers, head) = (&text[phrase.span.start..phrase.head.start], &text[phrase.head.clone()]);
        marked.extend(["[", modifiers, "<", shown, head, ">]"]);
        done = phrase.span.end;
    }
    marked + &text[done..]
}

fn unmarked(marked: &str) -> String {
    marked.replace(['[', ']', '<', '>', '~'], "")
}

#[test]
fn the_prompts_are_marked_as_by_hand() {
    let (mut right, mut wrong) = (0, String::new());
    for line in PROMPTS.lines().filter(|line| !line.starts_with('#')) {
        // Known errors; one that is gone shall lose its mark.
        let (expected, is_known_error) = line.strip_prefix("! ").map_or((line, false), |line| (line, true));
        let found = mark(&unmarked(expected));
        if (found == expected) == is_known_error {
            wrong.extend(["\n", line, "\n", &found]);
        }
        right += usize::from(!is_known_error);
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(right > 150, "{right}");
}
