//! The parts of a prompt that are not text: networks in angle brackets, and words and brackets with a meaning.

use super::unsupported::Unsupported;
use crate::LoraRef;

/// A prompt without its networks.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Networks {
    pub(super) prompt: String,
    pub(super) loras: Vec<LoraRef>,
    pub(super) unsupported: Vec<Unsupported>,
}

impl Networks {
    /// Takes `<lora:NAME:STRENGTH>` and its like out of a prompt.
    pub(super) fn take(prompt: &str) -> Self {
        let mut taken = Self::default();
        let mut text = String::new();
        let mut rest = prompt;
        while let Some(start) = rest.find('<') {
            text.push_str(&rest[..start]);
            rest = &rest[start..];
            if let Some((tag, kind, arguments)) = network(rest) {
                match kind {
                    "lora" | "lyco" => match lora(arguments) {
                        Ok(lora) => taken.loras.push(lora),
                        Err(reason) => {
                            let lora = Unsupported::new("lora", tag, reason);
                            taken.unsupported.push(lora.settled_by(&["loras"]));
                        }
                    },
                    _ => taken.unsupported.push(Unsupported::new(kind, tag, "this kind of network is not known")),
                }
                rest = &rest[tag.len()..];
            } else {
                text.push('<');
                rest = &rest[1..];
            }
        }
        text.push_str(rest);
        Self { prompt: text.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned(), ..taken }
    }
}

/// `<KIND:ARGUMENTS>` at the beginning of a text: the whole, the kind and the arguments.
fn network(text: &str) -> Option<(&str, &str, &str)> {
    let inner = &text[1..];
    let kind = inner.find(|symbol: char| !symbol.is_alphanumeric() && symbol != '_').filter(|end| *end > 0)?;
    let arguments = inner[kind..].strip_prefix(':')?;
    let end = arguments.find('>').filter(|end| *end > 0)?;
    Some((&text[.."<:>".len() + kind + end], &inner[..kind], &arguments[..end]))
}

/// `NAME`, `NAME:STRENGTH`, or with a second strength for the U-Net, which must be the same.
fn lora(arguments: &str) -> Result<LoraRef, &'static str> {
    let mut parts = arguments.split(':');
    let name = parts.next().unwrap_or_default().to_owned();
    let strengths: Option<Vec<f64>> =
        parts.map(|part| part.trim().parse().ok().filter(|x: &f64| x.is_finite())).collect();
    match strengths.as_deref() {
        Some([]) => Ok(LoraRef { name, sha256: None, strength: 1.0 }),
        Some([strength]) => Ok(LoraRef { name, sha256: None, strength: *strength }),
        Some([text, unet]) if text.to_bits() == unet.to_bits() => Ok(LoraRef { name, sha256: None, strength: *text }),
        Some([_, _]) => Err("a LoRA has one strength for text encoder and U-Net"),
        _ => Err("expected a name and a strength"),
    }
}

/// The syntax of a prompt beyond weights, each kind once.
pub(super) fn syntax(prompt: &str, is_negative: bool) -> Vec<Unsupported> {
    let option: &[&str] = if is_negative { &["negative_prompt"] } else { &["prompt"] };
    let has_word =
        |word| prompt.split(|symbol: char| !symbol.is_alphanumeric() && symbol != '_').any(|part| part == word);
    let mut found = Vec::new();
    if has_word("BREAK") {
        let reason = "a prompt is one text of 75 tokens; ignored, it is a word";
        found.push(Unsupported::new("BREAK", prompt, reason).settled_by(option));
    }
    if !is_negative && has_word("AND") {
        let reason = "the parts of a prompt are drawn by the method composable-diffusion; ignored, it is a word";
        found.push(Unsupported::new("AND", prompt, reason).settled_by(&["prompt", "method"]));
    }
    if let Some(edited) = edited(prompt) {
        let reason = "a prompt is the same at every step; ignored, its brackets are weights";
        found.push(Unsupported::new("Prompt editing", edited, reason).settled_by(option));
    }
    found
}

/// The first square brackets that change the prompt from step to step: `[from:to:when]`, `[to:when]`, `[from::when]`, `[a|b]`.
fn edited(prompt: &str) -> Option<&str> {
    struct Bracket {
        start: usize,
        colon: Option<usize>,
        has_bar: bool,
    }
    let mut open: Vec<Bracket> = Vec::new();
    let mut symbols = prompt.char_indices();
    while let Some((at, symbol)) = symbols.next() {
        match (symbol, open.last_mut()) {
            ('\\', _) => drop(symbols.next()),
            ('[', _) => open.push(Bracket { start: at, colon: None, has_bar: false }),
            ('|', Some(bracket)) => bracket.has_bar = true,
            (':', Some(bracket)) => bracket.colon = Some(at),
            (']', Some(_)) => {
                let Bracket { start, colon, has_bar } = open.pop()?;
                let when = colon.map(|colon| prompt[colon + 1..at].trim().parse::<f64>());
                if has_bar || matches!(when, Some(Ok(_))) {
                    return Some(&prompt[start..=at]);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[Unsupported]) -> Vec<&str> {
        found.iter().map(|value| value.name.as_str()).collect()
    }

    #[test]
    fn loras_are_taken_out_of_the_prompt() {
        let taken = Networks::take("a <lora:Sketch v2:0.8> cat <lyco:x>,\n<lora:y:-1:-1> red <lora:z:1e0>");
        assert_eq!(taken.prompt, "a  cat ,\nred");
        let expected = [("Sketch v2", 0.8), ("x", 1.0), ("y", -1.0), ("z", 1.0)];
        assert_eq!(taken.loras, expected.map(|(name, strength)| LoraRef::new(name, strength)));
        assert_eq!(taken.unsupported, []);
    }

    #[test]
    fn networks_that_cannot_be_loaded_are_named() {
        let taken = Networks::take("<hypernet:h:1><lora:a:0.5:0.8><lora:b:te=1><lora:c:inf><lora:d:1:1:1>");
        assert_eq!(names(&taken.unsupported), ["hypernet", "lora", "lora", "lora", "lora"]);
        assert_eq!(taken.unsupported[1].value, "<lora:a:0.5:0.8>");
        assert_eq!((taken.prompt.as_str(), taken.loras.len()), ("", 0));
    }

    #[test]
    fn other_angle_brackets_are_text() {
        for prompt in ["a < b", "<toy> on a beach", "<", "a <lora:", "<:x>", "<lora:>", "x<<y", "<lora", "<3"] {
            let taken = Networks::take(prompt);
            assert_eq!((taken.prompt.as_str(), taken.loras.len(), taken.unsupported.len()), (prompt, 0, 0));
        }
        assert_eq!(Networks::take("<<lora:a:1>>").prompt, "<>");
    }

    #[test]
    fn syntax_beyond_weights_is_named() {
        let of = |prompt: &str| names(&syntax(prompt, false)).join(" ");
        assert_eq!(of("a cat BREAK a dog"), "BREAK");
        assert_eq!(of("a cat\nAND a dog :0.8"), "AND");
        for edited in ["[a:b:0.5]", "x [cat:10] y", "[cat::.5]", "[a|b]", "[[a]:b: 3 ]", "([a|b]:1.2)", "[(a:1.1):2]"] {
            assert_eq!(of(edited), "Prompt editing", "{edited}");
        }
        let plain =
            ["(a:1.3) [b] ((c))", "[(a:1.2)]", "[a: b]", "BREAKFAST and LAND", "\\[a|b\\]", "a|b", "[a", "a:2]"];
        for plain in plain {
            assert_eq!(of(plain), "", "{plain}");
        }
        assert_eq!(names(&syntax("a AND b BREAK c", true)), ["BREAK"]);
        assert_eq!(syntax("x [a|b] y", true)[0].value, "[a|b]");
    }
}
