use std::path::Path;

use serde_json::Value;

/// Beyond this a file is no model_index.json; diffusers' have less than two thousand bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The parts of a Stable Diffusion pipeline that have weights.
const COMPONENTS: [&str; 3] = ["text_encoder", "unet", "vae"];
/// Parts that only other families have: SDXL, SD3, Flux.
const FOREIGN: [&str; 3] = ["text_encoder_2", "text_encoder_3", "transformer"];

/// Checks that a model_index.json describes Stable Diffusion 1 or 2; the reason if it does not.
///
/// The class is not compared: `StableDiffusionPipeline`, `StableDiffusionAttendAndExcitePipeline` and others share the
/// parts, and they are what matters.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let text = ae_files::read_text(path, MAX_BYTES).map_err(|error| format!("cannot be read ({error})"))?;
    let index: Value = serde_json::from_str(&text).map_err(|error| format!("is no JSON ({error})"))?;
    let class = index.get("_class_name").and_then(Value::as_str).unwrap_or("no class");
    if let Some(component) = COMPONENTS.iter().find(|name| !has_component(&index, name)) {
        return Err(format!("({class}) names no {component}"));
    }
    match FOREIGN.iter().find(|name| has_component(&index, name)) {
        Some(component) => Err(format!("({class}) names a {component}")),
        None => Ok(()),
    }
}

/// diffusers writes `[library, class]` for a part and `[null, null]` for one that is left out.
fn has_component(index: &Value, name: &str) -> bool {
    index.get(name).and_then(|entry| entry.get(1)).is_some_and(Value::is_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        check(file.path())
    }

    #[test]
    fn stable_diffusion_is_recognised_by_its_parts() {
        let parts = r#""text_encoder": ["transformers", "CLIPTextModel"], "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"]"#;
        assert_eq!(check_text(&format!(r#"{{"_class_name": "StableDiffusionPipeline", {parts}}}"#)), Ok(()));
        assert_eq!(check_text(&format!(r#"{{{parts}, "text_encoder_2": [null, null]}}"#)), Ok(()));
        let sdxl = format!(r#"{{"_class_name": "XL", {parts}, "text_encoder_2": ["transformers", "CLIP"]}}"#);
        assert_eq!(check_text(&sdxl), Err("(XL) names a text_encoder_2".to_owned()));
        let flux = r#"{"_class_name": "FluxPipeline", "text_encoder": ["t", "C"], "transformer": ["d", "F"]}"#;
        assert_eq!(check_text(flux), Err("(FluxPipeline) names no unet".to_owned()));
        assert!(check_text("[").is_err());
    }
}
