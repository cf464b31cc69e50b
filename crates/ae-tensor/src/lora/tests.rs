//! Expected values are numpy's, of these:
//!
//! ```python
//! def p(seed, *shape):
//!     return (((np.arange(np.prod(shape)) * 7 + seed * 13) % 11) / 4 - 1.25).reshape(shape)
//! W, C, s = p(1, 6, 4), p(2, 4, 2, 1, 2), 0.5  # linear weight, convolution, strength
//! def core(t, a, b): return np.einsum("ijkl,jr,ip->prkl", t, b, a)
//! ```

#![expect(clippy::unreadable_literal, clippy::approx_constant, reason = "numbers as numpy prints them")]

use ae_checkpoint::{Checkpoint, Lora};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{DType, Device, TensorData};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;

#[derive(Module, Debug)]
struct Model {
    proj: Linear,
    conv: Conv2d,
    norm: LayerNorm,
}

/// `p(seed, n)`
fn pattern(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7 + seed * 13) % 11) as f32 / 4.0 - 1.25).collect()
}

fn param<const D: usize>(seed: usize, shape: [usize; D]) -> Param<Tensor<D>> {
    let values = pattern(seed, shape.iter().product());
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), &Device::flex()))
}

fn model() -> Model {
    let device = Device::flex();
    let mut proj = LinearConfig::new(4, 6).init(&device);
    proj.weight = param(1, [6, 4]).map(Tensor::transpose);
    proj.bias = Some(param(9, [6]));
    let mut conv = Conv2dConfig::new([2, 4], [1, 2]).with_bias(false).init(&device);
    conv.weight = param(2, [4, 2, 1, 2]);
    let mut norm = LayerNormConfig::new(4).init(&device);
    norm.gamma = param(10, [4]);
    norm.beta = Some(param(11, [4]));
    Model { proj, conv, norm }
}

/// Names, shapes, and values: a pattern plus a number.
type Stored<'a> = &'a [(&'a str, &'a [usize], usize, f32)];

fn layers(tensors: Stored<'_>) -> Vec<LoraLayer> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape, seed, plus)| {
            let values = pattern(*seed, shape.iter().product());
            values.iter().flat_map(|value| (value + plus).to_le_bytes()).collect()
        })
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((key, shape, ..), bytes)| (*key, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    let file = safetensors::serialize(views, None).unwrap();
    Lora::read(&Checkpoint::from_bytes("x", file.into()).unwrap()).unwrap().layers
}

fn merged(tensors: Stored<'_>) -> Model {
    let mut model = model();
    apply_lora(&mut model, layers(tensors), 0.5, FloatType::F32).unwrap();
    model
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as().unwrap()
}

#[track_caller]
fn assert_values(found: &[f32], expected: &[f32]) {
    let close = |(found, expected): (&f32, &f32)| (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(close), "{found:?}, expected {expected:?}");
}

/// As PyTorch has it: `[output, input]`.
#[track_caller]
fn assert_linear(tensors: Stored<'_>, expected: &[f32]) {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(end, shape, seed, plus)| (format!("lora_unet_proj.{end}"), *shape, *seed, *plus))
        .collect();
    let tensors: Vec<_> = tensors.iter().map(|(key, shape, seed, plus)| (key.as_str(), *shape, *seed, *plus)).collect();
    assert_values(&values(merged(&tensors).proj.weight.val().transpose()), expected);
}

#[track_caller]
fn assert_conv(tensors: Stored<'_>, expected: &[f32]) {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(end, shape, seed, plus)| (format!("lora_unet_conv.{end}"), *shape, *seed, *plus))
        .collect();
    let tensors: Vec<_> = tensors.iter().map(|(key, shape, seed, plus)| (key.as_str(), *shape, *seed, *plus)).collect();
    assert_values(&values(merged(&tensors).conv.weight.val()), expected);
}

/// An alpha of this value: `p(9, 1)` is 0.5.
const fn alpha(value: f32) -> (&'static str, &'static [usize], usize, f32) {
    ("alpha", &[], 9, value - 0.5)
}

/// ```python
/// W + s * (4 / 2) * (p(3, 6, 2) @ p(4, 2, 4))
/// p(9, 6) + s * (4 / 2) * p(7, 6)
/// ```
#[test]
fn lora_adds_the_product_of_its_factors() {
    let factors: Stored<'_> = &[("lora_up.weight", &[6, 2], 3, 0.0), ("lora_down.weight", &[2, 4], 4, 0.0), alpha(4.0)];
    let expected: &[f32] = &[
        -0.1875, 0.0, -0.5, -0.3125, 1.5, -0.5, -2.5, 1.0, -1.625, 2.4375, 1.6875, -1.8125, 1.4375, -1.5, -1.0, 1.5625,
        0.375, -2.0, -0.25, 0.125, 2.0625, 0.25, -2.25, 1.4375,
    ];
    assert_linear(factors, expected);
    // As factors of a 1x1 convolution.
    assert_linear(
        &[("lora_up.weight", &[6, 2, 1, 1], 3, 0.0), ("lora_down.weight", &[2, 4, 1, 1], 4, 0.0), alpha(4.0)],
        expected,
    );
    let bias = merged(&[
        ("unet.proj.lora_B.weight", &[6, 2], 3, 0.0),
        ("unet.proj.lora_A.weight", &[2, 4], 4, 0.0),
        ("unet.proj.lora_B.bias", &[6], 7, 0.0),
        ("unet.proj.alpha", &[], 9, 3.5),
    ]);
    assert_values(&values(bias.proj.bias.unwrap().val()), &[0.0, 0.75, 1.5, -0.5, 0.25, 1.0]);
}

/// ```python
/// C + s * np.einsum("oa,abhw,bi->oihw", p(3, 4, 2), p(5, 2, 2, 1, 2), p(4, 2, 2))
/// ```
#[test]
fn a_convolution_may_decompose_its_kernel() {
    assert_conv(
        &[
            ("lora_up.weight", &[4, 2, 1, 1], 3, 0.0),
            ("lora_mid.weight", &[2, 2, 1, 2], 5, 0.0),
            ("lora_down.weight", &[2, 2, 1, 1], 4, 0.0),
        ],
        &[
            0.335938, -1.21875, 0.273438, -0.492188, 2.1875, -0.28125, -1.09375, 1.21875, -1.28906, -0.632812, 1.23438,
            -0.421875, -0.898438, 0.90625, -0.648438, 1.11719,
        ],
    );
}

/// ```python
/// W + s * (3 / 2) * (p(3, 6, 2) @ p(4, 2, 4)) * (p(5, 6, 2) @ p(6, 2, 4))
/// C + s * ((p(3, 4, 2) @ p(4, 2, 4)) * (p(5, 4, 2) @ p(6, 2, 4))).reshape(4, 2, 1, 2)
/// t1, t2 = p(7, 2, 2, 1, 2), p(8, 2, 2, 1, 2)
/// C + s * (1 / 2) * core(t1, p(3, 2, 4), p(4, 2, 2)) * core(t2, p(5, 2, 4), p(6, 2, 2))
/// ```
#[test]
fn loha_multiplies_two_products() {
    let w1 = [("hada_w1_a", &[6, 2][..], 3, 0.0), ("hada_w1_b", &[2, 4], 4, 0.0)];
    let w2 = [("hada_w2_a", &[6, 2][..], 5, 0.0), ("hada_w2_b", &[2, 4], 6, 0.0)];
    assert_linear(
        &[w1[0], w1[1], w2[0], w2[1], alpha(3.0)],
        &[
            -1.22461, 0.390625, 0.0, -1.77344, 1.45312, -0.0507812, -2.59766, 0.945312, -0.078125, 1.69531, -1.09766,
            -0.550781, 0.712891, -0.773438, -1.0, 0.140625, 0.453125, -0.582031, -0.0273438, 0.291016, 1.93555, 0.25,
            -2.64844, 1.30762,
        ],
    );
    assert_conv(
        &[
            ("hada_w1_a", &[4, 2], 3, 0.0),
            ("hada_w1_b", &[2, 4], 4, 0.0),
            ("hada_w2_a", &[4, 2], 5, 0.0),
            ("hada_w2_b", &[2, 4], 6, 0.0),
        ],
        &[
            -0.566406, -1.65625, 0.5, -1.01562, 1.71875, 0.382812, -1.64844, 1.29688, 0.28125, -0.703125, -0.148438,
            -0.117188, -1.44141, -0.015625, -0.5, 0.84375,
        ],
    );
    assert_conv(
        &[
            ("hada_t1", &[2, 2, 1, 2], 7, 0.0),
            ("hada_w1_a", &[2, 4], 3, 0.0),
            ("hada_w1_b", &[2, 2], 4, 0.0),
            ("hada_t2", &[2, 2, 1, 2], 8, 0.0),
            ("hada_w2_a", &[2, 4], 5, 0.0),
            ("hada_w2_b", &[2, 2], 6, 0.0),
            alpha(1.0),
        ],
        &[
            -0.122742, -0.783081, 0.261963, -0.425232, 0.533508, -0.318542, -0.764648, 1.21478, -0.3479, -1.74158,
            0.80127, -0.140137, -0.917969, 0.870789, -0.701416, 1.26648,
        ],
    );
}

/// ```python
/// W + s * np.kron(p(3, 2, 2), p(4, 3, 2))
/// W + s * (2 / 1) * np.kron(p(3, 2, 1) @ p(4, 1, 2), p(5, 3, 1) @ p(6, 1, 2))
/// C + s * np.kron(p(3, 2, 2)[:, :, None, None], p(4, 2, 1, 1, 2))
/// C + s * (1 / 2) * np.kron(p(3, 2, 2)[:, :, None, None], core(p(4, 2, 2, 1, 2), p(5, 2, 2), p(6, 2, 1)))
/// ```
#[test]
fn lokr_is_a_kronecker_product() {
    // Of whole matrices alpha means nothing.
    assert_linear(
        &[("lokr_w1", &[2, 2], 3, 0.0), ("lokr_w2", &[3, 2], 4, 0.0), alpha(7.0)],
        &[
            -0.65625, 0.96875, -0.28125, -0.90625, 0.59375, -0.1875, -0.78125, 0.3125, -0.5625, 1.40625, 0.4375,
            -1.21875, 1.375, -0.125, -1.0, 0.75, -0.875, -1.0, 0.5, -0.5, 1.0, 0.875, -0.75, 1.0,
        ],
    );
    assert_linear(
        &[
            ("lokr_w1_a", &[2, 1], 3, 0.0),
            ("lokr_w1_b", &[1, 2], 4, 0.0),
            ("lokr_w2_a", &[3, 1], 5, 0.0),
            ("lokr_w2_b", &[1, 2], 6, 0.0),
            alpha(2.0),
        ],
        &[
            -0.984375, 1.17578, 0.078125, -1.05859, 0.703125, -0.214844, -1.23438, 0.488281, -0.359375, 1.14453,
            0.203125, -0.714844, 1.70312, -0.527344, -1.23438, 0.925781, -0.109375, -1.35547, 0.453125, -0.464844,
            0.828125, 0.566406, -0.609375, 0.894531,
        ],
    );
    assert_conv(
        &[("lokr_w1", &[2, 2], 3, 0.0), ("lokr_w2", &[2, 1, 1, 2], 4, 0.0)],
        &[
            -0.15625, -1.28125, 0.21875, -0.40625, 1.09375, 0.3125, -0.28125, 0.8125, 0.375, -1.125, 0.75, -0.25,
            -1.875, 0.75, -0.5, 1.25,
        ],
    );
    assert_conv(
        &[
            ("lokr_w1", &[2, 2], 3, 0.0),
            ("lokr_t2", &[2, 2, 1, 2], 4, 0.0),
            ("lokr_w2_a", &[2, 2], 5, 0.0),
            ("lokr_w2_b", &[2, 1], 6, 0.0),
            alpha(1.0),
        ],
        &[
            -0.414062, -1.11621, 0.992188, -0.901367, 1.2666, 0.146484, -0.799805, 1.31055, -0.65625, -0.464844, 0.75,
            -0.25, -1.18359, 0.0859375, -0.5, 1.25,
        ],
    );
}

/// ```python
/// V = W + s * (4 / 2) * (p(3, 6, 2) @ p(4, 2, 4))
/// (p(5, 6, 1) + 2) * V / np.linalg.norm(V, axis=1, keepdims=True)
/// (p(5, 1, 4) + 2) * V / np.linalg.norm(V, axis=0, keepdims=True)
/// ```
#[test]
fn dora_sets_the_norms_of_a_linear_weight() {
    let factors = [("lora_up.weight", &[6, 2][..], 3, 0.0), ("lora_down.weight", &[2, 4], 4, 0.0), alpha(4.0)];
    let expected: &[f32] = &[
        -0.984899, 0.0, -2.6264, -1.6415, 1.08087, -0.360288, -1.80144, 0.720577, -0.529524, 0.794286, 0.54989,
        -0.590623, 1.54832, -1.61563, -1.07709, 1.68295, 0.365148, -1.94746, -0.243432, 0.121716, 0.609649, 0.0738969,
        -0.665072, 0.424907,
    ];
    for magnitude in [
        ("dora_scale", &[6, 1][..]),
        ("dora_scale", &[6]),
        ("lora_magnitude_vector", &[6]),
        ("lora_magnitude_vector.weight", &[6]),
    ] {
        assert_linear(&[factors[0], factors[1], factors[2], (magnitude.0, magnitude.1, 5, 2.0)], expected);
    }
    assert_linear(
        &[factors[0], factors[1], factors[2], ("dora_scale", &[1, 4], 5, 2.0)],
        &[
            -0.180587, 0.0, -0.15889, -0.31414, 1.44469, -0.318148, -0.794452, 1.00525, -1.56508, 1.55097, 0.536255,
            -1.82201, 1.3845, -0.954445, -0.317781, 1.5707, 0.361173, -1.27259, -0.0794452, 0.125656, 1.98645,
            0.159074, -0.715007, 1.44505,
        ],
    );
}

/// ```python
/// V = C + s * np.einsum("or,rihw->oihw", p(3, 4, 1), p(4, 1, 2, 1, 2))
/// (p(5, 4, 1, 1, 1) + 2) * V / np.sqrt((V**2).sum((1, 2, 3), keepdims=True))
/// (p(6, 1, 2, 1, 1) + 2) * V / np.sqrt((V**2).sum((0, 2, 3), keepdims=True))
/// V = W + s * np.kron(p(3, 2, 2), p(4, 3, 2)); (p(5, 6, 1) + 2) * V / np.linalg.norm(V, axis=1, keepdims=True)
/// ```
#[test]
fn dora_sets_the_norms_of_convolutions_and_of_other_updates() {
    let factors = [("lora_up.weight", &[4, 1, 1, 1][..], 3, 0.0), ("lora_down.weight", &[1, 2, 1, 2], 4, 0.0)];
    let expected: &[f32] = &[
        -0.36129, -2.96257, 0.794837, -1.01161, 1.6265, 0.577144, -0.472209, 1.36416, 0.393107, -1.17932, 0.131036,
        0.0, -1.9696, 0.787839, -0.787839, 1.9696,
    ];
    for magnitude in [("dora_scale", [4, 1, 1, 1]), ("lora_magnitude_vector", [1, 4, 1, 1])] {
        assert_conv(&[factors[0], factors[1], (magnitude.0, &magnitude.1, 5, 2.0)], expected);
    }
    assert_conv(
        &[factors[0], factors[1], ("dora_scale", &[1, 2, 1, 1], 6, 2.0)],
        &[
            -0.0641026, -0.525641, 0.557326, -0.709324, 0.397436, 0.141026, -0.455994, 1.31732, 0.153846, -0.461538,
            0.202664, 0.0, -0.512821, 0.205128, -0.810655, 2.02664,
        ],
    );
    assert_linear(
        &[("lokr_w1", &[2, 2], 3, 0.0), ("lokr_w2", &[3, 2], 4, 0.0), ("dora_scale", &[6, 1], 5, 2.0)],
        &[
            -1.41574, 2.08991, -0.606747, -1.95507, 1.27626, -0.40303, -1.67929, 0.671717, -0.352857, 0.882143,
            0.274444, -0.764524, 2.21481, -0.201347, -1.61077, 1.20808, -1.16264, -1.32873, 0.664364, -0.664364,
            0.548151, 0.479632, -0.411113, 0.548151,
        ],
    );
}

/// ```python
/// W + s * p(4, 6, 4), p(9, 6) + s * p(3, 6), C + s * p(4, 4, 2, 1, 2), p(10, 4) + s * p(3, 4), p(11, 4) + s * p(4, 4)
/// ```
#[test]
fn differences_are_added_to_every_parameter() {
    let model = merged(&[
        ("lora_unet_proj.diff", &[6, 4], 4, 0.0),
        ("lora_unet_proj.diff_b", &[6], 3, 0.0),
        ("lora_unet_proj.alpha", &[], 9, 3.5),
        ("lora_unet_conv.diff", &[4, 2, 1, 2], 4, 0.0),
        ("lora_unet_norm.w_norm", &[4], 3, 0.0),
        ("lora_unet_norm.b_norm", &[4], 4, 0.0),
    ]);
    assert_values(
        &values(model.proj.weight.val().transpose()),
        &[
            -0.375, 0.875, -0.625, -0.75, 0.5, 0.375, -1.125, 0.125, 0.0, 1.25, -0.25, -0.375, 0.875, -0.625, -0.75,
            0.5, 0.375, -1.125, 0.125, 0.0, 1.25, -0.25, -0.375, 0.875,
        ],
    );
    assert_values(&values(model.proj.bias.unwrap().val()), &[0.625, -0.875, 1.75, 0.25, -1.25, 1.375]);
    assert_values(
        &values(model.conv.weight.val()),
        &[0.125, -1.375, -0.125, -0.25, 1.0, 0.875, -0.625, 0.625, 0.5, -1.0, 0.25, 0.125, -1.375, -0.125, -0.25, 1.0],
    );
    assert_values(&values(model.norm.gamma.val()), &[1.125, -0.375, -0.5, 0.75]);
    assert_values(&values(model.norm.beta.unwrap().val()), &[-0.875, 0.375, -1.125, 1.5]);
}

/// Two names of one module in a file: the second must not take the place of the first.
#[test]
fn updates_of_one_parameter_add_up() {
    let once = layers(&[("lora_unet_proj.diff", &[6, 4], 4, 0.0)]);
    let both = layers(&[("lora_unet_proj.diff", &[6, 4], 4, 0.0), ("unet.proj.diff", &[6, 4], 4, 0.0)]);
    let (mut one, mut two) = (model(), model());
    apply_lora(&mut one, once, 1.0, FloatType::F32).unwrap();
    apply_lora(&mut two, both, 0.5, FloatType::F32).unwrap();
    assert_values(&values(two.proj.weight.val()), &values(one.proj.weight.val()));
}

#[derive(Module, Debug)]
struct Block {
    resnets: Vec<Projection>,
    attentions: Vec<Projection>,
}

#[derive(Module, Debug)]
struct Projection {
    proj_in: Linear,
}

#[derive(Module, Debug)]
struct Blocks {
    down_blocks: Vec<Block>,
}

/// The original layout counts layers through the blocks, so that their names depend on the model.
#[test]
fn modules_of_the_original_layout_are_found_in_models_of_any_depth() {
    let projection = || Projection { proj_in: LinearConfig::new(4, 6).init(&Device::flex()) };
    for (layers_per_block, name) in [(1, "input_blocks_3_1_proj_in"), (2, "input_blocks_4_1_proj_in")] {
        let block = || Block {
            resnets: (0..layers_per_block).map(|_| projection()).collect(),
            attentions: (0..layers_per_block).map(|_| projection()).collect(),
        };
        let before = Blocks { down_blocks: vec![block(), block()] };
        let mut after = before.clone();
        let key = format!("lora_unet_{name}.diff");
        apply_lora(&mut after, layers(&[(&key, &[6, 4], 4, 0.0)]), 1.0, FloatType::F32).unwrap();
        let weight = |model: &Blocks, block: usize| model.down_blocks[block].attentions[0].proj_in.weight.val();
        assert_values(&values((weight(&after, 1) - weight(&before, 1)).transpose()), &pattern(4, 24));
        assert_values(&values(weight(&after, 0)), &values(weight(&before, 0)));
    }
}

/// The model's parameters as a file has them.
fn base() -> Checkpoint {
    let seeds: [(&str, &[usize], usize); 5] = [
        ("proj.weight", &[6, 4], 1),
        ("proj.bias", &[6], 9),
        ("conv.weight", &[4, 2, 1, 2], 2),
        ("norm.weight", &[4], 10),
        ("norm.bias", &[4], 11),
    ];
    let bytes = seeds.map(|(_, shape, seed)| -> Vec<u8> {
        // No numbers that a type of half the size has exactly.
        pattern(seed, shape.iter().product()).iter().flat_map(|value| (value / 3.0).to_le_bytes()).collect()
    });
    let views = seeds
        .iter()
        .zip(&bytes)
        .map(|((key, shape, _), bytes)| (*key, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    Checkpoint::from_bytes("base", safetensors::serialize(views, None).unwrap().into()).unwrap()
}

fn all_values(model: &Model) -> [Vec<f32>; 5] {
    [
        values(model.proj.weight.val()),
        values(model.proj.bias.as_ref().unwrap().val()),
        values(model.conv.weight.val()),
        values(model.norm.gamma.val()),
        values(model.norm.beta.as_ref().unwrap().val()),
    ]
}

/// Bit by bit, whatever was merged before, in every type.
#[test]
fn a_changed_adapter_is_as_after_a_fresh_load() {
    use crate::{FloatType, KeyRules, load_weights, restore_weights};
    let (base, rules) = (base(), KeyRules::default());
    let adapters = [
        layers(&[("lora_unet_proj.diff", &[6, 4], 4, 0.1), ("lora_unet_norm.w_norm", &[4], 3, 0.1)]),
        layers(&[("lora_unet_conv.lokr_w1", &[2, 2], 3, 0.1), ("lora_unet_conv.lokr_w2", &[2, 1, 1, 2], 4, 0.1)]),
        layers(&[("lora_unet_proj.diff", &[6, 4], 5, 0.1), ("lora_unet_proj.dora_scale", &[6, 1], 5, 2.0)]),
        layers(&[("lora_unet_proj.diff_b", &[6], 5, 0.1), ("lora_unet_norm.b_norm", &[4], 5, 0.1)]),
    ];
    for dtype in [FloatType::F32, FloatType::F16, FloatType::BF16] {
        let fresh = || {
            let mut model = model();
            load_weights(&mut model, &base, &rules, dtype).unwrap();
            model
        };
        let unchanged = all_values(&fresh());
        let mut changing = fresh();
        for adapter in &adapters {
            let mut expected = fresh();
            apply_lora(&mut expected, adapter.clone(), 0.7, FloatType::F32).unwrap();
            apply_lora(&mut changing, adapter.clone(), 0.7, FloatType::F32).unwrap();
            assert_eq!(all_values(&changing), all_values(&expected));
            assert_ne!(all_values(&changing), unchanged);
            let names = lora_places(&changing, adapter);
            restore_weights(&mut changing, &base, &rules, dtype, &names).unwrap();
            assert_eq!(all_values(&changing), unchanged);
        }
    }
}

#[test]
fn a_merged_weight_is_kept_in_the_type_asked_for() {
    let merged = |dtype| {
        let mut model = model();
        model.proj.weight = model.proj.weight.map(|weight| weight.cast(DType::F16));
        apply_lora(&mut model, layers(&[("lora_unet_proj.diff", &[6, 4], 4, 0.0)]), 0.3, dtype).unwrap();
        model.proj.weight.val()
    };
    let [half, single] = [FloatType::F16, FloatType::F32].map(merged);
    assert_eq!([half.dtype(), single.dtype()], [DType::F16, DType::F32]);
    // Rounded once.
    assert_ne!(half.clone().cast(DType::F32).into_data(), single.clone().into_data());
    assert_eq!(half.into_data(), single.cast(DType::F16).into_data());
}

#[test]
fn an_adapter_of_another_model_is_refused() {
    let refusal =
        |tensors: Stored<'_>| apply_lora(&mut model(), layers(tensors), 1.0, FloatType::F32).unwrap_err().to_string();
    let error = refusal(&[
        ("lora_unet_other.lora_down.weight", &[1, 4], 1, 0.0),
        ("lora_unet_other.lora_up.weight", &[6, 1], 1, 0.0),
    ]);
    assert!(error.starts_with("1 layer(s) have no place in the model (other)"), "{error}");
    let error = refusal(&[("lora_unet_conv.diff_b", &[4], 1, 0.0)]);
    assert!(error.starts_with("1 layer(s) have no place in the model (conv_bias)"), "{error}");

    let error = refusal(&[
        ("lora_unet_proj.lora_down.weight", &[1, 5], 1, 0.0),
        ("lora_unet_proj.lora_up.weight", &[6, 1], 1, 0.0),
    ]);
    assert!(error.contains("proj (expected [6, 4], found [6, 5])"), "{error}");
    // Both sides turned: the number of elements is right.
    let error = refusal(&[("lora_unet_proj.diff", &[4, 6], 1, 0.0)]);
    assert!(error.contains("proj (expected [6, 4], found [4, 6])"), "{error}");
    let error = refusal(&[("lora_unet_proj.lokr_w1", &[3, 2], 1, 0.0), ("lora_unet_proj.lokr_w2", &[3, 2], 1, 0.0)]);
    assert!(error.contains("proj (expected [6, 4], found [9, 4])"), "{error}");
    let error = refusal(&[("lora_unet_proj.diff", &[6, 4], 1, 0.0), ("lora_unet_proj.dora_scale", &[5, 1], 1, 0.0)]);
    assert!(error.contains("proj (expected [6], found [5])"), "{error}");

    let error = refusal(&[("lora_unet_norm.w_norm", &[4], 1, f32::NAN)]);
    assert!(error.contains("not finite"), "{error}");
}
