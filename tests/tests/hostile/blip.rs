//! Captioner folders that are not what they should be, and pictures and options that ask for the impossible.

use std::fs;
use std::path::PathBuf;

use ae_tensor::FloatType;
use ae_tests::fixtures;
use ae_vision::{CaptionError, CaptionOptions, Captioner, CaptionerError};
use burn::tensor::Device;
use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// A copy of a small captioner, to be damaged.
struct Copy(TempDir);

impl Copy {
    fn of(model: &str) -> Self {
        let folder = TempDir::new().unwrap();
        for entry in fs::read_dir(fixtures("blip").join(model)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.file(name), text.replace(from, to)).unwrap();
    }

    fn load(&self) -> Result<Captioner, CaptionerError> {
        Captioner::load(self.0.path(), FloatType::F32, &Device::flex())
    }

    /// The message of loading, which must name each of `parts`.
    fn refuses(&self, parts: &[&str]) {
        let message = self.load().expect_err("the damage is found").to_string();
        for part in parts {
            assert!(message.contains(part), "'{part}' is not in: {message}");
        }
    }
}

#[test]
fn missing_files_are_named() {
    for (model, name, message) in [
        ("tied", "config.json", "cannot read"),
        ("tied", "model.safetensors", "no weights in"),
        ("tied", "preprocessor_config.json", "cannot read"),
        ("own", "vocab.txt", "cannot read"),
    ] {
        let copy = Copy::of(model);
        fs::remove_file(copy.file(name)).unwrap();
        copy.refuses(&[name, message]);
    }
}

#[test]
fn truncated_files_are_never_read_as_whole_ones() {
    for (model, name, what) in [
        ("tied", "model.safetensors", "model.safetensors"),
        ("own", "pytorch_model.bin", "pytorch_model.bin"),
        ("tied", "tokenizer.json", "malformed"),
        ("tied", "config.json", "malformed"),
        ("tied", "preprocessor_config.json", "malformed"),
    ] {
        let whole = fs::read(Copy::of(model).file(name)).unwrap();
        for part in 0..8 {
            let copy = Copy::of(model);
            fs::write(copy.file(name), &whole[..whole.len() * part / 8]).unwrap();
            copy.refuses(&[what]);
        }
    }
    // A vocabulary of fewer lines may be one.
    let copy = Copy::of("own");
    fs::write(copy.file("vocab.txt"), "[PAD]\n[UNK]\n[CLS").unwrap();
    copy.refuses(&["'[CLS]' is not in the vocabulary"]);
}

#[test]
fn weights_of_another_architecture_are_named() {
    let cases = [
        ("\"hidden_size\": 48", "\"hidden_size\": 52", "vision_model.embeddings.class_embedding (expected [1, 1, 52]"),
        ("\"hidden_size\": 32", "\"hidden_size\": 40", "expected [132, 40], found [132, 32]"),
        ("\"patch_size\": 8", "\"patch_size\": 16", "vision_model.embeddings.p"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "missing: vision_model.encoder.layers.2."),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "unexpected: text_decoder.bert.encoder.layer.1."),
        ("\"vocab_size\": 132", "\"vocab_size\": 133", "expected [133, 32], found [132, 32]"),
    ];
    for (from, to, part) in cases {
        let copy = Copy::of("tied");
        copy.edit("config.json", from, to);
        copy.refuses(&["model.safetensors", part]);
    }
    // Not tied, a model needs output weights of its own.
    let copy = Copy::of("tied");
    copy.edit("config.json", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    copy.refuses(&["1 missing: text_decoder.cls.predictions.decoder.weight"]);
}

#[test]
fn absurd_configs_are_refused_before_anything_is_allocated() {
    for (from, to, part) in [
        ("\"image_size\": 32", "\"image_size\": 4000000000", "image_size is 4000000000"),
        ("\"patch_size\": 8", "\"patch_size\": 0", "patch_size is 0"),
        ("\"vocab_size\": 132", "\"vocab_size\": 999999999999", "vocab_size is 999999999999"),
        ("\"bos_token_id\": 130", "\"bos_token_id\": 4000000000", "bos_token_id is 4000000000"),
        ("\"model_type\": \"blip\"", "\"model_type\": \"clip\"", "model_type is \"clip\""),
    ] {
        let copy = Copy::of("tied");
        copy.edit("config.json", from, to);
        copy.refuses(&[part]);
    }
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let copy = Copy::of("own");
    copy.edit("preprocessor_config.json", "\"height\": 32", "\"height\": 48");
    copy.refuses(&["32 x 48", "expects 32 x 32"]);
    let copy = Copy::of("own");
    let vocab = fs::read_to_string(copy.file("vocab.txt")).unwrap();
    fs::write(copy.file("vocab.txt"), format!("{vocab}one\ntwo\nthree\n")).unwrap();
    copy.refuses(&["largest id is 132", "132 tokens"]);
}

#[test]
fn pictures_of_any_shape_are_captioned_and_none_is_none() {
    let captioner = Copy::of("tied").load().unwrap();
    assert!(captioner.captions(&[]).unwrap().is_empty());
    let pictures: Vec<_> = [(1, 1), (1, 300), (300, 1), (5, 4)]
        .map(|(width, height)| RgbImage::from_pixel(width, height, Rgb([9, 99, 200])))
        .into();
    let captions = captioner.captions(&pictures).unwrap();
    // One colour, one picture.
    assert!(captions.iter().all(|caption| *caption == captions[0] && !caption.is_empty()), "{captions:?}");
    let empty = captioner.captions(&[RgbImage::new(0, 7)]).unwrap_err();
    assert!(matches!(empty, CaptionError::Picture(_)), "{empty}");
}

#[test]
fn impossible_options_are_refused_even_for_no_pictures() {
    let captioner = Copy::of("tied").load().unwrap();
    let refusal = |change: fn(&mut CaptionOptions)| {
        let mut options = CaptionOptions::default();
        change(&mut options);
        captioner.captions_with(&[], &options).unwrap_err().to_string()
    };
    assert!(refusal(|options| options.batch_size = 0).starts_with("batch_size is 0"));
    assert!(refusal(|options| options.generation.num_beams = 0).starts_with("num_beams is 0"));
    assert!(refusal(|options| options.generation.num_beams = usize::MAX).contains("expected 1..=64"));
    assert!(refusal(|options| options.generation.max_length = 4).contains("expected 5..=64"));
    assert!(refusal(|options| options.generation.max_length = 1 << 40).starts_with("max_length is 1099511627776"));
    assert!(refusal(|options| options.generation.min_length = 31).starts_with("min_length is 31"));
    assert!(refusal(|options| options.prompt = "a cat ".repeat(1000)).starts_with("max_length is 30"));
}
