use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use image::RgbImage;
use image::codecs::png::PngEncoder;
use tempfile::NamedTempFile;

use super::Record;
use crate::error::CliError;

/// The files of one prompt: `OUTPUT/PROMPT/SEED.png` and the grid `OUTPUT/PROMPT.png`.
///
/// A file appears whole or not at all: it is written under a temporary name beside its place and
/// renamed.
pub(crate) struct Files {
    output: PathBuf,
    name: String,
}

impl Files {
    pub(crate) fn new(output: &Path, prompt: &str) -> Self {
        Self { output: output.to_owned(), name: safe_name(prompt) }
    }

    /// Writes `OUTPUT/PROMPT/NAME.png`.
    pub(crate) fn write_picture(&self, name: &str, image: &RgbImage, record: &Record) -> Result<PathBuf, CliError> {
        let path = self.output.join(&self.name).join(format!("{name}.png"));
        write_whole(path, |file| encode_png(file, image, record))
    }

    /// Writes `OUTPUT/PROMPTSUFFIX.png`.
    pub(crate) fn write_grid(&self, suffix: &str, image: &RgbImage, record: &Record) -> Result<PathBuf, CliError> {
        let path = self.output.join(format!("{}{suffix}.png", self.name));
        write_whole(path, |file| encode_png(file, image, record))
    }

    /// Writes `OUTPUT/PROMPT/NAME.png`, a figure that carries no record.
    pub(crate) fn write_plain_picture(&self, name: &str, image: &RgbImage) -> Result<PathBuf, CliError> {
        let path = self.output.join(&self.name).join(format!("{name}.png"));
        write_whole(path, |file| image.write_with_encoder(PngEncoder::new(file)).map_err(io::Error::other))
    }

    /// Writes `OUTPUT/PROMPT/NAME`.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, CliError> {
        write_whole(self.output.join(&self.name).join(name), |file| file.write_all(bytes))
    }
}

fn write_whole(path: PathBuf, write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>) -> Result<PathBuf, CliError> {
    let attempt = || {
        let folder = path.parent().expect("a file in a folder");
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".ae-").permissions_like_a_new_file().tempfile_in(folder)?;
        write(&mut file)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    match attempt() {
        Ok(()) => Ok(path),
        Err(source) => Err(CliError::Write { path, source }),
    }
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
        self.permissions(fs::Permissions::from_mode(0o666))
    }

    #[cfg(not(unix))]
    fn permissions_like_a_new_file(&mut self) -> &mut Self {
        self
    }
}

/// A picture as a PNG file that carries its record.
pub(crate) fn encode_png(file: &mut impl Write, image: &RgbImage, record: &Record) -> io::Result<()> {
    let mut encoder = png::Encoder::new(io::BufWriter::new(file), image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    for (key, text) in record.text_chunks() {
        encoder.add_itxt_chunk(key.to_owned(), text)?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(image)?;
    writer.finish()?;
    Ok(())
}

/// A prompt as a file name: letters, digits and a few marks stay; where anything changed, a short hash
/// of the prompt keeps different prompts apart.
fn safe_name(prompt: &str) -> String {
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
    use super::*;

    #[test]
    fn a_plain_prompt_is_its_own_name() {
        assert_eq!(safe_name("a cat and a dog"), "a cat and a dog");
        assert_eq!(safe_name("ein Löwe, rot"), "ein Löwe, rot");
    }

    #[test]
    fn no_prompt_leaves_its_folder_and_no_two_share_a_name() {
        let odd = ["", " ", ".", "..", "../../etc/passwd", "a/b", "a\\b", "a\0b", "CON", "-", "🐱", "🐶", "\n"];
        let long = ["a ".repeat(5000), "a ".repeat(5001)];
        let names: Vec<_> = odd.into_iter().chain(long.iter().map(String::as_str)).map(safe_name).collect();
        for name in &names {
            assert!(!name.is_empty() && name.len() < 140, "{name}");
            assert!(!name.contains(['/', '\\', '\0', '.', '\n']), "{name}");
        }
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }
}
