use super::operation::{Input, Primitive, run, tensor, values};
use ae_kernels::add;
use burn::tensor::Tensor;
use std::array::from_fn;
use std::sync::{Arc, Mutex, PoisonError};

/// `N` times a tensor whose gradient is wanted.
///
/// burn adds the gradients of several uses by its own addition. Here every use is an operation that adds to a sum, and one
/// before them hands the sum on.
pub(in crate::nn) fn shared<const N: usize, const D: usize>(input: &Tensor<D>) -> Option<[Tensor<D>; N]> {
    let (tracked @ Input::Tracked(_), shape) = (Input::new(input)?, input.dims()) else {
        return None;
    };
    let sum = Arc::new(Mutex::new(None::<Primitive>));
    let (total, same) = (Arc::clone(&sum), |[input]: [Primitive; 1], _| (input, Some(())));
    let take = move |(), _, _| [total.lock().unwrap_or_else(PoisonError::into_inner).take()];
    let whole: Tensor<D> = run([tracked], same, take);
    let user = || {
        let sum = Arc::clone(&sum);
        let collect = move |(), gradient: Primitive, _| {
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            // What burn is told once, of one element: that there is a gradient.
            let said = sum.is_none().then(|| tensor(vec![0.0], [1]));
            *sum = Some(match sum.take() {
                Some(sum) => {
                    let [sum, gradient] = [sum, gradient].map(|gradient| gradient.to_contiguous());
                    tensor(add(values(&gradient), values(&sum)), shape)
                }
                None => gradient,
            });
            [said]
        };
        Some(run([Input::new(&whole)?], same, collect))
    };
    let uses: [Option<Tensor<D>>; N] = from_fn(|_| user());
    Some(uses.map(|tensor| tensor.expect("of the device and type of the input")))
}
