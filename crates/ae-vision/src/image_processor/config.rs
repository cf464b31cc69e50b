//! Reading `preprocessor_config.json`, in the forms it has had over the versions of transformers.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::{ImageProcessor, ImageProcessorError, ResizeTo};
use crate::resample::ResampleFilter;

/// Far beyond the published models; a damaged file must not ask for all memory.
const MAX_SIZE: u32 = 2048;

impl ImageProcessor {
    /// Reads the `preprocessor_config.json` of a model's folder, or the `processor_config.json` that transformers 5
    /// writes in its place.
    ///
    /// # Errors
    ///
    /// Neither file is there or can be read, and the errors of [`Self::from_json`].
    pub fn from_folder(folder: &Path) -> Result<Self, ImageProcessorError> {
        let path = folder.join("preprocessor_config.json");
        let read = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::read_to_string(folder.join("processor_config.json")).map_err(|_| error)
            }
            read => read,
        };
        Self::from_json(&read.map_err(|source| ImageProcessorError::Io { path, source })?)
    }

    /// Reads the text of a `preprocessor_config.json`, or of a `processor_config.json` with an `image_processor` in it.
    /// What is missing is as transformers' `CLIPImageProcessor` and `BlipImageProcessor` have it; a config that does
    /// not say whose it is, is taken for CLIP's.
    ///
    /// # Errors
    ///
    /// JSON that does not parse, a processor of another family, sizes and numbers no model has, and settings that
    /// leave the pictures of different sizes.
    pub fn from_json(json: &str) -> Result<Self, ImageProcessorError> {
        let mut fields: Fields = serde_json::from_str(json)?;
        if let Some(inner) = fields.image_processor.take() {
            fields = *inner;
        }
        let kind = fields.image_processor_type.as_ref().or(fields.feature_extractor_type.as_ref());
        let (is_blip, defaults) = match kind.map(String::as_str) {
            Some(kind) if kind.starts_with("Blip") => (true, Self::blip(384)),
            Some(kind) if !kind.starts_with("CLIP") => return Err(ImageProcessorError::Kind(kind.to_owned())),
            _ => (false, Self::clip(224)),
        };
        if fields.do_resize == Some(false) {
            return Err(ImageProcessorError::Sizes("do_resize is false"));
        }
        let resize = match fields.size {
            None => defaults.resize,
            Some(Size::Number(side)) if is_blip => ResizeTo::Exact { width: side, height: side },
            Some(Size::Number(edge) | Size::Edge { shortest_edge: edge }) => ResizeTo::ShortestEdge(edge),
            Some(Size::Sides { height, width }) => ResizeTo::Exact { width, height },
        };
        let crop = match (fields.do_center_crop.unwrap_or(!is_blip), fields.crop_size) {
            (false, _) => None,
            (true, None) => Some([224; 2]),
            (true, Some(Size::Number(side) | Size::Edge { shortest_edge: side })) => Some([side; 2]),
            (true, Some(Size::Sides { height, width })) => Some([width, height]),
        };
        let filter = match fields.resample {
            Some(2) => ResampleFilter::Bilinear,
            None | Some(3) => ResampleFilter::Bicubic,
            Some(other) => return Err(value("resample", &other, "2 (bilinear) or 3 (bicubic)")),
        };
        let rescale_factor = match fields.do_rescale {
            Some(false) => 1.0,
            _ => fields.rescale_factor.unwrap_or(defaults.rescale_factor),
        };
        let (mean, std) = match fields.do_normalize {
            Some(false) => ([0.0; 3], [1.0; 3]),
            _ => (fields.image_mean.unwrap_or(defaults.mean), fields.image_std.unwrap_or(defaults.std)),
        };
        let processor = Self { resize, crop, filter, rescale_factor, mean, std };
        processor.validate()?;
        Ok(processor)
    }

    fn validate(&self) -> Result<(), ImageProcessorError> {
        let smallest = match self.resize {
            ResizeTo::ShortestEdge(edge) => [edge; 2],
            ResizeTo::Exact { width, height } => [width, height],
        };
        for (field, sides) in [("size", Some(smallest)), ("crop_size", self.crop)] {
            for side in sides.into_iter().flatten() {
                if !(1..=MAX_SIZE).contains(&side) {
                    return Err(value(field, &side, "1..=2048"));
                }
            }
        }
        match (self.crop, self.resize) {
            (None, ResizeTo::ShortestEdge(_)) => {
                return Err(ImageProcessorError::Sizes(
                    "size is that of the shorter side, and do_center_crop is false",
                ));
            }
            (Some(crop), _) if crop.iter().zip(smallest).any(|(&crop, side)| crop > side) => {
                return Err(ImageProcessorError::Sizes("crop_size is larger than size"));
            }
            _ => {}
        }
        if !(self.rescale_factor > 0.0 && self.rescale_factor <= 1.0) {
            return Err(value("rescale_factor", &self.rescale_factor, "a number above 0 and up to 1"));
        }
        if let Some(mean) = self.mean.iter().find(|mean| !(-1e3..=1e3).contains(*mean)) {
            return Err(value("image_mean", mean, "numbers from -1000 to 1000"));
        }
        match self.std.iter().find(|std| !(1e-3..=1e3).contains(*std)) {
            Some(std) => Err(value("image_std", std, "numbers from 0.001 to 1000")),
            None => Ok(()),
        }
    }
}

fn value(field: &'static str, found: &impl ToString, expected: &'static str) -> ImageProcessorError {
    ImageProcessorError::Value { field, found: found.to_string(), expected }
}

/// The fields as the file has them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    image_processor: Option<Box<Fields>>,
    image_processor_type: Option<String>,
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Size>,
    resample: Option<u32>,
    do_center_crop: Option<bool>,
    crop_size: Option<Size>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

/// A number in old files, sides by name in new ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Number(u32),
    Edge { shortest_edge: u32 },
    Sides { height: u32, width: u32 },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ImageProcessor {
        ImageProcessor::from_json(json).unwrap()
    }

    fn refusal(json: &str) -> String {
        ImageProcessor::from_json(json).unwrap_err().to_string()
    }

    /// The numbers of `openai/clip-vit-base-patch16`, and of a file of today.
    #[test]
    fn clip_in_its_old_and_new_form() {
        let old = r#"{"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
            "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224}"#;
        let new = r#"{"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 336},
            "crop_size": {"height": 336, "width": 336}, "rescale_factor": 0.00392156862745098}"#;
        assert_eq!(read(old), ImageProcessor::clip(224));
        assert_eq!(read("{}"), ImageProcessor::clip(224));
        assert_eq!(read(new), ImageProcessor::clip(336));
        let nested = format!(r#"{{"image_processor": {new}, "processor_class": "CLIPProcessor"}}"#);
        assert_eq!(read(&nested), ImageProcessor::clip(336));
    }

    /// The fields of `Salesforce/blip-image-captioning-base`.
    #[test]
    fn blip_squashes() {
        let json = r#"{"do_normalize": true, "do_rescale": true, "do_resize": true,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_processor_type": "BlipImageProcessor",
            "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
            "rescale_factor": 0.00392156862745098, "size": {"height": 384, "width": 384}, "size_divisor": 32}"#;
        assert_eq!(read(json), ImageProcessor::blip(384));
        assert_eq!(read(r#"{"image_processor_type": "BlipImageProcessor", "size": 32}"#), ImageProcessor::blip(32));
    }

    #[test]
    fn switches_are_heeded() {
        let processor = read(r#"{"do_rescale": false, "do_normalize": false, "resample": 2}"#);
        assert_eq!((processor.rescale_factor, processor.mean, processor.std), (1.0, [0.0; 3], [1.0; 3]));
        assert_eq!(processor.filter, ResampleFilter::Bilinear);
    }

    #[test]
    fn absurd_files_are_refused() {
        assert!(refusal("[").starts_with("preprocessor_config.json is malformed: "));
        assert!(refusal(r#"{"size": -4}"#).starts_with("preprocessor_config.json is malformed: "));
        let kind = r#"{"image_processor_type": "ViTImageProcessor"}"#;
        assert_eq!(refusal(kind), "preprocessor_config.json is of a 'ViTImageProcessor'; expected one of CLIP or BLIP");
        let huge = r#"{"size": 4000000000}"#;
        assert_eq!(refusal(huge), "size is 4000000000 in preprocessor_config.json; expected 1..=2048");
        assert!(refusal(r#"{"crop_size": 0}"#).starts_with("crop_size is 0"));
        assert!(refusal(r#"{"size": 100}"#).ends_with("crop_size is larger than size"));
        assert!(refusal(r#"{"do_center_crop": false}"#).ends_with("and do_center_crop is false"));
        assert!(refusal(r#"{"do_resize": false}"#).ends_with("do_resize is false"));
        assert!(refusal(r#"{"resample": 1}"#).starts_with("resample is 1"));
        assert!(refusal(r#"{"rescale_factor": 0}"#).starts_with("rescale_factor is 0"));
        assert!(refusal(r#"{"image_std": [1, 0, 1]}"#).starts_with("image_std is 0"));
        assert!(refusal(r#"{"image_mean": [1e30, 0, 1]}"#).starts_with("image_mean is 1000000000000000"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = ImageProcessor::from_folder(Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read 'no/such/folder/preprocessor_config.json'"), "{error}");
    }
}
