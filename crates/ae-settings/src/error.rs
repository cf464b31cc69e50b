/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not a JSON object.
    #[error("the settings are not a JSON object: {reason}")]
    Json {
        /// What the parser says.
        reason: String,
    },
    /// An option that does not exist.
    #[error("unknown field `{field}`: expected one of {expected}")]
    Unknown {
        /// Its name, with the name of its group.
        field: String,
        /// The known names.
        expected: String,
    },
    /// A value of the wrong type, or outside its range.
    #[error("{field} is {value}: {expected}")]
    Value {
        /// The option, with the name of its group.
        field: String,
        /// The value, at most 60 characters of it.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// Settings of a later version.
    #[error("the settings have format {found}; this version reads formats up to {known}: use a newer version")]
    Format {
        /// Their format.
        found: u64,
        /// The newest known one.
        known: u32,
    },
    /// Two options that exclude each other.
    #[error("both {one} and {other} are given: choose one of them")]
    Conflict {
        /// The first.
        one: &'static str,
        /// The second.
        other: &'static str,
    },
}
