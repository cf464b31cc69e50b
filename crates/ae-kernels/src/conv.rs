use std::borrow::Cow;
use std::sync::OnceLock;

use crate::filter::Filter;
use crate::linear::{WeightOrder, product, product_in_place};
use crate::multiply::{Added, Left, multiply};
use crate::panel::Cut;
use crate::parallel::for_rows;
use crate::profile::{Kernel, counted};
use crate::scratch::Scratch;
use crate::source::{Rows, Source};
use crate::winograd;
use crate::{Pictures, Weights};

/// A two-dimensional convolution, or the gradient of one by its input.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<'a> {
    /// `[outputs, inputs, rows, columns]`, as torch and burn keep them.
    pub weight: Weights<'a>,
    /// Channels of the output.
    pub outputs: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Pixels from one patch to the next.
    pub stride: usize,
    /// Pixels of zeros around the picture: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Where to keep the weights in the form that Winograd's algorithm takes.
    pub prepared: Option<&'a PreparedWeights>,
}

/// The weights of one convolution in the form that Winograd's algorithm takes, four times as large, for each direction in
/// which it was computed.
///
/// It is worth its memory where a small convolution is computed often: to bring the weights into that form takes as long as a
/// few hundred pixels. Give it to no convolution with other weights.
#[derive(Debug, Default)]
pub struct PreparedWeights {
    forward: OnceLock<Vec<f32>>,
    backward: OnceLock<Vec<f32>>,
}

/// Pixels of a picture from which on Winograd's algorithm is faster, the transformation of the weights included, of one picture or two;
/// a batch sums as its pictures alone do...
const WINOGRAD_PIXELS: usize = 128;
/// ... and where that is prepared.
const PREPARED_PIXELS: usize = 32;
/// Channels below which the transformations cost more than they save.
const WINOGRAD_CHANNELS: usize = 16;

impl Conv2d<'_> {
    /// The size of the output.
    pub fn output(&self, input: Pictures) -> Pictures {
        let [top, left, bottom, right] = self.padding;
        let side = |side: usize, padding: usize, kernel: usize| (side + padding - kernel) / self.stride + 1;
        Pictures {
            batch: input.batch,
            rows: side(input.rows, top + bottom, self.kernel[0]),
            columns: side(input.columns, left + right, self.kernel[1]),
        }
    }

    /// The convolution of `input`, plus a bias by channel and a residual by element.
    ///
    /// Kernels of 3x3 that keep the size of the picture take Winograd's minimal filtering (Lavin and Gray 2016), in
    /// patches of 4x4 and at points chosen for single precision: a quarter of the multiplications, and errors of the size
    /// of those of the plain sum (see `winograd.rs`).
    ///
    /// # Shapes
    /// - input: `[batch, rows, columns, inputs]`
    /// - bias: `[outputs]`
    /// - residual and output: `[batch, rows, columns, outputs]` of [`output`](Self::output)
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn forward(&self, input: &[f32], size: Pictures, bias: Option<&[f32]>, residual: Option<&[f32]>) -> Vec<f32> {
        self.forward_from(Source::Map(input), size, bias, residual.map(Cow::Borrowed))
    }

    /// As [`forward`](Self::forward), bit by bit, of a source of `size`. A residual that is owned may become the output.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn forward_from(
        &self,
        source: Source<'_>,
        size: Pictures,
        bias: Option<&[f32]>,
        residual: Option<Cow<'_, [f32]>>,
    ) -> Vec<f32> {
        self.check();
        let input = Rows::new(source, size, self.inputs);
        counted(Kernel::Convolution, self.operations(size), || match source {
            Source::Map(input) if self.is_product() => {
                product(input, self.weight, WeightOrder::OutputsFirst, self.outputs, bias, residual.as_deref())
            }
            _ => self.convolve(input, size, bias, residual),
        })
    }

    /// As [`forward`](Self::forward), bit by bit, of an input that nobody else needs: its memory may become that of the output.
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn forward_owned(&self, input: Vec<f32>, size: Pictures, bias: Option<&[f32]>) -> Vec<f32> {
        if !self.is_product() || self.outputs > self.inputs {
            return self.forward(&input, size, bias, None);
        }
        self.check();
        assert_eq!(input.len(), size.pixels() * self.inputs, "conv2d: {size:?} of {} channels", self.inputs);
        let multiply = || product_in_place(input, self.weight, WeightOrder::OutputsFirst, self.outputs, bias);
        counted(Kernel::Convolution, self.operations(size), multiply)
    }

    fn convolve(
        &self,
        input: Rows<'_>,
        size: Pictures,
        bias: Option<&[f32]>,
        residual: Option<Cow<'_, [f32]>>,
    ) -> Vec<f32> {
        let filter = Filter {
            weight: self.weight,
            inputs: self.inputs,
            outputs: self.outputs,
            kernel: self.kernel,
            is_gradient: false,
        };
        if self.keeps_size() && self.suits_winograd(size) {
            let prepared = self.prepared.map(|prepared| prepared.forward.get_or_init(|| winograd::transform(filter)));
            return winograd::convolve(input, size, filter, prepared.map(Vec::as_slice), bias, residual);
        }
        let added = Added { bias, residual: residual.as_deref() };
        direct(&input, size, self.output(size), filter, self.stride, self.padding, added)
    }

    /// The gradient of a loss by the input, from that by the output.
    ///
    /// # Shapes
    /// - gradient: `[batch, rows, columns, outputs]`
    /// - output: `[batch, rows, columns, inputs]` of `size`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together, or the padding is not that of a kernel that keeps the size.
    pub fn input_gradient(&self, gradient: &[f32], size: Pictures) -> Vec<f32> {
        let output = self.output(size);
        assert_eq!(gradient.len(), output.pixels() * self.outputs, "conv2d: gradient of {output:?}");
        counted(Kernel::Convolution, self.operations(size), || self.convolve_back(gradient, size))
    }

    fn convolve_back(&self, gradient: &[f32], size: Pictures) -> Vec<f32> {
        let output = self.output(size);
        if self.is_product() {
            return product(gradient, self.weight, WeightOrder::InputsFirst, self.inputs, None, None);
        }
        assert!(self.has_same_padding(), "conv2d: the gradient knows kernels with a pixel in their centre");
        let spread;
        let gradient = if self.stride == 1 {
            gradient
        } else {
            spread = spread_out(gradient, output, size, self.outputs, self.stride);
            &spread
        };
        let filter = Filter {
            weight: self.weight,
            inputs: self.outputs,
            outputs: self.inputs,
            kernel: self.kernel,
            is_gradient: true,
        };
        let gradient = Rows::new(Source::Map(gradient), size, self.outputs);
        if self.suits_winograd(size) {
            let prepared = self.prepared.map(|prepared| prepared.backward.get_or_init(|| winograd::transform(filter)));
            return winograd::convolve(gradient, size, filter, prepared.map(Vec::as_slice), None, None);
        }
        direct(&gradient, size, size, filter, 1, self.padding, Added::default())
    }

    /// Floating point operations of the plain sum, in either direction.
    fn operations(&self, size: Pictures) -> usize {
        2 * self.output(size).pixels() * self.weight.len()
    }

    fn has_same_padding(&self) -> bool {
        let [rows, columns] = self.kernel;
        rows % 2 == 1 && columns % 2 == 1 && self.padding == [rows / 2, columns / 2, rows / 2, columns / 2]
    }

    fn suits_winograd(&self, size: Pictures) -> bool {
        let pixels = if self.prepared.is_some() { PREPARED_PIXELS } else { WINOGRAD_PIXELS };
        self.kernel == [3, 3]
            && self.inputs.min(self.outputs) >= WINOGRAD_CHANNELS
            && size.rows * size.columns >= pixels
    }

    fn keeps_size(&self) -> bool {
        self.stride == 1 && self.has_same_padding()
    }

    /// Whether it is a matrix product of the input as it lies.
    fn is_product(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.padding == [0; 4]
    }

    fn check(&self) {
        let [rows, columns] = self.kernel;
        assert_eq!(self.weight.len(), self.outputs * self.inputs * rows * columns, "conv2d: size of the weights");
    }
}

/// As a matrix product, some rows of the output at a time: the patches of the padded input, which are never written out, times the
/// weights.
fn direct(
    input: &Rows<'_>,
    size: Pictures,
    output: Pictures,
    filter: Filter<'_>,
    stride: usize,
    padding: [usize; 4],
    added: Added<'_>,
) -> Vec<f32> {
    /// Elements of the padded input that exist at a time.
    const SOME: usize = 4 << 20;
    let [kernel_rows, kernel_columns] = filter.kernel;
    let (inputs, outputs) = (filter.inputs, filter.outputs);
    let [top, left, bottom, right] = padding;
    let line = (size.columns + left + right) * inputs;
    // The first row of the padded pictures that a row of the output takes.
    let place = |row: usize| row / output.rows * (size.rows + top + bottom) + row % output.rows * stride;
    // The columns of a patch lie one behind the other.
    let segments: Vec<usize> = (0..kernel_rows).map(|row| row * line).collect();
    let cut = Cut { columns: outputs };
    let pack = |index: usize, panel: &mut [f32]| {
        filter.pack(cut.start(index), cut.used(index), cut.width(index), panel);
    };
    let mut out = vec![0.0; output.pixels() * outputs];
    let width = output.columns * outputs;
    let most = (SOME / (stride * line).max(1)).max(1);
    for (band, out) in out.chunks_mut((most * width).max(1)).enumerate() {
        let rows = band * most..band * most + out.len() / width;
        let first = place(rows.start);
        let count = place(rows.end - 1) + kernel_rows - first;
        let padded = padded(input, size, inputs, padding, first, count);
        let patch = |(row, column)| (place(row) - first) * line + column * stride * inputs;
        let patches: Vec<usize> =
            rows.clone().flat_map(|row| (0..output.columns).map(move |column| (row, column))).map(patch).collect();
        let left = Left { values: &padded, rows: &patches, segments: &segments, depth: kernel_columns * inputs };
        let residual = added.residual.map(|residual| &residual[rows.start * width..][..out.len()]);
        multiply(left, cut, &pack, Added { residual, ..added }, out);
    }
    out
}

/// `count` rows from `first` on of the pictures with zeros around them.
fn padded(
    input: &Rows<'_>,
    size: Pictures,
    channels: usize,
    [top, left, bottom, right]: [usize; 4],
    first: usize,
    count: usize,
) -> Scratch {
    let line = (size.columns + left + right) * channels;
    let inside = left * channels..(left + size.columns) * channels;
    let mut out = Scratch::new(count * line);
    for_rows!(&mut out, line, |from, out| {
        for (index, out) in out.chunks_exact_mut(line).enumerate() {
            let row = first + from + index;
            let (batch, row) = (row / (size.rows + top + bottom), row % (size.rows + top + bottom));
            if (top..top + size.rows).contains(&row) {
                out[..inside.start].fill(0.0);
                input.copy(batch * size.rows + row - top, &mut out[inside.clone()]);
                out[inside.end..].fill(0.0);
            } else {
                out.fill(0.0);
            }
        }
    });
    out
}

/// Every pixel `stride` pixels from the next, with zeros between them.
fn spread_out(gradient: &[f32], from: Pictures, to: Pictures, channels: usize, stride: usize) -> Vec<f32> {
    let mut out = vec![0.0; to.pixels() * channels];
    for (pixel, values) in gradient.chunks_exact(channels).enumerate() {
        let (row, column) = (pixel / from.columns % from.rows, pixel % from.columns);
        let batch = pixel / (from.columns * from.rows);
        let at = ((batch * to.rows + row * stride) * to.columns + column * stride) * channels;
        out[at..at + channels].copy_from_slice(values);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, random, with_kept};

    fn definition(conv: &Conv2d<'_>, input: &[f32], size: Pictures) -> Vec<f32> {
        let output = conv.output(size);
        let weight = conv.weight.read(0, conv.weight.len(), &mut []);
        let mut out = Vec::new();
        for pixel in 0..output.pixels() {
            let (row, column) = (pixel / output.columns % output.rows, pixel % output.columns);
            let batch = pixel / (output.columns * output.rows);
            for channel in 0..conv.outputs {
                let mut sum = 0.0_f64;
                for (tap_row, tap_column) in (0..conv.kernel[0]).flat_map(|r| (0..conv.kernel[1]).map(move |c| (r, c)))
                {
                    let at = (row * conv.stride + tap_row).checked_sub(conv.padding[0]).filter(|row| *row < size.rows);
                    let beside =
                        (column * conv.stride + tap_column).checked_sub(conv.padding[1]).filter(|c| *c < size.columns);
                    let (Some(at), Some(beside)) = (at, beside) else { continue };
                    for k in 0..conv.inputs {
                        let value = input[((batch * size.rows + at) * size.columns + beside) * conv.inputs + k];
                        let tap =
                            ((channel * conv.inputs + k) * conv.kernel[0] + tap_row) * conv.kernel[1] + tap_column;
                        sum += f64::from(value) * f64::from(weight[tap]);
                    }
                }
                out.push(sum as f32);
            }
        }
        out
    }

    /// Inputs, outputs, kernel, stride, padding, rows, columns.
    type Case = (usize, usize, [usize; 2], usize, [usize; 4], usize, usize);

    /// Small ones are direct, larger ones Winograd's.
    const CASES: [Case; 10] = [
        (3, 5, [3, 3], 1, [1; 4], 6, 7),
        (4, 7, [1, 1], 1, [0; 4], 9, 4),
        (20, 40, [3, 3], 1, [1; 4], 13, 11),
        (33, 17, [3, 3], 1, [1; 4], 9, 18),
        (48, 100, [3, 3], 1, [1; 4], 16, 16),
        (16, 16, [3, 3], 1, [1; 4], 5, 30),
        (20, 18, [3, 3], 2, [1; 4], 13, 16),
        (6, 4, [3, 3], 2, [0, 0, 1, 1], 8, 10),
        (5, 6, [5, 3], 1, [2, 1, 2, 1], 7, 9),
        (320, 320, [3, 3], 1, [1; 4], 8, 8),
    ];

    fn with_cases(check: impl Fn(&Conv2d<'_>, Pictures)) {
        for (inputs, outputs, kernel, stride, padding, rows, columns) in CASES {
            let weight = random(outputs * inputs * kernel[0] * kernel[1], 7);
            let size = Pictures { batch: 2, rows, columns };
            let kept = PreparedWeights::default();
            for prepared in [None, Some(&kept), Some(&kept)] {
                check(&Conv2d { weight: (&*weight).into(), outputs, inputs, kernel, stride, padding, prepared }, size);
            }
        }
    }

    #[test]
    fn it_is_the_definition() {
        with_cases(|conv, size| {
            let input = random(size.pixels() * conv.inputs, 8);
            let (bias, residual) = (random(conv.outputs, 9), random(conv.output(size).pixels() * conv.outputs, 10));
            let mut expected = definition(conv, &input, size);
            for (i, value) in expected.iter_mut().enumerate() {
                *value += bias[i % conv.outputs] + residual[i];
            }
            assert_close(&conv.forward(&input, size, Some(&bias), Some(&residual)), &expected, 1e-5);
        });
    }

    #[test]
    fn an_input_that_is_owned_gives_the_same_bit_for_bit_in_its_memory_where_that_is_enough() {
        for (inputs, outputs, kernel) in [(64, 48, 1), (20, 20, 1), (5, 7, 1), (16, 16, 3)] {
            // More than are multiplied at a time, where the first has 64 inputs.
            let size = Pictures { batch: 2, rows: if inputs == 64 { 150 } else { 9 }, columns: 251 };
            let (weight, bias) = (random(outputs * inputs * kernel * kernel, 1), random(outputs, 2));
            let conv = Conv2d {
                weight: (&*weight).into(),
                outputs,
                inputs,
                kernel: [kernel; 2],
                stride: 1,
                padding: [kernel / 2; 4],
                prepared: None,
            };
            let input = random(size.pixels() * inputs, 3);
            let expected = conv.forward(&input, size, Some(&bias), None);
            let place = input.as_ptr();
            let output = conv.forward_owned(input, size, Some(&bias));
            assert!(output == expected, "{conv:?}");
            assert_eq!(output.capacity(), output.len());
            assert!(inputs != 20 || output.as_ptr() == place);
        }
    }

    #[test]
    fn weights_of_every_type_give_what_the_same_numbers_in_single_precision_give() {
        with_cases(|conv, size| {
            let Weights::F32(weight) = conv.weight else { panic!("single precision") };
            let input = random(size.pixels() * conv.inputs, 8);
            let gradient = random(conv.output(size).pixels() * conv.outputs, 12);
            with_kept(weight, conv.outputs, |kept, widened| {
                let [of_kept, of_widened] = [kept, widened.into()].map(|weight| {
                    // The prepared weights of the case are those of other numbers.
                    let prepared = PreparedWeights::default();
                    let conv = Conv2d { weight, prepared: conv.prepared.map(|_| &prepared), ..*conv };
                    let back = conv.has_same_padding().then(|| conv.input_gradient(&gradient, size));
                    (conv.forward(&input, size, None, None), back)
                });
                assert_eq!(of_kept, of_widened);
            });
        });
    }

    #[test]
    fn a_batch_sums_as_its_pictures_alone() {
        // Small ones, and one with more inputs than are summed in one go, in more tiles than a group has.
        for (inputs, outputs, side) in [(4, 7, 5), (20, 40, 9), (320, 64, 8), (200, 40, 16), (40, 24, 40)] {
            let weight = random(outputs * inputs * 9, 7);
            let kept = PreparedWeights::default();
            for prepared in [None, Some(&kept)] {
                let (kernel, stride, padding) = ([3, 3], 1, [1; 4]);
                let conv = Conv2d { weight: (&*weight).into(), outputs, inputs, kernel, stride, padding, prepared };
                let [one, six] = [1, 6].map(|batch| Pictures { batch, rows: side, columns: side });
                let (input, gradient) = (random(six.pixels() * inputs, 8), random(six.pixels() * outputs, 9));
                let (forward, back) = (conv.forward(&input, six, None, None), conv.input_gradient(&gradient, six));
                for picture in 0..six.batch {
                    let of = |values: &[f32]| {
                        let size = values.len() / six.batch;
                        values[picture * size..][..size].to_vec()
                    };
                    assert_eq!(conv.forward(&of(&input), one, None, None), of(&forward), "{inputs} at {side}");
                    assert_eq!(conv.input_gradient(&of(&gradient), one), of(&back), "{inputs} at {side}, backwards");
                }
            }
        }
    }

    /// A convolution is linear: the product of its output with a gradient is that of its input with what the gradient
    /// becomes, for any input and any gradient.
    #[test]
    fn the_gradient_is_the_transposed_convolution() {
        with_cases(|conv, size| {
            if !(conv.has_same_padding()) {
                return;
            }
            let output = conv.output(size);
            let gradient = random(output.pixels() * conv.outputs, 12);
            let by_input = conv.input_gradient(&gradient, size);
            for seed in 20..24 {
                let input = random(size.pixels() * conv.inputs, seed);
                let (forwards, backwards) = (dot(&definition(conv, &input, size), &gradient), dot(&input, &by_input));
                let scale = dot(&input, &input).sqrt() * dot(&by_input, &by_input).sqrt();
                assert!((forwards - backwards).abs() < 1e-6 * scale, "{forwards} against {backwards} of {scale}");
            }
        });
    }

    /// The error of Winograd's algorithm is of the size of that of the plain sum in single precision.
    #[test]
    fn winograd_is_about_as_exact_as_a_plain_sum() {
        let (inputs, outputs, size) = (320, 16, Pictures { batch: 1, rows: 16, columns: 16 });
        let (input, weight) = (random(size.pixels() * inputs, 1), random(outputs * inputs * 9, 2));
        let conv = Conv2d {
            weight: (&*weight).into(),
            outputs,
            inputs,
            kernel: [3, 3],
            stride: 1,
            padding: [1; 4],
            prepared: None,
        };
        let filter = Filter { weight: conv.weight, inputs, outputs, kernel: [3, 3], is_gradient: false };
        let expected = definition(&conv, &input, size);
        let error = |actual: Vec<f32>| {
            let difference: Vec<f32> = actual.iter().zip(&expected).map(|(a, b)| a - b).collect();
            (dot(&difference, &difference) / dot(&expected, &expected)).sqrt()
        };
        let rows = || Rows::new(Source::Map(&input), size, inputs);
        let plain = error(direct(&rows(), size, size, filter, 1, [1; 4], Added::default()));
        let winograd = error(winograd::convolve(rows(), size, filter, None, None, None));
        assert!(winograd < 3e-6 && winograd < 8.0 * plain, "{winograd:e} against {plain:e}");
    }
}
