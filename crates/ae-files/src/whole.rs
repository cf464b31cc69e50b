use std::fs::{self, DirEntry, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use tempfile::{Builder, NamedTempFile, TempDir};

/// What the name of a file or folder begins with while it is written, and before it is gone. Nobody else gives such names.
const UNFINISHED: &str = ".ae-unfinished-";
/// The random letters and digits behind it.
const RANDOM: usize = 12;
/// Where there are no locks nothing shows whether a writer lives; none takes so long.
const SURELY_DEAD: Duration = Duration::from_hours(24);

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
    let mut draft = draft_file(folder)?;
    write(&mut draft)?;
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(io::Error::from)?;
    Ok(())
}

/// A temporary file, which a lock keeps from being [removed](remove_unfinished) while it is written.
fn draft_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(UNFINISHED).rand_bytes(RANDOM);
    // Temporary files are private by default; a picture is as readable as any other new file, as the umask has it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    loop {
        let draft = builder.tempfile_in(folder)?;
        if is_ours(draft.as_file())? {
            return Ok(draft);
        }
    }
}

/// A temporary folder, and the lock that keeps it from being removed.
fn draft_folder(around: &Path) -> io::Result<(TempDir, Option<File>)> {
    loop {
        let draft = Builder::new().prefix(UNFINISHED).rand_bytes(RANDOM).tempdir_in(around)?;
        // Windows opens no folder as a file, and so locks none.
        let Some(lock) = cfg!(unix).then(|| File::open(draft.path())) else { return Ok((draft, None)) };
        match lock {
            Ok(lock) if is_ours(&lock)? => return Ok((draft, Some(lock))),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            // It was removed before it was locked.
            _ => {}
        }
    }
}

/// Locks a new draft; false where somebody took it for a dead one before it was locked.
fn is_ours(draft: &File) -> io::Result<bool> {
    match draft.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(false),
        // Without locks the age protects it.
        Err(TryLockError::Error(_)) => Ok(true),
        Ok(()) => is_in_a_folder(draft),
    }
}

#[cfg(unix)]
fn is_in_a_folder(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.nlink() > 0)
}

#[cfg(not(unix))]
fn is_in_a_folder(_: &File) -> io::Result<bool> {
    Ok(true)
}

/// Tells whether files can be written to a folder, by a temporary one; a folder that does not exist is tried where it will be made.
/// Nothing is left behind.
///
/// # Errors
///
/// What the system says: a folder that cannot be written, something else at its place, a full disk.
pub fn try_folder(folder: &Path) -> io::Result<()> {
    /// Bytes, as many as of a small picture.
    const TRIED: usize = 1 << 16;
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match fs::metadata(here) {
        // The first folder on the way up that is there.
        Err(error) if error.kind() == ErrorKind::NotFound => match here.parent() {
            Some(around) => try_folder(around),
            None => Err(error),
        },
        Err(error) => Err(error),
        Ok(found) if !found.is_dir() => Err(ErrorKind::NotADirectory.into()),
        Ok(_) => {
            let mut draft = draft_file(here)?;
            draft.write_all(&vec![0; TRIED])?;
            draft.as_file().sync_all()
        }
    }
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
    write_folder_by_path(path, false, |draft| {
        for (name, bytes) in files {
            let mut file = File::create_new(draft.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        Ok(())
    })
}

/// Writes a folder as [`write_folder`] does, by what takes the path of a folder and makes its files itself, which must be on the disk
/// then. With `replace` it takes the place of what is there.
///
/// # Errors
///
/// What the system or `write` says; without `replace` also when there is something at the path.
///
/// # Panics
///
/// As [`write_folder`].
pub fn write_folder_by_path<E: From<io::Error>>(
    path: &Path,
    replace: bool,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let around = path.parent().expect("a folder in a folder");
    let around = if around.as_os_str().is_empty() { Path::new(".") } else { around };
    fs::create_dir_all(around)?;
    let (draft, _lock) = draft_folder(around)?;
    #[cfg(unix)]
    fs::set_permissions(draft.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    write(draft.path())?;
    if replace {
        remove_folder(path)?;
    }
    fs::rename(draft.path(), path)?;
    // It has another name now.
    let _ = draft.keep();
    // A rename lasts once its folder is written.
    if cfg!(unix) {
        File::open(around)?.sync_all()?;
    }
    Ok(())
}

/// Removes a folder, or what else has its name, which is gone whole or not at all; returns whether there was one.
///
/// # Errors
///
/// What the system says.
///
/// # Panics
///
/// When the path is that of no folder in another, such as `/`.
pub fn remove_folder(path: &Path) -> io::Result<bool> {
    let (name, around) =
        (path.file_name().expect("a folder in a folder"), path.parent().expect("a folder in a folder"));
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(false);
    }
    let (draft, _lock) = draft_folder(if around.as_os_str().is_empty() { Path::new(".") } else { around })?;
    match fs::rename(path, draft.path().join(name)) {
        Ok(()) => draft.close().map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes what writers that were killed have left in a folder, which need not exist: what has the name of a draft and nobody has
/// locked. Others may be at work there. What cannot be removed stays.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn remove_unfinished(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten().filter(|entry| is_draft(&entry.file_name().to_string_lossy())) {
        // It bothers nobody, and the next one to come tries again.
        let _ = remove_dead(&entry);
    }
    Ok(())
}

fn is_draft(name: &str) -> bool {
    let random = name.strip_prefix(UNFINISHED);
    random.is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn remove_dead(entry: &DirEntry) -> io::Result<()> {
    let (path, metadata) = (entry.path(), entry.metadata()?);
    let is_folder = metadata.is_dir();
    if !is_folder && !metadata.is_file() {
        // Nothing that is made here.
        return Ok(());
    }
    let lock = if is_folder && !cfg!(unix) { None } else { Some(File::open(&path)?) };
    let is_dead = match lock.as_ref().map(File::try_lock) {
        Some(Ok(())) => true,
        Some(Err(TryLockError::WouldBlock)) => false,
        Some(Err(TryLockError::Error(_))) | None => metadata.modified()?.elapsed().is_ok_and(|age| age > SURELY_DEAD),
    };
    match (is_dead, is_folder) {
        (false, _) => Ok(()),
        (true, true) => fs::remove_dir_all(path),
        (true, false) => fs::remove_file(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_the_place_of_another_only_once_it_is_whole() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("model");
        let write = |text: &'static str| {
            move |draft: &Path| {
                fs::create_dir(draft.join("inner"))?;
                fs::write(draft.join("inner/file"), text)
            }
        };
        let found = || fs::read_to_string(path.join("inner/file")).unwrap();
        write_folder_by_path(&path, false, write("old")).unwrap();
        assert!(write_folder_by_path(&path, false, write("new")).is_err());
        let failed = write_folder_by_path(&path, true, |draft| {
            fs::write(draft.join("half"), "")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!((failed.unwrap_err().to_string(), found()), ("the disk is full".to_owned(), "old".to_owned()));
        write_folder_by_path(&path, true, write("new")).unwrap();
        assert_eq!((found().as_str(), fs::read_dir(around.path()).unwrap().count()), ("new", 1));
    }

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

    /// A name as drafts have it.
    const DEAD: &str = ".ae-unfinished-0123456789aB";

    #[test]
    fn what_a_killed_writer_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [DEAD, "0.png"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let half = folder.path().join(".ae-unfinished-halfhalfhalf");
        fs::create_dir(&half).unwrap();
        fs::write(half.join("picture.png"), "").unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["0.png"]);
        remove_unfinished(&folder.path().join("none")).unwrap();
    }

    #[test]
    fn what_another_writes_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.png");
        write_file(&path, |file| {
            file.write_all(b"half")?;
            remove_unfinished(folder.path())?;
            assert_eq!(names(folder.path()).len(), 1);
            file.write_all(b"whole")
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"halfwhole");
        let (draft, lock) = draft_folder(folder.path()).unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert!(draft.path().exists() || !cfg!(unix));
        drop(lock);
        remove_unfinished(folder.path()).unwrap();
        assert!(!draft.path().exists() || !cfg!(unix));
    }

    #[test]
    fn what_others_named_alike_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mine = [".ae-config", ".ae-half", ".ae-unfinished-", ".ae-unfinished-notes for me", ".aerc"];
        for name in mine {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("x"), "mine").unwrap();
        }
        let file = folder.path().join(".ae-x");
        fs::write(&file, "mine").unwrap();
        // A link of a draft's name leads elsewhere.
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join(mine[0]), folder.path().join(DEAD)).unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(names(folder.path()).len(), mine.len() + 1 + usize::from(cfg!(unix)));
        assert!(folder.path().join(mine[0]).join("x").exists());
    }

    #[test]
    fn a_file_of_a_folders_name_is_removed_too() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("entry"), "x").unwrap();
        assert!(remove_folder(&place.path().join("entry")).unwrap());
        assert_eq!(names(place.path()), [""; 0]);
    }

    #[test]
    fn a_folder_is_tried_and_nothing_stays() {
        let place = tempfile::tempdir().unwrap();
        try_folder(place.path()).unwrap();
        try_folder(&place.path().join("new/and/newer")).unwrap();
        assert_eq!(names(place.path()), [""; 0]);
        fs::write(place.path().join("file"), "").unwrap();
        for path in ["file", "file/below"] {
            assert!(try_folder(&place.path().join(path)).is_err(), "{path}");
        }
        // Neither root nor anybody else writes there.
        if cfg!(target_os = "linux") {
            for path in ["/proc", "/proc/none", "/dev/null"] {
                assert!(try_folder(Path::new(path)).is_err(), "{path}");
            }
        }
    }
}
