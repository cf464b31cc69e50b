//! Damaged contents in the cache.

use std::fs;
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

use crate::HubError;
use crate::cache::io_error;

/// Bytes above which a content is no small file of git's: the hub keeps greater ones apart.
const LARGEST: u64 = 16 << 20;

/// The content that a file of a snapshot links to, if it is small and not what its name says: git's hash of what it was.
///
/// Great files have the name of their SHA-256, which is compared when they arrive; to compare it again would take minutes.
pub(crate) fn damaged(file: &Path) -> Option<PathBuf> {
    let blob = file.canonicalize().ok()?;
    let name = blob.file_name()?.to_str()?;
    let is_git = name.len() == 40 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let lies_there = blob.parent()?.file_name()? == "blobs";
    let content = ae_files::read_file(&blob, LARGEST).ok().filter(|_| is_git && lies_there)?;
    (git_hash(&content) != name).then_some(blob)
}

/// Removes a damaged content and what links to it, so that both are fetched anew.
pub(crate) fn remove(file: &Path, blob: &Path) -> Result<(), HubError> {
    fs::remove_file(file).map_err(io_error("remove", file))?;
    fs::remove_file(blob).map_err(io_error("remove", blob))
}

/// What is to be said of damaged contents where none can be fetched.
pub(crate) fn warning(blobs: &[PathBuf]) -> Option<String> {
    let first = blobs.first()?.display();
    let more = if blobs.len() > 1 { format!(" and {} more", blobs.len() - 1) } else { String::new() };
    Some(format!(
        "'{first}'{more} in the cache is not what it was when it was fetched; with the hub at hand it is fetched anew"
    ))
}

/// The name of a content in git.
pub(crate) fn git_hash(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    // printf 'what is up, doc?' | git hash-object --stdin
    #[test]
    fn contents_have_the_names_of_git() {
        assert_eq!(git_hash(b"what is up, doc?"), "bd9dbf5aae1a3862dd1526723246b20206e5fc37");
    }

    #[test]
    fn only_small_contents_under_the_name_of_a_hash_are_judged() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("blobs");
        fs::create_dir(&blobs).unwrap();
        let put = |path: PathBuf, content: &[u8]| {
            fs::write(&path, content).unwrap();
            damaged(&path)
        };
        let (name, large) = (git_hash(b"{}"), "a".repeat(64));
        assert_eq!(put(blobs.join(&name), b"{}"), None);
        assert_eq!(put(blobs.join(&name), b"{"), Some(blobs.join(&name).canonicalize().unwrap()));
        assert_eq!(put(blobs.join(&name), b""), Some(blobs.join(&name).canonicalize().unwrap()));
        assert_eq!(put(blobs.join(large), b"x"), None);
        assert_eq!(put(blobs.join("\"etag\""), b"x"), None);
        assert_eq!(put(folder.path().join(&name), b"x"), None);
        assert_eq!(damaged(&folder.path().join("none")), None);
    }
}
