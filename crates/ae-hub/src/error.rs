use std::io;
use std::path::PathBuf;

/// How many names an error lists.
const LISTED: usize = 8;

/// A text that names no model of the hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelIdError {
    /// Neither an alias nor `org/name`.
    #[error(
        "'{text}' names no model: expected one of {}, or a repository of the Hugging Face hub: org/name, a folder of it \
         (org/name:folder) or a file (org/name/file.safetensors), with @revision behind it",
        aliases()
    )]
    Name {
        /// The text.
        text: String,
    },
    /// An address on the web, or a name of another site.
    #[error("'{text}' is an address, from which nothing is fetched: {advice}")]
    Address {
        /// The text.
        text: String,
        /// How to have what it means.
        advice: String,
    },
    /// What follows the `@` is no name of a branch, tag or commit.
    #[error("'{revision}' in '{text}' is no revision: expected a branch, a tag or a commit, such as main")]
    Revision {
        /// The text.
        text: String,
        /// What follows the `@`.
        revision: String,
    },
}

fn aliases() -> String {
    crate::KNOWN.iter().map(|model| model.alias).collect::<Vec<_>>().join(", ")
}

/// A model that cannot be fetched, or a cache that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// There is no home folder and no variable names the cache.
    #[error("there is no home folder for the model cache; set HF_HOME to a folder")]
    NoHome,
    /// A file or folder of the cache cannot be read or written.
    #[error("cannot {action} '{}': {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Downloads are switched off and the cache does not have the model.
    #[error(
        "'{model}' is not in the cache '{}' and HF_HUB_OFFLINE forbids to download it; unset HF_HUB_OFFLINE, or pass \
         the folder of a model",
        cache_dir.display()
    )]
    NotCached {
        /// The model and its revision.
        model: String,
        /// The cache.
        cache_dir: PathBuf,
    },
    /// The hub cannot be asked which commit a revision is, and the cache does not know it.
    #[error("{cause}, and the cache does not say which commit '{model}' is; it has {}: name it so", names.join(" and "))]
    UnknownCommit {
        /// The model and its revision.
        model: String,
        /// Why the hub is not asked.
        cause: String,
        /// The model at the commits that the cache has all of.
        names: Vec<String>,
    },
    /// Downloads are switched off and the cache has only a part of the model.
    #[error(
        "the copy of '{model}' in the cache lacks {file} ('{}') and HF_HUB_OFFLINE forbids to download it; unset \
         HF_HUB_OFFLINE to complete it",
        folder.display()
    )]
    Incomplete {
        /// The model and its revision.
        model: String,
        /// The missing file, as a path in the repository.
        file: String,
        /// The cached snapshot.
        folder: PathBuf,
    },
    /// There is no way to the server.
    #[error(
        "cannot reach {host} ({reason}); check the network, or pass the folder of a model. A model that is already in \
         the cache is used without a network, and HF_HUB_OFFLINE=1 keeps from asking for one"
    )]
    Unreachable {
        /// The server.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// A connection broke off, and so did the tries to go on.
    #[error("the connection to {host} broke off ({reason}); what has arrived is kept: run it again to go on")]
    Interrupted {
        /// The server.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// The progress listener ended the fetch.
    #[error("the download was cancelled; what has arrived is kept and the next one goes on from there")]
    Cancelled,
    /// The request could not be made at all.
    #[error("cannot request '{url}': {reason}; check HF_ENDPOINT, HF_TOKEN and the proxy settings")]
    Request {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository does not exist, or only others may know of it.
    #[error(
        "there is no model '{repo}' on {endpoint}, or it is private or gated; check the spelling, and for a private \
         or gated model accept its licence at https://huggingface.co/{repo} and set HF_TOKEN to a token that may read it"
    )]
    RepoNotFound {
        /// The repository.
        repo: String,
        /// The hub.
        endpoint: String,
    },
    /// The repository has no such branch, tag or commit.
    #[error(
        "the model '{repo}' has no revision '{revision}'; see https://huggingface.co/{repo}/tree/main for its branches"
    )]
    RevisionNotFound {
        /// The repository.
        repo: String,
        /// The revision.
        revision: String,
    },
    /// The hub lists a file that it does not have.
    #[error("the hub has no file {file} in '{repo}' although it lists it; try again later")]
    FileNotFound {
        /// The repository.
        repo: String,
        /// The file, as a path in the repository.
        file: String,
    },
    /// The model is gated, or the token may not read it.
    #[error(
        "the hub refuses access to '{repo}' ({reason}); accept its licence at https://huggingface.co/{repo} and set \
         HF_TOKEN to a token that may read it (https://huggingface.co/settings/tokens)"
    )]
    AccessDenied {
        /// The repository.
        repo: String,
        /// What the hub said.
        reason: String,
    },
    /// The hub does not know the token.
    #[error(
        "the hub does not accept the token; make a new one at https://huggingface.co/settings/tokens and set HF_TOKEN \
         to it, or unset HF_TOKEN and remove the token file for a public model"
    )]
    InvalidToken,
    /// The hub asks for patience.
    #[error("the hub limits the number of requests ({}); wait and run it again, or set HF_TOKEN, which raises the limit", retry_after(*.seconds))]
    RateLimited {
        /// After how many seconds it will answer again, where it said so.
        seconds: Option<u64>,
    },
    /// A server's own trouble.
    #[error("{host} answers with status {status}; it may be out of order: try again later")]
    Server {
        /// The server.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// An answer that a hub would not give.
    #[error("{host} answers otherwise than a Hugging Face hub does ({reason}); check HF_ENDPOINT")]
    BadAnswer {
        /// The server.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository lists a name that would leave the cache.
    #[error("the model '{repo}' lists the file {file:?}, which is no safe file name; nothing was downloaded")]
    UnsafeFileName {
        /// The repository.
        repo: String,
        /// The name.
        file: String,
    },
    /// A download that is not the file the hub describes.
    #[error("{file} of '{repo}' arrived damaged ({reason}) and was removed; try again")]
    Damaged {
        /// The repository.
        repo: String,
        /// The file, as a path in the repository.
        file: String,
        /// What differs.
        reason: String,
    },
    /// A content of the cache that was changed since it was fetched, by a fault of the disk or a person.
    #[error(
        "'{blob}' in the cache, a file of '{model}', is not what it was when it was fetched: without HF_HUB_OFFLINE it is fetched anew",
        blob = blob.display()
    )]
    DamagedCache {
        /// The model.
        model: String,
        /// The content.
        blob: PathBuf,
    },
    /// The repository is no folder of diffusers.
    #[error(
        "'{repo}' is not in diffusers' folder layout: it has no model_index.json. {}",
        describe_checkpoints(repo, checkpoints)
    )]
    NoModelIndex {
        /// The repository.
        repo: String,
        /// Its single-file checkpoints, `*.safetensors` and `*.ckpt`.
        checkpoints: Vec<String>,
    },
    /// A model of diffusers, but of another family.
    #[error("'{repo}' is no Stable Diffusion 1 or 2 model: its model_index.json {reason}")]
    NotStableDiffusion {
        /// The repository.
        repo: String,
        /// What its model_index.json says.
        reason: String,
    },
    /// The repository has no such folder, or no such file.
    #[error("the model '{repo}' has no {place}{}", listed(found, "; it has "))]
    NoPlace {
        /// The repository.
        repo: String,
        /// The folder or file.
        place: String,
        /// What it has of the kind.
        found: Vec<String>,
    },
    /// No part of the model has weights of this variant.
    #[error("the model '{repo}' has no weights of the variant '{variant}'{}", listed(found, "; it has the files "))]
    NoVariant {
        /// The repository.
        repo: String,
        /// The variant.
        variant: String,
        /// The files with weights.
        found: Vec<String>,
    },
    /// The repository lacks a part of a Stable Diffusion model.
    #[error("the model '{repo}' has no {file}, which a Stable Diffusion model in diffusers' layout needs")]
    MissingFile {
        /// The repository.
        repo: String,
        /// The file, as a path in the repository.
        file: String,
    },
}

impl HubError {
    /// Whether the model itself was not refused: the network or the server failed, and a cached copy may do.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::RateLimited { .. } | Self::Server { .. }
        )
    }
}

fn retry_after(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "status 429".to_owned(), |seconds| format!("status 429, for {seconds} s more"))
}

fn describe_checkpoints(repo: &str, checkpoints: &[String]) -> String {
    match checkpoints.first() {
        None => "It has no single-file checkpoint either: choose another repository".to_owned(),
        Some(first) => {
            let listed = listed(checkpoints, "It has the single-file checkpoints ");
            format!("{listed}: name one of them, as '{repo}/{first}'")
        }
    }
}

/// Some names behind an introduction; nothing where there are none.
fn listed(names: &[String], introduction: &str) -> String {
    if names.is_empty() {
        return String::new();
    }
    let more = if names.len() > LISTED { ", ..." } else { "" };
    let listed = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    format!("{introduction}{listed}{more}")
}
