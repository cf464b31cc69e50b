//! A prompt that changes from step to step: `[from:to:when]`, `[to:when]`, `[from::when]` and `[a|b|c]`.

use std::ops::Range;

/// Bytes of all texts of a schedule together, far above any that a person writes.
const MOST_TEXT: usize = 32 << 20;

/// A prompt that changes more often than can be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the prompt has {length} bytes and changes {changes} times: that is more than can be drawn; shorten it")]
pub struct ScheduleError {
    /// Its length.
    length: usize,
    /// How many texts it has.
    changes: usize,
}

/// The texts of a prompt in a run of `steps` evaluations of the model, each with the last evaluation that has it, counted from 1:
/// `get_learned_conditioning_prompt_schedules` of `modules/prompt_parser.py` without a second pass.
///
/// | syntax | text |
/// |---|---|
/// | `[from:to:when]` | `from`, after `when` evaluations `to`; either may be empty |
/// | `[to:when]` | nothing, then `to` |
/// | `[a\|b\|c]` | each in turn, from one evaluation to the next |
///
/// A number with a period is a share of the evaluations, one without a period is their number. What is within may have brackets
/// of all kinds, whose texts change with it; weights in round brackets stay as they are. Brackets that do not belong together and
/// those with other contents are text. A bar outside of square brackets, and a backslash at the end of a line, make the whole prompt a
/// text that does not change.
///
/// # Errors
///
/// Too many texts of too great a length.
pub fn prompt_schedule(prompt: &str, steps: usize) -> Result<Vec<(usize, String)>, ScheduleError> {
    let Some(parsed) = Parsed::of(prompt, steps) else { return Ok(vec![(steps, prompt.to_owned())]) };
    let ends = parsed.ends(steps);
    if ends.len() > 1 && ends.len().saturating_mul(prompt.len()) > MOST_TEXT {
        return Err(ScheduleError { length: prompt.len(), changes: ends.len() });
    }
    Ok(ends.into_iter().map(|end| (end, parsed.text(end))).collect())
}

/// A symbol, or the text between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open(u8),
    Close(u8),
    Colon,
    Bar,
    Text,
}

/// Square brackets whose text changes; ranges are of tokens.
#[derive(Clone, Debug)]
enum Change {
    /// The one until `when` evaluations, then the other.
    Once { before: Range<usize>, after: Range<usize>, when: i64 },
    /// One after the other.
    Turns(Vec<Range<usize>>),
}

/// Brackets that are open.
struct Open {
    /// The place of the token.
    at: usize,
    bracket: u8,
    colons: Vec<usize>,
    bars: Vec<usize>,
    /// Something within is text that the grammar allows outside of brackets only.
    is_text: bool,
}

struct Parsed<'a> {
    prompt: &'a str,
    /// Each with its first byte.
    tokens: Vec<(Token, usize)>,
    /// Of the opening brackets that change: the place of the closing one, and how.
    changes: Vec<Option<(usize, Change)>>,
}

impl<'a> Parsed<'a> {
    /// None for a prompt that is no sentence of the grammar.
    fn of(prompt: &'a str, steps: usize) -> Option<Self> {
        let tokens = tokens(prompt)?;
        let changes = vec![None; tokens.len()];
        let mut parsed = Self { prompt, tokens, changes };
        let mut open: Vec<Open> = Vec::new();
        for at in 0..parsed.tokens.len() {
            match parsed.tokens[at].0 {
                Token::Text => {}
                Token::Open(bracket) => {
                    open.push(Open { at, bracket, colons: Vec::new(), bars: Vec::new(), is_text: false });
                }
                Token::Colon => {
                    if let Some(open) = open.last_mut() {
                        open.colons.push(at);
                    }
                }
                Token::Bar => open.last_mut()?.bars.push(at),
                Token::Close(bracket) if open.last().is_some_and(|open| open.bracket == bracket) => {
                    let closed = open.pop()?;
                    if !parsed.close(&closed, at, steps) {
                        // A bar has no meaning but in brackets that take turns.
                        if !closed.bars.is_empty() {
                            return None;
                        }
                        if let Some(around) = open.last_mut() {
                            around.is_text = true;
                        }
                    }
                }
                // Whatever is open cannot end any more: its end would be beyond this one.
                Token::Close(_) => {
                    if open.drain(..).any(|open| !open.bars.is_empty()) {
                        return None;
                    }
                }
            }
        }
        let has_bar = open.iter().any(|open| !open.bars.is_empty());
        (!has_bar).then_some(parsed)
    }

    /// Understands brackets that end at `end`; false where they are text.
    fn close(&mut self, open: &Open, end: usize, steps: usize) -> bool {
        let Open { at, bracket, colons, bars, is_text } = open;
        let inside = at + 1;
        let change = match (*bracket, colons.as_slice(), bars.as_slice()) {
            _ if *is_text => return false,
            (b'(', [] | [_], []) | (b'[', [], []) => return true,
            (b'[', [first, rest @ ..], []) if rest.len() < 2 => {
                let last = rest.first().unwrap_or(first);
                let Some(when) = self.when(last + 1..end, steps) else { return false };
                let (before, after) =
                    if rest.is_empty() { (inside..inside, inside..*last) } else { (inside..*first, first + 1..*last) };
                Change::Once { before, after, when }
            }
            (b'[', [], bars) => {
                let starts = std::iter::once(inside).chain(bars.iter().map(|bar| bar + 1));
                let ends = bars.iter().copied().chain([end]);
                Change::Turns(starts.zip(ends).map(|(start, end)| start..end).collect())
            }
            _ => return false,
        };
        self.changes[*at] = Some((end, change));
        true
    }

    /// The evaluation after which a text ends.
    fn when(&self, tokens: Range<usize>, steps: usize) -> Option<i64> {
        if tokens.len() != 1 {
            return None;
        }
        let number = self.source(tokens.start).trim();
        let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
        let is_number = unsigned.starts_with(|symbol: char| symbol.is_ascii_digit() || symbol == '.')
            && unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
        let value = number.parse::<f64>().ok().filter(|_| is_number)?;
        let value = if number.contains('.') { value * steps as f64 } else { value };
        // Towards zero, and as large as a number can be.
        let value = value as i64;
        Some(value.min(i64::try_from(steps).unwrap_or(i64::MAX)))
    }

    /// The evaluations that end a text, counted from 1.
    fn ends(&self, steps: usize) -> Vec<usize> {
        let changes = || self.changes.iter().flatten().map(|(_, change)| change);
        if changes().any(|change| matches!(change, Change::Turns(_))) {
            return (1..=steps).collect();
        }
        let once = changes().filter_map(|change| match change {
            Change::Once { when, .. } => usize::try_from(*when).ok().filter(|when| *when >= 1),
            Change::Turns(_) => None,
        });
        let mut ends: Vec<_> = once.chain([steps]).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// The text at an evaluation, counted from 1.
    fn text(&self, evaluation: usize) -> String {
        let mut text = String::new();
        let mut rest: Vec<_> = std::iter::once(0..self.tokens.len()).collect();
        while let Some(Range { start, end }) = rest.pop() {
            for at in start..end {
                let Some((close, change)) = &self.changes[at] else {
                    text.push_str(self.source(at));
                    continue;
                };
                let chosen = match change {
                    Change::Once { before, after, when } => {
                        let is_before = i64::try_from(evaluation).is_ok_and(|evaluation| evaluation <= *when);
                        if is_before { before } else { after }
                    }
                    Change::Turns(texts) => &texts[(evaluation - 1) % texts.len()],
                };
                rest.push(close + 1..end);
                rest.push(chosen.clone());
                break;
            }
        }
        text
    }

    /// The bytes of a token.
    fn source(&self, at: usize) -> &'a str {
        let end = self.tokens.get(at + 1).map_or(self.prompt.len(), |(_, start)| *start);
        &self.prompt[self.tokens[at].1..end]
    }
}

/// The symbols of a prompt and the texts between them; none where a backslash has nothing behind it on its line.
fn tokens(prompt: &str) -> Option<Vec<(Token, usize)>> {
    let mut tokens: Vec<(Token, usize)> = Vec::new();
    let mut symbols = prompt.char_indices();
    while let Some((at, symbol)) = symbols.next() {
        let token = match symbol {
            '(' => Token::Open(b'('),
            '[' => Token::Open(b'['),
            ')' => Token::Close(b'('),
            ']' => Token::Close(b'['),
            ':' => Token::Colon,
            '|' => Token::Bar,
            '\\' => {
                symbols.next().filter(|(_, symbol)| *symbol != '\n')?;
                Token::Text
            }
            _ => Token::Text,
        };
        if token != Token::Text || !matches!(tokens.last(), Some((Token::Text, _))) {
            tokens.push((token, at));
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(prompt: &str, steps: usize) -> Vec<(usize, String)> {
        prompt_schedule(prompt, steps).unwrap()
    }

    fn turns(texts: &[&str]) -> Vec<(usize, String)> {
        (0..10).map(|step| (step + 1, texts[step % texts.len()].to_owned())).collect()
    }

    /// The documented values of `get_learned_conditioning_prompt_schedules([prompt], 10)`, and others that it gives.
    #[test]
    fn schedules_are_those_of_the_reference() {
        let expected: [(&str, &[(usize, &str)]); 36] = [
            ("test", &[(10, "test")]),
            ("a [b:3]", &[(3, "a "), (10, "a b")]),
            ("a [b: 3]", &[(3, "a "), (10, "a b")]),
            ("a [[[b]]:2]", &[(2, "a "), (10, "a [[b]]")]),
            ("[(a:2):3]", &[(3, ""), (10, "(a:2)")]),
            ("a [b : c : 1] d", &[(1, "a b  d"), (10, "a  c  d")]),
            ("a[b:[c:d:2]:1]e", &[(1, "abe"), (2, "ace"), (10, "ade")]),
            ("a [unbalanced", &[(10, "a [unbalanced")]),
            ("a [b:.5] c", &[(5, "a  c"), (10, "a b c")]),
            ("((a][:b:c [d:3]", &[(3, "((a][:b:c "), (10, "((a][:b:c d")]),
            ("", &[(10, "")]),
            ("[b::4]", &[(4, "b"), (10, "")]),
            ("[:b:4]", &[(4, ""), (10, "b")]),
            ("[b:4 ]x", &[(4, "x"), (10, "bx")]),
            // With a period a number is a share, also above 1.
            ("[b:1.0]", &[(10, "")]),
            ("[b:0.99]", &[(9, ""), (10, "b")]),
            ("[a:b:2.5]", &[(10, "a")]),
            ("[a:b:1e-1]", &[(10, "b")]),
            ("[a:b:0]", &[(10, "b")]),
            ("[a:b:-3]", &[(10, "b")]),
            ("[a:b:+3]", &[(3, "a"), (10, "b")]),
            ("[a:b:99]", &[(10, "a")]),
            // No number, too many colons, brackets that cross: text.
            ("[a:b]", &[(10, "[a:b]")]),
            ("[a:b:c]", &[(10, "[a:b:c]")]),
            ("[a:b:c:3]", &[(10, "[a:b:c:3]")]),
            ("[a:b:nan]", &[(10, "[a:b:nan]")]),
            ("[a:b:(3)]", &[(10, "[a:b:(3)]")]),
            ("[a:(b:3]:4)", &[(10, "[a:(b:3]:4)")]),
            ("[x [a:b]:4]", &[(10, "[x [a:b]:4]")]),
            ("[(a:b:1.2):4]", &[(10, "[(a:b:1.2):4]")]),
            ("[a:b [c:d:2] e:f", &[(2, "[a:b c e:f"), (10, "[a:b d e:f")]),
            (r"[a\]b:c:3]", &[(3, r"a\]b"), (10, "c")]),
            (r"\[a:b:3]", &[(10, r"\[a:b:3]")]),
            // A bar elsewhere, and a backslash before nothing.
            ("a | b [c:3]", &[(10, "a | b [c:3]")]),
            ("a [b|c [d:3]", &[(10, "a [b|c [d:3]")]),
            ("a [c:3] \\", &[(10, "a [c:3] \\")]),
        ];
        for (prompt, expected) in expected {
            let expected: Vec<_> = expected.iter().map(|(end, text)| (*end, (*text).to_owned())).collect();
            assert_eq!(schedule(prompt, 10), expected, "{prompt}");
        }
        assert_eq!(schedule("[a|(b:1.1)]", 10), turns(&["a", "(b:1.1)"]));
        assert_eq!(schedule("[fe|]male", 10), turns(&["female", "male"]));
        assert_eq!(schedule("[fe|||]male", 10), turns(&["female", "male", "male", "male"]));
        let nested = ["a", "", "a", "", "a", "b", "a", "b", "a", "b"];
        assert_eq!(schedule("[a|[b:5]]", 10), turns(&nested));
    }

    /// The example at the head of the reference.
    #[test]
    fn a_landscape_changes_as_documented() {
        let prompt = "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75][ in foreground::0.6][ in \
                      background:0.25] [shoddy:masterful:0.5]";
        let expected = [
            (25, "fantasy landscape with a mountain and an oak in foreground shoddy"),
            (50, "fantasy landscape with a lake and an oak in foreground in background shoddy"),
            (60, "fantasy landscape with a lake and an oak in foreground in background masterful"),
            (75, "fantasy landscape with a lake and an oak in background masterful"),
            (100, "fantasy landscape with a lake and a christmas tree in background masterful"),
        ];
        assert_eq!(schedule(prompt, 100), expected.map(|(end, text)| (end, text.to_owned())));
    }

    #[test]
    fn deep_brackets_neither_overflow_nor_take_long() {
        let start = std::time::Instant::now();
        let deep = |open: &str, close: &str| format!("{}x{}", open.repeat(10_000), close.repeat(10_000));
        assert_eq!(schedule(&deep("[", "]"), 10).len(), 1);
        assert_eq!(schedule(&deep("[", ":1]"), 10), [(1, String::new()), (10, "x".to_owned())]);
        assert_eq!(schedule(&deep("[a|", "]"), 2), [(1, "a".to_owned()), (2, "x".to_owned())]);
        for unbalanced in ["[".repeat(30_000), "](".repeat(30_000), "[(".repeat(30_000), "[a:b:c:".repeat(9_000)] {
            assert_eq!(schedule(&unbalanced, 10), [(10, unbalanced.clone())]);
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "took {:?}", start.elapsed());
    }

    #[test]
    fn a_prompt_that_changes_too_often_is_refused() {
        let error = prompt_schedule(&format!("[a|b]{}", "x".repeat(60_000)), 1_000_000).unwrap_err().to_string();
        assert!(error.starts_with("the prompt has 60005 bytes and changes 1000000 times"), "{error}");
    }
}
