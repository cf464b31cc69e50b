//! The settings that a picture carries.

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ae_settings::a1111::{self, Reading};
use ae_settings::{Overrides, SettingsError};

use ae_files::png_chunks::{DecodingError, TextChunks};

/// The keyword of our settings, a JSON object.
const SETTINGS: &str = "settings";
/// The keyword of the text of AUTOMATIC1111's program.
const PARAMETERS: &str = "parameters";

/// What a picture says of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FoundSettings {
    /// Settings of this program, of any format up to today's.
    Settings(Overrides),
    /// The parameters of AUTOMATIC1111's program or of one that writes them.
    Parameters(Reading),
}

/// A picture whose settings cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureSettingsError {
    /// The file cannot be opened.
    #[error("cannot open '{path}': {error}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Not a PNG file, or a damaged one.
    #[error("'{path}' is not a whole PNG file: {error}", path = path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        error: DecodingError,
    },
    /// A picture that says nothing of itself.
    #[error(
        "'{path}' has neither settings of attend-and-excite-rs nor parameters of AUTOMATIC1111's program: it was made by another \
         program, or they were removed",
        path = path.display()
    )]
    None {
        /// The file.
        path: PathBuf,
    },
    /// Settings that this version does not know.
    #[error("the settings in '{path}' cannot be used: {error}", path = path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        error: SettingsError,
    },
}

/// Reads the settings of a picture from the chunk `settings`, or else from `parameters`.
///
/// # Errors
///
/// [`PictureSettingsError`] says what is wrong with the file, or that it has neither.
pub fn read_settings(path: &Path) -> Result<FoundSettings, PictureSettingsError> {
    let path = || path.to_owned();
    let file = ae_files::open_file(&path()).map_err(|error| PictureSettingsError::Open { path: path(), error })?;
    let png = |error| PictureSettingsError::Png { path: path(), error };
    let mut chunks = TextChunks::open(BufReader::new(file)).map_err(png)?;
    if let Some(settings) = chunks.get(SETTINGS).map_err(png)? {
        let settings = serde_json::from_str(&settings)
            .map_err(|error| SettingsError::Json { reason: error.to_string() })
            .and_then(|settings| Overrides::from_json(&settings));
        let settings = settings.map_err(|error| PictureSettingsError::Settings { path: path(), error })?;
        return Ok(FoundSettings::Settings(settings));
    }
    match chunks.get(PARAMETERS).map_err(png)? {
        Some(parameters) => Ok(FoundSettings::Parameters(a1111::read(&parameters))),
        None => Err(PictureSettingsError::None { path: path() }),
    }
}

#[cfg(test)]
mod tests {
    use ae_settings::Settings;

    use super::*;

    /// A picture with text chunks.
    fn picture(chunks: &[(&str, &str)]) -> Vec<u8> {
        let mut file = Vec::new();
        ae_files::png_chunks::write(&mut file, [1, 1], &[0; 3], chunks).unwrap();
        file
    }

    fn read(file: &[u8]) -> Result<FoundSettings, PictureSettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("3.png");
        std::fs::write(&path, file).unwrap();
        read_settings(&path)
    }

    fn read_chunk(keyword: &str, text: &str) -> Result<FoundSettings, PictureSettingsError> {
        read(&picture(&[(keyword, text)]))
    }

    #[test]
    fn settings_are_the_same_after_the_picture() {
        let mut settings = Settings::default();
        settings.prompt = "a \"cat\"\0\n\u{1f431}".to_owned();
        settings.seed = u64::MAX;
        let json = serde_json::to_string(&settings.to_json()).unwrap();
        let file = picture(&[("parameters", &a1111::write(&settings)), ("settings", &json)]);
        let FoundSettings::Settings(found) = read(&file).unwrap() else { panic!("not ours") };
        assert_eq!(Settings::combine([&found]).unwrap(), settings);
    }

    #[test]
    fn settings_win_over_parameters() {
        let (ours, theirs) = (("settings", r#"{ "seed": 3 }"#), ("parameters", "a cat\nSteps: 20, Seed: 4"));
        for file in [picture(&[theirs, ours]), picture(&[ours, theirs])] {
            assert!(matches!(read(&file), Ok(FoundSettings::Settings(found)) if found.seed == Some(3)));
        }
        let FoundSettings::Parameters(reading) = read(&picture(&[theirs])).unwrap() else { panic!("not theirs") };
        assert_eq!((reading.overrides.steps, reading.overrides.seed), (Some(20), Some(4)));
    }

    #[test]
    fn settings_that_cannot_be_used_say_why() {
        for (json, reason) in [
            ("{", "the settings are not a JSON object: EOF while parsing"),
            ("[]", "the settings are not a JSON object: found []"),
            (
                r#"{ "format": 99 }"#,
                "the settings have format 99; this version reads formats up to 2: use a newer version",
            ),
            (r#"{ "setps": 3 }"#, "unknown field `setps`: expected one of"),
        ] {
            let error = read_chunk("settings", json).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, PictureSettingsError::Settings { .. }), "{text}");
            assert!(text.contains("3.png' cannot be used: ") && text.contains(reason), "{text}");
        }
    }

    #[test]
    fn a_picture_without_settings_says_so() {
        let error = read_chunk("Comment", "x").unwrap_err();
        assert!(
            error.to_string().contains("3.png' has neither settings of attend-and-excite-rs nor parameters"),
            "{error}"
        );
        assert!(matches!(read(b"GIF89a"), Err(PictureSettingsError::Png { .. })));
        let nowhere = read_settings(Path::new("/nowhere/3.png"));
        assert!(matches!(nowhere, Err(PictureSettingsError::Open { .. })));
    }

    #[test]
    fn settings_of_the_first_format_are_read() {
        let old = r#"{"version":"0.1.0","model":"sprites 3","prompt":"a lion and a red car","negative_prompt":"","seed":11,"rng":
            "torch-cpu","steps":50,"guidance_scale":5.0,"height":128,"width":128,"scheduler":"ddim","clip_skip":0,
            "prompt_weighting":false,"strength":null,"method":"attend-and-excite","subjects":["lion","car"],"attend_and_excite":{
            "max_iter_to_alter":25,"thresholds":{"0":0.05,"10":0.5,"20":0.8},"attention_res":null,"eot_normalization":"auto"}}"#;
        let FoundSettings::Settings(found) = read_chunk("settings", old).unwrap() else { panic!("not ours") };
        let mut expected: serde_json::Map<_, _> = serde_json::from_str(old).unwrap();
        expected.retain(|_, value: &mut serde_json::Value| !value.is_null());
        expected["attend_and_excite"].as_object_mut().unwrap().remove("attention_res");
        assert_eq!(found.to_json(), expected);
    }
}
