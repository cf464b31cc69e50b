//! A tiny network against diffusers (`tests/reference/make_networks_fixtures.py` of the repository).

use std::path::Path;

use ae_vae::{AutoencoderKL, Checkpoint, DeviceSpec, FloatType, VaeTiling};
use burn::tensor::{Device, Tensor, TensorData, Tolerance};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

struct Fixture {
    vae: AutoencoderKL,
    expected: Checkpoint,
    device: Device,
}

impl Fixture {
    fn open() -> Self {
        let device = DeviceSpec::CPU.open().unwrap();
        let vae = AutoencoderKL::from_folder(FOLDER, FloatType::F32, &device).unwrap();
        Self { vae, expected: Checkpoint::open(Path::new(FOLDER).join("expected.safetensors")).unwrap(), device }
    }

    fn data(&self, name: &str) -> TensorData {
        let tensor = self.expected.get(name).unwrap();
        TensorData::new(tensor.to_f32().unwrap(), tensor.shape().to_vec())
    }

    fn tensor(&self, name: &str) -> Tensor<4> {
        Tensor::from_data(self.data(name), &self.device)
    }

    fn assert_close(&self, name: &str, actual: Tensor<4>) {
        actual.into_data().assert_approx_eq(&self.data(name), Tolerance::<f32>::rel_abs(1e-4, 1e-5));
    }
}

#[test]
fn an_image_has_the_latents_of_diffusers() {
    let fixture = Fixture::open();
    let distribution = fixture.vae.encode(fixture.tensor("image"));
    fixture.assert_close("mean", distribution.mean.clone());
    fixture.assert_close("std", distribution.standard_deviation.clone());
    let noise = Tensor::ones_like(&distribution.mean);
    let expected = (distribution.mean.clone() + distribution.standard_deviation.clone()).into_data();
    distribution.sample(noise).into_data().assert_eq(&expected, true);
}

#[test]
fn latents_have_the_image_of_diffusers() {
    let fixture = Fixture::open();
    fixture.assert_close("decoded", fixture.vae.decode(fixture.tensor("latents")));
}

#[test]
fn one_tile_is_the_whole_and_more_are_close_to_it() {
    let fixture = Fixture::open();
    let tiled = |side| {
        let tiling = VaeTiling { tile_latent_min_size: side, ..VaeTiling::default() };
        fixture.vae.decode_tiled(fixture.tensor("latents"), tiling)
    };
    fixture.assert_close("decoded", tiled(7));
    let tiles = tiled(4);
    let whole = fixture.tensor("decoded");
    assert_eq!(tiles.dims(), whole.dims());
    assert_ne!(tiles.into_data(), whole.into_data());
}
