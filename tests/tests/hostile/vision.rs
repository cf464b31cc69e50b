//! CLIP folders and detectors that are not what they should be.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use ae_checkpoint::{Checkpoint, OpenError};
use ae_tensor::FloatType;
use ae_tests::fixtures;
use ae_vision::{ClipError, ClipModel, ImageProcessorError, SubjectDetector};
use burn::tensor::Device;
use tempfile::TempDir;

/// A copy of the small CLIP model, to be damaged.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for from in ["vision/gelu", "clip/sd2"] {
            for entry in fs::read_dir(fixtures(from)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Keeps the first so many bytes of a file.
    fn cut(&self, name: &str, length: usize) {
        let bytes = fs::read(self.file(name)).unwrap();
        assert!(length < bytes.len());
        fs::write(self.file(name), &bytes[..length]).unwrap();
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.file(name), text.replace(from, to)).unwrap();
    }

    fn load(&self) -> Result<ClipModel, ClipError> {
        ClipModel::load(self.0.path(), FloatType::F32, &Device::flex())
    }

    /// The error of loading, which must name each of `parts`.
    fn error(&self, parts: &[&str]) -> ClipError {
        named(self.load().expect_err("the damage is found"), parts)
    }
}

fn named<E: std::error::Error>(error: E, parts: &[&str]) -> E {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    assert!(message.lines().count() <= 2 && message.len() < 600, "{message}");
    error
}

#[test]
fn the_undamaged_copy_loads() {
    assert!(Copy::new().load().is_ok());
}

#[test]
fn missing_files_are_named() {
    let files = ["config.json", "preprocessor_config.json", "vocab.json", "merges.txt"];
    for name in files {
        let copy = Copy::new();
        fs::remove_file(copy.file(name)).unwrap();
        copy.error(&[name, "cannot read"]);
    }
    let copy = Copy::new();
    fs::remove_file(copy.file("model.safetensors")).unwrap();
    let error = copy.error(&["no weights in", "model.safetensors"]);
    assert!(matches!(error, ClipError::Open(OpenError::NoWeights { .. })));
    let nowhere = ClipModel::load("no/such/folder", FloatType::F32, &Device::flex()).unwrap_err();
    named(nowhere, &["no/such/folder", "config.json"]);
}

#[test]
fn truncated_weights_are_refused() {
    for length in [0, 4, 100, 20_000, 300_000] {
        let copy = Copy::new();
        copy.cut("model.safetensors", length);
        let error = copy.error(&["model.safetensors"]);
        assert!(matches!(error, ClipError::Open(_)), "{error}");
    }
    let copy = Copy::new();
    fs::remove_file(copy.file("model.safetensors")).unwrap();
    fs::copy(fixtures("vision/quick_gelu/pytorch_model.bin"), copy.file("pytorch_model.bin")).unwrap();
    copy.edit("config.json", "\"projection_dim\": 20", "\"projection_dim\": 24");
    assert!(copy.load().is_ok());
    copy.cut("pytorch_model.bin", 200_000);
    assert!(matches!(copy.error(&["pytorch_model.bin"]), ClipError::Open(_)));
}

#[test]
fn weights_of_another_model_are_refused_by_name() {
    let cases = [
        ("\"patch_size\": 8", "\"patch_size\": 16", "vision_model.embeddings.patch_embedding.weight"),
        ("\"hidden_size\": 40", "\"hidden_size\": 44", "vision_model.embeddings.class_embedding"),
        ("\"projection_dim\": 20", "\"projection_dim\": 25", "text_projection.weight"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "text_model.encoder.layers.2."),
        ("\"vocab_size\": 599", "\"vocab_size\": 600", "text_model.embeddings.token_embedding.weight"),
    ];
    for (from, to, tensor) in cases {
        let copy = Copy::new();
        copy.edit("config.json", from, to);
        assert!(matches!(copy.error(&["model.safetensors", tensor]), ClipError::Checkpoint(_)), "{to}");
    }
}

#[test]
fn absurd_numbers_ask_for_no_memory() {
    let cases = [
        ("\"hidden_size\": 40", "\"hidden_size\": 4000000000", "hidden_size is 4000000000"),
        ("\"patch_size\": 8", "\"patch_size\": 0", "patch_size is 0"),
        ("\"image_size\": 32", "\"image_size\": 1000000", "image_size is 1000000"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1e99", "num_hidden_layers is 1e+99"),
        ("\"layer_norm_eps\": 1e-05", "\"layer_norm_eps\": 0", "layer_norm_eps is 0"),
    ];
    for (from, to, message) in cases {
        let copy = Copy::new();
        copy.edit("config.json", from, to);
        assert!(matches!(copy.error(&["config.json", message]), ClipError::Config(_)), "{to}");
    }
    let copy = Copy::new();
    copy.edit("preprocessor_config.json", "\"shortest_edge\": 32", "\"shortest_edge\": 1000000");
    let error = copy.error(&["size is {\"shortest_edge\":1000000} in preprocessor_config.json", "1..=2048"]);
    assert!(matches!(error, ClipError::ImageProcessor(ImageProcessorError::Config(_))));
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let copy = Copy::new();
    copy.edit("preprocessor_config.json", "32", "48");
    let error = copy.error(&["makes pictures of 48 x 48, the model takes 32 x 32"]);
    assert!(matches!(error, ClipError::ImageSize { .. }));

    let copy = Copy::new();
    copy.edit("config.json", "\"eos_token_id\": 598", "\"eos_token_id\": 49407");
    let error = copy.load().unwrap().text_features(&["a cat"]).unwrap_err();
    assert!(matches!(named(error, &["has the id 49407"]), ClipError::NoEnd { eos_token_id: 49_407 }));
}

#[test]
fn damaged_detectors_are_refused() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/detector");
    let json = fs::read_to_string(assets.join("detector.json")).unwrap();
    let bytes = fs::read(assets.join("detector.safetensors")).unwrap();
    for length in [0, 100, 700_000] {
        let error = Checkpoint::from_bytes("detector.safetensors", Cow::Owned(bytes[..length].to_vec())).unwrap_err();
        named(error, &["detector.safetensors"]);
    }
    let weights = Checkpoint::from_bytes("detector.safetensors", Cow::Owned(bytes)).unwrap();
    let other = Checkpoint::open(fixtures("vision/gelu/model.safetensors")).unwrap();
    let refusal = |json: &str, weights| SubjectDetector::from_files(json, weights, &Device::flex()).unwrap_err();
    named(refusal(&json, &other), &["convs.0.weight"]);
    named(refusal("", &weights), &["detector.json is malformed"]);
    named(refusal(&json.replace("\"cat\",", ""), &weights), &["head.weight (expected [34, 128, 1, 1], found [35,"]);
    assert!(SubjectDetector::from_files(&json, &weights, &Device::flex()).is_ok());
}
