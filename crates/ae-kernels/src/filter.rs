//! The weights of a convolution as products take them.

use crate::Weights;
use crate::scratch::Scratch;

/// The weights of a convolution, or with `is_gradient` those of the convolution that takes its gradient back: inputs
/// and outputs change places, and the kernel is turned by half a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) weight: Weights<'a>,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) is_gradient: bool,
}

impl Filter<'_> {
    /// Writes the weights of `count` inputs from `first` on and `used` outputs from `output` on.
    ///
    /// # Shapes
    /// - lines: `[taps, count, width]`, the taps `tap_stride` apart
    #[expect(clippy::too_many_arguments, reason = "two ranges, and a matrix by its strides")]
    pub(crate) fn gather(
        self,
        first: usize,
        count: usize,
        output: usize,
        used: usize,
        width: usize,
        tap_stride: usize,
        lines: &mut [f32],
    ) {
        let Self { weight, inputs, outputs, kernel, is_gradient } = self;
        let taps = kernel[0] * kernel[1];
        if used < width {
            lines.fill(0.0);
        }
        let mut put = |input: usize, column: usize, weights: &[f32]| {
            let lines = lines[input * width + column..].iter_mut().step_by(tap_stride);
            if is_gradient {
                lines.zip(weights.iter().rev()).for_each(|(line, weight)| *line = *weight);
            } else {
                lines.zip(weights).for_each(|(line, weight)| *line = *weight);
            }
        };
        let run = if is_gradient { used } else { count } * taps;
        let mut buffer = Scratch::new(if weight.are_single() { 0 } else { run });
        if is_gradient {
            for input in 0..count {
                let weights = weight.read(((first + input) * outputs + output) * taps, run, &mut buffer);
                weights.chunks_exact(taps).enumerate().for_each(|(column, weights)| put(input, column, weights));
            }
        } else {
            for column in 0..used {
                let weights = weight.read(((output + column) * inputs + first) * taps, run, &mut buffer);
                weights.chunks_exact(taps).enumerate().for_each(|(input, weights)| put(input, column, weights));
            }
        }
    }

    /// Writes the weights of all inputs as a panel, `[taps, inputs, width]`.
    pub(crate) fn pack(self, output: usize, used: usize, width: usize, panel: &mut [f32]) {
        /// Inputs that are gathered at a time, and what separates the taps meanwhile, so that they do not fall on the same
        /// lines of the cache.
        const SOME: usize = 32;
        const GAP: usize = 16;
        let taps = self.kernel[0] * self.kernel[1];
        let mut gathered = vec![0.0; taps * (SOME * width + GAP)];
        for first in (0..self.inputs).step_by(SOME) {
            let count = SOME.min(self.inputs - first);
            let stride = count * width + GAP;
            self.gather(first, count, output, used, width, stride, &mut gathered);
            for (tap, gathered) in gathered.chunks_exact(stride).take(taps).enumerate() {
                panel[(tap * self.inputs + first) * width..][..count * width]
                    .copy_from_slice(&gathered[..count * width]);
            }
        }
    }
}
