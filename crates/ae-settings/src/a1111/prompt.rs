//! The parts of a prompt that are not text: networks in angle brackets, comments, and words and brackets with a meaning.

use std::borrow::Cow;
use std::ops::Range;

use super::composition::words;
use super::unsupported::Unsupported;
use crate::LoraRef;

/// A prompt without its networks.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Networks {
    /// What is left; a prompt without networks as it was.
    pub prompt: String,
    /// The LoRAs, by their names without endings.
    pub loras: Vec<LoraRef>,
    /// The networks that cannot be loaded, and why.
    pub unsupported: Vec<Unsupported>,
}

/// Takes `<lora:NAME:STRENGTH>` and its like out of a prompt: `parse_prompt` of `modules/extra_networks.py`, and `activate` of
/// `extensions-builtin/Lora/extra_networks_lora.py`.
///
/// The first strength is that of the text encoder, the second that of the U-Net, which without it has the first; `te=` and `unet=`
/// name them. `lyco` is another word for `lora`.
pub fn take_networks(prompt: &str) -> Networks {
    let mut taken = Networks::default();
    let mut text = String::new();
    let mut start = 0;
    for (span, kind, arguments) in networks(prompt) {
        text.push_str(&prompt[start..span.start]);
        start = span.end;
        let tag = &prompt[span];
        match kind {
            "lora" | "lyco" => match lora(arguments) {
                Ok(lora) => taken.loras.push(lora),
                Err(reason) => taken.unsupported.push(Unsupported::new("lora", tag, reason).settled_by(&["loras"])),
            },
            "hypernet" => taken.unsupported.push(Unsupported::new(kind, tag, "hypernetworks are not loaded here")),
            _ => taken.unsupported.push(Unsupported::new(kind, tag, "this kind of network is not known")),
        }
    }
    if start == 0 {
        return Networks { prompt: prompt.to_owned(), ..taken };
    }
    text.push_str(&prompt[start..]);
    Networks { prompt: text.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned(), ..taken }
}

/// A prompt without its comments, from `#` to the end of a line (`modules/processing_scripts/comments.py`).
pub fn without_comments(prompt: &str) -> Cow<'_, str> {
    if !prompt.contains('#') {
        return Cow::Borrowed(prompt);
    }
    let lines = prompt.lines().map(|line| line.split('#').next().unwrap_or_default());
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

/// The networks of a prompt: the bytes of each, its kind and its arguments.
fn networks(prompt: &str) -> Vec<(Range<usize>, &str, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(at) = prompt[start..].find('<').map(|at| start + at) {
        start = at + 1;
        if let Some((tag, kind, arguments)) = network(&prompt[at..]) {
            start = at + tag.len();
            found.push((at..start, kind, arguments));
        }
    }
    found
}

/// `<KIND:ARGUMENTS>` at the beginning of a text: the whole, the kind and the arguments.
fn network(text: &str) -> Option<(&str, &str, &str)> {
    let inner = &text[1..];
    let kind = inner.find(|symbol: char| !symbol.is_alphanumeric() && symbol != '_').filter(|end| *end > 0)?;
    let arguments = inner[kind..].strip_prefix(':')?;
    let end = arguments.find('>').filter(|end| *end > 0)?;
    Some((&text[.."<:>".len() + kind + end], &inner[..kind], &arguments[..end]))
}

/// `NAME`, `NAME:STRENGTH`, `NAME:STRENGTH:UNET`, each strength also by its name.
fn lora(arguments: &str) -> Result<LoraRef, String> {
    let number = |text: &str| {
        let number: Option<f64> = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| format!("'{text}' is no strength"))
    };
    let (mut positional, mut te, mut unet) = (Vec::new(), None, None);
    for argument in arguments.split(':') {
        match argument.split('=').collect::<Vec<_>>()[..] {
            ["te", strength] => te = Some(number(strength)?),
            ["unet", strength] => unet = Some(number(strength)?),
            ["dyn", _] => return Err("a rank (dyn) is not chosen here".to_owned()),
            [name, _] => return Err(format!("'{name}' is not known: expected te or unet")),
            _ => positional.push(argument),
        }
    }
    let (name, strengths) = match positional[..] {
        [name, ref strengths @ ..] if strengths.len() < 3 => (name, strengths),
        [] => return Err("it has no name".to_owned()),
        _ => return Err("a rank, its fourth value, is not chosen here".to_owned()),
    };
    let strengths = strengths.iter().map(|text| number(text)).collect::<Result<Vec<_>, _>>()?;
    let strength = te.or(strengths.first().copied()).unwrap_or(1.0);
    let unet = unet.or(strengths.get(1).copied()).filter(|unet| unet.to_bits() != strength.to_bits());
    Ok(LoraRef { unet_strength: unet, ..LoraRef::new(name, strength) })
}

/// Something in a prompt that has a meaning in AUTOMATIC1111's syntax and none in a plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Construct {
    /// Its kind.
    pub kind: ConstructKind,
    /// The bytes of the prompt.
    pub span: Range<usize>,
}

/// The kinds of constructs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstructKind {
    /// `<lora:NAME:STRENGTH>` and other networks.
    Network,
    /// `AND` between parts.
    And,
    /// `BREAK` between chunks.
    Break,
    /// `[from:to:when]` and `[a|b]`.
    Editing,
    /// Brackets that weight words, escaped ones among them.
    Emphasis,
    /// `#` and what follows on its line.
    Comment,
}

impl ConstructKind {
    /// Whether a word within has another meaning than in a text, so that it can be no subject there.
    pub fn hides_words(self) -> bool {
        !matches!(self, Self::Emphasis | Self::Comment)
    }
}

/// Finds what in a prompt is no plain text; of emphasis and comments the first.
pub fn constructs(prompt: &str) -> Vec<Construct> {
    let all = |kind| move |span| Construct { kind, span };
    let word = |word: &'static str| words(prompt, word).map(move |at| at..at + word.len());
    let mut found: Vec<_> =
        networks(prompt).into_iter().map(|(span, ..)| span).map(all(ConstructKind::Network)).collect();
    found.extend(word("AND").map(all(ConstructKind::And)));
    found.extend(word("BREAK").map(all(ConstructKind::Break)));
    let (editing, emphasis) = brackets(prompt);
    found.extend(editing.into_iter().map(all(ConstructKind::Editing)));
    found.extend(emphasis.map(all(ConstructKind::Emphasis)));
    let comment = prompt.find('#').map(|at| at..at + prompt[at..].find('\n').unwrap_or(prompt.len() - at));
    found.extend(comment.map(all(ConstructKind::Comment)));
    found
}

/// The syntax of a prompt that is lost where it is read as a plain text, each kind once.
pub(super) fn syntax(prompt: &str, is_negative: bool) -> Vec<Unsupported> {
    let option: &[&str] = if is_negative { &["negative_prompt"] } else { &["prompt"] };
    let mut found: Vec<Unsupported> = Vec::new();
    for Construct { kind, span } in constructs(prompt) {
        let name = match kind {
            ConstructKind::Break => "BREAK",
            ConstructKind::And if !is_negative => "AND",
            ConstructKind::Editing => "Prompt editing",
            _ => continue,
        };
        if found.iter().all(|known| known.name != name) {
            let value = if kind == ConstructKind::Editing { &prompt[span] } else { prompt };
            let reason = "without emphasis a prompt is a plain text here; ignored, its words are text";
            found.push(Unsupported::new(name, value, reason).settled_by(option));
        }
    }
    found
}

/// Square brackets that change the prompt from step to step, `[from:to:when]`, `[to:when]`, `[from::when]`, `[a|b]`, the outermost of
/// each; and the first pair of other brackets, or an escaped one.
fn brackets(prompt: &str) -> (Vec<Range<usize>>, Option<Range<usize>>) {
    struct Bracket {
        start: usize,
        symbol: char,
        colon: Option<usize>,
        has_bar: bool,
    }
    let (mut editing, mut emphasis): (Vec<Range<usize>>, Option<Range<usize>>) = (Vec::new(), None);
    let mut open: Vec<Bracket> = Vec::new();
    let mut symbols = prompt.char_indices();
    while let Some((at, symbol)) = symbols.next() {
        match (symbol, open.last_mut()) {
            ('\\', _) => {
                let escaped = symbols.next().filter(|(_, symbol)| "()[]\\".contains(*symbol));
                emphasis = emphasis.or(escaped.map(|_| at..at + 2));
            }
            ('[' | '(', _) => open.push(Bracket { start: at, symbol, colon: None, has_bar: false }),
            ('|', Some(bracket)) => bracket.has_bar = true,
            (':', Some(bracket)) => bracket.colon = Some(at),
            (']' | ')', Some(Bracket { symbol: opened, .. })) if (symbol == ']') == (*opened == '[') => {
                let Some(Bracket { start, colon, has_bar, .. }) = open.pop() else { continue };
                let when = colon.map(|colon| prompt[colon + 1..at].trim().parse::<f64>());
                if symbol == ']' && (has_bar || matches!(when, Some(Ok(_)))) {
                    while editing.pop_if(|inner| inner.start > start).is_some() {}
                    editing.push(start..at + 1);
                } else {
                    emphasis = emphasis.or(Some(start..at + 1));
                }
            }
            _ => {}
        }
    }
    (editing, emphasis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[Unsupported]) -> Vec<&str> {
        found.iter().map(|value| value.name.as_str()).collect()
    }

    fn refusal(tag: &str) -> String {
        let taken = take_networks(tag);
        assert_eq!((taken.prompt.as_str(), taken.loras.len(), taken.unsupported.len()), ("", 0, 1), "{tag}");
        taken.unsupported[0].to_string()
    }

    #[test]
    fn loras_are_taken_out_of_the_prompt() {
        let taken = take_networks("a <lora:Sketch v2:0.8> cat <lyco:x>,\n<lora:y:-1:-1> red <lora:z:1e0>");
        assert_eq!(taken.prompt, "a  cat ,\nred");
        let expected = [("Sketch v2", 0.8), ("x", 1.0), ("y", -1.0), ("z", 1.0)];
        assert_eq!(taken.loras, expected.map(|(name, strength)| LoraRef::new(name, strength)));
        assert_eq!(taken.unsupported, []);
    }

    #[test]
    fn text_encoder_and_u_net_have_their_own_strengths() {
        let lora = |te, unet_strength| LoraRef { unet_strength, ..LoraRef::new("a", te) };
        for (tag, expected) in [
            ("<lora:a:0.5:0.8>", lora(0.5, Some(0.8))),
            ("<lora:a:te=0.5:unet=0.8>", lora(0.5, Some(0.8))),
            ("<lora:a:unet=0.8>", lora(1.0, Some(0.8))),
            ("<lora:a:te=0.5>", lora(0.5, None)),
            ("<lora:a:0.3:te=0.5>", lora(0.5, None)),
            ("<lora:a:0.3:0.4:te=0.5>", lora(0.5, Some(0.4))),
            ("<lora:unet=0:a:0.7>", lora(0.7, Some(0.0))),
        ] {
            assert_eq!(take_networks(tag).loras, [expected], "{tag}");
        }
    }

    #[test]
    fn networks_that_cannot_be_loaded_are_named() {
        for (tag, reason) in [
            ("<hypernet:h:1>", "hypernet: <hypernet:h:1> (hypernetworks are not loaded here)"),
            ("<model:h>", "model: <model:h> (this kind of network is not known)"),
            ("<lora:c:inf>", "lora: <lora:c:inf> ('inf' is no strength)"),
            ("<lora:c:>", "lora: <lora:c:> ('' is no strength)"),
            ("<lora:c:te=x>", "lora: <lora:c:te=x> ('x' is no strength)"),
            ("<lora:c:dyn=4>", "lora: <lora:c:dyn=4> (a rank (dyn) is not chosen here)"),
            ("<lora:c:1:1:4>", "lora: <lora:c:1:1:4> (a rank, its fourth value, is not chosen here)"),
            ("<lora:c:hr=1>", "lora: <lora:c:hr=1> ('hr' is not known: expected te or unet)"),
            ("<lora:te=1>", "lora: <lora:te=1> (it has no name)"),
        ] {
            assert_eq!(refusal(tag), reason);
        }
    }

    #[test]
    fn other_angle_brackets_are_text() {
        let texts =
            ["a < b", "<toy> on a beach", "<", "a <lora:", "<:x>", "<lora:>", "x<<y", "<lora", "<3", " a\r\n b "];
        for prompt in texts {
            let taken = take_networks(prompt);
            assert_eq!((taken.prompt.as_str(), taken.loras.len(), taken.unsupported.len()), (prompt, 0, 0));
        }
        assert_eq!(take_networks("<<lora:a:1>>").prompt, "<>");
        assert_eq!(take_networks(&"<lora:".repeat(10_000)).loras, []);
    }

    #[test]
    fn comments_end_with_their_line() {
        assert_eq!(without_comments("a cat # not a dog\n#all of it\nand a hat"), "a cat \n\nand a hat");
        assert_eq!(without_comments("a cat"), "a cat");
    }

    #[test]
    fn every_construct_is_found() {
        let of = |prompt: &str| -> Vec<(ConstructKind, String)> {
            constructs(prompt).into_iter().map(|found| (found.kind, prompt[found.span].to_owned())).collect()
        };
        let one = |kind, text: &str| vec![(kind, text.to_owned())];
        for tag in ["<lora:a:1>", "<lyco:a>", "<hypernet:a:1>"] {
            assert_eq!(of(&format!("a {tag} b")), one(ConstructKind::Network, tag));
        }
        assert_eq!(of("a cat\nAND a dog"), one(ConstructKind::And, "AND"));
        assert_eq!(of("a cat BREAK a dog"), one(ConstructKind::Break, "BREAK"));
        for edited in ["[a:b:0.5]", "[cat:10]", "[cat::.5]", "[a|b]", "[[a:b:1]:b: 3 ]", "[(a:1.1):2]"] {
            let found = of(&format!("x {edited} y"));
            assert!(found.contains(&(ConstructKind::Editing, edited.to_owned())), "{edited}: {found:?}");
        }
        for weighted in ["(a:1.3)", "((a))", "[a]", "(a)", r"\(", r"\\"] {
            let found = of(&format!("x {weighted} y"));
            assert_eq!(found.len(), 1, "{weighted}: {found:?}");
            assert_eq!(found[0].0, ConstructKind::Emphasis, "{weighted}");
        }
        assert_eq!(of("a # b\nc"), one(ConstructKind::Comment, "# b"));
        for plain in ["BREAKFAST and LAND", "a|b", "[a", "a:2]", "a, b: c", "16:9", "a\\b"] {
            assert_eq!(of(plain), [], "{plain}");
        }
    }

    #[test]
    fn syntax_that_a_plain_text_has_not_is_named() {
        assert_eq!(names(&syntax("a AND b BREAK c [d|e] [f|g]", false)), ["AND", "BREAK", "Prompt editing"]);
        assert_eq!(names(&syntax("a AND b BREAK c", true)), ["BREAK"]);
        assert_eq!(syntax("x [a|b] y", true)[0].value, "[a|b]");
    }
}
