use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, Tensor, TensorData};

mod philox;
mod torch_cpu;
mod vector_math;

use philox::TorchCuda;
use torch_cpu::TorchCpu;

/// Which of torch's generators to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoiseKind {
    /// `torch.Generator("cpu")`: MT19937.
    #[default]
    TorchCpu,
    /// `torch.Generator("cuda")`: Philox 4x32-10.
    TorchCuda,
}

impl NoiseKind {
    /// All of them, the default first.
    pub const ALL: &'static [Self] = &[Self::TorchCpu, Self::TorchCuda];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::TorchCpu => "torch-cpu",
            Self::TorchCuda => "torch-cuda",
        }
    }
}

impl fmt::Display for NoiseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A generator that does not exist here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown random number generator '{0}': expected torch-cpu or torch-cuda")]
pub struct NoiseKindError(String);

impl FromStr for NoiseKind {
    type Err = NoiseKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| NoiseKindError(text.to_owned()))
    }
}

/// A stream of standard normal numbers equal to `torch.randn(.., generator=..)`.
///
/// The numbers are drawn on the host and uploaded, so that they are the same on every device. One
/// call of [`standard_normal`](Self::standard_normal) is one call of `torch.randn`: as in torch, the
/// numbers depend on how a stream is cut into calls.
#[derive(Clone, Debug)]
pub struct NoiseSource(Generator);

#[derive(Clone, Debug)]
enum Generator {
    // Boxed: the state of the Mersenne Twister is 2.5 kB.
    TorchCpu(Box<TorchCpu>),
    TorchCuda(TorchCuda),
}

impl NoiseSource {
    /// The generator after `manual_seed(seed)`.
    pub fn new(kind: NoiseKind, seed: u64) -> Self {
        Self(match kind {
            NoiseKind::TorchCpu => Generator::TorchCpu(Box::new(TorchCpu::new(seed))),
            NoiseKind::TorchCuda => Generator::TorchCuda(TorchCuda::new(seed)),
        })
    }

    /// The next `count` numbers of the standard normal distribution, as `torch.randn(count)`.
    pub fn standard_normal(&mut self, count: usize) -> Vec<f32> {
        match &mut self.0 {
            Generator::TorchCpu(generator) => generator.standard_normal(count),
            Generator::TorchCuda(generator) => generator.standard_normal(count),
        }
    }

    /// The next numbers as a tensor of `shape` on `device`, as `torch.randn(shape)`.
    pub fn tensor<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let values = self.standard_normal(shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_parse_to_themselves() {
        for kind in [NoiseKind::TorchCpu, NoiseKind::TorchCuda] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("numpy".parse::<NoiseKind>().unwrap_err().to_string().contains("'numpy'"));
    }

    #[test]
    fn moments_are_those_of_the_standard_normal() {
        for kind in [NoiseKind::TorchCpu, NoiseKind::TorchCuda] {
            let values = NoiseSource::new(kind, 7).standard_normal(100_000);
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
            assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{kind}: {mean} {variance}");
        }
    }
}
