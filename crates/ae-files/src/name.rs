use sha2::{Digest as _, Sha256};

/// In bytes; file systems allow 255, and seeds and endings are added.
const LONGEST: usize = 120;
/// Hexadecimal digits of the hash in a name.
const DIGITS: usize = 10;
/// Those that names had when the hash was not SHA-256.
const FORMER_DIGITS: usize = 8;

/// Returns a prompt as the name of a folder: letters, digits and a few marks stay; where anything changed, the first ten digits of the
/// prompt's SHA-256 keep different prompts apart.
pub fn folder_name(prompt: &str) -> String {
    let name = plain(prompt);
    if name == prompt && !name.is_empty() && !is_device(&name) {
        return name;
    }
    let hash = format!("{:x}", Sha256::digest(prompt));
    format!("{name}-{}", &hash[..DIGITS]).trim_start_matches('-').to_owned()
}

/// Whether Windows has a device of that name in every folder, in either case. The digits may be superscripts.
fn is_device(name: &str) -> bool {
    let name = name.to_lowercase();
    let numbered = name.strip_prefix("com").or_else(|| name.strip_prefix("lpt"));
    let is_digit = |digit: &str| matches!(digit, "¹" | "²" | "³") || matches!(digit.as_bytes(), [b'0'..=b'9']);
    ["con", "prn", "aux", "nul", "conin$", "conout$"].contains(&name.as_str()) || numbered.is_some_and(is_digit)
}

/// Tells whether a text is the name of one file or folder on every system: neither empty nor a way elsewhere (`..`, `/`, `\`,
/// `C:`), without control characters, and short enough. Such a name may be joined to a folder.
pub fn is_plain_name(name: &str) -> bool {
    let has_no_other = !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | ':'));
    has_no_other && !matches!(name, "" | "." | "..") && name.len() <= 2 * LONGEST && !is_device(name)
}

/// Tells whether versions up to 0.1.0 may have named the folder of a prompt so: with eight digits of a hash that changed with the
/// compiler.
pub fn is_former_name(name: &str, prompt: &str) -> bool {
    let digits = name.len().checked_sub(FORMER_DIGITS).and_then(|start| name.get(start..));
    digits.is_some_and(|digits| {
        folder_name(prompt) != prompt
            && digits.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
            && format!("{}-{digits}", plain(prompt)).trim_start_matches('-') == name
    })
}

/// The beginning of a prompt in characters that may stand in a name.
fn plain(prompt: &str) -> String {
    let mut name = String::new();
    for character in prompt.chars() {
        let keep = character.is_alphanumeric() || matches!(character, ' ' | '-' | '_' | ',' | '\'' | '(' | ')');
        if name.len() + character.len_utf8() > LONGEST {
            break;
        }
        name.push(if keep { character } else { '_' });
    }
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_prompt_is_its_own_name() {
        assert_eq!(folder_name("a cat and a dog"), "a cat and a dog");
        assert_eq!(folder_name("ein Löwe, rot"), "ein Löwe, rot");
    }

    /// `hashlib.sha256("a cat: hello".encode()).hexdigest()[:10]`
    #[test]
    fn another_prompt_has_its_sha256() {
        assert_eq!(folder_name("a cat: hello"), "a cat_ hello-71dbaef365");
    }

    #[test]
    fn no_prompt_leaves_its_folder_and_no_two_share_a_name() {
        let odd = ["", " ", ".", "..", "../../etc/passwd", "a/b", "a\\b", "a\0b", "CON", "-", "🐱", "🐶", "\n"];
        let long = ["a ".repeat(5000), "a ".repeat(5001)];
        let names: Vec<_> = odd.into_iter().chain(long.iter().map(String::as_str)).map(folder_name).collect();
        for name in &names {
            assert!(!name.is_empty() && name.len() < 140, "{name}");
            assert!(!name.contains(['/', '\\', '\0', '.', '\n']), "{name}");
        }
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }

    #[test]
    fn names_of_devices_are_told_apart() {
        for device in ["COM1", "lpt9", "Com0", "LPT\u{b9}", "con", "PRN", "aux", "NUL"] {
            let name = folder_name(device);
            assert!(name.starts_with(&format!("{device}-")) && name.len() == device.len() + 11, "{name}");
        }
        for other in ["com", "COM10", "lpta", "a con", "comet"] {
            assert_eq!(folder_name(other), other);
        }
    }

    #[test]
    fn a_plain_name_stays_in_its_folder() {
        for name in ["stable-diffusion", "a and e", "sd 1.5", "..x", "ä", "x.json", "scale=10, steps=5"] {
            assert!(is_plain_name(name), "{name}");
        }
        let long = "a".repeat(300);
        for name in ["", ".", "..", "/tmp/x", "../x", "a/b", "a\\b", "C:", "C:\\x", "a\0b", "a\nb", "NUL", &long] {
            assert!(!is_plain_name(name), "{name:?}");
        }
    }

    /// As version 0.1.0 named them, built with Rust 1.95.
    const FORMER: [(&str, &str); 6] = [
        ("a cat_ hello-d4b37d61", "a cat: hello"),
        ("23c53def", ""),
        ("CON-715b10ea", "CON"),
        ("x_-604b8a2f", "--x."),
        ("a__-e6ff71c9", "a.\n"),
        ("a cat-23f5cc72", " a cat"),
    ];

    #[test]
    fn names_of_before_are_known() {
        for (name, prompt) in FORMER {
            assert!(is_former_name(name, prompt), "{name} of {prompt:?}");
            assert!(!is_former_name(&folder_name(prompt), prompt), "{prompt:?}");
        }
        // A prompt that needs no hash had none, and another prompt's folder is another's.
        assert!(!is_former_name("a cat-01234567", "a cat"));
        assert!(!is_former_name("a dog_-01234567", "a cat."));
        assert!(!is_former_name("a cat_-0123456g", "a cat.") && !is_former_name("a cat_", "a cat."));
    }
}
