//! Decoding in tiles against diffusers' `AutoencoderKL.tiled_decode`.

use ae_tensor::{Checkpoint, FloatType};
use ae_tests::{Tensors, assert_close, fixtures, model};
use ae_vae::{AutoencoderKL, VaeConfig, VaeTiling};
use burn::tensor::{Device, Tensor};

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as::<f32>().unwrap()
}

#[test]
fn tiles_are_blended_as_in_diffusers() {
    let device = Device::flex();
    let folder = model("sd1").join("vae");
    let config = VaeConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let weights = Checkpoint::open(folder.join("diffusion_pytorch_model.safetensors")).unwrap();
    let vae = AutoencoderKL::load(&config, &weights, FloatType::F32, &device).unwrap();

    let recorded = Tensors::read(&fixtures("vae_tiling.safetensors"));
    let latents: Tensor<4> = recorded.tensor("latents", &device);
    let (expected, shape) = recorded.values("decoded");
    let decoded = vae.decode_tiled(latents.clone(), VaeTiling { tile_latent_min_size: 8, tile_overlap_factor: 0.25 });
    assert_eq!(decoded.dims().to_vec(), shape);
    assert_close("tiled", &values(decoded), &expected, 1e-4, 1e-5);

    // What fits into one tile is decoded whole.
    let whole = vae.decode_tiled(latents.clone(), VaeTiling::default());
    whole.into_data().assert_eq(&vae.decode(latents).into_data(), true);
}
