//! The CLIP tokenizer and text model against transformers (`tests/reference/make_clip_fixtures.py`).

use std::fs;
use std::path::PathBuf;

use ae_clip::{ClipTextModel, ClipTextModelConfig, ClipTokenizer};
use ae_tensor::{Checkpoint, FloatType};
use ae_tests::fixtures;
use burn::tensor::{Device, TensorData, Tolerance};
use safetensors::SafeTensors;
use serde_json::Value;

fn fixture(path: &str) -> PathBuf {
    fixtures("clip").join(path)
}

#[test]
fn token_ids_equal_transformers() {
    let table: Value = serde_json::from_slice(&fs::read(fixture("token_ids.json")).unwrap()).unwrap();
    let prompts: Vec<&str> =
        table["prompts"].as_array().unwrap().iter().map(|prompt| prompt.as_str().unwrap()).collect();
    assert!(prompts.len() >= 40);
    // vocab.json and merges.txt, the same padded with "!", and tokenizer.json.
    for folder in ["sd1", "sd2", "saved"] {
        let tokenizer = ClipTokenizer::from_dir(&fixture(folder)).unwrap();
        for (prompt, expected) in prompts.iter().zip(table["ids"][folder].as_array().unwrap()) {
            let expected: Vec<u32> = serde_json::from_value(expected.clone()).unwrap();
            let actual = tokenizer.tokenize(prompt).unwrap().ids();
            assert_eq!(actual, expected, "{folder}: {prompt:?}");
        }
    }
}

/// `quick_gelu` has the keys of transformers 4, with `text_model.` and `position_ids`; `gelu` has those of
/// transformers 5, in float16.
#[test]
fn hidden_states_equal_transformers() {
    for folder in ["quick_gelu", "gelu"] {
        let bytes = fs::read(fixture(folder).join("hidden_states.safetensors")).unwrap();
        let expected = SafeTensors::deserialize(&bytes).unwrap();
        let ids: Vec<u32> = values(&expected, "input_ids", |bytes| i64::from_le_bytes(bytes).try_into().unwrap());
        let prompts: Vec<_> = ids.chunks(77).collect();
        let states = values(&expected, "last_hidden_state", f32::from_le_bytes);
        let shape = expected.tensor("last_hidden_state").unwrap().shape().to_vec();

        let model = load(folder, |config| config).unwrap();
        let actual = model.encode(&prompts).unwrap().into_data();
        // Values up to 6; on flex the largest difference was 6e-6.
        actual.assert_approx_eq(&TensorData::new(states, shape), Tolerance::<f32>::rel_abs(1e-4, 1e-5));
    }
}

#[test]
fn a_checkpoint_of_another_depth_is_refused_by_name() {
    let with_layers = |layers| {
        move |config: String| config.replace("\"num_hidden_layers\": 2", &format!("\"num_hidden_layers\": {layers}"))
    };
    let deeper = load("gelu", with_layers(3)).unwrap_err();
    assert!(deeper.contains("16 missing: encoder.layers.2."), "{deeper}");
    let shallower = load("quick_gelu", with_layers(1)).unwrap_err();
    assert!(shallower.contains("16 unexpected: encoder.layers.1."), "{shallower}");
    assert!(!shallower.contains("position_ids"), "{shallower}");
}

fn load(folder: &str, edit: impl Fn(String) -> String) -> Result<ClipTextModel, String> {
    let config = edit(fs::read_to_string(fixture(folder).join("config.json")).unwrap());
    let config = ClipTextModelConfig::from_json(&config).unwrap();
    let weights = Checkpoint::open(fixture(folder).join("model.safetensors")).unwrap();
    ClipTextModel::load(&config, &weights, FloatType::F32, &Device::flex()).map_err(|error| error.to_string())
}

fn values<T, const N: usize>(tensors: &SafeTensors<'_>, name: &str, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, rest) = tensors.tensor(name).unwrap().data().as_chunks();
    assert!(rest.is_empty());
    chunks.iter().map(|chunk| read(*chunk)).collect()
}
