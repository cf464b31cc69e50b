use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ae_files::folder_name;
use ae_pipeline::{Picture, Trace};
use ae_settings::Settings;
use attend_and_excite::write_png;
use image::RgbImage;
use image::codecs::png::PngEncoder;
use serde_json::json;

use crate::error::CliError;

/// The files of one prompt: `OUTPUT/PROMPT/SEED.png` and the grid `OUTPUT/PROMPT.png`.
///
/// A file appears whole or not at all.
pub(crate) struct Files {
    output: PathBuf,
    name: String,
}

impl Files {
    pub(crate) fn new(output: &Path, prompt: &str) -> Self {
        Self { output: output.to_owned(), name: folder_name(prompt) }
    }

    /// Writes `OUTPUT/PROMPT/NAME.png`.
    pub(crate) fn write_picture(
        &self,
        name: &str,
        image: &RgbImage,
        settings: &Settings,
        picture: &Picture,
    ) -> Result<PathBuf, CliError> {
        let path = self.output.join(&self.name).join(format!("{name}.png"));
        write_whole(path, |file| write_png(file, image, settings, &picture.trace.subjects))
    }

    /// Writes `OUTPUT/PROMPTSUFFIX.png`.
    pub(crate) fn write_grid(&self, suffix: &str, image: &RgbImage, settings: &Settings) -> Result<PathBuf, CliError> {
        let path = self.output.join(format!("{}{suffix}.png", self.name));
        write_whole(path, |file| write_png(file, image, settings, &[]))
    }

    /// Writes `OUTPUT/PROMPT/NAME.png`, of pictures that another machine has drawn.
    pub(crate) fn write_sheet(&self, name: &str, image: &RgbImage, settings: &Settings) -> Result<PathBuf, CliError> {
        let path = self.output.join(&self.name).join(format!("{name}.png"));
        write_whole(path, |file| write_png(file, image, settings, &[]))
    }

    /// Writes `OUTPUT/PROMPT/NAME.png`, a figure that carries no record.
    pub(crate) fn write_plain_picture(&self, name: &str, image: &RgbImage) -> Result<PathBuf, CliError> {
        let path = self.output.join(&self.name).join(format!("{name}.png"));
        write_whole(path, |file| encode_plain_png(file, image))
    }

    /// Writes `OUTPUT/PROMPT/NAME`.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, CliError> {
        write_whole(self.output.join(&self.name).join(name), |file| file.write_all(bytes))
    }
}

/// Finds out before hours of work whether what an option names can be written to: the folders, or where they will be made.
pub(crate) fn try_places<'a>(
    option: &'static str,
    folders: impl IntoIterator<Item = &'a Path>,
) -> Result<(), CliError> {
    folders.into_iter().try_for_each(|folder| {
        let place = |cause| CliError::Place { path: folder.to_owned(), option, cause };
        ae_files::try_folder(folder).map_err(place)
    })
}

/// Writes a file that appears whole or not at all.
pub(crate) fn write_whole(path: PathBuf, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<PathBuf, CliError> {
    match ae_files::write_file(&path, write) {
        Ok(()) => Ok(path),
        Err(cause) => Err(CliError::Write { path, cause }),
    }
}

/// A figure as a PNG file.
pub(crate) fn encode_plain_png(file: &mut impl Write, image: &RgbImage) -> io::Result<()> {
    image.write_with_encoder(PngEncoder::new(file)).map_err(io::Error::other)
}

/// Settings and trace, for a file of their own.
pub(crate) fn trace_json(settings: &Settings, trace: &Trace) -> String {
    format!("{:#}\n", json!({ "settings": settings.to_json(), "trace": trace }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_is_named_with_its_option() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        try_places("--output", [folder.path(), &folder.path().join("new")]).unwrap();
        for place in [file.clone(), file.join("below")] {
            let error = try_places("--output", [place.as_path()]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot write to '{}': ", place.display())), "{error}");
            assert!(error.ends_with("; give --output another place"), "{error}");
        }
    }
}
