//! The `model_index.json` of a diffusers folder.

use ae_config::Fields;
use serde_json::Value;

/// What a folder is, where that is no model for this pipeline. A class that is not known says nothing: fine-tunes
/// come with pipelines of their own, and the configs decide.
pub(crate) fn other_kind(index: &Fields) -> Option<String> {
    let class_name = index.get("_class_name").and_then(Value::as_str)?;
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
        let kind = |class: &str| other_kind(&Fields::new("x", [("_class_name", Value::from(class))]));
        assert_eq!(
            kind("StableDiffusionXLPipeline").unwrap(),
            "a Stable Diffusion XL model (StableDiffusionXLPipeline)"
        );
        assert!(kind("FluxPipeline").is_some() && kind("StableDiffusion3Pipeline").is_some());
        for own in ["StableDiffusionPipeline", "StableDiffusionAttendAndExcitePipeline", "MyPipeline"] {
            assert_eq!(kind(own), None);
        }
        assert_eq!(other_kind(&Fields::default()), None);
    }
}
