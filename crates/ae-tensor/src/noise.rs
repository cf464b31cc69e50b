use ae_settings::NoiseKind;
use burn::tensor::{Device, Tensor, TensorData};

mod philox;
mod torch_cpu;
mod vector_math;

use philox::TorchCuda;
use torch_cpu::TorchCpu;

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
        assert!("numpy".parse::<NoiseKind>().unwrap_err().to_string().contains("`numpy`"));
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
