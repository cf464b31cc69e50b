//! Weights in the type that they are stored in: they are widened as they are read, so that they need no copy in single precision.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::WeightOrder;
use crate::vector::vectorized;

/// The weights of a layer. What is computed with them is in single precision, and bit by bit what the same numbers in single
/// precision give.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// IEEE half precision.
    F16(&'a [f16]),
    /// The upper half of single precision.
    BF16(&'a [bf16]),
    /// Whole numbers with a scale for each output.
    Int8(Int8<'a>),
}

/// Weights in eight bits: a whole number times the scale of its output, in single precision.
#[derive(Clone, Copy, Debug)]
pub struct Int8<'a> {
    /// The whole numbers.
    pub values: &'a [i8],
    /// One for each output of the layer, whichever direction is computed.
    pub scales: &'a [f32],
    /// How the values lie. Those of a convolution are `[outputs, inputs * rows * columns]`.
    pub order: WeightOrder,
}

impl Int8<'_> {
    /// Writes the weights from `first` on, line by line of the matrix that they are.
    fn copy(self, first: usize, out: &mut [f32]) {
        let Self { values, scales, order } = self;
        let line = match order {
            WeightOrder::InputsFirst => scales.len(),
            WeightOrder::OutputsFirst => values.len() / scales.len(),
        };
        let mut done = 0;
        while done < out.len() {
            let (row, column) = ((first + done) / line, (first + done) % line);
            let count = (line - column).min(out.len() - done);
            let (out, values) = (&mut out[done..][..count], &values[first + done..][..count]);
            match order {
                WeightOrder::InputsFirst => {
                    let scales = &scales[column..][..count];
                    vectorized!(|| {
                        for ((out, value), scale) in out.iter_mut().zip(values).zip(scales) {
                            *out = scale * f32::from(*value);
                        }
                    });
                }
                WeightOrder::OutputsFirst => {
                    let scale = scales[row];
                    vectorized!(|| {
                        for (out, value) in out.iter_mut().zip(values) {
                            *out = scale * f32::from(*value);
                        }
                    });
                }
            }
            done += count;
        }
    }
}

impl<'a> From<&'a [f32]> for Weights<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a [f16]> for Weights<'a> {
    fn from(values: &'a [f16]) -> Self {
        Self::F16(values)
    }
}

impl<'a> From<&'a [bf16]> for Weights<'a> {
    fn from(values: &'a [bf16]) -> Self {
        Self::BF16(values)
    }
}

impl<'a> Weights<'a> {
    /// Number of weights.
    pub fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::BF16(values) => values.len(),
            Self::Int8(weights) => weights.values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether they are read where they lie, so that [`read`](Self::read) needs no buffer.
    pub(crate) fn are_single(self) -> bool {
        matches!(self, Self::F32(_))
    }

    /// `count` weights from `first` on; `buffer` is where others than single precision are widened to.
    ///
    /// # Panics
    ///
    /// When there are fewer, or the buffer that is needed is smaller.
    pub(crate) fn read<'b>(self, first: usize, count: usize, buffer: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        if let Self::F32(values) = self {
            return &values[first..][..count];
        }
        let buffer = &mut buffer[..count];
        self.copy(first, buffer);
        buffer
    }

    /// Writes the weights from `first` on, as many as `out` has.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    pub(crate) fn copy(self, first: usize, out: &mut [f32]) {
        match self {
            Self::F32(values) => out.copy_from_slice(&values[first..][..out.len()]),
            Self::F16(values) => values[first..][..out.len()].convert_to_f32_slice(out),
            Self::BF16(values) => {
                let values = &values[first..][..out.len()];
                // By its definition: half's own conversion looks at every number, to quiet those that are none.
                out.iter_mut()
                    .zip(values)
                    .for_each(|(out, value)| *out = f32::from_bits(u32::from(value.to_bits()) << 16));
            }
            Self::Int8(weights) => weights.copy(first, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn every_finite_half_is_widened_exactly() {
        let all = || 0..=u16::MAX;
        let halves: Vec<f16> = all().map(f16::from_bits).filter(|half| half.is_finite()).collect();
        let brains: Vec<bf16> = all().map(bf16::from_bits).filter(|half| half.is_finite()).collect();
        let expected = [
            halves.iter().map(|half| half.to_f32()).collect::<Vec<_>>(),
            brains.iter().map(|half| half.to_f32()).collect(),
        ];
        for (weights, expected) in [Weights::from(&*halves), Weights::from(&*brains)].into_iter().zip(expected) {
            // Pieces of every remainder by the width of a vector, from odd places on.
            for (first, count) in [(0, weights.len()), (1, 1), (3, 7), (5, 33), (weights.len(), 0)] {
                let mut buffer = vec![f32::NAN; count + 2];
                assert_eq!(bits(weights.read(first, count, &mut buffer)), bits(&expected[first..][..count]));
                assert!(buffer[count].is_nan());
            }
        }
    }

    /// Every whole number under scales of every size, in a matrix of odd sides; pieces begin and end within lines and span several.
    #[test]
    fn every_whole_number_is_scaled_by_its_output() {
        let (rows, columns) = (17, 45_u16);
        let values: Vec<i8> = (0..rows * columns).map(|i| i.to_le_bytes()[0].cast_signed()).collect();
        let scales: Vec<f32> =
            (0..columns).map(|i| 1.7_f32.powi(3 * i32::from(i) - 60) * if i == 5 { 0.0 } else { 1.0 }).collect();
        let orders = [(WeightOrder::InputsFirst, usize::from(columns)), (WeightOrder::OutputsFirst, usize::from(rows))];
        for (order, outputs) in orders {
            let scales = &scales[..outputs];
            let weights = Weights::Int8(Int8 { values: &values, scales, order });
            let scale = |i: usize| match order {
                WeightOrder::InputsFirst => scales[i % outputs],
                WeightOrder::OutputsFirst => scales[i / (values.len() / outputs)],
            };
            let expected: Vec<f32> = values.iter().enumerate().map(|(i, value)| f32::from(*value) * scale(i)).collect();
            for (first, count) in [(0, values.len()), (1, 1), (3, 7), (40, 33), (44, 200), (values.len(), 0)] {
                let mut buffer = vec![f32::NAN; count + 2];
                assert_eq!(bits(weights.read(first, count, &mut buffer)), bits(&expected[first..][..count]));
                assert!(buffer[count].is_nan());
            }
        }
    }
}
