//! The table of options, and the macro that makes it together with the types.

use serde_json::Value;

use crate::Kind;

/// One option: everything that a command line, a form or a schema says of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Its key in JSON.
    pub name: &'static str,
    /// What a form calls it.
    pub label: &'static str,
    /// Its documentation, line by line.
    pub help: &'static [&'static str],
    /// The part of the settings it belongs to.
    pub group: Group,
    /// What a command line's help puts it under, where that is not the [title](Group::title) of its group.
    pub heading: Option<&'static str>,
    /// Whether a short help has it too.
    pub common: bool,
    /// The kind of its values.
    pub kind: Kind,
    /// What a command line calls it where that is not the name with hyphens. Of a switch that is on by default, the name that
    /// switches it off, `no-...`.
    pub flag: Option<&'static str>,
    /// What stands for its value in a command line's help.
    pub value_name: &'static str,
    /// The default where it depends on the model, in words.
    pub default_text: Option<&'static str>,
    /// The smallest and the largest number, both included.
    pub range: Option<[f64; 2]>,
    /// Whether the smallest number itself is refused.
    pub above: bool,
    /// Reads the text of a command line as JSON.
    pub parse: fn(&str) -> Result<Value, String>,
    /// Checks the type of a JSON value.
    pub check_type: fn(&Value) -> Result<(), String>,
}

/// A part of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Group {
    /// The prompt, and what belongs to it alone.
    Prompt,
    /// How latents become images, whatever the method.
    Sampling,
    /// The image to start from.
    InitImage,
    /// The method.
    Method,
    /// The parameters of Attend-and-Excite, which other methods that guide read too.
    AttendAndExcite,
    /// The parameters of the methods after it.
    Objective,
    /// The model, and what is added to it.
    Loaded,
    /// What a run writes into its settings and nobody chooses.
    Record,
}

impl Group {
    /// What the help of a command line puts its options under.
    pub fn title(self) -> &'static str {
        match self {
            Self::Prompt => "Prompt",
            Self::Sampling => "Sampling",
            Self::InitImage => "Start picture",
            Self::Method => "Method",
            Self::AttendAndExcite => "Attend-and-Excite",
            Self::Objective => "Other methods",
            Self::Loaded => "Model",
            Self::Record => "Record",
        }
    }
}

impl OptionInfo {
    /// The headings of a command line's help, in their order.
    pub const HEADINGS: [&'static str; 8] =
        ["Prompt", "Model", "Picture", "Sampling", "Start picture", "Method", "Attend-and-Excite", "Other methods"];

    pub(crate) const NEW: Self = Self {
        name: "",
        label: "",
        help: &[],
        group: Group::Record,
        heading: None,
        common: false,
        kind: Kind::Text,
        flag: None,
        value_name: "TEXT",
        default_text: None,
        range: None,
        above: false,
        parse: |_| Err(String::new()),
        check_type: |_| Ok(()),
    };

    /// What a command line's help puts it under.
    pub fn heading(&self) -> &'static str {
        self.heading.unwrap_or_else(|| self.group.title())
    }

    /// The name on a command line, without the leading hyphens.
    pub fn flag(&self) -> String {
        self.flag.map_or_else(|| self.name.replace('_', "-"), str::to_owned)
    }

    /// Whether the flag switches off what is on by default.
    pub fn is_negated(&self) -> bool {
        self.kind == Kind::Switch && self.flag.is_some_and(|flag| flag.starts_with("no-"))
    }

    /// The range in words, if there is one.
    pub fn range_text(&self) -> Option<String> {
        let [min, max] = self.range?;
        let low = if self.above { format!("above {min}") } else { format!("at least {min}") };
        Some(match (max.is_finite(), self.above) {
            (true, true) => format!("a number {low}, up to {max}"),
            (true, false) => format!("a number from {min} to {max}"),
            (false, _) => format!("a number {low}"),
        })
    }

    /// Checks type and range of a value.
    ///
    /// # Errors
    ///
    /// A sentence that says what was expected.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        (self.check_type)(value)?;
        let (Some([min, max]), Some(number)) = (self.range, value.as_f64()) else { return Ok(()) };
        let fits = number.is_finite() && number <= max && if self.above { number > min } else { number >= min };
        if fits { Ok(()) } else { Err(self.range_text().map(|text| format!("expected {text}")).unwrap_or_default()) }
    }

    /// The values of this option as a command line takes them, `--steps 30`.
    pub fn arguments(&self, value: &Value) -> Vec<String> {
        let flag = format!("--{}", self.flag());
        match value {
            Value::Null => Vec::new(),
            Value::Bool(on) => {
                if *on == self.is_negated() {
                    Vec::new()
                } else {
                    vec![flag]
                }
            }
            Value::Array(items) if self.kind.repeats() => {
                items.iter().flat_map(|item| argument(flag.clone(), item_text(item))).collect()
            }
            value => argument(flag, self.text(value)),
        }
    }

    /// A value as a command line takes it.
    pub fn text(&self, value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Array(items) if self.kind == Kind::Resolution => {
                items.iter().map(Value::to_string).collect::<Vec<_>>().join("x")
            }
            Value::Array(items) if items.is_empty() && matches!(self.kind, Kind::Pairs | Kind::Groups) => {
                "none".to_owned()
            }
            Value::Array(items) if items.is_empty() && self.kind == Kind::Boxes => "auto".to_owned(),
            Value::Array(items) => {
                let separator = if matches!(self.kind, Kind::Groups | Kind::Boxes) { "; " } else { "," };
                items.iter().map(item_text).collect::<Vec<_>>().join(separator)
            }
            Value::Object(map) if self.kind == Kind::Thresholds && map.is_empty() => "none".to_owned(),
            Value::Object(map) if self.kind == Kind::Thresholds => {
                map.iter().map(|(step, threshold)| format!("{step}:{threshold}")).collect::<Vec<_>>().join(",")
            }
            value => item_text(value),
        }
    }
}

/// An option and its value; in one word where the value would be taken for another option.
fn argument(flag: String, value: String) -> Vec<String> {
    if value.starts_with('-') { vec![format!("{flag}={value}")] } else { vec![flag, value] }
}

/// A text, a number, or a file with what follows its colon.
fn item_text(item: &Value) -> String {
    match item {
        Value::String(text) => text.clone(),
        Value::Object(file) => {
            let name = file.get("name").and_then(Value::as_str).unwrap_or_default();
            let more = file.get("strength").or_else(|| file.get("token")).filter(|more| !more.is_null());
            let more = more.into_iter().chain(file.get("unet_strength"));
            more.fold(name.to_owned(), |text, more| format!("{text}:{}", item_text(more)))
        }
        other => other.to_string(),
    }
}

/// Defines a type of settings, its twin in which everything is optional, and the table of its options.
///
/// Every option is written once: its documentation, what a form and a command line call it, its type and its default.
macro_rules! options {
    (
        $(#[$outer:meta])*
        struct $type:ident, $twin:ident {
            $(
                $(#[doc = $help:literal])+
                [$($key:ident : $meta:expr),* $(,)?]
                $name:ident : $value:ty = $default:expr;
            )+
            $(groups { $( $(#[doc = $group_help:literal])+ $group:ident : $group_type:ident, $group_twin:ident; )+ })?
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct $type {
            $($(#[doc = $help])+ pub $name: $value,)+
            $($($(#[doc = $group_help])+ pub $group: $group_type,)+)?
        }

        #[doc = concat!("Values for some of the options of [`", stringify!($type), "`]; the others stay as they are.")]
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct $twin {
            $(
                $(#[doc = $help])+
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<<$value as $crate::OptionValue>::Given>,
            )+
            $($(
                $(#[doc = $group_help])+
                #[serde(skip_serializing_if = "is_empty")]
                pub $group: $group_twin,
            )+)?
        }

        impl Default for $type {
            fn default() -> Self {
                Self {
                    $($name: $default,)+
                    $($($group: $group_type::default(),)+)?
                }
            }
        }

        impl $type {
            /// The table of the options.
            pub const OPTIONS: &'static [$crate::OptionInfo] = &[
                $($crate::OptionInfo {
                    name: stringify!($name),
                    help: &[$($help),+],
                    kind: <$value as $crate::OptionValue>::KIND,
                    parse: |text| {
                        let value = <$value as $crate::OptionValue>::parse(text)?;
                        serde_json::to_value(value).map_err(|error| error.to_string())
                    },
                    check_type: |value| {
                        type Given = <$value as $crate::OptionValue>::Given;
                        serde_json::from_value::<Given>(value.clone()).map(drop).map_err(|error| error.to_string())
                    },
                    $($key: $meta,)*
                    ..$crate::OptionInfo::NEW
                },)+
            ];

            /// Takes every value that is given.
            pub fn apply(&mut self, given: &$twin) {
                $(if let Some(value) = &given.$name {
                    self.$name = <$value as $crate::OptionValue>::given(value);
                })+
                $($(self.$group.apply(&given.$group);)+)?
            }
        }

        impl $twin {
            /// The values of both, those of `other` where both give one.
            #[must_use]
            pub fn over(mut self, other: &Self) -> Self {
                $(if other.$name.is_some() {
                    self.$name.clone_from(&other.$name);
                })+
                $($(self.$group = self.$group.over(&other.$group);)+)?
                self
            }
        }
    };
}

pub(crate) use options;
