//! The settings that a picture carries.

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use ae_files::png_chunks::{DecodingError, LARGEST_TEXT, TextChunks};
use ae_settings::a1111::{self, Reading};
use ae_settings::{Overrides, SettingsError, comfyui, invokeai, novelai};
use image::{ImageDecoder as _, ImageFormat};

use crate::exif_text::exif_texts;
use crate::image_file::open_image;

/// The keyword of our settings, a JSON object.
const SETTINGS: &str = "settings";

/// What a picture says of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FoundSettings {
    /// Settings of this program, of any format up to today's.
    Settings(Overrides),
    /// What another program wrote.
    Foreign {
        /// The program, or the one whose format it is.
        program: &'static str,
        /// What was read of it.
        reading: Reading,
    },
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
    /// A damaged JPEG or WebP file.
    #[error("'{path}' is not a whole picture: {error}", path = path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        error: image::ImageError,
    },
    /// A picture that says nothing of itself.
    #[error(
        "'{path}' has neither settings of attend-and-excite-rs nor those of AUTOMATIC1111's program, ComfyUI, InvokeAI or NovelAI: it was \
         made by another program, or they were removed{}",
        others(texts),
        path = path.display()
    )]
    None {
        /// The file.
        path: PathBuf,
        /// The keywords of the texts that it has.
        texts: Vec<String>,
    },
    /// Settings that this version does not know.
    #[error("the settings in '{path}' cannot be used: {error}", path = path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        error: SettingsError,
    },
    /// A text of another program that is not what it should be.
    #[error("the text '{keyword}' in '{path}' is not what {program} writes: expected {expected}", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The keyword of the text.
        keyword: &'static str,
        /// The program.
        program: &'static str,
        /// What was expected.
        expected: &'static str,
    },
}

fn others(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| format!("'{}'", text.escape_debug())).collect();
    if texts.is_empty() { String::new() } else { format!("; its texts are {}", texts.join(", ")) }
}

const A1111: &str = "AUTOMATIC1111's program";
const COMFYUI: &str = "ComfyUI";
const INVOKEAI: &str = "InvokeAI";
const NOVELAI: &str = "NovelAI";

/// Reads the settings of a picture. Of a PNG file from its texts, ours (`settings`) before those of AUTOMATIC1111's program
/// (`parameters`), InvokeAI (`invokeai_metadata`, `sd-metadata`), ComfyUI (`prompt`) and NovelAI (`Comment`); else, and of JPEG and WebP
/// files, from its EXIF data.
///
/// # Errors
///
/// [`PictureSettingsError`] says what is wrong with the file, or that it has none.
pub fn read_settings(path: &Path) -> Result<FoundSettings, PictureSettingsError> {
    let owned = || path.to_owned();
    let file = ae_files::open_file(path).map_err(|error| PictureSettingsError::Open { path: owned(), error })?;
    let format = open_image(path).ok().and_then(|reader| reader.format());
    if matches!(format, Some(ImageFormat::Jpeg | ImageFormat::WebP)) {
        let exif = exif_of(path).map_err(|error| PictureSettingsError::Image { path: owned(), error })?;
        return exif.ok_or_else(|| PictureSettingsError::None { path: owned(), texts: Vec::new() });
    }
    let png = |error| PictureSettingsError::Png { path: owned(), error };
    let mut chunks = TextChunks::open(BufReader::new(file)).map_err(png)?;
    let mut get = |keyword: &'static str| chunks.get(keyword).map_err(png);
    if let Some(settings) = get(SETTINGS)? {
        let settings = serde_json::from_str(&settings)
            .map_err(|error| SettingsError::Json { reason: error.to_string() })
            .and_then(|settings| Overrides::from_json(&settings));
        let settings = settings.map_err(|error| PictureSettingsError::Settings { path: owned(), error })?;
        return Ok(FoundSettings::Settings(settings));
    }
    if let Some(parameters) = get("parameters")? {
        return Ok(FoundSettings::Foreign { program: A1111, reading: a1111::read(&parameters) });
    }
    let expected =
        |keyword, program, expected| PictureSettingsError::Foreign { path: owned(), keyword, program, expected };
    if let Some(metadata) = get("invokeai_metadata")? {
        let reading = invokeai::read(&metadata);
        let reading = reading.ok_or_else(|| expected("invokeai_metadata", INVOKEAI, "an object of JSON"))?;
        return Ok(FoundSettings::Foreign { program: INVOKEAI, reading });
    }
    if let Some(metadata) = get("sd-metadata")? {
        let reading = invokeai::read_old(&metadata);
        let reading = reading.ok_or_else(|| expected("sd-metadata", INVOKEAI, "an object of JSON with an image"))?;
        return Ok(FoundSettings::Foreign { program: INVOKEAI, reading });
    }
    // Others write a prompt under this keyword.
    if let Some(reading) = get("prompt")?.and_then(|graph| comfyui::read(&graph)) {
        return Ok(FoundSettings::Foreign { program: COMFYUI, reading });
    }
    if get("Software")?.as_deref() == Some(novelai::SOFTWARE)
        && let Some(comment) = get("Comment")?
    {
        let [description, source] = ["Description", "Source"].map(&mut get);
        let reading = novelai::read(&description?.unwrap_or_default(), &source?.unwrap_or_default(), &comment);
        let reading = reading.ok_or_else(|| expected("Comment", NOVELAI, "an object of JSON"))?;
        return Ok(FoundSettings::Foreign { program: NOVELAI, reading });
    }
    let texts = chunks.keywords().map_err(png)?;
    exif_of(path).ok().flatten().ok_or_else(|| PictureSettingsError::None { path: owned(), texts })
}

/// What the EXIF data of a picture say, if it has any: the text of AUTOMATIC1111's program, or ComfyUI's graph.
fn exif_of(path: &Path) -> Result<Option<FoundSettings>, image::ImageError> {
    let exif = open_image(path)?.into_decoder()?.exif_metadata()?;
    let Some(exif) = exif.filter(|exif| exif.len() <= LARGEST_TEXT) else { return Ok(None) };
    let texts = exif_texts(exif);
    let graph = texts.iter().find_map(|text| comfyui::read(text.strip_prefix("prompt:").unwrap_or(text)));
    if let Some(reading) = graph {
        return Ok(Some(FoundSettings::Foreign { program: COMFYUI, reading }));
    }
    // A camera has a make and a model, and may have a comment: only steps make it the text of a program.
    let parameters = texts.iter().find(|text| text.contains("Steps: "));
    Ok(parameters.map(|text| FoundSettings::Foreign { program: A1111, reading: a1111::read(text) }))
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
        let FoundSettings::Foreign { program, reading } = read(&picture(&[theirs])).unwrap() else {
            panic!("not theirs")
        };
        assert_eq!((program, reading.overrides.steps, reading.overrides.seed), (A1111, Some(20), Some(4)));
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
            error
                .to_string()
                .contains("3.png' has neither settings of attend-and-excite-rs nor those of AUTOMATIC1111's"),
            "{error}"
        );
        assert!(error.to_string().ends_with("; its texts are 'Comment'"), "{error}");
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
        // Off, it said nothing but what is usual.
        expected.remove("prompt_weighting");
        assert_eq!(found.to_json(), expected);
    }

    const GRAPH: &str = r#"{"3": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 20, "cfg": 8, "sampler_name": "euler",
        "scheduler": "normal", "denoise": 1, "model": ["4", 0], "positive": ["6", 0], "negative": ["6", 0], "latent_image": ["5", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["8", 0]}}}"#;
    const INVOKE: &str = r#"{"positive_prompt": "a cat", "steps": 20, "seed": 7, "cfg_scale": 7, "scheduler": "euler", "width": 512,
        "height": 512, "model": {"name": "sd15"}}"#;
    const OLD_INVOKE: &str = r#"{"model_weights": "sd15", "image": {"prompt": "a cat", "steps": 20, "seed": 7, "cfg_scale": 7,
        "sampler": "k_euler", "width": 512, "height": 512}}"#;
    const NAI: &str =
        r#"{"steps": 20, "seed": 7, "scale": 7, "sampler": "k_euler", "width": 512, "height": 512, "uc": ""}"#;

    fn foreign(file: &[u8]) -> (&'static str, Reading) {
        match read(file).unwrap() {
            FoundSettings::Foreign { program, reading } => (program, reading),
            FoundSettings::Settings(settings) => panic!("{settings:?}"),
        }
    }

    #[test]
    fn every_program_is_known_by_its_text() {
        for (chunks, expected, refused) in [
            (
                vec![(
                    "parameters",
                    "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 7, Size: 512x512, Model: sd15",
                )],
                A1111,
                0,
            ),
            (vec![("prompt", GRAPH), ("workflow", "{}")], COMFYUI, 0),
            (vec![("invokeai_metadata", INVOKE), ("invokeai_graph", "{}")], INVOKEAI, 0),
            (vec![("sd-metadata", OLD_INVOKE), ("Dream", "x")], INVOKEAI, 0),
            (vec![("Software", "NovelAI"), ("Description", "a cat"), ("Source", "SD"), ("Comment", NAI)], NOVELAI, 2),
        ] {
            let (program, reading) = foreign(&picture(&chunks));
            assert_eq!((program, reading.unsupported.len()), (expected, refused), "{:?}", reading.unsupported);
            let found = reading.overrides;
            assert_eq!(
                (found.prompt.as_deref(), found.seed, found.steps),
                (Some("a cat"), Some(7), Some(20)),
                "{program}"
            );
        }
        for (keyword, text) in [("invokeai_metadata", "[]"), ("sd-metadata", "{}")] {
            let error = read_chunk(keyword, text).unwrap_err().to_string();
            assert!(error.contains(keyword) && error.contains("expected an object of JSON"), "{error}");
        }
        let error = read(&picture(&[("Software", "NovelAI"), ("Comment", "x")])).unwrap_err();
        assert!(error.to_string().contains("is not what NovelAI writes"), "{error}");
        assert!(matches!(read_chunk("prompt", "a cat"), Err(PictureSettingsError::None { .. })));
        let deep = "{\"a\":".repeat(200_000);
        for keyword in ["prompt", "invokeai_metadata", "sd-metadata", "settings"] {
            assert!(read_chunk(keyword, &deep).is_err(), "{keyword}");
        }
    }

    /// A picture with EXIF data, in every format.
    fn with_exif(format: ImageFormat, exif: &[u8]) -> Vec<u8> {
        use image::ImageEncoder as _;
        let mut file = Vec::new();
        let color = image::ExtendedColorType::Rgb8;
        match format {
            ImageFormat::Png => {
                let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
                encoder.set_exif_metadata(exif.to_vec()).unwrap();
                encoder.write_image(&[0; 3], 1, 1, color).unwrap();
            }
            ImageFormat::Jpeg => {
                let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut file);
                encoder.set_exif_metadata(exif.to_vec()).unwrap();
                encoder.write_image(&[0; 3], 1, 1, color).unwrap();
            }
            _ => {
                let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut file);
                encoder.set_exif_metadata(exif.to_vec()).unwrap();
                encoder.write_image(&[0; 3], 1, 1, color).unwrap();
            }
        }
        file
    }

    #[test]
    fn exif_data_are_read_of_every_format() {
        use crate::exif_text::tests::{comment, exif};
        let text = "a cat \u{1f431}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 7, Size: 512x512, Model: sd15";
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let (program, reading) = foreign(&with_exif(format, &comment(text)));
            assert_eq!((program, reading.unsupported.len()), (A1111, 0), "{format:?}");
            assert_eq!(reading.overrides.prompt.as_deref(), Some("a cat \u{1f431}"), "{format:?}");
            let graph = exif(0x0110, format!("prompt:{GRAPH}\0").as_bytes());
            assert_eq!(foreign(&with_exif(format, &graph)).0, COMFYUI, "{format:?}");
            for nothing in [exif(0x0110, b"Some Camera\0"), comment("a holiday"), b"damaged".to_vec()] {
                let error = read(&with_exif(format, &nothing)).unwrap_err();
                assert!(matches!(error, PictureSettingsError::None { .. }), "{format:?}: {error}");
            }
        }
        assert!(read(b"\xff\xd8\xff\xe1\0\x10Exif").is_err());
    }
}
