use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// What the name of a file begins with while it is written.
const UNFINISHED: &str = ".ae-";

/// Writes a file that appears whole or not at all: under a temporary name beside its place, then renamed. Folders that are missing
/// are made.
///
/// # Errors
///
/// What the system or `write` says.
///
/// # Panics
///
/// When the path is that of no file, such as `/`.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().expect("a file in a folder");
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).permissions_like_a_new_file().tempfile_in(folder)?;
    write(&mut file)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Removes what a writer that was killed has left in a folder. None may be at work there.
pub(crate) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Temporary files are private by default; a picture is as readable as any other new file.
trait LikeANewFile {
    fn permissions_like_a_new_file(&mut self) -> &mut Self;
}

impl LikeANewFile for tempfile::Builder<'_, '_> {
    #[cfg(unix)]
    fn permissions_like_a_new_file(&mut self) -> &mut Self {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask still applies.
        self.permissions(std::fs::Permissions::from_mode(0o666))
    }

    #[cfg(not(unix))]
    fn permissions_like_a_new_file(&mut self) -> &mut Self {
        self
    }
}

/// A prompt as the name of a folder: letters, digits and a few marks stay; where anything changed, a short hash of the prompt keeps
/// different prompts apart.
pub fn folder_name(prompt: &str) -> String {
    /// In bytes; file systems allow 255, and seeds and endings are added.
    const LONGEST: usize = 120;
    let mut name = String::new();
    for character in prompt.chars() {
        let keep = character.is_alphanumeric() || matches!(character, ' ' | '-' | '_' | ',' | '\'' | '(' | ')');
        if name.len() + character.len_utf8() > LONGEST {
            break;
        }
        name.push(if keep { character } else { '_' });
    }
    let name = name.trim();
    // Windows reserves the names of old devices.
    let is_reserved = ["con", "prn", "aux", "nul"].contains(&name.to_lowercase().as_str());
    if name == prompt && !name.is_empty() && !is_reserved {
        return name.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    prompt.hash(&mut hasher);
    format!("{name}-{:08x}", hasher.finish() & 0xffff_ffff).trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_plain_prompt_is_its_own_name() {
        assert_eq!(folder_name("a cat and a dog"), "a cat and a dog");
        assert_eq!(folder_name("ein Löwe, rot"), "ein Löwe, rot");
    }

    #[test]
    fn no_prompt_leaves_its_folder_and_no_two_share_a_name() {
        let odd = ["", " ", ".", "..", "../../etc/passwd", "a/b", "a\\b", "a\0b", "CON", "-", "🐱", "🐶", "\n"];
        let long = ["a ".repeat(5000), "a ".repeat(5001)];
        let names: Vec<_> = odd.into_iter().chain(long.iter().map(String::as_str)).map(folder_name).collect();
        for name in &names {
            assert!(!name.is_empty() && name.len() < 140, "{name}");
            assert!(!name.contains(['/', '\\', '\0', '.', '\n']), "{name}");
        }
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_file_that_cannot_be_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/0.png");
        let failed = write_whole(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        write_whole(&path, |file| file.write_all(b"whole")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn what_a_killed_writer_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".ae-x1", "0.png"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        remove_unfinished(folder.path()).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["0.png"]);
        remove_unfinished(&folder.path().join("none")).unwrap();
    }
}
