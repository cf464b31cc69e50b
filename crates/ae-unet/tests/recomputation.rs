//! Transformers that the backward pass computes again, against those that it keeps: bit by bit the same.

use std::path::Path;

use ae_unet::{AttentionKind, AttentionProcessor, AttentionSite, FloatType, UNet2DConditionModel};
use burn::tensor::{Device, Tensor, TensorData};

use std::ops::ControlFlow;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

fn unet() -> UNet2DConditionModel {
    UNet2DConditionModel::from_folder(Path::new(FOLDER), FloatType::F32, &Device::flex()).unwrap()
}

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    ae_tensor::NoiseSource::new(ae_tensor::NoiseKind::TorchCpu, seed).tensor(shape, &Device::flex())
}

/// Sharpens the probabilities of some layers, and ends a pass at the last of so many.
struct Sharpen {
    wants: fn(&AttentionSite) -> bool,
    last: usize,
    seen: Vec<Tensor<4>>,
}

impl AttentionProcessor for Sharpen {
    type Break = ();

    fn wants(&self, site: &AttentionSite) -> bool {
        (self.wants)(site)
    }

    fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<(), Tensor<4>> {
        let sharp = probs.clone() * probs;
        self.seen.push(sharp.clone());
        if self.seen.len() == self.last { ControlFlow::Break(()) } else { ControlFlow::Continue(sharp) }
    }
}

/// What a pass gave, and its gradients by the latents and, where they are tracked, by the text embeddings.
fn run(unet: &UNet2DConditionModel, wants: fn(&AttentionSite) -> bool, last: usize, texts: bool) -> Vec<TensorData> {
    let latents = random([1, 4, 8, 6], 1).autodiff().require_grad();
    let mut context: Tensor<3> = random([2, 5, 12], 2);
    if texts {
        context = context.autodiff().require_grad();
    }
    let mut sharpen = Sharpen { wants, last, seen: Vec::new() };
    let output = unet.try_forward_with(latents.clone(), 301.0, &unet.read_text(&context), &mut sharpen);
    assert_eq!(output.is_break(), last > 0);
    let results: Vec<_> = sharpen.seen.into_iter().chain(output.continue_value()).collect();
    let weighted = results.iter().zip(3..).map(|(result, seed)| (result.clone() * random(result.dims(), seed)).sum());
    let gradients = weighted.reduce(|sum, term| sum + term).expect("something was asked for").backward();
    let data = |tensor: Tensor<4>| tensor.inner().into_data();
    let mut all: Vec<_> = results.into_iter().map(data).collect();
    all.push(data(latents.grad(&gradients).expect("the results depend on the latents")));
    all.extend(texts.then(|| context.grad(&gradients).expect("and on the texts").into_data()));
    all
}

#[test]
fn a_pass_and_its_gradient_are_the_same_bit_for_bit_whatever_a_processor_wants() {
    let (kept, again) = (unet(), unet().recomputing());
    let none: fn(&AttentionSite) -> bool = |_| false;
    let cross: fn(&AttentionSite) -> bool = |site| site.kind == AttentionKind::Cross;
    let coarse_own: fn(&AttentionSite) -> bool =
        |site| site.kind == AttentionKind::SelfAttention && site.resolution == [4, 3];
    for (wants, last) in [(none, 0), (cross, 0), (cross, 3), (coarse_own, 0), (coarse_own, 4), (|_| true, 6)] {
        for texts in [false, true] {
            let expected = run(&kept, wants, last, texts);
            assert!(
                expected.iter().all(|data| data.iter::<f32>().any(|value| value.abs() > 1e-6)),
                "zeros are equal too"
            );
            assert_eq!(run(&again, wants, last, texts), expected, "{last} {texts}");
        }
    }
}
