//! The folders of a user that are this program's own.

use std::path::PathBuf;

const OWN: &str = "attend-and-excite-rs";

/// A folder in the user's cache: `attend-and-excite-rs/NAME` in `$XDG_CACHE_HOME` or `~/.cache`. Without a home folder there is none.
pub(crate) fn cache(name: &str) -> Option<PathBuf> {
    Some(place("XDG_CACHE_HOME", ".cache")?.join(name))
}

/// The folder of what the user has set: `attend-and-excite-rs` in `$XDG_CONFIG_HOME` or `~/.config`.
pub(crate) fn config() -> Option<PathBuf> {
    place("XDG_CONFIG_HOME", ".config")
}

fn place(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    Some(set.or_else(|| Some(std::env::home_dir()?.join(below_home)))?.join(OWN))
}
