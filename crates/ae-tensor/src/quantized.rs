//! Weights in eight bits: whole numbers from -127 to 127, and for each output of the layer the scale that they are multiplied by.
//!
//! They are quantised tensors of burn, so that a parameter holds them as it holds any other, and whoever asks burn for their numbers gets
//! them. A scale of burn's is that of a block of at most 255 elements a side, and is repeated as often as an output has blocks.

#[cfg(feature = "cpu")]
use burn::backend::{
    BackendTensor, DispatchKindConversion, DispatchTensor, Flex,
    tensor::{FloatTensor, QuantizedTensor},
};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::quantization::{QuantScheme, QuantStore, QuantValue, ScaleDtype};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::module_path::ModulePath;

/// The largest whole number.
const LARGEST: f32 = 127.0;

/// Quantises the weights of linear layers and convolutions that [`load_weights`](crate::load_weights) quantises and that are not yet, such as
/// those that a LoRA was merged into.
pub fn quantize_weights<M: Module>(module: &mut M) {
    *module = module.clone().map(&mut Quantizer::default());
}

#[derive(Default)]
struct Quantizer {
    path: ModulePath,
}

impl ModuleMapper for Quantizer {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.path.is_quantized(&param.lazy_shape()) {
            return param;
        }
        param.map(|weight| {
            if weight.dtype().is_float() {
                quantize(&weight.clone().cast(DType::F32).into_data(), &weight.device())
            } else {
                weight
            }
        })
    }
}

/// The weights of a layer of single precision, in eight bits: of a linear layer `[inputs, outputs]`, of a convolution
/// `[outputs, inputs, rows, columns]`.
pub(crate) fn quantize<const D: usize>(weights: &TensorData, device: &Device) -> Tensor<D> {
    let shape: [usize; D] = weights.shape().dims();
    let values = weights.as_slice::<f32>().expect("single precision");
    let (outputs, is_linear) = (outputs(shape), D == 2);
    let (numbers, scales) = if is_linear { by_columns(values, outputs) } else { by_rows(values, outputs) };

    let mut block = shape.map(|side| (1..=side.min(255)).rev().find(|part| side % part == 0).unwrap_or(1) as u8);
    block[usize::from(is_linear)] = 1;
    let blocks: usize = shape.iter().zip(block).map(|(side, part)| side / usize::from(part)).product();
    let repeated = blocks / outputs;
    let scales = if is_linear {
        scales.repeat(repeated)
    } else {
        scales.iter().flat_map(|scale| std::iter::repeat_n(*scale, repeated)).collect()
    };
    let scheme = QuantScheme::default().with_value(QuantValue::Q8S).with_store(QuantStore::Native);
    tensor(numbers, shape, scheme.per_block(block, ScaleDtype::F32), scales, device)
}

/// A tensor of the numbers where they are. `TensorData::quantized` would take memory of twice the size for a time, and leave holes.
#[cfg(feature = "cpu")]
fn tensor<const D: usize>(
    numbers: Vec<i8>,
    shape: [usize; D],
    scheme: QuantScheme,
    scales: Vec<f32>,
    _: &Device,
) -> Tensor<D> {
    let numbers = FloatTensor::<Flex>::from_data(TensorData::new(numbers, shape));
    let quantized = QuantizedTensor::<Flex>::new(numbers, scheme, scales, None);
    let on_cpu: BackendTensor<Flex> = BackendTensor::Quantized(quantized);
    Tensor::from_dispatch(DispatchTensor::from_backend(on_cpu))
}

#[cfg(not(feature = "cpu"))]
fn tensor<const D: usize>(
    numbers: Vec<i8>,
    shape: [usize; D],
    scheme: QuantScheme,
    scales: Vec<f32>,
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::quantized(numbers, shape, scheme, &scales, None), device)
}

/// The scales of the outputs of a layer, from those of all blocks of its weights.
#[cfg(feature = "cpu")]
pub(crate) fn scales<const D: usize>(of_blocks: &[f32], shape: [usize; D]) -> Vec<f32> {
    let outputs = outputs(shape);
    let step = if D == 2 { 1 } else { of_blocks.len() / outputs };
    of_blocks.iter().step_by(step).take(outputs).copied().collect()
}

/// The outputs of a layer by the shape of its weights.
fn outputs<const D: usize>(shape: [usize; D]) -> usize {
    if D == 2 { shape[1] } else { shape[0] }
}

/// The numbers that quantised weights stand for; others as they are.
pub(crate) fn floats<const D: usize>(weights: Tensor<D>) -> Tensor<D> {
    if weights.dtype().is_float() { weights } else { weights.dequantize() }
}

/// The whole numbers of `[inputs, outputs]`, and the scales.
fn by_columns(values: &[f32], outputs: usize) -> (Vec<i8>, Vec<f32>) {
    let mut scales = vec![0.0_f32; outputs];
    for row in values.chunks_exact(outputs) {
        scales.iter_mut().zip(row).for_each(|(largest, value)| *largest = largest.max(value.abs()));
    }
    for largest in &mut scales {
        *largest /= LARGEST;
    }
    let mut numbers = Vec::with_capacity(values.len());
    for row in values.chunks_exact(outputs) {
        numbers.extend(row.iter().zip(&scales).map(|(value, scale)| number(*value, *scale)));
    }
    (numbers, scales)
}

/// The whole numbers of `[outputs, ..]`, and the scales.
fn by_rows(values: &[f32], outputs: usize) -> (Vec<i8>, Vec<f32>) {
    let (mut numbers, mut scales) = (Vec::with_capacity(values.len()), Vec::with_capacity(outputs));
    for row in values.chunks_exact(values.len() / outputs) {
        let scale = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())) / LARGEST;
        numbers.extend(row.iter().map(|value| number(*value, scale)));
        scales.push(scale);
    }
    (numbers, scales)
}

/// The whole number nearest to a weight by its scale, of two as near the even one: divisions and roundings of IEEE 754, which are the same on
/// every machine.
fn number(value: f32, scale: f32) -> i8 {
    /// Numbers of this size are whole: a sum with it is rounded, and its lowest bits are the number.
    const WHOLE: f32 = 12_582_912.0;
    // Weights so small that there is no scale for them are zero.
    let quotient = if scale == 0.0 { 0.0 } else { value / scale };
    (quotient.clamp(-LARGEST, LARGEST) + WHOLE).to_bits() as i8
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};

    use super::*;
    use crate::nn::{Conv2d, linear};
    use crate::{Checkpoint, FloatType, KeyRules, checkpoint_of, load_weights};

    #[derive(Module, Debug)]
    struct Model {
        /// Sides that no block of 255 divides.
        proj: Linear,
        conv: Conv2d,
        point: Conv2d,
        from_latents: Conv2d,
        tokens: Embedding,
    }

    fn model() -> Model {
        let device = Device::flex();
        Model {
            proj: LinearConfig::new(514, 19).init(&device),
            conv: Conv2d::new_3x3(22, 17, &device),
            point: Conv2d::new_1x1(257, 16, &device),
            from_latents: Conv2d::new_3x3(4, 32, &device),
            tokens: EmbeddingConfig::new(40, 20).init(&device),
        }
    }

    fn loaded(checkpoint: &Checkpoint, dtype: FloatType) -> Model {
        let mut loaded = model();
        load_weights(&mut loaded, checkpoint, &KeyRules::default(), dtype).unwrap();
        loaded
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, burn::tensor::Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
        tensor.into_data().iter::<f32>().map(f32::to_bits).collect()
    }

    /// An output, and the gradient of its sum with other weights than one by the input.
    fn both_ways<const I: usize, const O: usize>(
        input: &Tensor<I>,
        layer: impl Fn(Tensor<I>) -> Tensor<O>,
    ) -> [Vec<u32>; 2] {
        let input = input.clone().autodiff().require_grad();
        let output = layer(input.clone());
        let count = i64::try_from(output.shape().num_elements()).unwrap();
        let weights = Tensor::<1, burn::tensor::Int>::arange(0..count, &Device::flex()).float().sin();
        let mut gradients = (output.clone() * weights.reshape(output.shape())).sum().backward();
        [bits(output.inner()), bits(input.grad_remove(&mut gradients).unwrap())]
    }

    #[test]
    fn a_number_is_the_quotient_rounded_to_even() {
        for scale in [1.0_f32, 0.037, 3.1e-5, 7.3e-39, 1e37] {
            for whole in -129..=129_i16 {
                for part in [-0.5, -0.499_99, -0.1, 0.0, 0.3, 0.5, 0.500_01] {
                    let value = scale * (f32::from(whole) + part);
                    let expected = (value / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
                    assert_eq!(number(value, scale), expected, "{value} by {scale}");
                }
            }
        }
        let ties = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5].map(|value| number(value, 1.0));
        assert_eq!(ties, [0, 2, 2, 0, -2, -2, 126]);
        assert_eq!([number(0.0, 0.0), number(-1e-45, 0.0), number(-0.0, 1.0)], [0; 3]);
    }

    /// `numpy.rint(w / s)` with `s = numpy.abs(w).max(axis=1, keepdims=True) / numpy.float32(127)`, in float32: the same on every machine.
    #[test]
    fn weights_are_quantised_as_in_numpy() {
        let weights =
            [0.1, -0.7, 0.33, 0.0, 1e-3, -2.5e-3, 7.77e-3, 5e-3, 0.0, 0.0, 0.0, 0.0, -123.0, 61.5, 60.9, 0.48];
        let numbers = [18, -127, 60, 0, 16, -41, 127, 82, 0, 0, 0, 0, -127, 64, 63, 0];
        let scales = [0x3bb4_9c6c_u32, 0x3880_4e5b, 0, 0x3f77_efe0];
        let (actual, found) = by_rows(&weights, 4);
        assert_eq!(
            (actual.as_slice(), found.iter().map(|scale| scale.to_bits()).collect()),
            (&numbers[..], scales.to_vec())
        );
        // The same matrix by its columns.
        let turned = |i: usize| i % 4 * 4 + i / 4;
        let (actual, again) = by_columns(&std::array::from_fn::<f32, 16, _>(|i| weights[turned(i)]), 4);
        assert_eq!((actual, again), ((0..16).map(|i| numbers[turned(i)]).collect(), found));
    }

    #[test]
    fn quantised_layers_compute_with_the_numbers_they_stand_for_both_ways() {
        type Layer = fn(&Model) -> &Conv2d;

        let quantized = loaded(&checkpoint_of(&model(), "random", "", FloatType::F32), FloatType::Q8);
        let widened = loaded(&checkpoint_of(&quantized, "widened", "", FloatType::F32), FloatType::F32);
        let dtypes = |model: &Model| [model.proj.weight.dtype(), model.conv.dtype(), model.tokens.weight.dtype()];
        assert!(matches!(dtypes(&quantized), [DType::QFloat(_), DType::F32, DType::F32]), "{:?}", dtypes(&quantized));
        let rows = random([1, 7, 514]);
        let [of_quantized, of_widened] =
            [&quantized, &widened].map(|model| both_ways(&rows, |rows| linear(&model.proj, rows, None)));
        assert!(of_quantized == of_widened);
        // Pixels for Winograd's algorithm, and too few for it.
        let layers: [(Layer, usize); 3] =
            [(|model| &model.conv, 22), (|model| &model.point, 257), (|model| &model.from_latents, 4)];
        for (size, (layer, channels)) in [12, 1].into_iter().flat_map(|size| layers.map(|layer| (size, layer))) {
            let picture = random([1, size, size, channels]);
            let [of_quantized, of_widened] =
                [&quantized, &widened].map(|model| both_ways(&picture, |picture| layer(model).forward(picture)));
            assert!(of_quantized == of_widened, "{channels} channels, {size} pixels a side");
        }
    }

    /// Half a 127th of the largest weight of an output, and no more; what is not quantised is as it was.
    #[test]
    fn what_is_quantised_is_near_and_the_rest_the_same() {
        let before = model();
        for dtype in [FloatType::F32, FloatType::F16, FloatType::BF16] {
            let file = checkpoint_of(&before, "random", "", dtype);
            let single = checkpoint_of(&loaded(&file, FloatType::F32), "single", "", FloatType::F32);
            let quantized = loaded(&file, FloatType::Q8);
            let found = checkpoint_of(&quantized, "quantised", "", FloatType::F32);
            for (key, tensor) in single.tensors() {
                let (expected, actual) = (tensor.to_f32().unwrap(), found.get(key).unwrap().to_f32().unwrap());
                let is_quantized = ["proj.weight", "conv.weight", "point.weight"].contains(&key.as_str());
                assert_eq!(expected != actual, is_quantized, "{key}");
                let size = expected.len() / tensor.shape()[0];
                for (expected, actual) in expected.chunks(size).zip(actual.chunks(size)) {
                    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                    let is_near = |(one, other): (&f32, &f32)| (one - other).abs() <= 0.500_1 / 127.0 * largest;
                    assert!(expected.iter().zip(actual).all(is_near), "{key}");
                }
            }
            // Quantised later they are the same.
            let mut later = loaded(&file, FloatType::F32);
            quantize_weights(&mut later);
            quantize_weights(&mut later);
            assert_eq!(bits(floats(later.proj.weight.val())), bits(floats(quantized.proj.weight.val())));
            let picture = random([1, 5, 5, 22]);
            assert_eq!(bits(later.conv.forward(picture.clone())), bits(quantized.conv.forward(picture)));
        }
    }
}
