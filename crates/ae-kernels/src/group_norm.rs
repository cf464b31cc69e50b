use rayon::prelude::*;

use crate::Pictures;
use crate::activation::silu_slope;
use crate::functions::sigmoid;
use crate::parallel::for_rows;
use crate::profile::{Kernel, counted};
use crate::source::{Rows, Source};
use crate::vector::vectorized;

/// A group normalisation, with or without a SiLU behind it.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// Factor of each channel.
    pub gamma: &'a [f32],
    /// Summand of each channel.
    pub beta: &'a [f32],
    /// Number of groups; their channels lie beside each other.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether `x * sigmoid(x)` follows.
    pub silu: bool,
}

/// Mean and reciprocal standard deviation of every group of every picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

/// Factor and summand of every channel.
pub(crate) type Line = (Vec<f32>, Vec<f32>);

/// Pixels whose values stay in the first-level cache.
const BLOCK: usize = 32;

impl GroupNorm<'_> {
    /// Mean and standard deviation of the groups, which both directions need.
    ///
    /// # Shapes
    /// - input: `[batch, rows, columns, channels]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn statistics(&self, input: &[f32], size: Pictures) -> Statistics {
        let channels = self.gamma.len();
        assert_eq!(input.len(), size.pixels() * channels, "group_norm: {size:?} of {channels} channels");
        assert!(channels.is_multiple_of(self.groups), "group_norm: {channels} channels in {} groups", self.groups);
        counted(Kernel::Normalisation, 0, || {
            let pixels = size.rows * size.columns;
            let (mut mean, mut scale) = (Vec::new(), Vec::new());
            for picture in input.chunks_exact(pixels * channels) {
                let [sums, squares, spreads] =
                    by_channel(picture.len(), channels, |block, sums| moments(&picture[block], channels, sums));
                let count = (pixels * channels / self.groups) as f64;
                for group in 0..self.groups {
                    let of = |values: &[f64]| {
                        values.chunks_exact(channels / self.groups).nth(group).map(|v| v.iter().sum::<f64>())
                    };
                    let [sum, square, spread] = [&sums, &squares, &spreads].map(|values| of(values).expect("a group"));
                    let centre = sum / count;
                    // The spread within the blocks and that of the blocks' means (Chan et al. 1979).
                    let variance = (spread + (square - sum * centre).max(0.0)) / count;
                    mean.push(centre);
                    scale.push(1.0 / (variance + self.epsilon).sqrt());
                }
            }
            Statistics { mean, scale }
        })
    }

    /// The normalised input.
    ///
    /// # Shapes
    /// - input and output: `[batch, rows, columns, channels]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn forward(&self, input: &[f32], size: Pictures, statistics: &Statistics) -> Vec<f32> {
        counted(Kernel::Normalisation, 0, || {
            let normed = Rows::new(Source::Normed { map: input, norm: *self, statistics }, size, self.gamma.len());
            let mut out = vec![0.0; input.len()];
            normed.fill(0, &mut out);
            out
        })
    }

    /// The gradient of a loss by the input, from that by the output.
    ///
    /// # Shapes
    /// - input, gradient and output: `[batch, rows, columns, channels]`
    ///
    /// # Panics
    ///
    /// When the sizes do not fit together.
    pub fn input_gradient(&self, input: &[f32], size: Pictures, statistics: &Statistics, gradient: &[f32]) -> Vec<f32> {
        assert_eq!(input.len(), gradient.len(), "group_norm: gradient");
        counted(Kernel::Normalisation, 0, || {
            let channels = self.gamma.len();
            let width = channels / self.groups;
            let pixels = size.rows * size.columns;
            let mut out = vec![0.0; input.len()];
            let pictures = input.chunks_exact(pixels * channels).zip(gradient.chunks_exact(pixels * channels));
            for ((picture, (input, gradient)), out) in pictures.enumerate().zip(out.chunks_exact_mut(pixels * channels))
            {
                let (factor, summand) = self.line(statistics, picture);
                // By what the SiLU takes.
                for_rows!(out, channels, |first, out| {
                    let input = input[first * channels..].chunks_exact(channels);
                    let gradient = gradient[first * channels..].chunks_exact(channels);
                    for ((out, input), gradient) in out.chunks_exact_mut(channels).zip(input).zip(gradient) {
                        if self.silu {
                            let line = factor.iter().zip(&summand);
                            for (((out, x), gradient), (factor, summand)) in
                                out.iter_mut().zip(input).zip(gradient).zip(line)
                            {
                                *out = gradient * silu_slope(x * factor + summand);
                            }
                        } else {
                            out.copy_from_slice(gradient);
                        }
                    }
                });
                let by_normed: &[f32] = out;
                let [sums, products] = by_channel_of_two(by_normed, input, channels);
                // d x = scale gamma d y - scale (mean(gamma d y) + normed mean(gamma d y normed))
                let count = (pixels * width) as f64;
                let (mut slope, mut shift) = (vec![0.0; channels], vec![0.0; channels]);
                for group in 0..self.groups {
                    let at = picture * self.groups + group;
                    let (mean, scale) = (statistics.mean[at], statistics.scale[at]);
                    let members = group * width..(group + 1) * width;
                    let weighted = |values: &[f64]| -> f64 {
                        members.clone().map(|channel| f64::from(self.gamma[channel]) * values[channel]).sum()
                    };
                    let (sum, product) = (weighted(&sums), weighted(&products));
                    let by_scale = scale * scale * scale * (product - mean * sum) / count;
                    for channel in members.clone() {
                        slope[channel] = by_scale as f32;
                        shift[channel] = (scale * sum / count - by_scale * mean) as f32;
                    }
                }
                for_rows!(out, channels, |first, out| {
                    let input = input[first * channels..].chunks_exact(channels);
                    for (out, input) in out.chunks_exact_mut(channels).zip(input) {
                        let line = factor.iter().zip(&slope).zip(&shift);
                        for ((out, x), ((factor, slope), shift)) in out.iter_mut().zip(input).zip(line) {
                            *out = factor * *out - slope * x - shift;
                        }
                    }
                });
            }
            out
        })
    }

    /// Factor and summand of every channel of a picture.
    pub(crate) fn line(&self, statistics: &Statistics, picture: usize) -> Line {
        let width = self.gamma.len() / self.groups;
        let of = |channel: usize| {
            let group = picture * self.groups + channel / width;
            let factor = statistics.scale[group] * f64::from(self.gamma[channel]);
            (factor as f32, (f64::from(self.beta[channel]) - statistics.mean[group] * factor) as f32)
        };
        (0..self.gamma.len()).map(of).unzip()
    }
}

/// Pixels normalised by factor and summand of every channel, with or without a SiLU behind it.
#[inline(always)]
pub(crate) fn normalise(input: &[f32], (factor, summand): &Line, silu: bool, out: &mut [f32]) {
    let channels = factor.len();
    for (out, input) in out.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
        let values = out.iter_mut().zip(input).zip(factor.iter().zip(summand));
        if silu {
            values.for_each(|((out, x), (factor, summand))| {
                let normed = x * factor + summand;
                *out = normed * sigmoid(normed);
            });
        } else {
            values.for_each(|((out, x), (factor, summand))| *out = x * factor + summand);
        }
    }
}

/// Sums over the blocks of a picture by channel: of `block`, which gets the place of one in the picture.
fn by_channel<const SUMS: usize>(
    length: usize,
    channels: usize,
    block: impl Fn(std::ops::Range<usize>, &mut [Vec<f64>; SUMS]) + Sync,
) -> [Vec<f64>; SUMS] {
    let none = || std::array::from_fn(|_| vec![0.0; channels]);
    // A number of tasks that does not depend on the machine: neither does the sum.
    let blocks = (length / channels).div_ceil(BLOCK);
    let share = blocks.div_ceil(16) * BLOCK * channels;
    let parts: Vec<[Vec<f64>; SUMS]> = (0..length.div_ceil(share))
        .into_par_iter()
        .map(|part| {
            let mut sums = none();
            let end = length.min((part + 1) * share);
            for start in (part * share..end).step_by(BLOCK * channels) {
                block(start..end.min(start + BLOCK * channels), &mut sums);
            }
            sums
        })
        .collect();
    parts.into_iter().fold(none(), |mut total, part| {
        for (total, part) in total.iter_mut().zip(&part) {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        total
    })
}

/// The sum of a block, its square over the number of pixels, and the squared distances from the block's mean.
fn moments(pixels: &[f32], channels: usize, [sums, squares, spreads]: &mut [Vec<f64>; 3]) {
    let count = (pixels.len() / channels) as f32;
    let (mut sum, mut spread) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
    vectorized!(|| {
        for pixel in pixels.chunks_exact(channels) {
            sum.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
        }
        for pixel in pixels.chunks_exact(channels) {
            for ((spread, x), sum) in spread.iter_mut().zip(pixel).zip(&sum) {
                let distance = x - sum / count;
                *spread += distance * distance;
            }
        }
        for channel in 0..channels {
            let sum = f64::from(sum[channel]);
            sums[channel] += sum;
            squares[channel] += sum * sum / f64::from(count);
            spreads[channel] += f64::from(spread[channel]);
        }
    });
}

/// The sums of `a` and of `a * b` by channel.
fn by_channel_of_two(a: &[f32], b: &[f32], channels: usize) -> [Vec<f64>; 2] {
    by_channel(a.len(), channels, |block, [sums, products]| {
        let (a, b) = (&a[block.clone()], &b[block]);
        let (mut sum, mut product) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        vectorized!(|| {
            for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
                for (((sum, product), a), b) in sum.iter_mut().zip(&mut product).zip(a).zip(b) {
                    *sum += a;
                    *product += a * b;
                }
            }
            for channel in 0..channels {
                sums[channel] += f64::from(sum[channel]);
                products[channel] += f64::from(product[channel]);
            }
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, dot, finite_differences, random};

    fn forward(norm: &GroupNorm<'_>, input: &[f32], size: Pictures) -> Vec<f32> {
        norm.forward(input, size, &norm.statistics(input, size))
    }

    fn definition(norm: &GroupNorm<'_>, input: &[f32], size: Pictures) -> Vec<f32> {
        let channels = norm.gamma.len();
        let width = channels / norm.groups;
        let pixels = size.rows * size.columns;
        let mut out = vec![0.0; input.len()];
        for (picture, group) in (0..size.batch).flat_map(|picture| (0..norm.groups).map(move |group| (picture, group)))
        {
            let members: Vec<usize> = (0..pixels * width)
                .map(|i| (picture * pixels + i / width) * channels + group * width + i % width)
                .collect();
            let mean = members.iter().map(|i| f64::from(input[*i])).sum::<f64>() / members.len() as f64;
            let variance =
                members.iter().map(|i| (f64::from(input[*i]) - mean).powi(2)).sum::<f64>() / members.len() as f64;
            for i in members {
                let normed = (f64::from(input[i]) - mean) / (variance + norm.epsilon).sqrt();
                let value = normed * f64::from(norm.gamma[i % channels]) + f64::from(norm.beta[i % channels]);
                out[i] = if norm.silu { value / (1.0 + (-value).exp()) } else { value } as f32;
            }
        }
        out
    }

    #[test]
    fn it_is_the_definition_also_far_from_zero() {
        let (gamma, beta) = (random(12, 1), random(12, 2));
        for (silu, shift, side) in [(false, 0.0, 5), (true, 0.0, 40), (true, 100.0, 23)] {
            let norm = GroupNorm { gamma: &gamma, beta: &beta, groups: 4, epsilon: 1e-5, silu };
            let size = Pictures { batch: 2, rows: side, columns: side + 1 };
            let input: Vec<f32> = random(size.pixels() * 12, 3).iter().map(|x| x + shift).collect();
            let tolerance = if shift > 0.0 { 3e-5 } else { 2e-6 };
            assert_close(&forward(&norm, &input, size), &definition(&norm, &input, size), tolerance);
        }
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let (gamma, beta) = (random(6, 1), random(6, 2));
        let size = Pictures { batch: 2, rows: 3, columns: 4 };
        let (input, weights) = (random(size.pixels() * 6, 3), random(size.pixels() * 6, 4));
        for silu in [false, true] {
            let norm = GroupNorm { gamma: &gamma, beta: &beta, groups: 3, epsilon: 1e-5, silu };
            let expected = finite_differences(&input, 1e-2, |input| dot(&forward(&norm, input, size), &weights));
            let actual = norm.input_gradient(&input, size, &norm.statistics(&input, size), &weights);
            assert_close(&actual, &expected, 2e-3);
        }
    }
}
