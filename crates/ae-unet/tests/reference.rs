//! A tiny network against diffusers (`tests/reference/make_networks_fixtures.py` of the repository): two levels, whose
//! transformers have one block and two.

use std::path::Path;

use ae_unet::{
    AttentionKind, AttentionSite, Checkpoint, DeviceSpec, FloatType, PerLevel, Place, UNet2DConditionModel, UNetConfig,
    observe_attention,
};
use burn::tensor::{Device, Tensor, TensorData, Tolerance};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

struct Fixture {
    unet: UNet2DConditionModel,
    expected: Checkpoint,
    device: Device,
}

impl Fixture {
    fn open(name: &str) -> Self {
        let folder = Path::new(FOLDER).join(name);
        let device = DeviceSpec::CPU.open().unwrap();
        let unet = UNet2DConditionModel::from_folder(&folder, FloatType::F32, &device).unwrap();
        Self { unet, expected: Checkpoint::open(folder.join("expected.safetensors")).unwrap(), device }
    }

    fn data(&self, name: &str) -> TensorData {
        let tensor = self.expected.get(name).unwrap();
        TensorData::new(tensor.to_f32().unwrap(), tensor.shape().to_vec())
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        Tensor::from_data(self.data(name), &self.device)
    }

    fn assert_close<const D: usize>(&self, name: &str, actual: Tensor<D>) {
        actual.into_data().assert_approx_eq(&self.data(name), Tolerance::<f32>::rel_abs(1e-4, 1e-5));
    }
}

/// A level of each depth, in the middle that of the coarsest.
#[test]
fn the_depth_of_transformers_is_that_of_their_level() {
    let ae_tensor::Component { config, .. } = ae_tensor::Component::<UNetConfig>::from_folder(FOLDER, false).unwrap();
    let depths = |place| {
        let sites = config.attention_sites([9, 6]).into_iter();
        let sites = sites.filter(|site| site.place == place && site.layer == 0 && site.kind == AttentionKind::Cross);
        sites.map(|site| (site.block, site.depth, site.resolution)).collect::<Vec<_>>()
    };
    assert_eq!(depths(Place::Down), [(0, 0, [9, 6]), (1, 0, [5, 3]), (1, 1, [5, 3])]);
    assert_eq!(depths(Place::Mid), [(0, 0, [5, 3]), (0, 1, [5, 3])]);
    assert_eq!(depths(Place::Up), [(0, 0, [5, 3]), (0, 1, [5, 3]), (1, 0, [9, 6])]);
}

#[test]
fn noise_and_attention_are_those_of_diffusers() {
    let fixture = Fixture::open("");
    let text = fixture.unet.read_text(&fixture.tensor("text"));
    fixture.assert_close("noise", fixture.unet.forward(fixture.tensor("latents"), 481.0, &text));

    let mut seen = Vec::new();
    let wants = |site: &AttentionSite| {
        (site.place, site.block, site.depth, site.kind) == (Place::Down, 1, 1, AttentionKind::Cross)
    };
    let mut look = observe_attention(wants, |_, probs| seen.push(probs));
    let noise = fixture.unet.forward_with(fixture.tensor("latents"), 481.0, &text, &mut look);
    drop(look);
    fixture.assert_close("noise", noise);
    assert_eq!(seen.len(), 1);
    fixture.assert_close("probs", seen.remove(0));
}

/// Distilled networks: other middles, other numbers of resnets by level, and the guidance scale as a condition.
#[test]
fn distilled_networks_predict_what_diffusers_predicts() {
    for name in ["distilled", "resnet-mid"] {
        let fixture = Fixture::open(name);
        let text = fixture.unet.read_text(&fixture.tensor("text"));
        for scale in ["7.5", "1.0"] {
            let text = text.clone().with_guidance_scale(scale.parse().unwrap()).repeat_each(1);
            let noise = fixture.unet.forward(fixture.tensor("latents"), 759.0, &text);
            fixture.assert_close(&format!("noise_{scale}"), noise);
        }
    }
}

#[test]
fn weights_of_no_stable_diffusion_are_refused_by_the_field_that_does_not_fit() {
    let json = std::fs::read_to_string(Path::new(FOLDER).join("config.json")).unwrap();
    let written = UNetConfig::from_json(&json).unwrap();
    assert_eq!(written.transformer_layers_per_block, PerLevel::Each(vec![1, 2]));
    let weights = Checkpoint::open_folder(FOLDER, false).unwrap();
    // Widths of 8 and 12 do not go into 32 groups: no network of Stable Diffusion, which the error says of the field.
    let error = UNetConfig::from_weights(&weights, ae_unet::Family::StableDiffusion2).unwrap_err();
    assert_eq!((error.field.as_str(), error.found.as_str()), ("norm_num_groups", "absent"));
    assert!(error.file.ends_with("diffusion_pytorch_model.safetensors"), "{error}");
}

#[test]
fn a_folder_that_is_not_whole_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let device = DeviceSpec::CPU.open().unwrap();
    let error = || UNet2DConditionModel::from_folder(&folder, FloatType::F32, &device).unwrap_err().to_string();
    assert!(error().contains("config.json is not readable"), "{}", error());
    std::fs::copy(Path::new(FOLDER).join("config.json"), folder.path().join("config.json")).unwrap();
    assert!(error().starts_with("no weights in '"), "{}", error());
    std::fs::write(folder.path().join("config.json"), r#"{"block_out_channels": []}"#).unwrap();
    assert!(error().contains("config.json; expected 1 to 16 levels"), "{}", error());
}
