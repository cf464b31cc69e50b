//! Enumerations whose values have names: the names of the command line, of REST and of the settings in a picture.

/// One value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The name that options take.
    pub name: &'static str,
    /// One line for a person.
    pub help: &'static str,
}

/// A name that an enumeration does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {what} `{name}`: {}expected one of {expected}", reason.map_or("unknown", |_| "there is no"), and(*reason))]
pub struct UnknownName {
    /// The kind of thing, such as "scheduler".
    pub what: &'static str,
    /// The name, at most 60 characters of it.
    pub name: String,
    /// The known names.
    pub expected: String,
    /// Why a name that others use is not among them.
    pub reason: Option<&'static str>,
}

impl UnknownName {
    /// The error of a name that is not among `known`.
    pub fn new<'a>(what: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let expected = known.into_iter().collect::<Vec<_>>().join(", ");
        Self { what, name: name.chars().take(60).collect(), expected, reason: None }
    }
}

fn and(reason: Option<&str>) -> String {
    reason.map(|reason| format!("{reason}; ")).unwrap_or_default()
}

/// Defines an enumeration that displays as, parses from and serialises as its names.
///
/// `also by FUNCTION` names a function that reads the names that other programs have for the values, or says why there is none.
///
/// The enumerations can be matched exhaustively: the crates that do the work must not forget a value.
macro_rules! choices {
    (
        $(#[$outer:meta])*
        $what:literal $type:ident $(also by $read:path)? {
            $(#[doc = $help:literal] $(#[$inner:meta])* $variant:ident = $name:literal,)+
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $(#[doc = concat!("`", $name, "`:", $help)] $(#[$inner])* $variant,)+
        }

        impl $type {
            /// Every value, in the order of documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Their names, each with a line of help.
            pub const CHOICES: &'static [$crate::Choice] = &[$($crate::Choice { name: $name, help: $help }),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                if let Some(value) = Self::ALL.iter().copied().find(|value| value.name() == name) {
                    return Ok(value);
                }
                let reason: Option<&'static str> = None;
                $(let reason = match $read(name) {
                    Ok(value) => return Ok(value),
                    Err(why) => why.or(reason),
                };)?
                let unknown = $crate::UnknownName::new($what, name, Self::ALL.iter().map(|value| value.name()));
                Err($crate::UnknownName { reason, ..unknown })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }

        impl $crate::OptionValue for $type {
            type Given = Self;
            const KIND: $crate::Kind = $crate::Kind::Choice(Self::CHOICES);

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: $crate::UnknownName| error.to_string())
            }

            fn given(given: &Self) -> Self {
                *given
            }
        }
    };
}

pub(crate) use choices;
