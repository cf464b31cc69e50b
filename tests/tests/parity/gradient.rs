//! The guidance gradient through the U-Net against finite differences of the loss.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use ae_guidance::{
    AttendAndExcite, AttentionModel, DenoisingStep, Guidance, GuidanceSettings, MapSet, Observer, Subjects,
};
use ae_kernels::{Kernel, Profile};
use ae_tests::Case;
use ae_unet::{AttentionKind, AttentionProcessor, AttentionSite, ConditioningText, UNet2DConditionModel};
use burn::tensor::{Device, Tensor, TensorData};

use crate::stages::unet;

/// The U-Net of the embedded model at a fixed timestep, ended after its last 16x16 cross-attention.
struct Model {
    unet: UNet2DConditionModel,
    text: ConditioningText,
}

struct Maps(Vec<Tensor<4>>);

impl AttentionProcessor for Maps {
    type Break = ();

    fn wants(&self, site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross && site.resolution == [16, 16]
    }

    fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<(), Tensor<4>> {
        self.0.push(probs.clone());
        if self.0.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(probs) }
    }
}

impl AttentionModel for Model {
    fn attention(&self, latents: Tensor<4>, _: &[usize], _: &[MapSet]) -> Vec<Vec<Tensor<4>>> {
        let mut maps = Maps(Vec::new());
        let _ = self.unet.try_forward_with(latents, 981.0, &self.text, &mut maps);
        vec![maps.0]
    }
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as::<f32>().unwrap()
}

/// One update with step size 1 is the gradient; its inner products with random directions are the
/// directional derivatives of the loss.
#[test]
fn it_agrees_with_finite_differences_along_random_directions() {
    const H: f32 = 1e-2;
    let device = Device::flex();
    let case = Case::read("sprites-lion-car");
    let unet = unet(&case, &device);
    let text = unet.read_text(&case.tensor::<3>("text_embeddings", &device).narrow(0, 1, 1));
    let model = Model { unet, text };
    // The paper's attention scale: with the model's own the gradient is small at the first step.
    let settings = GuidanceSettings { scale_factor: 1.0, thresholds: BTreeMap::new(), ..Default::default() };
    let subjects = case.arguments.tokens.iter().map(|&token| vec![token]).collect();
    let subjects = Subjects::new(subjects, 77, None).unwrap();
    let objective = Arc::new(AttendAndExcite::new(settings, subjects, [16, 16]).unwrap());
    let step = DenoisingStep::new(0, 50, 981.0);
    let guide = |latents: Tensor<4>| {
        let observe: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
        let guided = Guidance::new(objective.clone()).unwrap().guide(&model, latents, step, observe).unwrap();
        (guided.latents(), guided.read_traces(observe).unwrap())
    };

    let latents: Tensor<4> = case.tensor("initial_latents", &device);
    let (shifted, _) = guide(latents.clone());
    let gradient: Vec<f32> = values(latents.clone()).iter().zip(values(shifted)).map(|(a, b)| a - b).collect();
    let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
    assert!(norm > 0.1, "the gradient is {norm}");

    for seed in 0..4 {
        // The gradient's own direction first, then directions of random signs within it.
        let mut noise = ae_tensor::NoiseSource::new(ae_tensor::NoiseKind::TorchCpu, seed);
        let direction: Vec<f32> = if seed == 0 {
            gradient.iter().map(|g| g / norm).collect()
        } else {
            let signs = noise.standard_normal(gradient.len());
            gradient.iter().zip(signs).map(|(g, s)| (g / norm).abs() * s).collect()
        };
        let loss_at = |h: f32| {
            let moved = values(latents.clone()).iter().zip(&direction).map(|(z, d)| z + h * d).collect();
            guide(Tensor::from_data(TensorData::new::<f32, _>(moved, latents.dims()), &device)).1[0].first().loss
        };
        let difference = (loss_at(H) - loss_at(-H)) / (2.0 * H);
        let derivative: f32 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let error = (difference - derivative).abs();
        assert!(error < 0.01 * norm, "direction {seed}: {derivative} by the gradient, {difference} by differences");
    }
}

/// The operations of linear layers and of attention tell whether it did.
#[test]
fn above_512_pixels_or_when_told_to_the_backward_pass_computes_transformers_again() {
    let device = Device::flex();
    let case = Case::read("sprites-lion-car");
    let text = case.tensor::<3>("text_embeddings", &device).narrow(0, 1, 1);
    let of = |unet: &UNet2DConditionModel, [rows, columns]: [usize; 2]| {
        let mut noise = ae_tensor::NoiseSource::new(ae_tensor::NoiseKind::TorchCpu, 1);
        let latents: Tensor<4> = noise.tensor([1, 4, rows, columns], &device).autodiff().require_grad();
        let loss = unet.forward(latents.clone(), 981.0, &unet.read_text(&text)).powi_scalar(2).sum();
        Profile::take();
        let gradient = latents.grad_remove(&mut loss.backward()).unwrap();
        let profile = Profile::take();
        (values(gradient), [Kernel::Linear, Kernel::Attention].map(|kernel| profile.of(kernel).operations))
    };
    let by_itself = unet(&case, &device);
    let again = by_itself.clone().recomputing();
    let ((gradient, kept), (same, more)) = (of(&by_itself, [64, 64]), of(&again, [64, 64]));
    assert_eq!(gradient, same);
    // The projections of self-attention, but not itself.
    assert!(more[0] * 3 > kept[0] * 4 && more[1] * 10 < kept[1] * 11, "{more:?} after {kept:?}");
    assert_eq!(of(&by_itself, [64, 72]), of(&again, [64, 72]));
}
