//! The `model_index.json` of a diffusers folder.

use serde_json::Value;

/// What a folder is, where that is no model for this pipeline. A class that is not known says nothing: fine-tunes
/// come with pipelines of their own, and the configs decide.
pub(crate) fn other_kind(text: &str) -> Option<String> {
    let index: Value = serde_json::from_str(text).ok()?;
    let class_name = index["_class_name"].as_str()?;
    let other = [
        ("XL", "a Stable Diffusion XL model"),
        ("StableDiffusion3", "a Stable Diffusion 3 model"),
        ("Flux", "a Flux model"),
        ("StableCascade", "a Stable Cascade model"),
        ("Kandinsky", "a Kandinsky model"),
        ("PixArt", "a PixArt model"),
        ("DeepFloyd", "a DeepFloyd IF model"),
    ];
    let (_, found) = other.iter().find(|(part, _)| class_name.contains(part))?;
    Some(format!("{found} ({class_name})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_families_are_refused() {
        let kind = |class: &str| other_kind(&format!(r#"{{"_class_name": "{class}", "unet": []}}"#));
        assert_eq!(
            kind("StableDiffusionXLPipeline").unwrap(),
            "a Stable Diffusion XL model (StableDiffusionXLPipeline)"
        );
        assert!(kind("FluxPipeline").is_some() && kind("StableDiffusion3Pipeline").is_some());
        for own in ["StableDiffusionPipeline", "StableDiffusionAttendAndExcitePipeline", "MyPipeline"] {
            assert_eq!(kind(own), None);
        }
        assert_eq!(other_kind("{"), None);
    }
}
