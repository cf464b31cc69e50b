use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::HubError;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Where the hub and its cache are.
#[derive(Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// The hub's address, without a path.
    pub endpoint: String,
    /// The folder that holds the repositories' folders, `~/.cache/huggingface/hub` by default.
    pub cache_dir: PathBuf,
    /// The user's access token, sent to the endpoint and to no other server.
    pub token: Option<String>,
    /// Whether to use the cache alone and request nothing.
    pub offline: bool,
}

impl HubSettings {
    /// The public hub without a token, with the cache in a folder.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self { endpoint: DEFAULT_ENDPOINT.to_owned(), cache_dir: cache_dir.into(), token: None, offline: false }
    }

    /// The settings that huggingface_hub's `constants.py` and `get_token` read from the environment:
    ///
    /// - cache: `HF_HUB_CACHE`, else `HUGGINGFACE_HUB_CACHE`, else `hub` in `HF_HOME`, which is
    ///   `$XDG_CACHE_HOME/huggingface` or `~/.cache/huggingface` by default;
    /// - token: `HF_TOKEN`, else `HUGGING_FACE_HUB_TOKEN`, else the file `HF_TOKEN_PATH`, which is `token` in `HF_HOME`
    ///   by default;
    /// - endpoint: `HF_ENDPOINT`;
    /// - offline: `HF_HUB_OFFLINE`, else `TRANSFORMERS_OFFLINE`, true for `1`, `ON`, `YES` and `TRUE`.
    ///
    /// A variable that is empty counts as not set. A leading `~` is the home folder.
    ///
    /// # Errors
    ///
    /// No variable names a folder and there is no home folder.
    pub fn from_env() -> Result<Self, HubError> {
        Self::resolve(&|name| env::var_os(name), env::home_dir().as_deref())
    }

    fn resolve(lookup: &dyn Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Result<Self, HubError> {
        let variable = |names: &[&str]| names.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()));
        let folder = |names: &[&str]| variable(names).map(|value| expand_home(value.into(), home));
        let text = |names: &[&str]| variable(names).and_then(|value| value.into_string().ok());

        let hf_home = folder(&["HF_HOME"])
            .or_else(|| folder(&["XDG_CACHE_HOME"]).map(|cache| cache.join("huggingface")))
            .or_else(|| home.map(|home| home.join(".cache").join("huggingface")));
        let in_hf_home = |name: &str| hf_home.as_ref().map(|hf_home| hf_home.join(name));
        let cache_dir = folder(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).or_else(|| in_hf_home("hub"));
        let token = text(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).and_then(|token| clean(&token)).or_else(|| {
            let file = folder(&["HF_TOKEN_PATH"]).or_else(|| in_hf_home("token"))?;
            clean(&ae_files::read_text(&file, 1 << 16).ok()?)
        });
        let endpoint = text(&["HF_ENDPOINT"]).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let offline = text(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
            .is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()));
        Ok(Self { endpoint, cache_dir: cache_dir.ok_or(HubError::NoHome)?, token, offline })
    }
}

impl fmt::Debug for HubSettings {
    /// Without the token itself, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSettings")
            .field("endpoint", &without_userinfo(&self.endpoint))
            .field("cache_dir", &self.cache_dir)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("offline", &self.offline)
            .finish()
    }
}

/// An address without the name and password that may stand before its host: it is shown in errors.
pub(crate) fn without_userinfo(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |place| place + 3));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(place) => format!("{scheme}{}", &rest[place + 1..]),
        None => url.to_owned(),
    }
}

fn expand_home(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

/// As huggingface_hub's `_clean_token`: without line breaks and blanks around it.
fn clean(token: &str) -> Option<String> {
    Some(token.replace(['\r', '\n'], "").trim().to_owned()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn who_asks_is_not_shown() {
        for (url, shown) in [
            ("http://user:pass@host", "http://host"),
            ("https://user@host:80/a@b", "https://host:80/a@b"),
            ("http://u:p@ss@host/x", "http://host/x"),
            ("user:pass@host", "host"),
            ("https://host/a@b", "https://host/a@b"),
        ] {
            assert_eq!(without_userinfo(url), shown);
        }
        let settings = HubSettings { endpoint: "http://user:pass@host".to_owned(), ..HubSettings::new("/x") };
        assert!(!format!("{settings:?}").contains("pass"));
    }

    fn resolve(variables: &[(&str, &str)]) -> HubSettings {
        let lookup = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
        };
        HubSettings::resolve(&lookup, Some(Path::new("/home/me"))).unwrap()
    }

    #[test]
    fn the_cache_is_where_the_python_library_has_it() {
        let cache = |variables: &[(&str, &str)]| resolve(variables).cache_dir;
        assert_eq!(cache(&[]), Path::new("/home/me/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/hf")]), Path::new("/hf/hub"));
        assert_eq!(cache(&[("HF_HOME", "~/hf")]), Path::new("/home/me/hf/hub"));
        assert_eq!(cache(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]), Path::new("/c"));
        assert_eq!(cache(&[("HF_HOME", "")]), Path::new("/home/me/.cache/huggingface/hub"));
    }

    #[test]
    fn without_any_home_there_is_an_error() {
        assert!(matches!(HubSettings::resolve(&|_| None, None), Err(HubError::NoHome)));
    }

    #[test]
    fn the_token_variable_comes_before_the_token_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        fs::write(folder.path().join("token"), "from-file\n").unwrap();
        fs::write(folder.path().join("other"), "from-other").unwrap();
        let other = folder.path().join("other");
        let token = |variables: &[(&str, &str)]| resolve(variables).token;
        assert_eq!(token(&[("HF_HOME", home)]).as_deref(), Some("from-file"));
        assert_eq!(token(&[("HF_HOME", home), ("HF_TOKEN", " from-env\n")]).as_deref(), Some("from-env"));
        let path = [("HF_HOME", home), ("HF_TOKEN_PATH", other.to_str().unwrap())];
        assert_eq!(token(&path).as_deref(), Some("from-other"));
        assert_eq!(token(&[("HF_HOME", "/nowhere")]), None);
    }

    #[test]
    fn offline_is_what_the_python_library_takes_for_true() {
        for value in ["1", "on", "YES", "True"] {
            assert!(resolve(&[("HF_HUB_OFFLINE", value)]).offline, "{value}");
        }
        for value in ["0", "", "off", "2"] {
            assert!(!resolve(&[("HF_HUB_OFFLINE", value)]).offline, "{value}");
        }
        assert!(resolve(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
    }

    #[test]
    fn the_token_is_not_printed() {
        let settings = resolve(&[("HF_TOKEN", "hf_secret")]);
        assert_eq!(settings.token.as_deref(), Some("hf_secret"));
        assert!(!format!("{settings:?}").contains("hf_secret"));
        assert!(!format!("{:?}", crate::Hub::new(settings).unwrap()).contains("hf_secret"));
    }
}
