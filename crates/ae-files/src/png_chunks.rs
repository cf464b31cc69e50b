//! The text chunks of PNG files.

use std::io::{self, BufRead, BufWriter, Seek, Write};

pub use png::DecodingError;
use png::{DecodeOptions, Decoder, Encoder, Reader};

/// The most bytes of a text that is read, packed or not. JSON takes some ten times as many when it is read; the settings of a picture
/// have thousands, the graphs of other programs hundreds of thousands.
pub const LARGEST_TEXT: usize = 2 << 20;

/// The most bytes that are kept of the parts of a file beside its pixels, texts or not.
const LARGEST_HEAD: usize = 16 << 20;

/// Writes an RGB image of 8 bits a channel as a PNG file with international text chunks (iTXt).
///
/// A text chunk holds no NUL: U+FFFD stands for it.
///
/// # Shapes
/// - rgb: height x width x 3
///
/// # Errors
///
/// What the writer says, pixels of another number, and a keyword that is not 1 to 79 characters of Latin-1.
pub fn write(
    out: impl Write,
    [width, height]: [u32; 2],
    rgb: &[u8],
    chunks: &[(&str, impl AsRef<str>)],
) -> io::Result<()> {
    let mut encoder = Encoder::new(BufWriter::new(out), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    for (keyword, text) in chunks {
        encoder.add_itxt_chunk((*keyword).to_owned(), text.as_ref().replace('\0', "\u{fffd}"))?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(())
}

/// The text chunks of a PNG file.
#[expect(missing_debug_implementations, reason = "png's reader has none")]
pub struct TextChunks<R: BufRead + Seek> {
    reader: Reader<R>,
    is_at_end: bool,
    largest: usize,
}

impl<R: BufRead + Seek> TextChunks<R> {
    /// Reads a PNG file up to its pixels.
    ///
    /// # Errors
    ///
    /// Not a PNG file, a damaged one, and one with more than 16 MiB beside its pixels.
    pub fn open(file: R) -> Result<Self, DecodingError> {
        let mut options = DecodeOptions::default();
        // A damaged text must not count as none.
        options.set_skip_ancillary_crc_failures(false);
        let mut decoder = Decoder::new_with_options(file, options);
        decoder.set_limits(png::Limits { bytes: LARGEST_HEAD });
        Ok(Self { reader: decoder.read_info()?, is_at_end: false, largest: LARGEST_TEXT })
    }

    /// The same with texts of at most so many bytes, where that is less than [`LARGEST_TEXT`].
    #[must_use]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.largest = bytes.min(LARGEST_TEXT);
        self
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        self.reader.info().size().into()
    }

    /// The keywords of all texts, before the pixels and behind them, each once.
    ///
    /// # Errors
    ///
    /// A damaged file.
    pub fn keywords(&mut self) -> Result<Vec<String>, DecodingError> {
        if !self.is_at_end {
            self.reader.finish()?;
            self.is_at_end = true;
        }
        let info = self.reader.info();
        let plain = info.uncompressed_latin1_text.iter().map(|chunk| &chunk.keyword);
        let compressed = info.compressed_latin1_text.iter().map(|chunk| &chunk.keyword);
        let all = plain.chain(compressed).chain(info.utf8_text.iter().map(|chunk| &chunk.keyword));
        let mut keywords: Vec<String> = all.cloned().collect();
        keywords.sort();
        keywords.dedup();
        Ok(keywords)
    }

    /// The first text with a keyword, whatever the type of its chunk. Texts behind the pixels are read only where there is none
    /// before.
    ///
    /// # Errors
    ///
    /// A damaged file, and a text larger than [`LARGEST_TEXT`].
    pub fn get(&mut self, keyword: &str) -> Result<Option<String>, DecodingError> {
        let text = self.read(keyword)?;
        if text.is_some() || self.is_at_end {
            return Ok(text);
        }
        self.reader.finish()?;
        self.is_at_end = true;
        self.read(keyword)
    }

    fn read(&self, keyword: &str) -> Result<Option<String>, DecodingError> {
        let info = self.reader.info();
        if let Some(chunk) = info.utf8_text.iter().find(|chunk| chunk.keyword == keyword) {
            let mut chunk = chunk.clone();
            chunk.decompress_text_with_limit(self.largest)?;
            return chunk.get_text().and_then(|text| self.bounded(text)).map(Some);
        }
        if let Some(chunk) = info.compressed_latin1_text.iter().find(|chunk| chunk.keyword == keyword) {
            let mut chunk = chunk.clone();
            chunk.decompress_text_with_limit(self.largest)?;
            return chunk.get_text().and_then(|text| self.bounded(text)).map(Some);
        }
        let plain = info.uncompressed_latin1_text.iter().find(|chunk| chunk.keyword == keyword);
        plain.map(|chunk| self.bounded(chunk.text.clone())).transpose()
    }

    /// Refuses a text that is too long though it was not packed.
    fn bounded(&self, text: String) -> Result<String, DecodingError> {
        if text.len() > self.largest { Err(DecodingError::LimitsExceeded) } else { Ok(text) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use png::text_metadata::{EncodableTextChunk, ITXtChunk, TEXtChunk, ZTXtChunk};

    use super::*;

    /// A picture of one pixel with text chunks before and behind it.
    fn picture(before: &[&dyn Chunk], behind: &[&dyn Chunk]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 1, 1);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        for chunk in before {
            chunk.add(&mut writer);
        }
        writer.write_image_data(&[1, 2, 3]).unwrap();
        for chunk in behind {
            chunk.add(&mut writer);
        }
        writer.finish().unwrap();
        file
    }

    trait Chunk {
        fn add(&self, writer: &mut png::Writer<&mut Vec<u8>>);
    }

    impl<T: EncodableTextChunk> Chunk for T {
        fn add(&self, writer: &mut png::Writer<&mut Vec<u8>>) {
            writer.write_text_chunk(self).unwrap();
        }
    }

    fn get(file: &[u8], keyword: &str) -> Result<Option<String>, DecodingError> {
        TextChunks::open(Cursor::new(file))?.get(keyword)
    }

    fn compressed(keyword: &str, text: &str) -> ITXtChunk {
        let mut chunk = ITXtChunk::new(keyword, text);
        chunk.compressed = true;
        chunk
    }

    #[test]
    fn what_is_written_is_read() {
        let texts = [("settings", "{\"prompt\": \"a cat \u{1f431}\"}"), ("prompt", "a\0b"), ("empty", "")];
        let mut file = Vec::new();
        write(&mut file, [2, 1], &[0, 1, 2, 3, 4, 5], &texts).unwrap();
        assert_eq!(TextChunks::open(Cursor::new(&file)).unwrap().size(), [2, 1]);
        assert_eq!(get(&file, "settings").unwrap().as_deref(), Some(texts[0].1));
        assert_eq!(get(&file, "prompt").unwrap().as_deref(), Some("a\u{fffd}b"));
        assert_eq!(get(&file, "empty").unwrap().as_deref(), Some(""));
        assert_eq!(get(&file, "seed").unwrap(), None);
        let mut reader = Decoder::new(Cursor::new(&file)).read_info().unwrap();
        let mut pixels = [0; 6];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!((reader.info().size(), pixels), ((2, 1), [0, 1, 2, 3, 4, 5]));

        assert!(write(Vec::new(), [2, 1], &[0; 5], &texts).is_err());
        assert!(write(Vec::new(), [1, 1], &[0; 3], &[("", "x")]).is_err());
    }

    #[test]
    fn every_type_of_text_is_read_before_and_behind_the_pixels() {
        let chunks: [&dyn Chunk; 4] = [
            &TEXtChunk::new("parameters", "one: \u{e9}"),
            &ZTXtChunk::new("parameters", "one: \u{e9}"),
            &ITXtChunk::new("parameters", "one: \u{e9}"),
            &compressed("parameters", "one: \u{e9}"),
        ];
        let other = TEXtChunk::new("Software", "x");
        for chunk in chunks {
            for file in [picture(&[&other, chunk], &[]), picture(&[&other], &[chunk])] {
                assert_eq!(get(&file, "parameters").unwrap().as_deref(), Some("one: \u{e9}"));
                assert_eq!(get(&file, "settings").unwrap(), None);
            }
        }
    }

    /// 0.3 MB in the file, and 50 MB unpacked.
    #[test]
    fn what_unpacks_to_gigabytes_is_not_unpacked() {
        let mut zlib = vec![0x78, 0x9c];
        // A block of fixed codes: a zero, then 258 more by a code of 13 bits, again and again.
        let mut bits: Vec<bool> = vec![true, true, false];
        bits.extend([false, false, true, true, false, false, false, false]);
        // Length 258 (285: 11000101) at distance 1 (00000).
        let again = [true, true, false, false, false, true, false, true, false, false, false, false, false];
        bits.extend(again.iter().cycle().take(again.len() * 200_000));
        zlib.extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | u8::from(*bit))));
        let mut data = b"settings\0\x01\0\0\0".to_vec();
        data.extend(zlib);
        let whole = picture(&[], &[]);
        let mut crc = 0xffff_ffff_u32;
        for byte in b"iTXt".iter().chain(&data) {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let chunk = [&length, b"iTXt".as_slice(), &data, &(!crc).to_be_bytes()].concat();
        // Behind the signature and the header.
        let file = [&whole[..33], &chunk, &whole[33..]].concat();
        let error = get(&file, "settings").unwrap_err().to_string();
        assert!(error.contains("space") || error.contains("limit"), "{error}");
        assert_eq!(get(&file, "none").unwrap(), None);
    }

    #[test]
    fn hostile_files_are_errors() {
        let large = "x".repeat(LARGEST_TEXT + 1);
        for chunk in [&compressed("settings", &large) as &dyn Chunk, &ZTXtChunk::new("settings", &*large)] {
            assert!(get(&picture(&[chunk], &[]), "settings").is_err());
        }
        // Not packed at all, before and behind the pixels, or with what is no text of ours.
        let plain = TEXtChunk::new("settings", &*large);
        assert!(get(&picture(&[&plain], &[]), "settings").is_err());
        assert!(get(&picture(&[], &[&plain]), "settings").is_err());
        assert!(get(&picture(&[&ITXtChunk::new("settings", &*large)], &[]), "settings").is_err());
        let other = TEXtChunk::new("x", "x".repeat(LARGEST_HEAD));
        assert!(get(&picture(&[&other, &TEXtChunk::new("settings", "{}")], &[]), "settings").is_err());
        let some = picture(&[&compressed("settings", "{\"prompt\": 1}")], &[]);
        assert!(TextChunks::open(Cursor::new(&some)).unwrap().at_most(5).get("settings").is_err());
        // A large text that nobody asks for does no harm.
        let settings = TEXtChunk::new("settings", "{}");
        assert_eq!(
            get(&picture(&[&TEXtChunk::new("xmp", &*large), &settings], &[]), "settings").unwrap().unwrap(),
            "{}"
        );

        let whole = picture(&[&TEXtChunk::new("settings", "0123456789")], &[]);
        assert_eq!(get(&whole, "settings").unwrap().as_deref(), Some("0123456789"));
        let mut damaged = whole.clone();
        let at = whole.windows(4).position(|bytes| bytes == b"0123").unwrap();
        damaged[at] ^= 1;
        assert!(get(&damaged, "settings").is_err());
        for end in 0..whole.len() {
            // Not a panic, and no text that is not there.
            assert!(!matches!(get(&whole[..end], "none"), Ok(Some(_))));
        }
        assert!(get(b"GIF89a", "settings").is_err());
    }
}
