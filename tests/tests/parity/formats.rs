//! Small models in every format (`tests/reference/make_formats_fixtures.py`); the same at full size is in
//! `tests/full`.

use std::path::PathBuf;

use ae_pipeline::{ModelSource, Pipeline};
use ae_tensor::FloatType;
use ae_tests::{Formats, fixtures};
use burn::tensor::Device;

fn folder() -> PathBuf {
    fixtures("formats")
}

#[test]
fn every_format_computes_the_same() {
    let formats = Formats::read(&folder());
    assert!(formats.variants.len() >= 8, "{} formats", formats.variants.len());
    for variant in &formats.variants {
        formats.check(&folder(), variant);
    }
}

/// The small models have a vocabulary of their own, which no prompt fits; the tokenizer of a single file is
/// CLIP's, as it is for the real ones.
#[test]
fn a_single_file_is_a_whole_pipeline() {
    // The spread of the second's last biases says that it predicts noise, as the model of 512 pixels does.
    for (file, prediction, size) in [("sd1/single.safetensors", false, 512), ("sd2/single-f16.ckpt", true, 512)] {
        let pipeline = Pipeline::load(&ModelSource::path(folder().join(file)), FloatType::F32, &Device::flex());
        let pipeline = pipeline.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(pipeline.default_size(), [size; 2], "{file}");
        assert_eq!(pipeline.notice().is_some(), prediction, "{file}: {:?}", pipeline.notice());
        let padding = pipeline.tokenize("a cat").unwrap().ids()[76];
        assert_eq!(padding, if prediction { 0 } else { 49_407 }, "{file}");
    }
}
