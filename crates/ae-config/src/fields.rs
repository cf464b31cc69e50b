use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ConfigError;

/// Bytes of a config, far above that of any model: JSON takes some ten times as many when it is read.
const LARGEST: usize = 4 << 20;

/// The fields of a config: a JSON object, or a part of one.
///
/// Every method that reads a field names it in its error, which is of a wrong type or of a value that is not expected. A
/// null is a value like any other, which the type must know (`Option`). Fields that nobody reads do not matter, unless
/// [`only`](Self::only) is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    file: String,
    /// The part that they lie in, with a dot at its end.
    part: String,
    values: Map<String, Value>,
}

impl Fields {
    /// Reads a JSON text; `file` is what errors call it. Python's bare `NaN`, `Infinity` and `-Infinity` become strings.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object, or has more than 4 MiB.
    pub fn read(file: impl Into<String>, json: &str) -> Result<Self, ConfigError> {
        let file = file.into();
        if json.len() > LARGEST {
            return Err(ConfigError::new(
                file,
                "",
                format!("of {} bytes", json.len()),
                "a JSON object of a few thousand",
            ));
        }
        let quoted = ["-Infinity", "Infinity", "NaN"]
            .into_iter()
            .fold(json.to_owned(), |json, value| json.replace(&format!(": {value}"), &format!(": \"{value}\"")));
        match serde_json::from_str(&quoted) {
            Ok(values) => Ok(Self { file, part: String::new(), values }),
            Err(error) => Err(ConfigError::new(file, "", format!("malformed ({error})"), "a JSON object")),
        }
    }

    /// Reads a JSON file, as [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or does not hold a JSON object.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let name = path.as_ref().display().to_string();
        match ae_files::read_text(path.as_ref(), LARGEST as u64) {
            Ok(json) => Self::read(name, &json),
            Err(error) => Err(ConfigError::new(name, "", format!("not readable ({error})"), "a JSON object")),
        }
    }

    /// Takes fields that are values already.
    pub fn new<'a>(file: impl Into<String>, values: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let values = values.into_iter().map(|(field, value)| (field.to_owned(), value));
        Self { file: file.into(), part: String::new(), values: values.collect() }
    }

    /// A field's value, if the field is there.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.values.get(field)
    }

    /// Puts another value into a field.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.values.insert(field.to_owned(), value.into());
    }

    /// The names of all fields, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The same fields, which errors call those of another file.
    #[must_use]
    pub fn from_file(self, file: impl Into<String>) -> Self {
        Self { file: file.into(), ..self }
    }

    /// The same with single values for lists of `count` equal ones, in these fields: diffusers takes either, a value for all
    /// levels of a network or one for each. Lists that differ, or have another length, stay what they are.
    #[must_use]
    pub fn with_scalars(mut self, count: usize, fields: &[&str]) -> Self {
        for field in fields {
            if let Some(Value::Array(values)) = self.values.get(*field)
                && values.len() == count
                && let [first, rest @ ..] = values.as_slice()
                && rest.iter().all(|value| value == first)
            {
                let first = first.clone();
                self.set(field, first);
            }
        }
        self
    }

    /// An error about a field.
    pub fn error(&self, field: &str, expected: impl fmt::Display) -> ConfigError {
        let found = self.get(field).map_or_else(|| "absent".to_owned(), Value::to_string);
        ConfigError::new(&self.file, format!("{}{field}", self.part), found, expected)
    }

    /// Refuses a field unless it is `valid`.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn check(&self, field: &str, valid: bool, expected: impl fmt::Display) -> Result<(), ConfigError> {
        if valid { Ok(()) } else { Err(self.error(field, expected)) }
    }

    /// The object in a field; without fields where the field is absent or null.
    ///
    /// # Errors
    ///
    /// When the field holds something else.
    pub fn part(&self, field: &str) -> Result<Self, ConfigError> {
        let values = self.or::<Option<Map<String, Value>>>(field, None)?.unwrap_or_default();
        Ok(Self { file: self.file.clone(), part: format!("{}{field}.", self.part), values })
    }

    /// A field of any type, if it is there.
    ///
    /// # Errors
    ///
    /// When it has another type.
    pub fn optional<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, ConfigError> {
        let read =
            |value: &Value| T::deserialize(value).map_err(|error| self.error(field, expectation(&error.to_string())));
        self.get(field).map(read).transpose()
    }

    /// A field of any type, or what stands for it where it is absent.
    ///
    /// # Errors
    ///
    /// When it has another type.
    pub fn or<T: DeserializeOwned>(&self, field: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.optional(field)?.unwrap_or(default))
    }

    /// As [`or`](Self::or), for a value that must be `valid`, which `expected` says in words.
    ///
    /// # Errors
    ///
    /// When it has another type, or is not valid.
    pub fn checked<T: DeserializeOwned>(
        &self,
        field: &str,
        default: T,
        expected: impl fmt::Display,
        valid: impl FnOnce(&T) -> bool,
    ) -> Result<T, ConfigError> {
        let value: Option<T> = match self.get(field) {
            Some(found) => Some(T::deserialize(found).map_err(|_| self.error(field, &expected))?),
            None => None,
        };
        let value = value.unwrap_or(default);
        self.check(field, valid(&value), expected)?;
        Ok(value)
    }

    /// A number of things of which there is at least one. The bound `max` lies far above any model: a damaged file must
    /// not ask for all memory.
    ///
    /// # Errors
    ///
    /// When it is not a whole number of 1 to `max`.
    pub fn size(&self, field: &str, default: usize, max: usize) -> Result<usize, ConfigError> {
        self.checked(field, default, format_args!("1..={max}"), |size| (1..=max).contains(size))
    }

    /// A small positive number that keeps a normalisation from dividing by zero.
    ///
    /// # Errors
    ///
    /// When it is not between 0 and 1.
    pub fn epsilon(&self, field: &str, default: f64) -> Result<f64, ConfigError> {
        self.checked(field, default, "a number between 0 and 1", |&epsilon| epsilon > 0.0 && epsilon < 1.0)
    }

    /// Refuses a network of more numbers or layers than any machine holds, before it is built: each field may be within its bounds, and
    /// all of them together are not.
    ///
    /// # Errors
    ///
    /// Above 20 thousand million parameters, or 2048 layers.
    pub fn check_network(&self, parameters: f64, layers: usize) -> Result<(), ConfigError> {
        const MOST_PARAMETERS: f64 = 20e9;
        const MOST_LAYERS: usize = 2048;
        if parameters <= MOST_PARAMETERS && layers <= MOST_LAYERS {
            return Ok(());
        }
        let found = format!("of a network with {parameters:.1e} parameters in {layers} layers");
        Err(ConfigError::new(
            format!("{}{}", self.file, self.part_of_file()),
            "",
            found,
            format_args!("at most {MOST_PARAMETERS:e} in {MOST_LAYERS}"),
        ))
    }

    /// Where in the file the fields lie, in words.
    fn part_of_file(&self) -> String {
        self.part.strip_suffix('.').map(|part| format!(" ({part})")).unwrap_or_default()
    }

    /// Refuses every field of a table that is there with another value. Values are JSON texts; 1 and 1.0 are the same.
    ///
    /// # Errors
    ///
    /// When there is one.
    ///
    /// # Panics
    ///
    /// When the table does not hold JSON.
    pub fn fixed(&self, table: &[(&str, &str)]) -> Result<(), ConfigError> {
        table.iter().try_for_each(|(field, json)| {
            let expected: Value = serde_json::from_str(json).expect("a table of JSON texts");
            let same = |found: &Value| *found == expected || (found.is_number() && found.as_f64() == expected.as_f64());
            self.check(field, self.get(field).is_none_or(same), json)
        })
    }

    /// The names that are neither those of what the fields were read as, nor among `more`; programs that ignore such fields warn of
    /// them. Those that begin with `_` are notes of the program that wrote the file.
    pub fn unknown<'a>(&self, read: &impl Serialize, more: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let (read, more) = (serde_json::to_value(read).unwrap_or_default(), BTreeSet::from_iter(more));
        let is_known = |name: &str| name.starts_with('_') || read.get(name).is_some() || more.contains(name);
        self.names().filter(|name| !is_known(name)).map(str::to_owned).collect()
    }

    /// Refuses fields of other names than these.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn only(&self, names: &[&str]) -> Result<(), ConfigError> {
        match self.values.keys().find(|name| !names.contains(&name.as_str())) {
            Some(unknown) => Err(self.error(unknown, format_args!("only the fields {}", names.join(", ")))),
            None => Ok(()),
        }
    }
}

/// The end of serde's `invalid type: string "four", expected usize`; its beginning says again what was found.
fn expectation(error: &str) -> &str {
    error.rsplit_once("expected ").map_or(error, |(_, expected)| expected)
}

impl Default for Fields {
    /// No fields: every default.
    fn default() -> Self {
        Self { file: "the config".to_owned(), part: String::new(), values: Map::new() }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { values: Map::deserialize(deserializer)?, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::read("config.json", json).unwrap()
    }

    fn text<T: fmt::Debug>(result: Result<T, ConfigError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for json in ["", "[]", "{", "null", "3", "\u{0}"] {
            let error = text(Fields::read("config.json", json));
            assert!(
                error.starts_with("config.json is malformed (") && error.ends_with("expected a JSON object"),
                "{error}"
            );
        }
        assert!(text(Fields::read("x", "{")).contains("EOF while parsing an object at line 1 column 1"));
    }

    #[test]
    fn a_config_is_not_read_without_end() {
        let long = format!("{{\"a\": [{}1]}}", "1,".repeat(LARGEST / 2));
        let error = text(Fields::read("config.json", &long));
        assert!(
            error.starts_with("config.json is of 419") && error.ends_with("a JSON object of a few thousand"),
            "{error}"
        );
        if cfg!(unix) {
            let error = text(Fields::open("/dev/zero"));
            assert_eq!(error, "/dev/zero is not readable (it is a device; expected a file); expected a JSON object");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = text(Fields::open("no/such/config.json"));
        assert!(error.starts_with("no/such/config.json is not readable (No such file"), "{error}");
    }

    #[test]
    fn a_field_is_read_or_has_its_default_and_its_error_names_everything() {
        let fields = fields(r#"{"a": 3, "b": null, "c": -4, "d": "four", "part": {"e": 0, "g": 2.0}}"#);
        assert_eq!((fields.size("a", 1, 9), fields.size("z", 7, 9)), (Ok(3), Ok(7)));
        assert_eq!((fields.or("b", Some(2)), fields.or("z", Some(2))), (Ok(None), Ok(Some(2))));
        assert_eq!(text(fields.or("b", 2)), "b is null in config.json; expected i32");
        assert_eq!(text(fields.size("c", 1, 9)), "c is -4 in config.json; expected 1..=9");
        assert_eq!(text(fields.size("d", 1, 9)), "d is \"four\" in config.json; expected 1..=9");
        let part = fields.part("part").unwrap();
        assert_eq!(text(part.size("e", 1, 9)), "part.e is 0 in config.json; expected 1..=9");
        assert_eq!(text(part.epsilon("g", 0.5)), "part.g is 2.0 in config.json; expected a number between 0 and 1");
        assert_eq!(text(part.check("f", false, "another")), "part.f is absent in config.json; expected another");
        assert_eq!(
            (fields.part("b").unwrap().size("x", 2, 9), fields.part("y").unwrap().size("x", 2, 9)),
            (Ok(2), Ok(2))
        );
        assert_eq!(text(fields.part("a")), "a is 3 in config.json; expected a map");
    }

    #[test]
    fn a_table_of_fixed_values_takes_whole_floats_and_absent_fields() {
        const TABLE: [(&str, &str); 3] = [("one", "1"), ("none", "null"), ("name", r#""x""#)];
        fields(r#"{"one": 1.0, "name": "x", "other": 2}"#).fixed(&TABLE).unwrap();
        let error = text(fields(r#"{"none": false}"#).fixed(&TABLE));
        assert_eq!(error, "none is false in config.json; expected null");
    }

    #[test]
    fn only_a_list_of_as_many_equal_values_is_one_value() {
        let fields =
            fields(r#"{"a": [3, 3], "b": [3, 4], "c": [3], "d": [], "e": 3, "f": [false, false], "g": [3, 3]}"#);
        let fields = fields.with_scalars(2, &["a", "b", "c", "d", "e", "f", "z"]);
        let written = ["a", "b", "c", "d", "e", "f", "g"].map(|field| fields.get(field).unwrap().to_string());
        assert_eq!(written, ["3", "[3,4]", "[3]", "[]", "3", "false", "[3,3]"]);
        assert_eq!(fields.get("z"), None);
    }

    #[test]
    fn fields_that_nobody_knows_are_found() {
        let fields = fields(r#"{"_class_name": "x", "a": null, "b": 1, "c": 2, "hidden_siz": 3}"#);
        assert_eq!(fields.unknown(&serde_json::json!({"a": 7}), ["b", "d"]), ["c", "hidden_siz"]);
        assert_eq!(fields.unknown(&(), ["a", "b", "c", "hidden_siz"]), [""; 0]);
    }

    #[test]
    fn unknown_fields_are_refused_where_that_is_asked_for() {
        let error = text(fields(r#"{"a": 1, "attention_scal": 15}"#).only(&["a", "attention_scale"]));
        assert_eq!(error, "attention_scal is 15 in config.json; expected only the fields a, attention_scale");
    }

    #[test]
    fn a_network_beyond_every_machine_is_refused() {
        let fields = fields(r#"{"part": {}}"#);
        assert_eq!((fields.check_network(20e9, 2048), fields.check_network(0.0, 0)), (Ok(()), Ok(())));
        let expected = "config.json is of a network with 3.1e12 parameters in 7 layers; expected at most 2e10 in 2048";
        assert_eq!(text(fields.check_network(3.1e12, 7)), expected);
        let error = text(fields.part("part").unwrap().check_network(1.0, 2049));
        assert!(
            error.starts_with("config.json (part) is of a network with 1.0e0 parameters in 2049 layers"),
            "{error}"
        );
        assert!(fields.check_network(f64::INFINITY, 1).is_err() && fields.check_network(f64::NAN, 1).is_err());
    }

    #[test]
    fn numbers_of_python_that_are_no_json_are_strings() {
        let fields = fields(r#"{"a": -Infinity, "b": NaN, "c": Infinity}"#);
        let values = ["a", "b", "c"].map(|name| fields.or(name, String::new()).unwrap());
        assert_eq!(values, ["-Infinity", "NaN", "Infinity"]);
        assert_eq!(text(fields.or("b", 0.5)), "b is \"NaN\" in config.json; expected f64");
    }

    #[test]
    fn a_value_of_any_length_is_one_line_of_an_error() {
        let error = text(fields(&format!(r#"{{"a": "{}"}}"#, "ö\\n".repeat(5000))).size("a", 1, 2));
        assert!(error.ends_with(" ... in config.json; expected 1..=2") && error.chars().count() < 170, "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}
