use std::sync::{Arc, Mutex, PoisonError};

use ae_kernels::PreparedWeights;
use burn::backend::TensorMetadata;

use super::operation::{Primitive, Stored};

/// Largest weight that is kept in a second form, in elements: those of a model as small as the embedded one, whose
/// convolutions take less time than their weights' transformation. Stable Diffusion's would fill the memory.
const LARGEST: usize = 1 << 19;

/// The weights of a layer in the form that a kernel takes.
#[derive(Clone, Debug, Default)]
pub(in crate::nn) struct Prepared(Arc<Mutex<Option<Kept>>>);

#[derive(Clone, Debug)]
struct Kept {
    /// What it was prepared from: as long as it is here, no other weight can be in its place, and nobody can change it.
    weight: Primitive,
    prepared: Arc<PreparedWeights>,
}

impl Prepared {
    /// Of `weight`, which lies in its order; none where it is too large.
    pub(super) fn of(&self, weight: &Stored) -> Option<Arc<PreparedWeights>> {
        let place = |weight: &Primitive| (weight.dtype(), weight.bytes().as_ptr_range());
        let weight = &weight.values;
        if weight.shape().num_elements() > LARGEST {
            return None;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(kept) if place(&kept.weight) == place(weight) => Some(Arc::clone(&kept.prepared)),
            _ => {
                let prepared = Arc::default();
                *kept = Some(Kept { weight: weight.clone(), prepared: Arc::clone(&prepared) });
                Some(prepared)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::{Device, Distribution, Tensor, Tolerance};

    use super::*;
    use crate::nn::Conv2d;

    fn random(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    #[test]
    fn a_weight_is_prepared_once_and_another_anew() {
        let [one, other] = [(); 2].map(|()| Stored::new(&random([2, 3, 3, 3])).unwrap());
        let prepared = Prepared::default();
        let first = prepared.of(&one).unwrap();
        assert!(Arc::ptr_eq(&first, &prepared.of(&one.clone()).unwrap()));
        assert!(!Arc::ptr_eq(&first, &prepared.of(&other).unwrap()));
        assert!(prepared.of(&Stored::new(&random([512, 512, 3, 3])).unwrap()).is_none());
    }

    #[test]
    fn a_layer_whose_weight_is_exchanged_forgets_the_old_one() {
        let mut layer = Conv2d::new_3x3(16, 16, &Device::flex());
        let input = random([1, 8, 8, 16]);
        layer.forward(input.clone());
        layer.weight = Param::from_tensor(random([16, 16, 3, 3]));
        let actual = layer.clone().forward(input.clone()).into_data();
        layer.prepared = Prepared::default();
        actual.assert_approx_eq(&layer.forward(input).into_data(), Tolerance::<f32>::rel_abs(1e-6, 1e-6));
    }
}
