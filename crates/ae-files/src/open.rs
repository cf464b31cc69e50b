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

/// The text of a file that may be anyone's, of at most `limit` bytes, as [`decode_text`] reads it.
///
/// # Errors
///
/// As [`read_file`] and [`decode_text`].
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    decode_text(read_file(path, limit)?)
}

/// The text of bytes: UTF-8, or what their byte order mark says, UTF-16 of either order. The mark is no part of the text.
///
/// # Errors
///
/// Bytes that are no text of that encoding.
pub fn decode_text(bytes: Vec<u8>) -> io::Result<String> {
    let wrong = |encoding: &str| io::Error::new(ErrorKind::InvalidData, format!("it is not {encoding} text"));
    let utf16 = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let text = char::decode_utf16(pairs.iter().map(|pair| read(*pair))).collect::<Result<String, _>>();
        text.ok().filter(|_| rest.is_empty()).ok_or_else(|| wrong("UTF-16"))
    };
    match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] => Err(wrong("UTF-8 or UTF-16")),
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] => std::str::from_utf8(text).map(str::to_owned).map_err(|_| wrong("UTF-8")),
        _ => String::from_utf8(bytes).map_err(|_| wrong("UTF-8")),
    }
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

    #[test]
    fn a_byte_order_mark_says_how_a_text_is_read() {
        let text = "a löwe\r\n\u{1f431}";
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(units.iter().flat_map(|unit| unit.to_le_bytes())).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(units.iter().flat_map(|unit| unit.to_be_bytes())).collect();
        let marked = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
        for bytes in [text.as_bytes().to_vec(), little.clone(), big, marked] {
            assert_eq!(decode_text(bytes).unwrap(), text);
        }
        assert_eq!(decode_text(vec![0xff, 0xfe]).unwrap(), "");
        let refusal = |bytes: &[u8]| decode_text(bytes.to_vec()).unwrap_err().to_string();
        assert_eq!(refusal(&little[..little.len() - 1]), "it is not UTF-16 text");
        // Half of a character, and UTF-32.
        assert_eq!(refusal(&[0xff, 0xfe, 0x3d, 0xd8]), "it is not UTF-16 text");
        assert_eq!(refusal(&[0xff, 0xfe, 0, 0, b'a', 0, 0, 0]), "it is not UTF-8 or UTF-16 text");
        assert_eq!(refusal(&[0xef, 0xbb, 0xbf, 0xff]), "it is not UTF-8 text");
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
