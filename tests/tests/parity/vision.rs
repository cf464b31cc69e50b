//! CLIP with both towers, the paper's scores, Pillow's resizing and the detector against their references
//! (`tests/reference/make_vision_fixtures.py`).

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ae_checkpoint::Checkpoint;
use ae_tensor::FloatType;
use ae_tests::{Tensors, assert_close, fixtures};
use ae_vision::{ClipError, ClipModel, ClipScorer, Features, ImageProcessor, SubjectDetector};
use burn::tensor::Device;
use image::RgbImage;
use safetensors::SafeTensors;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Either model, and the folder of its tokenizer.
const MODELS: [(&str, &str); 2] = [("quick_gelu", "sd1"), ("gelu", "sd2")];

#[derive(Deserialize)]
struct Inputs {
    pictures: Vec<String>,
    sprites: Vec<String>,
    texts: Vec<String>,
    captions: Vec<String>,
    resized: Vec<(String, u32, Option<u32>)>,
}

#[derive(Deserialize)]
struct Scores {
    prompt: String,
    full_prompt: Vec<f32>,
    minimum_object: Option<Vec<f32>>,
    text_text: Vec<f32>,
}

fn json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&fs::read_to_string(fixtures("vision").join(name)).unwrap()).unwrap()
}

fn picture(path: &str) -> RgbImage {
    image::open(fixtures(path)).unwrap().to_rgb8()
}

fn pictures(paths: &[String]) -> Vec<RgbImage> {
    paths.iter().map(|path| picture(path)).collect()
}

/// A model's folder as it is published, put together from the fixtures.
fn folder(model: &str, tokenizer: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for from in [format!("vision/{model}"), format!("clip/{tokenizer}")] {
        for entry in fs::read_dir(fixtures(&from)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    folder
}

fn load(folder: &Path) -> ClipModel {
    ClipModel::load(folder, FloatType::F32, &Device::flex()).unwrap_or_else(|error| panic!("{error}"))
}

fn values(features: &Features) -> Vec<f32> {
    features.iter().flatten().copied().collect()
}

fn largest(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len());
    actual.iter().zip(expected).map(|(a, e)| (a - e).abs()).fold(0.0, f32::max)
}

/// The features have components up to 5.6; on flex the largest difference was 2.4e-6.
#[test]
fn features_equal_transformers() {
    let inputs: Inputs = json("inputs.json");
    for (model, tokenizer) in MODELS {
        let folder = folder(model, tokenizer);
        let clip = load(folder.path());
        let expected = Tensors::read(&fixtures("vision").join(model).join("expected.safetensors"));
        let images = clip.image_features(&pictures(&inputs.pictures)).unwrap();
        let texts = clip.text_features(&inputs.texts).unwrap();
        for (name, features) in [("image_features", images), ("text_features", texts)] {
            let (expected, shape) = expected.values(name);
            assert_eq!([features.len(), features.width()], *shape);
            assert_close(&format!("{model}: {name}"), &values(&features), &expected, 1e-5, 1e-5);
        }
    }
}

/// 11 bits of precision in every layer; on flex the smallest cosine was 0.999998.
#[test]
fn half_precision_gives_nearly_the_same_features() {
    let inputs: Inputs = json("inputs.json");
    for (model, tokenizer) in MODELS {
        let folder = folder(model, tokenizer);
        let features = |dtype| {
            let clip = ClipModel::load(folder.path(), dtype, &Device::flex()).unwrap();
            let images = clip.image_features(&pictures(&inputs.pictures)).unwrap();
            [images, clip.text_features(&inputs.texts).unwrap()].map(|features| features.normalized())
        };
        for (half, single) in features(FloatType::F16).iter().zip(&features(FloatType::F32)) {
            assert_ne!(half, single);
            for (half, single) in half.iter().zip(single.iter()) {
                let cosine: f32 = half.iter().zip(single).map(|(a, b)| a * b).sum();
                assert!(cosine > 0.9999, "{model}: {cosine}");
            }
        }
    }
}

#[test]
fn pixel_values_equal_transformers() {
    let inputs: Inputs = json("inputs.json");
    for (model, _) in MODELS {
        let processor = ImageProcessor::from_folder(&fixtures("vision").join(model)).unwrap();
        let actual = processor.pixel_values(&pictures(&inputs.pictures[3..]), &Device::flex()).unwrap();
        let expected = Tensors::read(&fixtures("vision").join(model).join("expected.safetensors"));
        let (expected, shape) = expected.values("pixel_values");
        assert_eq!(actual.dims(), *shape);
        let difference = largest(&actual.into_data().iter::<f32>().collect::<Vec<_>>(), &expected);
        // There was none; torch may change the last bit.
        assert!(difference <= 5e-7, "{model}: {difference}");
    }
}

#[test]
fn pixels_are_those_of_pillow() {
    let inputs: Inputs = json("inputs.json");
    let bytes = fs::read(fixtures("vision/resized.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(expected.len(), inputs.resized.len());
    for (index, (path, width, height)) in inputs.resized.iter().enumerate() {
        let processor = if height.is_some() { ImageProcessor::blip(*width) } else { ImageProcessor::clip(*width) };
        let actual = processor.resized(&picture(path)).unwrap();
        let expected = expected.tensor(&index.to_string()).unwrap();
        assert_eq!([actual.height() as usize, actual.width() as usize, 3], *expected.shape());
        assert!(actual.as_raw() == expected.data(), "{path} to {width} differs");
    }
}

/// Cosines; on flex the largest difference was 3.8e-7.
#[test]
fn scores_equal_the_official_scripts() {
    let inputs: Inputs = json("inputs.json");
    let all: serde_json::Map<String, serde_json::Value> = json("scores.json");
    for (model, tokenizer) in MODELS {
        let folder = folder(model, tokenizer);
        let scorer = ClipScorer::new(load(folder.path()));
        let images = scorer.image_features(&pictures(&inputs.pictures)).unwrap();
        let expected: Vec<Scores> = serde_json::from_value(all[model].clone()).unwrap();
        assert!(expected.len() >= 5);
        for expected in expected {
            let prompt = &expected.prompt;
            let close = |what: &str, actual: &[f32], expected: &[f32]| {
                let difference = largest(actual, expected);
                assert!(difference <= 1e-5, "{model}, '{prompt}': {what} differs by {difference}");
            };
            close("full_prompt", &scorer.full_prompt(&images, prompt).unwrap(), &expected.full_prompt);
            close("text_text", &scorer.text_texts(prompt, &inputs.captions).unwrap(), &expected.text_text);
            let smallest = scorer.minimum_object(&images, prompt).unwrap();
            assert_eq!(smallest.is_some(), expected.minimum_object.is_some(), "{prompt}");
            if let (Some(actual), Some(expected)) = (smallest, expected.minimum_object) {
                close("minimum_object", &actual, &expected);
            }
        }
    }
}

#[test]
fn a_prompt_is_computed_once_and_only_for_its_model() {
    let folders = MODELS.map(|(model, tokenizer)| folder(model, tokenizer));
    let [one, other] = folders.each_ref().map(|folder| ClipScorer::new(load(folder.path())));
    let prompt = || one.prompt_features("a cat and a dog").unwrap();
    assert!(Arc::ptr_eq(&prompt(), &prompt()));
    let images = other.image_features(&[RgbImage::new(40, 40)]).unwrap();
    let error = one.full_prompt(&images, "a cat and a dog").unwrap_err();
    assert!(matches!(error, ClipError::Width { found: 20, expected: 24 }), "{error}");
    // Nothing to score is no error.
    let none = one.image_features(&[]).unwrap();
    assert!(one.minimum_object(&none, "a cat and a dog").unwrap().is_some_and(|scores| scores.is_empty()));
    assert!(one.text_texts("a cat", &[] as &[&str]).unwrap().is_empty());
}

/// Logits from -13 to 12; on flex the largest difference was 8.6e-6.
#[test]
fn detections_equal_the_training_scripts() {
    let inputs: Inputs = json("inputs.json");
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/detector");
    let weights = Checkpoint::open(assets.join("detector.safetensors")).unwrap();
    let description = fs::read_to_string(assets.join("detector.json")).unwrap();
    let detector = SubjectDetector::from_files(&description, &weights, &Device::flex()).unwrap();

    let mut images = pictures(&inputs.sprites);
    // Of another size.
    images.push(picture(&inputs.pictures[4]));
    let detections: Vec<_> = detector.detect(&images).unwrap().into_iter().flatten().collect();
    let expected = Tensors::read(&fixtures("vision/detector.safetensors"));
    let logits: Vec<_> = detections.iter().map(|detection| detection.logit).collect();
    let (expected_logits, _) = expected.values("subjects");
    assert_close("logits", &logits, &expected_logits, 1e-5, 1e-5);

    let (colours, shape) = expected.values("colours");
    assert_eq!(shape, [images.len(), detector.subjects().len(), detector.colours().len()]);
    for (detection, colours) in detections.iter().zip(colours.chunks(detector.colours().len())) {
        let mut ranked: Vec<_> = colours.iter().zip(detector.colours()).collect();
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let margin = ranked[0].0 - ranked[1].0;
        assert!((detection.colour_margin - margin).abs() < 1e-4, "{detection:?}: {margin}");
        assert!(margin < 1e-4 || detection.colour == *ranked[0].1, "{detection:?}: {}", ranked[0].1);
    }
    // What the prompts asked for, and Attend-and-Excite drew: lion and red car.
    let present: Vec<_> =
        detections[48..72].iter().filter(|d| d.is_present()).map(|d| (&*d.subject, &*d.colour)).collect();
    assert!(present.contains(&("car", "red")), "{present:?}");
}
