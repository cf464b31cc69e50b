use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// What the name of a file or folder begins with while it is written, and before it is gone.
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
pub fn write_file(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    write_draft(path, |draft| write(draft.as_file_mut()))
}

/// Writes a file as [`write_file`] does, by what takes the path of a file and opens it itself.
///
/// # Errors
///
/// What the system or `write` says.
///
/// # Panics
///
/// As [`write_file`].
pub fn write_file_by_path<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    write_draft(path, |draft| write(draft.path()))
}

fn write_draft<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut NamedTempFile) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().expect("a file in a folder");
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    // Temporary files are private by default; a picture is as readable as any other new file, as the umask has it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut draft = builder.tempfile_in(folder)?;
    write(&mut draft)?;
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(io::Error::from)?;
    Ok(())
}

/// Writes a folder of files, by their names, that appears whole or not at all. The folder around it is made if it is missing.
///
/// # Errors
///
/// What the system says; also when there is something at the path.
///
/// # Panics
///
/// When the path is that of no folder in another, such as `/`.
pub fn write_folder<'a>(path: &Path, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> io::Result<()> {
    let around = path.parent().expect("a folder in a folder");
    fs::create_dir_all(around)?;
    let draft = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(around)?;
    #[cfg(unix)]
    fs::set_permissions(draft.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    for (name, bytes) in files {
        let mut file = File::create_new(draft.path().join(name))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    fs::rename(draft.path(), path)?;
    // It has another name now.
    let _ = draft.keep();
    // A rename lasts once its folder is written.
    if cfg!(unix) { File::open(around)?.sync_all() } else { Ok(()) }
}

/// Removes a folder, which is gone whole or not at all; returns whether there was one.
///
/// # Errors
///
/// What the system says.
///
/// # Panics
///
/// When the path is that of no folder in another, such as `/`.
pub fn remove_folder(path: &Path) -> io::Result<bool> {
    let name = path.file_name().expect("a folder in a folder");
    let gone = path.with_file_name(format!("{UNFINISHED}removed-{}", name.to_string_lossy()));
    match fs::rename(path, &gone) {
        Ok(()) => fs::remove_dir_all(gone).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes what a writer that was killed has left in a folder, which need not exist. None may be at work there.
///
/// # Errors
///
/// What the system says.
pub fn remove_unfinished(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_cannot_be_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/0.png");
        let failed = write_file(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        write_file(&path, |file| file.write_all(b"whole")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_file_that_is_written_by_its_path_is_whole_or_not_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/tensors");
        let failed = write_file_by_path(&path, |draft| {
            fs::write(draft, "half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(names(path.parent().unwrap()), [""; 0]);
        write_file_by_path(&path, |draft| fs::write(draft, "whole")).unwrap();
        assert_eq!(
            (names(path.parent().unwrap()), fs::read(&path).unwrap()),
            (vec!["tensors".to_owned()], b"whole".to_vec())
        );
    }

    #[test]
    fn a_folder_that_cannot_be_finished_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/entry");
        // A name that leads elsewhere cannot be written.
        write_folder(&path, [("a", &b"1"[..]), ("none/b", b"2")]).unwrap_err();
        assert_eq!(names(path.parent().unwrap()), [""; 0]);
        write_folder(&path, [("a", &b"1"[..]), ("b", b"2")]).unwrap();
        assert_eq!(
            (names(&path), fs::read(path.join("b")).unwrap()),
            (vec!["a".to_owned(), "b".to_owned()], b"2".to_vec())
        );
        // What is there stays.
        write_folder(&path, [("c", &b"3"[..])]).unwrap_err();
        assert_eq!((names(&path).len(), names(path.parent().unwrap()).len()), (2, 1));
        assert!(remove_folder(&path).unwrap() && !remove_folder(&path).unwrap());
        assert_eq!(names(path.parent().unwrap()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_as_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("plain"), "").unwrap();
        write_file(&path("file"), |_| Ok(())).unwrap();
        write_folder(&path("folder"), [("x", &b""[..])]).unwrap();
        let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("file"), mode("folder"), mode("folder/x")), (mode("plain"), 0o755, mode("plain")));
    }

    #[test]
    fn what_a_killed_writer_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".ae-x1", "0.png"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join(".ae-half")).unwrap();
        fs::write(folder.path().join(".ae-half/picture.png"), "").unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["0.png"]);
        remove_unfinished(&folder.path().join("none")).unwrap();
    }
}
