//! Weights in half precision and in eight bits, with which the CPU computes in single precision.

use std::ops::ControlFlow;
use std::path::Path;

use ae_pipeline::{Destination, ModelSource, Pipeline, Request, StepIndex, Thresholds, convert};
use ae_tensor::{Component, FloatType};
use ae_tests::{model, relative_difference, sprites};
use ae_unet::UNet2DConditionModel;
use burn::tensor::{Device, Tensor};

/// The largest difference of text embeddings, final latents and pictures, relative in norm.
///
/// Measured on the three models after two guided steps of ten: f16 up to 4.7e-3, bf16 up to 3.5e-2.
const BOUNDS: [(FloatType, f64); 3] = [(FloatType::F16, 1e-2), (FloatType::BF16, 7e-2), (FloatType::Q8, 1e-1)];

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as().expect("single precision")
}

/// Two of ten denoising steps are guided; more would let a chaotic process grow the first difference.
fn request(pipeline: &Pipeline) -> Request {
    let mut request = pipeline.request("a cat and a dog");
    request.settings.steps = 10;
    request.settings.attend_and_excite.max_iter_to_alter = StepIndex::Steps(2);
    request.settings.attend_and_excite.thresholds = Thresholds::none();
    request
}

fn results(source: &ModelSource, dtype: FloatType) -> [Vec<f32>; 3] {
    let pipeline = Pipeline::load(source, dtype, &Device::flex()).unwrap();
    let prompt = pipeline.tokenize("a cat and a dog").unwrap();
    let embeddings = values(pipeline.encode(&[&prompt]).unwrap());
    let output = pipeline.generate(&request(&pipeline), &mut |_| ControlFlow::Continue(())).unwrap();
    let picture = &output.pictures[0];
    let bytes = picture.image.as_raw().iter().map(|byte| f32::from(*byte)).collect();
    [embeddings, values(picture.latents.clone()), bytes]
}

fn shown(differences: &[f64]) -> String {
    let shown: Vec<_> = differences.iter().map(|difference| format!("{difference:.1e}")).collect();
    shown.join(" ")
}

fn converted(source: &ModelSource, path: &Path, dtype: FloatType) -> ModelSource {
    convert(source, dtype, &Destination::new(path, false).unwrap(), &Device::flex()).unwrap();
    ModelSource::folder(path)
}

#[test]
fn lesser_weights_stay_near_single_precision() {
    let models = [model("sd1"), model("sd2"), sprites()].map(ModelSource::folder);
    let expected = models.each_ref().map(|source| results(source, FloatType::F32));
    for (dtype, bound) in BOUNDS {
        let mut differences = Vec::new();
        for (source, expected) in models.iter().zip(&expected) {
            let actual = results(source, dtype);
            differences
                .extend(actual.iter().zip(expected).map(|(actual, expected)| relative_difference(actual, expected)));
        }
        // The models are stored in f16. Where nothing is rounded nothing may change; elsewhere it would mean that the type was not used.
        let is_same = dtype == FloatType::F16;
        let holds = differences.iter().all(|difference| (*difference == 0.0) == is_same && *difference < bound);
        assert!(holds, "{dtype}: embeddings, latents and picture of each model: {}", shown(&differences));
    }
}

#[test]
fn half_weights_give_what_the_same_numbers_in_single_precision_give_bit_by_bit() {
    for name in ["sd1", "sd2"] {
        let (source, folder) = (ModelSource::folder(model(name)), tempfile::tempdir().unwrap());
        for dtype in [FloatType::F16, FloatType::BF16] {
            let halves = converted(&source, &folder.path().join(dtype.to_string()), dtype);
            let widened = converted(&halves, &folder.path().join(format!("{dtype} widened")), FloatType::F32);
            let expected = results(&widened, FloatType::F32);
            let cases = [
                ("rounded while it is loaded", results(&source, dtype)),
                ("a file of halves", results(&halves, dtype)),
                ("a file of halves in single precision", results(&halves, FloatType::F32)),
            ];
            for (case, actual) in cases {
                assert!(actual == expected, "{name}, {dtype}: {case}");
            }
        }
    }
}

/// A whole U-Net of quantised weights, bit by bit that of the numbers that they stand for.
#[test]
fn quantised_weights_give_what_their_numbers_in_single_precision_give() {
    let device = Device::flex();
    for folder in [model("sd1"), model("sd2"), sprites()] {
        let Component { config, weights } = Component::from_folder(folder.join("unet"), false).unwrap();
        let load = |weights, dtype| UNet2DConditionModel::load(&config, weights, dtype, &device).unwrap();
        let quantized = load(&weights, FloatType::Q8);
        let widened = quantized.checkpoint(FloatType::F32);
        let numbers = load(&widened, FloatType::F32);
        let noise = |shape: [usize; 4]| {
            Tensor::<1, _>::arange(0..i64::try_from(shape.iter().product::<usize>()).unwrap(), &device)
                .float()
                .sin()
                .reshape(shape)
        };
        let text: Tensor<3> = noise([1, 1, 77, config.cross_attention_dim]).squeeze_dim(0);
        let predict = |unet: &UNet2DConditionModel| {
            values(unet.forward(noise([1, config.in_channels, 16, 16]), 501.0, &unet.read_text(&text)))
        };
        assert!(predict(&quantized) == predict(&numbers), "{}", folder.display());
        assert!(predict(&quantized) != predict(&load(&weights, FloatType::F32)), "{}", folder.display());
    }
}
