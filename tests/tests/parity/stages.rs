//! Every stage of a run against the reference, each fed with the reference's own input.
//!
//! Tolerance on the CPU: 1e-4 relative or 1e-5 absolute per element, and 1e-4 relative in norm. `AE_TEST_DEVICE` names
//! another device, with tolerances of its own.

use ae_guidance::{AttendAndExcite, GuidanceSettings, Subjects, aggregate_attention};
use ae_pipeline::{ModelSource, Pipeline, TokenizedPrompt};
use ae_tensor::{Checkpoint, FloatType, NoiseKind, NoiseSource};
use ae_tests::{Case, Tolerances, assert_close, device, model, tolerances};
use ae_unet::{AttentionKind, AttentionSite, UNet2DConditionModel, UNetConfig, observe_attention};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::{Device, Tensor};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as::<f32>().expect("floats")
}

fn check<const D: usize>(case: &Case, stage: &str, actual: Tensor<D>) {
    let (expected, shape) = case.stage(stage);
    assert_eq!(actual.dims().to_vec(), shape, "{}: shape of {stage}", case.name);
    let Tolerances { relative, absolute, .. } = tolerances();
    assert_close(&format!("{}: {stage}", case.name), &values(actual), &expected, relative, absolute);
}

/// The U-Net of the case's model.
pub(crate) fn unet(case: &Case, device: &Device) -> UNet2DConditionModel {
    let folder = model(&case.model).join("unet");
    let config = UNetConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let weights = Checkpoint::open(folder.join("diffusion_pytorch_model.safetensors")).unwrap();
    UNet2DConditionModel::load(&config, &weights, FloatType::F32, device).unwrap()
}

/// The objective of the case.
fn objective(case: &Case) -> AttendAndExcite {
    let settings = GuidanceSettings { attention_scale: case.arguments.attention_scale, ..Default::default() };
    let subjects = case.arguments.tokens.iter().map(|&token| vec![token]).collect();
    AttendAndExcite::new(settings, Subjects::new(subjects, 77, None).unwrap(), case.attention_resolution).unwrap()
}

/// Token ids, text embeddings, initial latents.
fn from_text_to_latents(case: &Case) {
    let device = device();
    let pipeline = Pipeline::load(&ModelSource::folder(model(&case.model)), FloatType::F32, &device).unwrap();
    let prompts = [&case.arguments.negative_prompt, &case.arguments.prompt].map(|p| pipeline.tokenize(p).unwrap());
    let ids: Vec<f32> = prompts.iter().flat_map(TokenizedPrompt::ids).map(|id| id as f32).collect();
    assert_eq!(ids, case.values("input_ids"), "{}: token ids", case.name);
    check(case, "text_embeddings", pipeline.encode(&[&prompts[0], &prompts[1]]).unwrap());

    // The schedulers of guided cases start with unit variance; the others scale in the run test.
    if case.arguments.guided {
        let (expected, shape) = case.stage("initial_latents");
        let mut noise = NoiseSource::new(NoiseKind::TorchCpu, case.arguments.seed);
        let latents = noise.standard_normal(shape.iter().product());
        for (actual, expected) in latents.iter().zip(expected) {
            assert!(actual.to_bits().abs_diff(expected.to_bits()) <= 1, "{}: {actual} {expected}", case.name);
        }
    }
}

/// Noise prediction, attention maps, subject maps, loss, gradient, latent update.
fn from_latents_to_update(case: &Case) {
    let device = device();
    let unet = unet(case, &device);
    let timestep = f64::from(case.values("timesteps")[0]);
    let latents: Tensor<4> = case.tensor("initial_latents", &device);
    let embeddings: Tensor<3> = case.tensor("text_embeddings", &device);
    let text = unet.read_text(&embeddings);
    // The latents once for both texts, and once for each.
    check(case, "noise_prediction", unet.forward(latents.clone(), timestep, &text));
    check(case, "noise_prediction", unet.forward(latents.clone().repeat_dim(0, 2), timestep, &text));

    let tracked = latents.clone().autodiff().require_grad();
    let mut maps = Vec::new();
    let wants =
        |site: &AttentionSite| site.kind == AttentionKind::Cross && site.resolution == case.attention_resolution;
    let prompt = text.narrow(1, 1);
    unet.forward_with(tracked.clone(), timestep, &prompt, &mut observe_attention(wants, |_, probs| maps.push(probs)));
    let attention = aggregate_attention(maps, case.attention_resolution);
    let objective = objective(case);
    let subject_maps = objective.subject_maps(attention.clone());
    let score = objective.score(subject_maps.clone());
    let gradients = score.loss.clone().sum().backward();
    let gradient = tracked.grad(&gradients).unwrap();

    let [rows, cols] = case.attention_resolution;
    let tokens = attention.dims()[3];
    check(case, "attention_maps", attention.inner().reshape([rows, cols, tokens]));
    let subjects = case.arguments.tokens.len();
    check(case, "subject_maps", subject_maps.inner().reshape([subjects, rows, cols]));
    check(case, "subject_max", (-score.terms.inner() + 1.0).reshape([subjects]));
    check(case, "loss", score.loss.inner());
    check(case, "gradient", gradient.clone());
    check(case, "updated_latents", latents - gradient * case.arguments.scale_factor);
}

/// The loss and its gradient from the reference's attention maps alone.
fn from_maps_to_loss(case: &Case) {
    let device = device();
    let attention: Tensor<3> = case.tensor("attention_maps", &device);
    let objective = objective(case);
    let subject_maps = objective.subject_maps(attention.unsqueeze());
    check(case, "loss", objective.score(subject_maps.clone()).loss);
    let [rows, cols] = case.attention_resolution;
    check(case, "subject_maps", subject_maps.reshape([case.arguments.tokens.len(), rows, cols]));
}

/// VAE decoder and encoder.
fn autoencoder(case: &Case) {
    let device = device();
    let folder = model(&case.model).join("vae");
    let config = VaeConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let weights = Checkpoint::open(folder.join("diffusion_pytorch_model.safetensors")).unwrap();
    let vae = AutoencoderKL::load(&config, &weights, FloatType::F32, &device).unwrap();
    let decoded = vae.decode(case.tensor("final_latents", &device));
    check(case, "image", (decoded / 2.0 + 0.5).clamp(0.0, 1.0));

    let image: Tensor<4> = case.tensor("image", &device);
    let distribution = vae.encode(image * 2.0 - 1.0);
    check(case, "encoded_mean", distribution.mean / config.scaling_factor);
    check(case, "encoded_std", distribution.standard_deviation / config.scaling_factor);
}

macro_rules! cases {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            let case = Case::read($name);
            from_text_to_latents(&case);
            from_latents_to_update(&case);
            from_maps_to_loss(&case);
            if case.has("image") {
                autoencoder(&case);
            }
        }
    )*

    #[test]
    fn every_guided_case_is_tested() {
        let tested = [$($name),*];
        for name in Case::names().into_iter().filter(|name| Case::read(name).arguments.guided) {
            assert!(tested.contains(&name.as_str()), "{name} has no stage test");
        }
    }};
}

cases! {
    sd1_square: "sd1-pndm-10",
    sd1_landscape: "sd1-ddim-10-landscape",
    sd1_second_prompt: "sd1-pndm-50",
    sd1_third_prompt: "sd1-ddim-50",
    sd1_three_subjects: "sd1-three-subjects",
    sd1_odd_size: "sd1-odd-size",
    sd2_square: "sd2-ddim-10",
    sd2_portrait: "sd2-pndm-10-portrait",
    distilled: "distilled-pndm-10",
    sprites_lion_car: "sprites-lion-car",
    sprites_cat_frog: "sprites-cat-frog",
}
