//! The texts that programs write into the EXIF data of a picture: of JPEG and WebP files, and of PNG files too.

use exif::{Exif, In, Reader, Tag, Value};

/// The texts in EXIF data: what stands in `UserComment`, as AUTOMATIC1111's program has it, and in `Model` and `Make`, as ComfyUI does;
/// none where the data are damaged or have none.
pub(crate) fn exif_texts(data: Vec<u8>) -> Vec<String> {
    // Some programs write the name of a JPEG segment into other files too.
    let data = data.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec).unwrap_or(data);
    let Ok(exif) = Reader::new().read_raw(data) else { return Vec::new() };
    [Tag::UserComment, Tag::Model, Tag::Make].into_iter().filter_map(|tag| text(&exif, tag)).collect()
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(lines) => Some(String::from_utf8_lossy(lines.first()?).into_owned()),
        Value::Undefined(bytes, _) => user_comment(bytes),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

/// The text of a `UserComment`: eight bytes name its encoding.
fn user_comment(bytes: &[u8]) -> Option<String> {
    let (encoding, text) = bytes.split_at_checked(8)?;
    let text = match encoding {
        b"UNICODE\0" => utf16(text)?,
        b"ASCII\0\0\0" | [0, 0, 0, 0, 0, 0, 0, 0] => String::from_utf8_lossy(text).into_owned(),
        // A writer that knows no encoding.
        _ => String::from_utf8(bytes.to_vec()).ok()?,
    };
    Some(text.trim_end_matches('\0').to_owned())
}

/// UTF-16 in the order of its mark, or else in that in which its first symbol is a usual one: AUTOMATIC1111's program writes the high
/// byte first, whatever the order of the rest.
fn utf16(bytes: &[u8]) -> Option<String> {
    let is_little = match bytes {
        [0xff, 0xfe, ..] => true,
        [0xfe, 0xff, ..] => false,
        [first, second, ..] => *first != 0 && *second == 0,
        _ => return None,
    };
    let read = if is_little { u16::from_le_bytes } else { u16::from_be_bytes };
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
    Some(String::from_utf16_lossy(&units).trim_start_matches('\u{feff}').to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// EXIF data with a text: of `UserComment` in a directory of its own, of another tag in the first.
    pub(crate) fn exif(tag: u16, value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(value.len()).unwrap();
        let entry = |tag: u16, kind: u16, count: u32, value: u32| {
            let mut entry = tag.to_be_bytes().to_vec();
            entry.extend(kind.to_be_bytes());
            entry.extend(count.to_be_bytes());
            entry.extend(value.to_be_bytes());
            entry
        };
        let directory = |entry: Vec<u8>| [vec![0, 1], entry, vec![0; 4]].concat();
        let head = b"MM\0*\0\0\0\x08".to_vec();
        if tag == 0x9286 {
            let first = directory(entry(0x8769, 4, 1, 26));
            return [head, first, directory(entry(tag, 7, length, 44)), value.to_vec()].concat();
        }
        [head, directory(entry(tag, 2, length, 26)), value.to_vec()].concat()
    }

    /// As AUTOMATIC1111's program writes a text (`piexif.helper.UserComment.dump` with `unicode`).
    pub(crate) fn comment(text: &str) -> Vec<u8> {
        let units = text.encode_utf16().flat_map(u16::to_be_bytes);
        exif(0x9286, &b"UNICODE\0".iter().copied().chain(units).collect::<Vec<_>>())
    }

    #[test]
    fn comments_are_read_in_every_encoding() {
        let text = "a cat \u{1f431}\nSteps: 20";
        assert_eq!(exif_texts(comment(text)), [text]);
        assert_eq!(exif_texts([b"Exif\0\0".to_vec(), comment(text)].concat()), [text]);
        let encoded = |name: &[u8], bytes: Vec<u8>| exif_texts(exif(0x9286, &[name.to_vec(), bytes].concat()));
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(encoded(b"UNICODE\0", little.clone()), [text]);
        assert_eq!(encoded(b"UNICODE\0", [vec![0xff, 0xfe], little].concat()), [text]);
        assert_eq!(encoded(b"ASCII\0\0\0", b"a cat\0".to_vec()), ["a cat"]);
        assert_eq!(encoded(&[0; 8], text.as_bytes().to_vec()), [text]);
        assert_eq!(encoded(b"", b"a cat and a dog".to_vec()), ["a cat and a dog"]);
        assert_eq!(exif_texts(exif(0x0110, b"prompt:{}\0")), ["prompt:{}"]);
    }

    #[test]
    fn damaged_data_have_no_text() {
        let whole = comment("a cat");
        for end in 0..whole.len() {
            let _ = exif_texts(whole[..end].to_vec());
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] = 0xff;
            let _ = exif_texts(damaged);
        }
        assert!(exif_texts(Vec::new()).is_empty() && exif_texts(exif(0x9286, b"UNICODE\0")).is_empty());
        assert!(exif_texts(exif(0x9286, b"short")).is_empty());
    }
}
