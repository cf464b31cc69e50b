//! Weights in the type that they are stored in: half types are widened as they are read, so that they need no copy in single precision.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_half_is_widened_exactly() {
        let bits = || 0..=u16::MAX;
        let halves: Vec<f16> = bits().map(f16::from_bits).filter(|half| half.is_finite()).collect();
        let brains: Vec<bf16> = bits().map(bf16::from_bits).filter(|half| half.is_finite()).collect();
        let expected = [
            halves.iter().map(|half| half.to_f32()).collect::<Vec<_>>(),
            brains.iter().map(|half| half.to_f32()).collect(),
        ];
        for (weights, expected) in [Weights::from(&*halves), Weights::from(&*brains)].into_iter().zip(expected) {
            // Pieces of every remainder by the width of a vector, from odd places on.
            for (first, count) in [(0, weights.len()), (1, 1), (3, 7), (5, 33), (weights.len(), 0)] {
                let mut buffer = vec![f32::NAN; count + 2];
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(weights.read(first, count, &mut buffer)), bits(&expected[first..][..count]));
                assert!(buffer[count].is_nan());
            }
        }
    }
}
