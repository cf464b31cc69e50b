//! Values that change a picture and cannot be honoured.

use std::fmt;

use crate::Overrides;

/// A value that changes the picture and cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsupported {
    /// The name of its field, or the word of a prompt.
    pub name: String,
    /// Its value, at most 60 characters of it; empty where a field is missing.
    pub value: String,
    /// Why it cannot be honoured, and what replaces it.
    pub reason: String,
    /// The options that replace it: names of members of [`Settings`](crate::Settings).
    pub settled_by: &'static [&'static str],
}

impl Unsupported {
    pub(crate) fn new(name: &str, value: &str, reason: impl Into<String>) -> Self {
        let shown = |text: &str| text.chars().take(60).collect();
        Self { name: shown(name), value: shown(value), reason: reason.into(), settled_by: &[] }
    }

    /// A field without which a picture cannot be drawn, and the options that replace it.
    pub(crate) fn missing(name: &str, options: &'static [&'static str]) -> Self {
        Self::new(name, "", "it is missing").settled_by(options)
    }

    pub(crate) fn settled_by(self, options: &'static [&'static str]) -> Self {
        Self { settled_by: options, ..self }
    }

    /// Whether a name stands for it: its own name, or the words with which it begins (`Hires` for `Hires upscale`), in any case.
    pub fn is_named(&self, name: &str) -> bool {
        let begins = self.name.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
        begins && matches!(self.name.as_bytes().get(name.len()), None | Some(b' '))
    }

    /// Whether an option replaces it.
    pub fn is_settled(&self, given: &Overrides) -> bool {
        let given = given.to_json();
        self.settled_by.iter().any(|option| given.contains_key(*option))
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.value.is_empty() { "" } else { ": " };
        let (name, value) = (self.name.escape_debug(), self.value.escape_debug());
        write!(f, "{name}{separator}{value} ({})", self.reason)
    }
}

/// Values of a picture that change it and cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the picture cannot be drawn again as its parameters say: {}; ignore them by name to draw without them",
    self.values.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct UnsupportedValues {
    /// The values.
    pub values: Vec<Unsupported>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_the_fields_that_begin_with_it() {
        let field = Unsupported::new("Hires upscale", "2", "a second pass");
        for name in ["Hires upscale", "hires", "HIRES UPSCALE"] {
            assert!(field.is_named(name), "{name}");
        }
        for name in ["Hire", "Hires u", "upscale", "Hires upscaler", "Hires upscale 2", "é"] {
            assert!(!field.is_named(name), "{name}");
        }
        assert!(!field.is_named(""));
    }

    #[test]
    fn the_error_names_all_values() {
        let values = vec![Unsupported::new("Tiling", "True", "why"), Unsupported::new("Seed", "", "it is missing")];
        assert_eq!(
            UnsupportedValues { values }.to_string(),
            "the picture cannot be drawn again as its parameters say: Tiling: True (why); Seed (it is missing); ignore them by \
             name to draw without them"
        );
    }
}
