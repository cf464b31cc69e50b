//! What a user has set in the config file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::user_folders;

/// The config file: the defaults of options in TOML, one `name = value` each, without tables.
#[derive(Clone, Debug)]
pub struct UserConfig {
    path: PathBuf,
    text: String,
}

/// Why the config file is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserConfigError {
    /// There is no place for it.
    #[error("there is no place for a config file: neither XDG_CONFIG_HOME nor a home folder is set")]
    NoPlace,
    /// It is there and cannot be read.
    #[error("cannot read the config file '{path}': {cause}; without one the defaults hold", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the config file '{path}': {cause}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// It is no TOML.
    #[error("'{path}' is no TOML, in line {line}: {reason}; expected lines such as `steps = 30`, `model = \"sd15\"`", path = path.display())]
    NoToml {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the reader says.
        reason: String,
    },
    /// It has another kind of value.
    #[error("'{name}' in '{path}' is {found}; expected a text, a number, true or false, or a list of them", path = path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// The option.
        name: String,
        /// The kind of the value.
        found: &'static str,
    },
}

impl UserConfig {
    /// The user's own: `attend-and-excite-rs/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`. One that is not there is empty.
    ///
    /// # Errors
    ///
    /// When there is no home folder, or the file cannot be read.
    pub fn from_env() -> Result<Self, UserConfigError> {
        Self::open(&user_folders::config().ok_or(UserConfigError::NoPlace)?.join("config.toml"))
    }

    /// A config file at its place. One that is not there is empty.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self, UserConfigError> {
        /// Beyond this it is something else.
        const LARGEST: u64 = 1 << 20;
        let text = match ae_files::read_text(path, LARGEST) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            text => text.map_err(|cause| UserConfigError::Read { path: path.to_owned(), cause })?,
        };
        Ok(Self { path: path.to_owned(), text })
    }

    /// Where it is, or would be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The options that it sets, with their values as a command line takes them; several of a list.
    ///
    /// # Errors
    ///
    /// When it is no TOML, or has a value that no option takes.
    pub fn values(&self) -> Result<BTreeMap<String, Vec<String>>, UserConfigError> {
        Ok(self.entries()?.into_iter().map(|(name, entry)| (name, entry.texts)).collect())
    }

    /// Sets an option, to a list or to the first of the texts; the rest of the file stays as it is.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn set(&mut self, name: &str, texts: &[String], is_list: bool) -> Result<(), UserConfigError> {
        let mut values = texts.iter().map(|text| value(text));
        let value = if is_list { toml::Value::Array(values.collect()) } else { values.next().unwrap_or("".into()) };
        if let Some(entry) = self.entries()?.remove(name) {
            self.text.replace_range(entry.value, &value.to_string());
            return Ok(());
        }
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.extend([name, " = ", &value.to_string(), "\n"]);
        Ok(())
    }

    /// Takes an option out with its line; returns whether it was there.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn unset(&mut self, name: &str) -> Result<bool, UserConfigError> {
        let Some(entry) = self.entries()?.remove(name) else { return Ok(false) };
        let start = self.text[..entry.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[entry.value.end..].find('\n').map_or(self.text.len(), |at| entry.value.end + at + 1);
        self.text.replace_range(start..end, "");
        Ok(true)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn save(&self) -> Result<(), UserConfigError> {
        let write = |cause| UserConfigError::Write { path: self.path.clone(), cause };
        ae_files::write_file(&self.path, |file| file.write_all(self.text.as_bytes())).map_err(write)
    }

    fn entries(&self) -> Result<BTreeMap<String, Entry>, UserConfigError> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let before = error.span().and_then(|span| self.text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let reason = error.message().trim().replace('\n', ", ");
            UserConfigError::NoToml { path: self.path.clone(), line, reason }
        })?;
        let entry = |(name, value): (&toml::Spanned<Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
            let (start, name) = (name.span().start, name.get_ref().to_string());
            match texts(value.get_ref()) {
                Ok(texts) => Ok((name, Entry { texts, start, value: value.span() })),
                Err(found) => Err(UserConfigError::Kind { path: self.path.clone(), name, found }),
            }
        };
        table.get_ref().iter().map(entry).collect()
    }
}

/// An option in the file.
struct Entry {
    texts: Vec<String>,
    /// Where its name begins.
    start: usize,
    /// Where its value is.
    value: Range<usize>,
}

/// A text as what reads as the same: a number, true or false, else a text.
fn value(text: &str) -> toml::Value {
    let is_same = |value: &toml::Value| value.to_string() == text;
    let typed = [text.parse().ok().map(toml::Value::Integer), text.parse().ok().map(toml::Value::Boolean)];
    let float = text.parse().ok().filter(|number: &f64| number.is_finite()).map(toml::Value::Float);
    typed.into_iter().chain([float]).flatten().find(is_same).unwrap_or_else(|| text.into())
}

/// A value as a command line takes it, several of a list; or the kind of one that it does not take.
fn texts(value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    Ok(match value {
        DeValue::String(text) => vec![text.to_string()],
        DeValue::Integer(number) => vec![number.to_string()],
        DeValue::Float(number) => vec![number.to_string()],
        DeValue::Boolean(on) => vec![on.to_string()],
        DeValue::Array(items) => {
            let item = |item: &toml::Spanned<DeValue<'_>>| match item.get_ref() {
                DeValue::Array(_) => Err("a list of lists"),
                item => texts(item),
            };
            items.iter().map(item).collect::<Result<Vec<_>, _>>()?.concat()
        }
        DeValue::Datetime(_) => return Err("a date"),
        DeValue::Table(_) => return Err("a table"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> UserConfig {
        UserConfig { path: "config.toml".into(), text: text.to_owned() }
    }

    #[test]
    fn values_are_as_a_command_line_takes_them() {
        let text = "# mine\nsteps = 30\nguidance-scale = 7.25 # less\nmodel = \"a \\\"b\\\"\"\nvae_tiling = true\n\
                    'lora' = [\n  \"a.safetensors\", # one\n  'b:0.5',\n]\n";
        let expected = [
            ("guidance-scale", &["7.25"][..]),
            ("lora", &["a.safetensors", "b:0.5"]),
            ("model", &["a \"b\""]),
            ("steps", &["30"]),
            ("vae_tiling", &["true"]),
        ];
        let values = config(text).values().unwrap();
        let found: Vec<_> = values.iter().map(|(name, texts)| (name.as_str(), texts.as_slice())).collect();
        assert_eq!(found.len(), expected.len());
        for ((name, texts), (expected_name, expected)) in found.into_iter().zip(expected) {
            assert_eq!(
                (name, texts),
                (expected_name, expected.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>().as_slice())
            );
        }
        assert!(config("").values().unwrap().is_empty());
    }

    #[test]
    fn what_no_option_takes_is_refused_by_name_and_what_is_no_toml_by_line() {
        for (text, said) in [
            ("steps = 2026-01-01", "'steps' in 'config.toml' is a date"),
            ("[generate]\nsteps = 3", "'generate' in 'config.toml' is a table"),
            ("a.b = 1", "'a' in 'config.toml' is a table"),
            ("lora = [['a']]", "'lora' in 'config.toml' is a list of lists"),
            ("steps = 3\nmodel = sd15\n", "'config.toml' is no TOML, in line 2: "),
            ("steps = 1\nsteps = 2\n", "'config.toml' is no TOML, in line 2: "),
            ("steps\n", "'config.toml' is no TOML, in line 1: "),
        ] {
            let error = config(text).values().unwrap_err().to_string();
            assert!(error.starts_with(said) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn setting_and_unsetting_leave_the_rest_as_it_is() {
        let mut file = config("# mine\nsteps = 30 # enough\nlora = [\n  'a',\n]\nmodel = 'x'");
        let mut set = |name, texts: &[&str], is_list| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            file.set(name, &texts, is_list).unwrap();
        };
        set("steps", &["20"], false);
        set("lora", &["b", "c"], true);
        set("device", &["cpu"], false);
        assert_eq!(file.text, "# mine\nsteps = 20 # enough\nlora = [\"b\", \"c\"]\nmodel = 'x'\ndevice = \"cpu\"\n");
        assert!(file.unset("steps").unwrap() && file.unset("device").unwrap() && !file.unset("steps").unwrap());
        assert_eq!(file.text, "# mine\nlora = [\"b\", \"c\"]\nmodel = 'x'\n");
        let mut damaged = config("steps = ");
        assert!(damaged.set("steps", &["1".to_owned()], false).is_err() && damaged.text == "steps = ");
    }

    #[test]
    fn a_text_reads_as_itself_again() {
        for (text, toml) in [
            ("20", "20"),
            ("7.25", "7.25"),
            ("true", "true"),
            ("cpu", "\"cpu\""),
            ("007", "\"007\""),
            ("1e5", "\"1e5\""),
            ("nan", "\"nan\""),
            ("", "\"\""),
            ("C:\\models", r"'C:\models'"),
        ] {
            assert_eq!(value(text).to_string(), toml);
            let read = config(&format!("x = {toml}")).values().unwrap();
            assert_eq!(read["x"], [text]);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_empty_and_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("config.toml");
        let mut file = UserConfig::open(&path).unwrap();
        assert!(file.values().unwrap().is_empty() && file.path() == path);
        file.set("steps", &["20".to_owned()], false).unwrap();
        file.save().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "steps = 20\n");
        let error = UserConfig::open(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the config file '"), "{error}");
    }
}
