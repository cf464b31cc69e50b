use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// Opens a file for reading that may be anyone's. Links are followed; what is no regular file is refused before it is opened: a pipe
/// would be waited for without end, a device may have no end.
///
/// # Errors
///
/// What the system says, or what is there in place of a file.
pub fn open_file(path: &Path) -> io::Result<File> {
    check(fs::metadata(path)?.file_type())?;
    let file = File::open(path)?;
    // Another may have taken its place.
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// The bytes of a file that may be anyone's, of which there may be at most `limit`.
///
/// # Errors
///
/// As [`open_file`], and for a file with more bytes.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // What a file says of its length may be wrong.
    open_file(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// The text of a file that may be anyone's, of at most `limit` bytes.
///
/// # Errors
///
/// As [`read_file`], and for bytes that are not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let not_text = |_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(read_file(path, limit)?).map_err(not_text)
}

fn check(kind: FileType) -> io::Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let found = special(kind);
    Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {found}; expected a file")))
}

#[cfg(unix)]
fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match kind {
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "no file"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        fs::write(&path, "löwe").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "löwe");
        let error = read_file(&path, 4).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::FileTooLarge, "it has more than 4 bytes"));
        fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_text(&path, 5).unwrap_err().to_string(), "it is not UTF-8 text");
        assert_eq!(read_file(&place.path().join("none"), 1).unwrap_err().kind(), ErrorKind::NotFound);
    }

    /// A file of the system that has no length and does have content.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_limit_does_not_rest_on_the_length_that_a_file_claims() {
        let path = Path::new("/proc/self/status");
        assert_eq!(fs::metadata(path).unwrap().len(), 0);
        assert!(read_file(path, 1 << 20).unwrap().len() > 100);
        assert_eq!(read_file(path, 10).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_named_at_once_also_behind_a_link() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("file"), "x").unwrap();
        for (target, found) in [
            (path("pipe"), "it is a pipe; expected a file"),
            (path("socket"), "it is a socket; expected a file"),
            ("/dev/zero".into(), "it is a device; expected a file"),
            ("/dev/null".into(), "it is a device; expected a file"),
            (path("folder"), "is a directory"),
        ] {
            let link = path("link");
            std::os::unix::fs::symlink(&target, &link).unwrap();
            for path in [&target, &link] {
                assert_eq!(open_file(path).unwrap_err().to_string(), found);
                assert_eq!(read_text(path, 10).unwrap_err().to_string(), found);
            }
            fs::remove_file(link).unwrap();
        }
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        assert_eq!(read_text(&path("link"), 1).unwrap(), "x");
    }
}
