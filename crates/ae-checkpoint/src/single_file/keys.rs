//! A key as its parts between the dots.

/// Takes a numbered part: `("3", rest)` of `3.rest`.
pub(super) fn number(key: &str) -> Option<(usize, &str)> {
    let (number, rest) = key.split_once('.')?;
    // As Python writes it: no sign, no leading zero, so that two keys never become one.
    let value: usize = number.parse().ok()?;
    (value.to_string() == number).then_some((value, rest))
}

/// Replaces the first of `renames` whose left side begins `key` at a whole part.
pub(super) fn rename(key: &str, renames: &[(&str, &str)]) -> Option<String> {
    renames.iter().find_map(|(from, to)| replace(key, from, to))
}

/// The way back: replaces the first of `renames` whose right side begins `key` at a whole part.
pub(super) fn rename_back(key: &str, renames: &[(&str, &str)]) -> Option<String> {
    renames.iter().find_map(|(to, from)| replace(key, from, to))
}

fn replace(key: &str, from: &str, to: &str) -> Option<String> {
    let rest = key.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('.')).then(|| format!("{to}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_as_python_writes_it() {
        assert_eq!(number("12.weight"), Some((12, "weight")));
        for key in ["01.weight", "+1.weight", "x.weight", "12", "99999999999999999999.weight"] {
            assert_eq!(number(key), None, "{key}");
        }
    }

    #[test]
    fn only_whole_parts_are_renamed() {
        let renames = [("time_embed.0", "linear_1"), ("out", "conv_out")];
        assert_eq!(rename("time_embed.0.weight", &renames).unwrap(), "linear_1.weight");
        assert_eq!(rename("out.bias", &renames).unwrap(), "conv_out.bias");
        assert_eq!(rename("output_blocks.0", &renames), None);
        assert_eq!(rename_back("linear_1.weight", &renames).unwrap(), "time_embed.0.weight");
        assert_eq!(rename_back("linear_10.weight", &renames), None);
    }
}
