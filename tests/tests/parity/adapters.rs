//! Adapters merged into a linear layer and a convolution, against PEFT and LyCORIS, which wrote them
//! (`tests/reference/make_adapters_fixtures.py`).

use std::collections::BTreeSet;

use ae_checkpoint::{Checkpoint, Lora};
use ae_tensor::{FloatType, apply_lora};
use ae_tests::fixtures;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};

/// Largest difference of an element, where the weights are about 1: both sides compute in single precision.
const TOLERANCE: f32 = 3e-6;

#[derive(Module, Debug)]
struct Model {
    proj: Linear,
    conv: Conv2d,
}

fn param<const D: usize>(checkpoint: &Checkpoint, key: &str) -> Param<Tensor<D>> {
    let stored = checkpoint.get(key).unwrap_or_else(|| panic!("{key} is missing"));
    let data = TensorData::new(stored.to_f32().expect("floats"), stored.shape().to_vec());
    Param::from_tensor(Tensor::from_data(data, &Device::flex()))
}

fn base(weights: &Checkpoint) -> Model {
    let device = Device::flex();
    let mut proj = LinearConfig::new(6, 8).init(&device);
    proj.weight = param(weights, "proj.weight").map(Tensor::transpose);
    proj.bias = Some(param(weights, "proj.bias"));
    let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
    let mut conv = Conv2dConfig::new([4, 6], [3, 3]).with_padding(padding).init(&device);
    conv.weight = param(weights, "conv.weight");
    conv.bias = Some(param(weights, "conv.bias"));
    Model { proj, conv }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as().expect("floats")
}

#[test]
fn adapters_merge_to_what_their_libraries_merge_them_to() {
    let open = |name: &str| Checkpoint::open(fixtures("adapters").join(name)).expect("a fixture");
    let (weights, expected) = (open("base.safetensors"), open("expected.safetensors"));
    let cases: BTreeSet<&str> = expected.tensors().keys().filter_map(|key| key.split('.').next()).collect();
    assert_eq!(cases.len(), 21);

    let (mut problems, mut compared) = (Vec::new(), 0);
    for case in cases {
        let lora = Lora::read(&open(&format!("{case}.safetensors"))).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lora.notes, [""; 0], "{case}");
        for strength in ["1.0", "0.5"] {
            if !expected.has_prefix(&format!("{case}.{strength}.")) {
                continue;
            }
            compared += 1;
            let mut model = base(&weights);
            apply_lora(&mut model, lora.layers.clone(), strength.parse().expect("a number"), FloatType::F32)
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            let found = [
                ("proj.weight", values(model.proj.weight.val().transpose())),
                ("proj.bias", values(model.proj.bias.expect("a bias").val())),
                ("conv.weight", values(model.conv.weight.val())),
                ("conv.bias", values(model.conv.bias.expect("a bias").val())),
            ];
            for (key, found) in found {
                let changed = expected.get(&format!("{case}.{strength}.{key}"));
                let expected = changed.or_else(|| weights.get(key)).expect("a tensor").to_f32().expect("floats");
                let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                if error > TOLERANCE {
                    problems.push(format!("{case}, strength {strength}: {key} is off by {error}"));
                }
            }
        }
    }
    assert_eq!(problems, [""; 0]);
    assert_eq!(compared, 40);
}
