//! Reading `preprocessor_config.json`, in the forms it has had over the versions of transformers.

use std::io;
use std::path::Path;

use ae_config::{ConfigError, Fields};
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
        let read = match ae_files::read_text(&path, crate::LARGEST_CONFIG) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                ae_files::read_text(&folder.join("processor_config.json"), crate::LARGEST_CONFIG).map_err(|_| error)
            }
            read => read,
        };
        Self::from_json(&read.map_err(|cause| ImageProcessorError::Io { path, cause })?)
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
        let mut fields = Fields::read("preprocessor_config.json", json)?;
        if fields.get("image_processor").is_some() {
            fields = fields.part("image_processor")?;
        }
        fields.try_into().map_err(ImageProcessorError::Config)
    }
}

impl TryFrom<Fields> for ImageProcessor {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        let known = |kind: &Option<String>| {
            kind.as_ref().is_none_or(|kind| kind.starts_with("CLIP") || kind.starts_with("Blip"))
        };
        let kind = |field| fields.checked(field, None, "one of CLIP or BLIP", known);
        let kind = match kind("image_processor_type")? {
            None => kind("feature_extractor_type")?,
            kind => kind,
        };
        let is_blip = kind.is_some_and(|kind| kind.starts_with("Blip"));
        let defaults = if is_blip { Self::blip(384) } else { Self::clip(224) };
        // Pictures must come out in one size.
        fields.checked("do_resize", None, "true", |resizes| *resizes != Some(false))?;
        let resize = match fields.or("size", None)? {
            None => defaults.resize,
            Some(Size::Number(side)) if is_blip => ResizeTo::Exact { width: side, height: side },
            Some(Size::Number(edge) | Size::Edge { shortest_edge: edge }) => ResizeTo::ShortestEdge(edge),
            Some(Size::Sides { height, width }) => ResizeTo::Exact { width, height },
        };
        let crop = match fields.or("crop_size", None)? {
            _ if !fields.or("do_center_crop", None)?.unwrap_or(!is_blip) => None,
            None => Some([224; 2]),
            Some(Size::Number(side) | Size::Edge { shortest_edge: side }) => Some([side; 2]),
            Some(Size::Sides { height, width }) => Some([width, height]),
        };
        let smallest = match resize {
            ResizeTo::ShortestEdge(edge) => [edge; 2],
            ResizeTo::Exact { width, height } => [width, height],
        };
        for (field, sides) in [("size", Some(smallest)), ("crop_size", crop)] {
            let in_bounds = |side| (1..=MAX_SIZE).contains(side);
            fields.check(field, sides.iter().flatten().all(in_bounds), format_args!("1..={MAX_SIZE}"))?;
        }
        match crop {
            None if matches!(resize, ResizeTo::ShortestEdge(_)) => {
                return Err(fields.error("do_center_crop", "true where size is that of the shorter side"));
            }
            Some(crop) if crop.iter().zip(smallest).any(|(&crop, side)| crop > side) => {
                return Err(fields.error("crop_size", format_args!("at most size, {smallest:?}")));
            }
            _ => {}
        }
        let filter = match fields.checked("resample", Some(3), "2 (bilinear) or 3 (bicubic)", |filter| {
            matches!(filter, None | Some(2 | 3))
        })? {
            Some(2) => ResampleFilter::Bilinear,
            _ => ResampleFilter::Bicubic,
        };
        let is_factor = |factor: &Option<f64>| factor.is_none_or(|factor| factor > 0.0 && factor <= 1.0);
        let rescale_factor = fields.checked("rescale_factor", None, "a number above 0 and up to 1", is_factor)?;
        let numbers = |field, expected, valid: fn(&f32) -> bool| {
            let all = |numbers: &Option<[f32; 3]>| numbers.iter().flatten().all(valid);
            fields.checked(field, None, expected, all)
        };
        let mean = numbers("image_mean", "3 numbers from -1000 to 1000", |mean| (-1e3..=1e3).contains(mean))?;
        let std = numbers("image_std", "3 numbers from 0.001 to 1000", |std| (1e-3..=1e3).contains(std))?;
        let (mean, std) = match fields.or("do_normalize", None)? {
            Some(false) => ([0.0; 3], [1.0; 3]),
            _ => (mean.unwrap_or(defaults.mean), std.unwrap_or(defaults.std)),
        };
        let rescale_factor = match fields.or("do_rescale", None)? {
            Some(false) => 1.0,
            _ => rescale_factor.unwrap_or(defaults.rescale_factor),
        };
        Ok(Self { resize, crop, filter, rescale_factor, mean, std })
    }
}

/// A number in old files, sides by name in new ones.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, a shortest_edge, or height and width")]
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
        assert!(refusal("[").starts_with("preprocessor_config.json is malformed ("));
        assert!(
            refusal(r#"{"size": -4}"#).starts_with("size is -4 in preprocessor_config.json; expected a number, a ")
        );
        let kind = r#"{"image_processor_type": "ViTImageProcessor"}"#;
        let expected = "in preprocessor_config.json; expected one of CLIP or BLIP";
        assert_eq!(refusal(kind), format!("image_processor_type is \"ViTImageProcessor\" {expected}"));
        let huge = r#"{"size": 4000000000}"#;
        assert_eq!(refusal(huge), "size is 4000000000 in preprocessor_config.json; expected 1..=2048");
        assert!(refusal(r#"{"crop_size": 0}"#).starts_with("crop_size is 0"));
        assert!(
            refusal(r#"{"size": 100}"#)
                .starts_with("crop_size is absent in preprocessor_config.json; expected at most size, [100, 100]")
        );
        assert!(refusal(r#"{"do_center_crop": false}"#).starts_with("do_center_crop is false"));
        assert!(refusal(r#"{"do_resize": false}"#).starts_with("do_resize is false"));
        assert!(refusal(r#"{"resample": 1}"#).starts_with("resample is 1"));
        assert!(refusal(r#"{"rescale_factor": 0}"#).starts_with("rescale_factor is 0"));
        assert!(refusal(r#"{"image_std": [1, 0, 1]}"#).starts_with("image_std is [1,0,1]"));
        assert!(refusal(r#"{"image_mean": [1000.5, 0, 1]}"#).starts_with("image_mean is [1000.5,0,1]"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = ImageProcessor::from_folder(Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read 'no/such/folder/preprocessor_config.json'"), "{error}");
    }
}
