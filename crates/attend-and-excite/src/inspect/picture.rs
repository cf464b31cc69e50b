//! A picture and the settings in it.

use std::io::{self, BufReader};
use std::path::Path;

use ae_files::png_chunks::TextChunks;
use image::ImageDecoder as _;
use serde_json::Value;

use super::Inspection;
use crate::image_file::{LARGEST, open_image};
use crate::{FoundSettings, PictureSettingsError, read_settings};

/// Whether the file is a picture.
pub(super) fn look(path: &Path, inspection: &mut Inspection) -> io::Result<bool> {
    let reader = open_image(path)?;
    let Some(format) = reader.format() else { return Ok(false) };
    inspection.kind = format!("a picture ({})", format.extensions_str().first().unwrap_or(&"unknown").to_uppercase());
    match reader.into_decoder() {
        Ok(decoder) => {
            let (width, height) = decoder.dimensions();
            let usable = if decoder.total_bytes() > LARGEST {
                "too many for `--init-image`"
            } else {
                "`--init-image` starts from it, `--mask` takes it as a mask"
            };
            inspection.verdict = format!("{width}x{height} pixels; {usable}");
        }
        Err(error) => {
            inspection.verdict = format!("cannot be used: {error}");
            return Ok(true);
        }
    }
    match read_settings(path) {
        Ok(FoundSettings::Settings(settings)) => {
            inspection.verdict += ", `--from` draws it again";
            inspection.settings = settings.to_json();
        }
        Ok(FoundSettings::Foreign { program, reading }) => {
            inspection.verdict += ", `--from` draws it again by the settings of ";
            inspection.verdict += program;
            inspection.settings = reading.overrides.to_json();
            let unsupported = reading.unsupported.iter();
            inspection
                .notes
                .extend(unsupported.map(|value| format!("{}: {} ({})", value.name, value.value, value.reason)));
        }
        Err(error @ PictureSettingsError::None { .. }) => inspection.notes.push(error.to_string()),
        Err(error) => inspection.notes.push(format!("its settings cannot be used: {error}")),
    }
    texts(path, inspection);
    Ok(true)
}

/// The texts of other programs, by their keywords.
fn texts(path: &Path, inspection: &mut Inspection) {
    let Ok(file) = ae_files::open_file(path) else { return };
    let Ok(mut chunks) = TextChunks::open(BufReader::new(file)) else { return };
    for keyword in chunks.keywords().unwrap_or_default() {
        if keyword != "settings"
            && let Ok(Some(text)) = chunks.get(&keyword)
        {
            // ComfyUI's are JSON, for whose sake the others are no less texts.
            let text = serde_json::from_str::<Value>(&text).map_or(text, |value| value.to_string());
            inspection.metadata.insert(keyword, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(chunks: &[(&str, &str)]) -> Inspection {
        let mut file = Vec::new();
        ae_files::png_chunks::write(&mut file, [2, 1], &[0; 6], chunks).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("3.png");
        std::fs::write(&path, file).unwrap();
        crate::inspect(path.to_str().unwrap()).unwrap()
    }

    #[test]
    fn our_settings_are_shown() {
        let found = look_at(&[("settings", r#"{"prompt": "a cat", "seed": 3}"#)]);
        assert_eq!((found.kind.as_str(), &found.settings["seed"]), ("a picture (PNG)", &Value::from(3)));
        assert!(found.verdict.starts_with("2x1 pixels") && found.verdict.contains("--from"), "{}", found.verdict);
        assert!(found.to_string().contains("a cat"));
    }

    #[test]
    fn parameters_are_shown_with_what_cannot_be_honoured() {
        let text = "a dog\nSteps: 20, Sampler: Nonesuch, CFG scale: 7, Seed: 5, Size: 512x512";
        let found = look_at(&[("parameters", text)]);
        assert_eq!(found.settings["prompt"], "a dog");
        assert!(found.verdict.ends_with("by the settings of AUTOMATIC1111's program"), "{}", found.verdict);
        assert!(found.notes.iter().any(|note| note.contains("Nonesuch")), "{:?}", found.notes);
        assert_eq!(found.metadata["parameters"], text);
    }

    #[test]
    fn graphs_of_comfyui_are_shown_with_what_cannot_be_honoured() {
        let graph = r#"{ "9": { "class_type": "SaveImage", "inputs": { "images": ["8", 0] } } }"#;
        let found = look_at(&[("prompt", graph)]);
        assert!(found.verdict.ends_with("by the settings of ComfyUI"), "{}", found.verdict);
        assert!(found.notes.iter().any(|note| note.contains("this node is missing")), "{:?}", found.notes);
    }

    #[test]
    fn other_texts_are_named() {
        let found = look_at(&[("prompt", r#"{ "1": {} }"#), ("Software", "NovelAI")]);
        assert_eq!(
            (found.metadata["prompt"].as_str(), found.metadata["Software"].as_str()),
            (r#"{"1":{}}"#, "NovelAI")
        );
        assert!(found.settings.is_empty() && found.notes[0].contains("neither settings"), "{:?}", found.notes);
    }

    #[test]
    fn a_damaged_picture_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
        let found = crate::inspect(path.to_str().unwrap()).unwrap();
        assert!(found.verdict.starts_with("cannot be used"), "{}", found.verdict);
        assert_eq!(found.bytes, 8);
    }
}
