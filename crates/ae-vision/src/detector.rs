mod config;
mod error;

use ae_checkpoint::Checkpoint;
use ae_tensor::nn::{Conv2d, channels_last};
use ae_tensor::{FloatType, KeyRules, load_weights, read};
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use image::RgbImage;

use config::{Architecture, IMAGE_SIZE};
pub use config::{DetectorAccuracy, MeasuredAccuracy};
pub use error::DetectorError;

use crate::image_processor::ImageProcessor;

/// Pictures that are computed at a time.
const PICTURES: usize = 32;

/// The detector of the embedded model: a small convolutional network that finds its 24 subjects in a picture, and the
/// colours of objects. `training/detector.py` is its reference, `assets/detector` of the repository holds it.
///
/// It was trained on renderings of the model's sprites, so it counts what the embedded model draws and nothing else;
/// and it misses malformed subjects that the eye still recognises. [`Self::accuracy`] tells what was measured.
#[derive(Debug)]
pub struct SubjectDetector {
    network: Network,
    architecture: Architecture,
    processor: ImageProcessor,
    device: Device,
}

/// One of the detector's subjects, in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Its name.
    pub subject: String,
    /// The highest logit at any place of the picture.
    pub logit: f32,
    /// The likeliest colour at that place. Animals were drawn in their own colours, so that this says nothing of them.
    pub colour: String,
    /// By how much that colour's logit is above the next one's.
    pub colour_margin: f32,
}

impl Detection {
    /// Whether the picture shows the subject: whether its logit is above 0.
    pub fn is_present(&self) -> bool {
        self.logit > 0.0
    }
}

/// The parameters, under the names of the file.
#[derive(Module, Debug)]
struct Network {
    convs: Vec<Conv2d>,
    head: Conv2d,
}

impl Network {
    fn new(architecture: &Architecture, device: &Device) -> Self {
        let convs = architecture.convolutions.iter();
        let convs = convs.map(|&[from, to, stride]| Conv2d::new([from, to], 3, stride, [1; 4], device));
        let logits = architecture.subjects.len() + architecture.colours.len();
        Self { convs: convs.collect(), head: Conv2d::new_1x1(architecture.features(), logits, device) }
    }

    /// # Shapes
    /// - images: `[batch, 3, 128, 128]` in -1..=1
    /// - output: `[batch, places, subjects + colours]`
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let features = self.convs.iter().fold(channels_last(images), |states, conv| relu(conv.forward(states)));
        let features = features.permute([0, 3, 1, 2]);
        let pooled = max_pool2d(features, MaxPoolOptions::new([3; 2]).with_stride([1; 2]).with_padding([1; 2]));
        self.head.forward(channels_last(pooled)).flatten(1, 2)
    }
}

impl SubjectDetector {
    /// Makes a detector of `detector.json` and `detector.safetensors`. The weights, in half precision there, are
    /// computed with in single precision.
    ///
    /// # Errors
    ///
    /// A description that does not parse or is of another architecture, and weights that are not its.
    pub fn from_files(json: &str, weights: &Checkpoint, device: &Device) -> Result<Self, DetectorError> {
        let architecture = Architecture::from_json(json)?;
        let mut network = Network::new(&architecture, device);
        load_weights(&mut network, weights, &KeyRules::default(), FloatType::F32)?;
        let processor = ImageProcessor::signed_square(IMAGE_SIZE);
        Ok(Self { network, architecture, processor, device: device.clone() })
    }

    /// The names of the subjects, in the order of the detections.
    pub fn subjects(&self) -> &[String] {
        &self.architecture.subjects
    }

    /// The names of the colours.
    pub fn colours(&self) -> &[String] {
        &self.architecture.colours
    }

    /// How often it is right, as measured when it was trained.
    pub fn accuracy(&self) -> &MeasuredAccuracy {
        &self.architecture.held_out_accuracy
    }

    /// Looks at pictures: for each of them, all subjects in the order of [`Self::subjects`], present or not.
    ///
    /// The detector knows pictures of 128 x 128, the embedded model's own size. Others are resized to that by
    /// Pillow's bicubic filter, without regard to proportions: the subjects of a picture of twice the size are then
    /// as large as those it was trained with. The measured accuracy holds for 128 x 128 only.
    ///
    /// # Errors
    ///
    /// A picture without pixels, and a device that fails.
    pub fn detect(&self, images: &[RgbImage]) -> Result<Vec<Vec<Detection>>, DetectorError> {
        let mut detections = Vec::with_capacity(images.len());
        let logits_per_place = self.subjects().len() + self.colours().len();
        for images in images.chunks(PICTURES) {
            let logits = self.network.forward(self.processor.pixel_values(images, &self.device)?);
            let [_, places, _] = logits.dims();
            let logits = read(logits)?;
            detections.extend(logits.chunks_exact(places * logits_per_place).map(|logits| self.strongest(logits)));
        }
        Ok(detections)
    }

    /// Of the logits at all places, each subject's highest, and the colours' at the same place.
    fn strongest(&self, logits: &[f32]) -> Vec<Detection> {
        let (subjects, colours) = (self.subjects(), self.colours());
        let places = || logits.chunks_exact(subjects.len() + colours.len());
        let of_subject = |(index, subject): (usize, &String)| {
            let place = places().max_by(|a, b| a[index].total_cmp(&b[index])).expect("a picture has places");
            let mut by_logit: Vec<_> = place[subjects.len()..].iter().copied().zip(colours).collect();
            by_logit.sort_by(|(a, _), (b, _)| b.total_cmp(a));
            let (first, colour) = by_logit[0];
            Detection {
                subject: subject.clone(),
                logit: place[index],
                colour: colour.clone(),
                colour_margin: first - by_logit[1].0,
            }
        };
        subjects.iter().enumerate().map(of_subject).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use image::Rgb;

    use super::*;

    const JSON: &str = include_str!("../../../assets/detector/detector.json");
    const WEIGHTS: &[u8] = include_bytes!("../../../assets/detector/detector.safetensors");

    fn checkpoint(bytes: &'static [u8]) -> Checkpoint {
        Checkpoint::from_bytes("detector.safetensors", Cow::Borrowed(bytes)).unwrap()
    }

    fn detector() -> SubjectDetector {
        SubjectDetector::from_files(JSON, &checkpoint(WEIGHTS), &Device::flex()).unwrap()
    }

    #[test]
    fn an_empty_picture_shows_nothing_and_a_batch_is_its_pictures() {
        let detector = detector();
        let images: Vec<_> = (0..40).map(|grey| RgbImage::from_pixel(128, 128, Rgb([160 + grey * 2; 3]))).collect();
        let detections = detector.detect(&images).unwrap();
        assert_eq!((detections.len(), detections[0].len()), (40, 24));
        assert!(detections.iter().flatten().all(|detection| !detection.is_present()));
        let alone = detector.detect(&images[39..]).unwrap();
        for (one, other) in alone[0].iter().zip(&detections[39]) {
            assert_eq!(one.subject, other.subject);
            assert!((one.logit - other.logit).abs() < 1e-5);
        }
        assert!(detector.detect(&[]).unwrap().is_empty());
    }

    #[test]
    fn the_highest_place_gives_logit_and_colour() {
        let detector = detector();
        let mut logits = vec![-1.0; 256 * 35];
        logits[7 * 35 + 3] = 2.5;
        logits[7 * 35 + 24 + 4] = 1.5;
        logits[7 * 35 + 24 + 6] = 0.25;
        let bear = &detector.strongest(&logits)[3];
        assert_eq!((bear.subject.as_str(), bear.logit, bear.is_present()), ("bear", 2.5, true));
        assert_eq!((bear.colour.as_str(), bear.colour_margin), ("blue", 1.25));
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        let error = detector().detect(&[RgbImage::new(0, 0)]).unwrap_err().to_string();
        assert_eq!(error, "the picture has no pixels: give one of at least 1 x 1");
    }

    #[test]
    fn weights_of_another_detector_are_refused() {
        let wider = JSON.replacen("   24,\n   2", "   32,\n   2", 1).replacen("   24,\n   48", "   32,\n   48", 1);
        assert_ne!(wider, JSON);
        let error = SubjectDetector::from_files(&wider, &checkpoint(WEIGHTS), &Device::flex()).unwrap_err().to_string();
        assert!(error.contains("convs.0.weight (expected [32, 3, 3, 3], found [24, 3, 3, 3])"), "{error}");
    }
}
