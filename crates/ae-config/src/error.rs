use std::fmt;

/// A config that describes nothing that can be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file, as its reader calls it.
    pub file: String,
    /// The field, with the parts that it lies in (`text_config.hidden_size`); empty for the file as a whole.
    pub field: String,
    /// The value, as JSON, or a word for it.
    pub found: String,
    /// What the value may be.
    pub expected: String,
}

impl ConfigError {
    /// An error about a field; a value of any length is cut to a line.
    pub fn new(
        file: impl Into<String>,
        field: impl Into<String>,
        found: impl Into<String>,
        expected: impl fmt::Display,
    ) -> Self {
        /// Characters of a value that are shown.
        const LONGEST: usize = 120;
        let mut found = found.into();
        if let Some((end, _)) = found.char_indices().nth(LONGEST) {
            found.replace_range(end.., " ...");
        }
        Self { file: file.into(), field: field.into(), found, expected: expected.to_string() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, field, found, expected } = self;
        match field.as_str() {
            "" => write!(f, "{file} is {found}; expected {expected}"),
            _ => write!(f, "{field} is {found} in {file}; expected {expected}"),
        }
    }
}
