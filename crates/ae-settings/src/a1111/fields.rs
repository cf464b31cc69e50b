//! The text as prompts and fields, and the quoting of values.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Fields in a line of prompt are rarer than this, and a line of fields has more.
const FEWEST_FIELDS: usize = 3;

/// Before the negative prompt.
pub(super) const NEGATIVE: &str = "Negative prompt:";

/// The parts of a text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parts {
    pub(super) prompt: String,
    pub(super) negative_prompt: String,
    /// Names and values in their order. A piece without a colon is a name without a value.
    pub(super) fields: Vec<(String, String)>,
}

impl Parts {
    /// Takes a text apart. The fields are the line that begins with `Steps:` and what follows it, or else the last line if it has
    /// three fields or more.
    pub(super) fn of(text: &str) -> Self {
        let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
        let is_last = |line: &&str| fields(line).iter().filter(|(_, value)| !value.is_empty()).count() >= FEWEST_FIELDS;
        let first = lines.iter().rposition(|line| line.starts_with("Steps:"));
        let first = first.or_else(|| lines.last().filter(|line| is_last(line)).map(|_| lines.len() - 1));
        let (prompts, field_lines) = lines.split_at(first.unwrap_or(lines.len()));

        let negative = prompts.iter().position(|line| line.starts_with(NEGATIVE)).unwrap_or(prompts.len());
        let (prompt, negative) = prompts.split_at(negative);
        // As the program itself does it: the words are left out of later lines too.
        let negative = negative.iter().map(|line| line.strip_prefix(NEGATIVE).unwrap_or(line).trim());
        Self {
            prompt: prompt.join("\n"),
            negative_prompt: negative.collect::<Vec<_>>().join("\n"),
            fields: field_lines.iter().flat_map(|line| fields(line)).collect(),
        }
    }
}

/// The values of a text by their names in that program, the prompts among them; none of a text that says nothing.
pub fn named_values(text: &str) -> Vec<(String, String)> {
    let Parts { prompt, negative_prompt, fields } = Parts::of(text);
    if prompt.is_empty() && fields.is_empty() {
        return Vec::new();
    }
    let prompts = [("Prompt", prompt), ("Negative prompt", negative_prompt)];
    prompts.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(fields).collect()
}

/// The fields of a line: names, colons and values, with commas between them. A value with a comma or a colon is a JSON string; an
/// object or an array of JSON, as some programs write them, is one value as well.
fn fields(line: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|symbol: char| symbol == ',' || symbol.is_whitespace());
        if rest.is_empty() {
            return fields;
        }
        let end = rest.find(',').unwrap_or(rest.len());
        let (name, value) = match rest[..end].find(':') {
            Some(colon) => (&rest[..colon], rest[colon + 1..].trim_start()),
            None => (&rest[..end], &rest[end..]),
        };
        let (value, after) = quoted(value).unwrap_or_else(|| {
            let end = value.find(',').unwrap_or(value.len());
            (value[..end].trim_end().to_owned(), &value[end..])
        });
        fields.push((name.trim().to_owned(), value));
        rest = after;
    }
}

/// The JSON value at the beginning of a text, if it ends before a comma or at the end, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    fn first<T: DeserializeOwned>(text: &str) -> Option<(T, usize)> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter();
        Some((values.next()?.ok()?, values.byte_offset()))
    }
    let (value, length) = match text.as_bytes().first()? {
        b'"' => first::<String>(text)?,
        b'{' | b'[' => first::<Value>(text).map(|(_, length)| (text[..length].to_owned(), length))?,
        _ => return None,
    };
    let after = &text[length..];
    let ends = after.trim_start();
    (ends.is_empty() || ends.starts_with(',')).then_some((value, after))
}

/// A value as the program writes it: as a JSON string where it has a comma, a colon or a line break.
pub(super) fn quote(value: &str) -> String {
    // A value that begins with a quotation mark would be taken for a quoted one.
    if value.contains([',', ':', '\n']) || value.starts_with('"') {
        Value::from(value).to_string()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Vec<(String, String)> {
        fields(line)
    }

    fn owned<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    #[test]
    fn values_with_commas_and_colons_are_quoted() {
        let line = r#"Steps: 20, Lora hashes: "a: 12, b: 34", Note: "say \"x, y\"\n" , Version: v1.6.0"#;
        let expected =
            [("Steps", "20"), ("Lora hashes", "a: 12, b: 34"), ("Note", "say \"x, y\"\n"), ("Version", "v1.6.0")];
        assert_eq!(pairs(line), owned(expected));
        for value in ["plain", "a, b", "a: b", "\"a", "say \"x, y\"", "a\nb", "\\, \u{1f431}", "{\"a\":1,\"b\":[2]}"] {
            let line = format!("Steps: 1, Value: {}, Seed: 2", quote(value));
            assert_eq!(pairs(&line), owned([("Steps", "1"), ("Value", value), ("Seed", "2")]), "{line}");
        }
    }

    #[test]
    fn json_is_one_value_and_a_piece_without_a_colon_a_name() {
        let line = r#"Hashes: {"model": "6c", "lora:a": "f0"}, Civitai resources: [{"type":"x"}, 2], odd, Size: 8x8"#;
        let expected = [
            ("Hashes", r#"{"model": "6c", "lora:a": "f0"}"#),
            ("Civitai resources", r#"[{"type":"x"}, 2]"#),
            ("odd", ""),
            ("Size", "8x8"),
        ];
        assert_eq!(pairs(line), owned(expected));
    }

    #[test]
    fn what_is_quoted_wrongly_is_not_lost() {
        assert_eq!(pairs(r#"A: "x, B: 2"#), owned([("A", "\"x"), ("B", "2")]));
        assert_eq!(pairs(r#"A: "x" y, B: {2"#), owned([("A", "\"x\" y"), ("B", "{2")]));
        assert_eq!(pairs("A:, : b,, ,c"), owned([("A", ""), ("", "b"), ("c", "")]));
    }

    #[test]
    fn prompts_have_several_lines_and_the_negative_one_may_be_missing() {
        let parts = Parts::of("a cat,\r\n and a dog\r\n\r\nNegative prompt: blurry,\r\nbad\r\nSteps: 20, Seed: 1\r\n");
        assert_eq!(parts.prompt, "a cat,\nand a dog\n");
        assert_eq!(parts.negative_prompt, "blurry,\nbad");
        assert_eq!(parts.fields, owned([("Steps", "20"), ("Seed", "1")]));
        let parts = Parts::of("a cat\nSteps: 20, Seed: 1\nTemplate: a {cat}");
        assert_eq!((parts.prompt.as_str(), parts.negative_prompt.as_str()), ("a cat", ""));
        assert_eq!(parts.fields.len(), 3);
        let parts = Parts::of("Negative prompt: blurry\nSeed: 1, Steps: 20, Size: 8x8");
        assert_eq!((parts.prompt.as_str(), parts.negative_prompt.as_str(), parts.fields.len()), ("", "blurry", 3));
    }

    #[test]
    fn a_text_without_fields_is_a_prompt() {
        let parts = Parts::of("a cat: black, and a dog\nwith a hat, red");
        assert_eq!(parts.prompt, "a cat: black, and a dog\nwith a hat, red");
        assert_eq!(parts.fields, []);
        assert_eq!(Parts::of(" \n "), Parts::default());
    }
}
