//! Texts of the program that clients read.

/// A message without the paths of this machine: of each its last component stays.
///
/// A path begins with `/`, `~/`, `\\` or a drive, where no word goes on, and ends with its quotes, or at a space or a mark. What a
/// client sent itself may look so too, and is shortened with it.
pub(crate) fn without_paths(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.char_indices().map(|(at, _)| at).find(|at| is_path(&rest[..*at], &rest[*at..], &shown)) {
        let (before, path) = rest.split_at(at);
        shown.push_str(before);
        let quote = shown.chars().next_back().filter(|before| ['\'', '"', '`'].contains(before));
        let end = match quote {
            Some(quote) => path.find(quote),
            None => path.find(|c: char| c.is_whitespace() || [',', ';', ')', '\'', '"', '`'].contains(&c)),
        };
        let (path, behind) = path.split_at(end.unwrap_or(path.len()));
        let trimmed = path.trim_end_matches([':', '.']);
        let name = trimmed.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
        shown.push_str(if name.is_empty() { "/" } else { "…/" });
        shown.push_str(name);
        shown.push_str(&path[trimmed.len()..]);
        rest = behind;
    }
    shown + rest
}

/// Whether a path begins behind `before`, which stands behind `shown`.
fn is_path(before: &str, text: &str, shown: &str) -> bool {
    let before = before.chars().next_back().or_else(|| shown.chars().next_back());
    if before.is_some_and(|before| before.is_alphanumeric() || "./\\:-_~…".contains(before)) {
        return false;
    }
    let mut characters = text.chars();
    match (characters.next(), characters.next(), characters.next()) {
        (Some('/'), Some(next), _) => !next.is_whitespace() && next != '/',
        (Some('~'), Some('/'), _) | (Some('\\'), Some('\\'), _) => true,
        (Some(drive), Some(':'), Some('\\' | '/')) => drive.is_ascii_alphabetic() && !text[2..].starts_with("//"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shortened_and_nothing_else() {
        for (message, shown) in [
            (
                "cannot read '/home/ann b/sd/unet/config.json': it is a folder",
                "cannot read '…/config.json': it is a folder",
            ),
            ("cannot read /home/ann/x.bin: denied (os error 13)", "cannot read …/x.bin: denied (os error 13)"),
            (r"C:\Users\ann\x.pt is broken, as is '\\host\share\y'", "…/x.pt is broken, as is '…/y'"),
            ("~/models/sd: see /tmp/a, /tmp/b/.", "…/sd: see …/a, …/b."),
            (
                "see https://huggingface.co/a/b and CompVis/stable-diffusion",
                "see https://huggingface.co/a/b and CompVis/stable-diffusion",
            ),
            ("there is no model '../../etc'", "there is no model '../../etc'"),
            ("1/2 and / and 3 // 4", "1/2 and / and 3 // 4"),
            ("'/'", "'/'"),
            ("ö/ü '/ö/ü'", "ö/ü '…/ü'"),
            ("", ""),
        ] {
            assert_eq!(without_paths(message), shown);
        }
    }
}
