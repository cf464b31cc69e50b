//! What clients may ask for, as one table: it has the names, documents them, reads them and shows them.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

/// A limit that can be set.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limit {
    /// Its name, that of its field in [`Limits`].
    pub name: &'static str,
    /// What it bounds, with its unit.
    pub about: &'static str,
    /// Its value where nothing else is said.
    pub default: usize,
}

/// Why a limit was not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// There is no such name.
    #[error("there is no limit '{name}': expected one of {}", names())]
    Unknown {
        /// What was given.
        name: String,
    },
    /// What was given is no number.
    #[error(
        "the limit {name} is '{value}': expected a whole number above 0, with k, M or G for 1024, 1024² or 1024³ of them"
    )]
    Value {
        /// The limit.
        name: &'static str,
        /// What was given.
        value: String,
    },
}

fn names() -> String {
    Limits::ALL.iter().map(|limit| limit.name).collect::<Vec<_>>().join(", ")
}

macro_rules! limits {
    ($(#[doc = $doc:literal] $name:ident = $default:expr;)+) => {
        /// What clients may ask for: enough for every use, and not enough to exhaust the machine.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
        pub struct Limits {
            $(#[doc = $doc] pub $name: usize,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Every limit, with its default.
            pub const ALL: &[Limit] =
                &[$(Limit { name: stringify!($name), about: $doc.trim_ascii(), default: $default },)+];

            /// The limit of a name, to be changed.
            fn place(&mut self, name: &str) -> Option<&mut usize> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }
        }
    };
}

limits! {
    /// Longest side of a picture in pixels.
    max_side = 1024;
    /// Most denoising steps of a picture.
    max_steps = 250;
    /// Most refinement updates of a step.
    max_refinement = 200;
    /// Most seeds of a job.
    max_seeds = 16;
    /// Longest text of a request, such as its prompt, in characters.
    max_prompt = 5000;
    /// Most entries of a list of a request, such as subjects.
    max_items = 77;
    /// Most entries of a table of a request, such as thresholds.
    max_entries = 250;
    /// Most LoRAs, and most embeddings, of a picture; each is read from the disk.
    max_adapters = 16;
    /// Most jobs that wait.
    max_queue = 64;
    /// Most jobs of one client that wait; clients are told apart by their addresses.
    max_queue_per_client = 32;
    /// Most jobs that are remembered after their end.
    max_remembered = 2000;
    /// Largest body of a request in bytes; pictures may be larger.
    max_body = 1 << 20;
    /// Largest picture that is read, in bytes.
    max_picture = 32 << 20;
    /// Most pixels of an image that is brought to start from.
    max_pixels = 32 << 20;
    /// Most bytes of all images that are kept to start from; the oldest make room.
    max_images = 1 << 30;
    /// Most bytes of all bodies that are read at a time, with what JSON becomes in memory.
    max_bodies = 128 << 20;
    /// Most bytes of the settings that a picture carries, unpacked.
    max_unpacked = 256 << 10;
    /// Most MiB that the gallery has on the disk.
    max_gallery_mib = 32 << 10;
    /// Most connections at a time.
    max_connections = 512;
    /// Most connections of one address at a time.
    max_connections_per_address = 256;
    /// Milliseconds in which the head of a request must arrive; as long may a connection be idle.
    head_ms = 10_000;
    /// Milliseconds in which the body of a request must arrive.
    body_ms = 10_000;
    /// Milliseconds that a client may take to read on in an answer.
    write_ms = 30_000;
    /// Milliseconds that the end of the server waits for the step that is drawn.
    stop_ms = 5_000;
}

impl Limits {
    /// Sets a limit, said as `max_queue=100` or `max_picture=64M`.
    ///
    /// # Errors
    ///
    /// An unknown name, and what is no whole number above 0.
    pub fn set(&mut self, setting: &str) -> Result<(), LimitError> {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let unknown = || LimitError::Unknown { name: name.to_owned() };
        let known = Self::ALL.iter().find(|limit| limit.name == name).ok_or_else(unknown)?;
        let units = [('k', 1 << 10), ('M', 1 << 20), ('G', 1 << 30)];
        let found = units.iter().find_map(|(unit, times)| Some((value.strip_suffix(*unit)?, *times)));
        let (number, times) = found.unwrap_or((value, 1));
        let number = number.parse::<usize>().ok().and_then(|number| number.checked_mul(times));
        let wrong = || LimitError::Value { name: known.name, value: value.to_owned() };
        let number = number.filter(|number| *number > 0).ok_or_else(wrong)?;
        *self.place(name).ok_or_else(unknown)? = number;
        Ok(())
    }

    /// The table for a person, a line for each limit.
    pub fn table() -> String {
        let width = Self::ALL.iter().map(|limit| limit.name.len()).max().unwrap_or_default();
        let line = |limit: &Limit| {
            format!("  {:width$}  {} [default: {}]", limit.name, limit.about.trim_end_matches('.'), limit.default)
        };
        Self::ALL.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Fields of a request, with the limit of the number, the length of the text or of the list.
    pub(crate) fn of_fields(&self) -> [(&'static str, &'static str, usize); 16] {
        [
            ("seeds", "max_seeds", self.max_seeds),
            ("prompt", "max_prompt", self.max_prompt),
            ("negative_prompt", "max_prompt", self.max_prompt),
            ("subjects", "max_items", self.max_items),
            ("token_indices", "max_items", self.max_items),
            ("phrases", "max_items", self.max_items),
            ("pairs", "max_items", self.max_items),
            ("groups", "max_items", self.max_items),
            ("boxes", "max_items", self.max_items),
            ("noise_passes", "max_refinement", self.max_refinement),
            ("loras", "max_adapters", self.max_adapters),
            ("embeddings", "max_adapters", self.max_adapters),
            ("height", "max_side", self.max_side),
            ("width", "max_side", self.max_side),
            ("steps", "max_steps", self.max_steps),
            ("attend_and_excite.max_refinement_steps", "max_refinement", self.max_refinement),
        ]
    }

    pub(crate) fn head_time(&self) -> Duration {
        milliseconds(self.head_ms)
    }

    pub(crate) fn body_time(&self) -> Duration {
        milliseconds(self.body_ms)
    }

    pub(crate) fn write_time(&self) -> Duration {
        milliseconds(self.write_ms)
    }

    pub(crate) fn stop_time(&self) -> Duration {
        milliseconds(self.stop_ms)
    }
}

fn milliseconds(number: usize) -> Duration {
    Duration::from_millis(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_by_their_names() {
        let mut limits = Limits::default();
        for (setting, expected) in [("max_queue=100", 100), ("max_queue=2k", 2048), ("max_queue=1G", 1 << 30)] {
            limits.set(setting).unwrap();
            assert_eq!(limits.max_queue, expected);
        }
        for wrong in [
            "max_queue",
            "max_queue=",
            "max_queue=0",
            "max_queue=-1",
            "max_queue=many",
            "max_queue=99999999999999999999",
        ] {
            let error = limits.set(wrong).unwrap_err().to_string();
            assert!(error.starts_with("the limit max_queue is '"), "{error}");
        }
        let error = limits.set("max_quue=1").unwrap_err().to_string();
        assert!(error.starts_with("there is no limit 'max_quue': expected one of max_side, "), "{error}");
        assert_eq!(limits, Limits { max_queue: 1 << 30, ..Limits::default() });
    }

    #[test]
    fn the_table_has_every_limit() {
        let shown = serde_json::to_value(Limits::default()).unwrap();
        let mut limits = Limits::default();
        assert_eq!(shown.as_object().unwrap().len(), Limits::ALL.len());
        for limit in Limits::ALL {
            assert_eq!(shown[limit.name], limit.default, "{}", limit.name);
            assert!(
                Limits::table().contains(limit.about.trim_end_matches('.')) && limit.about.ends_with('.'),
                "{}",
                limit.about
            );
            limits.set(&format!("{}=7", limit.name)).unwrap();
            assert_eq!(serde_json::to_value(&limits).unwrap()[limit.name], 7);
        }
    }
}
