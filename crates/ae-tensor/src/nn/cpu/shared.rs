use std::array::from_fn;
use std::sync::{Arc, Mutex, PoisonError};

use ae_kernels::add;
use burn::tensor::Tensor;

use super::operation::{Input, Operation, Primitive, run, sides, tensor, values};

/// `N` times a tensor whose gradient is wanted.
///
/// burn adds the gradients of several uses by its own addition. Here every use is an operation that adds to a sum, and one
/// before them hands the sum on.
pub(in crate::nn) fn shared<const N: usize, const D: usize>(input: &Tensor<D>) -> Option<[Tensor<D>; N]> {
    let input @ Input::Tracked(_) = Input::new(input.clone())? else { return None };
    let sum = Sum::default();
    let whole: Tensor<D> = run(&Whole { sum: sum.clone() }, [input]);
    let user = || Some(run(&Use::<D> { sum: sum.clone() }, [Input::new(whole.clone())?]));
    let uses: [Option<Tensor<D>>; N] = from_fn(|_| user());
    Some(uses.map(|tensor| tensor.expect("of the device and type of the input")))
}

/// The gradients that have come in, added.
type Sum = Arc<Mutex<Option<Primitive>>>;

#[derive(Clone, Debug)]
struct Whole {
    sum: Sum,
}

#[derive(Clone, Debug)]
struct Use<const D: usize> {
    sum: Sum,
}

impl Operation<1> for Whole {
    type Saved = ();

    fn forward(&self, [input]: [Primitive; 1], _: bool) -> (Primitive, Option<()>) {
        (input, Some(()))
    }

    fn backward(&self, (): (), _: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        [self.sum.lock().unwrap_or_else(PoisonError::into_inner).take()]
    }
}

impl<const D: usize> Operation<1> for Use<D> {
    type Saved = ();

    fn forward(&self, [input]: [Primitive; 1], _: bool) -> (Primitive, Option<()>) {
        (input, Some(()))
    }

    /// What burn is told is of one element: that there is a gradient.
    fn backward(&self, (): (), gradient: Primitive, _: [bool; 1]) -> [Option<Primitive>; 1] {
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = Some(match sum.take() {
            Some(sum) => {
                let [sum, gradient] = [sum, gradient].map(|gradient| gradient.to_contiguous());
                tensor(add(values(&gradient), values(&sum)), sides::<D>(&sum))
            }
            None => gradient,
        });
        [Some(tensor(vec![0.0], [1]))]
    }
}
