//! What a file is, from its first bytes.

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Safetensors,
    /// A zip archive or a bare pickle.
    Pytorch,
    Gguf,
    /// None of them: what it is, and what to do about it.
    Foreign {
        found: &'static str,
        advice: &'static str,
    },
}

impl Format {
    /// How many bytes [`Format::of`] looks at.
    pub(crate) const SEEN: u64 = 512;

    /// The format of a file that begins with `start`.
    ///
    /// A short or damaged file counts as safetensors, whose parser says what it misses.
    pub(crate) fn of(start: &[u8]) -> Self {
        const PAGE: &str = "; a download link was answered with a page: log in, or fetch the file itself";
        const OTHER: &str = "; convert it, or choose the safetensors variant of the model";
        let foreign = |found, advice| Self::Foreign { found, advice };
        if start.get(8) == Some(&b'{') {
            return Self::Safetensors;
        }
        let text = start.trim_ascii_start();
        let begins =
            |what: &str| text.get(..what.len()).is_some_and(|start| start.eq_ignore_ascii_case(what.as_bytes()));
        match start {
            _ if begins("version https://git-lfs") => {
                foreign("a Git LFS pointer, not the file it stands for", "; run `git lfs pull` in its repository")
            }
            _ if begins("<!doctype html") || begins("<html") => foreign("a web page", PAGE),
            _ if begins("{") => foreign("a JSON text", ""),
            [b'G', b'G', b'U', b'F', ..] => Self::Gguf,
            [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] => foreign("a picture", ""),
            [0x89, b'H', b'D', b'F', ..] => foreign("an HDF5 file (Keras)", OTHER),
            [b'R', b'a', b'r', b'!', ..] | [b'7', b'z', 0xbc, 0xaf, ..] | [0x1f, 0x8b, ..] => {
                foreign("a compressed archive", "; unpack it first")
            }
            [b'P', b'K', ..] | [0x80, ..] => Self::Pytorch,
            _ if start.get(257..262) == Some(b"ustar") => foreign("a tar archive", "; unpack it first"),
            _ => Self::Safetensors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_known_by_their_first_bytes() {
        assert_eq!(Format::of(b"\x40\0\0\0\0\0\0\0{\"a\":"), Format::Safetensors);
        // The length of a header can look like a pickle's first bytes.
        assert_eq!(Format::of(b"\x80\x02\0\0\0\0\0\0{\"a\":"), Format::Safetensors);
        assert_eq!(Format::of(b"PK\x03\x04rest"), Format::Pytorch);
        assert_eq!(Format::of(b"\x80\x02\x8a\x0al\xfc\x9cF"), Format::Pytorch);
        assert_eq!(Format::of(b""), Format::Safetensors);
        assert_eq!(Format::of(b"GGUF\x03\0\0\0\0\0"), Format::Gguf);
    }

    #[test]
    fn other_files_are_named_as_what_they_are() {
        for (start, named) in [
            (b"version https://git-lfs.github.com/spec/v1\noid".as_slice(), "a Git LFS pointer"),
            (b"\n<!DOCTYPE html><html>", "a web page"),
            (b"{\"error\": \"not found\"}", "a JSON text"),
            (b"\x89PNG\r\n\x1a\n", "a picture"),
            (b"\x1f\x8b\x08\0\0\0\0\0\0", "a compressed archive"),
        ] {
            let Format::Foreign { found, .. } = Format::of(start) else { panic!("{named}") };
            assert!(found.starts_with(named), "{found}");
        }
    }
}
