//! Layers of which nothing but their input is kept for the backward pass.

#![cfg_attr(not(feature = "cpu"), allow(dead_code, reason = "no other backend runs it"))]

use std::fmt;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor, TensorMetadata};
use burn::tensor::{DType, Tensor};

use super::precision::attention;

/// The output of a layer whose gradient is wanted and of which nothing but the input is kept: the backward pass computes the layer
/// again, in a graph of its own. Output and gradient are those of `layer(input)` bit by bit.
///
/// `layer` must give the same each time. One that holds tracked tensors itself runs as it is, and so does any layer where the
/// gradient is not wanted, on a GPU, or under burn's own checkpointing.
pub fn recomputed<const D: usize, const E: usize>(
    input: Tensor<D>,
    layer: impl Fn(Tensor<D>) -> Tensor<E> + Clone + Send + 'static,
) -> Tensor<E> {
    if input.is_tracked() {
        #[cfg(feature = "cpu")]
        if let Some(output) = on::<burn::backend::Flex, _, D, E>(&input, layer.clone()) {
            return output;
        }
    }
    layer(input)
}

/// [`attention`] of the queries, keys and values that `project` makes of one tensor. As [`recomputed`], but what is computed again
/// are the projections alone: the output is kept.
///
/// # Shapes
/// - input: as `project` takes it
/// - queries and output: `[batch, queries, heads * head_dim]`
/// - keys, values: `[batch, keys, heads * head_dim]`
pub fn recomputed_attention(
    input: Tensor<3>,
    project: impl Fn(Tensor<3>) -> [Tensor<3>; 3] + Clone + Send + 'static,
    heads: usize,
) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if input.is_tracked()
        && let Some(output) = super::cpu::recomputed_attention(&input, project.clone(), heads)
    {
        return output;
    }
    recomputed(input, move |input| {
        let [query, key, value] = project(input);
        attention(query, key, value, heads)
    })
}

/// None where the input is on another backend, or the gradient is wanted by more than the input.
fn on<B, F, const D: usize, const E: usize>(input: &Tensor<D>, layer: F) -> Option<Tensor<E>>
where
    B: Backend,
    F: Fn(Tensor<D>) -> Tensor<E> + Send + 'static,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let (input, node) = input.clone().try_into_primitive::<Autodiff<B>>().ok()?.into_parts();
    let output = layer(Tensor::from_primitive::<B>(input.clone())).try_into_primitive::<B>().ok()?;
    let step = Recomputed::<F, D, E>(layer);
    Some(Tensor::from_primitive::<Autodiff<B>>(
        match step.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(input, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        },
    ))
}

/// A layer on the way back.
struct Recomputed<F, const D: usize, const E: usize>(F);

impl<F, const D: usize, const E: usize> fmt::Debug for Recomputed<F, D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recomputed")
    }
}

impl<B, F, const D: usize, const E: usize> Backward<B, 1> for Recomputed<F, D, E>
where
    B: Backend,
    F: Fn(Tensor<D>) -> Tensor<E> + Send + 'static,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    /// The input.
    type State = FloatTensor<B>;

    /// burn holds the lock of the graph of this step, which is why the layer may meet none of its tensors: the graph of its second
    /// run begins with a leaf.
    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [Some(parent)] = ops.parents else { return };
        let input = FloatTensor::<Autodiff<B>>::new(ops.state).require_grad();
        let output = (self.0)(Tensor::from_primitive::<Autodiff<B>>(input.clone()));
        let end = output.try_into_primitive::<Autodiff<B>>().ok().and_then(|output| ending::<B>(output, gradient));
        if let Some(gradient) = end.and_then(|end| input.grad_remove(&mut end.backward())) {
            grads.register::<B>(parent.id, gradient);
        }
    }
}

/// The end of a graph, whose gradient by its last tensor is given; none where the graph has no beginning.
fn ending<B: Backend>(last: FloatTensor<Autodiff<B>>, gradient: FloatTensor<B>) -> Option<FloatTensor<Autodiff<B>>> {
    let (last, node) = last.into_parts();
    match Given.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let nothing = B::float_zeros([1].into(), &last.device(), DType::F32.into());
            Some(prep.finish(gradient, nothing))
        }
        OpsKind::UnTracked(_) => None,
    }
}

/// Stands for all that followed on a tensor.
#[derive(Debug)]
struct Given;

impl<B: Backend> Backward<B, 1> for Given {
    /// The gradient by the tensor.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            grads.register::<B>(parent.id, ops.state);
        }
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;
    use crate::nn::{geglu, linear, shared};
    use crate::{compute_on, interruptible};

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    /// Operations with a backward pass of their own, one of which takes the same tensor three times, and one of burn's.
    fn layer() -> impl Fn(Tensor<3>) -> Tensor<3> + Clone + Send + 'static {
        let linears: [Linear; 3] = [12, 12, 24].map(|outputs| LinearConfig::new(12, outputs).init(&Device::flex()));
        move |input| {
            let [query, key, value] = shared(input);
            let [query, key] = [(&linears[0], query), (&linears[1], key)].map(|(to, from)| linear(to, from, None));
            let seen = attention(query, key, value * 0.5, 2);
            geglu(linear(&linears[2], seen, None))
        }
    }

    /// The weighted sum of a result, and its gradient by the input.
    fn run(input: &Tensor<3>, weights: &Tensor<3>, of: impl FnOnce(Tensor<3>) -> Tensor<3>) -> [TensorData; 2] {
        let leaf = input.clone().autodiff().require_grad();
        let output = of(leaf.clone());
        let gradients = (output.clone() * weights.clone()).sum().backward();
        [output.inner().into_data(), leaf.grad(&gradients).expect("a gradient").into_data()]
    }

    #[test]
    fn output_and_gradient_are_those_of_the_layer_bit_for_bit() {
        let (input, weights, layer) = (random([2, 9, 12]), random([2, 9, 12]), layer());
        let expected = run(&input, &weights, &layer);
        assert_eq!(run(&input, &weights, |input| recomputed(input, layer.clone())), expected);
    }

    #[test]
    fn an_attention_whose_projections_are_computed_again_is_the_same_bit_for_bit() {
        let (input, weights) = (random([2, 9, 12]), random([2, 9, 12]));
        let linears: [Linear; 3] = [(); 3].map(|()| LinearConfig::new(12, 12).init(&Device::flex()));
        let project = move |input: Tensor<3>| {
            let inputs: [Tensor<3>; 3] = shared(input);
            let mut layers = linears.iter();
            inputs.map(|input| linear(layers.next().expect("one each"), input, None))
        };
        let of = |projected: [Tensor<3>; 3]| {
            let [query, key, value] = projected;
            attention(query, key, value, 3)
        };
        let expected = run(&input, &weights, |input| of(project(input)));
        assert_eq!(run(&input, &weights, |input| recomputed_attention(input, project.clone(), 3)), expected);
        let plain = recomputed_attention(input.clone(), project.clone(), 3);
        assert!(!plain.is_autodiff());
        assert_eq!(plain.into_data(), expected[0]);

        // A part of the input alone has a gradient.
        let [constant, factor] = [(); 2].map(|()| random([2, 9, 12]));
        let partly = move |input: Tensor<3>| [input, constant.clone(), constant.clone()];
        let expected = run(&input, &weights, |input| of(partly(input)));
        assert_eq!(run(&input, &weights, |input| recomputed_attention(input, partly.clone(), 3)), expected);

        // The gradient of a tensor that the projections hold is not lost.
        let held = factor.autodiff().require_grad();
        let gradient = |attend: &dyn Fn(Tensor<3>, Tensor<3>) -> Tensor<3>| {
            let output = attend(input.clone().autodiff().require_grad(), held.clone());
            held.grad(&(output * weights.clone()).sum().backward()).expect("a gradient").into_data()
        };
        let scaled = |input: Tensor<3>, held: Tensor<3>| [input.clone(), input.clone(), input * held];
        let again = |input, held: Tensor<3>| recomputed_attention(input, move |input| scaled(input, held.clone()), 3);
        assert_eq!(gradient(&again), gradient(&|input, held| of(scaled(input, held))));
    }

    #[test]
    fn one_layer_follows_another_stands_in_it_or_beside_it() {
        let (input, weights, first, second) = (random([1, 7, 12]), random([1, 7, 12]), layer(), layer());
        let expected = run(&input, &weights, |input| second(first(input)));
        let in_a_row = |input| recomputed(recomputed(input, first.clone()), second.clone());
        assert_eq!(run(&input, &weights, in_a_row), expected);

        let (inner, outer) = (first.clone(), second.clone());
        let nested = move |input| outer(recomputed(input, inner.clone()));
        assert_eq!(run(&input, &weights, |input| recomputed(input, nested.clone())), expected);

        let beside = |of_both: &dyn Fn(Tensor<3>) -> [Tensor<3>; 2]| {
            run(&input, &weights, |input| {
                let [input, residual] = shared(input);
                let [one, other] = of_both(input);
                residual + one * other
            })
        };
        let again = |input: Tensor<3>| [recomputed(input.clone(), first.clone()), recomputed(input, second.clone())];
        assert_eq!(beside(&again), beside(&|input| [first(input.clone()), second(input)]));
    }

    #[test]
    fn the_layer_runs_once_more_in_the_backward_pass_alone() {
        let (layer, runs) = (layer(), Arc::new(AtomicUsize::new(0)));
        let counted = {
            let (layer, runs) = (layer.clone(), Arc::clone(&runs));
            move |input: Tensor<3>| {
                runs.fetch_add(1, Ordering::Relaxed);
                layer(input)
            }
        };
        let input = random([1, 5, 12]);
        let output = recomputed(input.clone(), counted.clone());
        assert!(!output.is_autodiff());
        let unwanted = recomputed(input.clone().autodiff(), counted.clone());
        assert!(!unwanted.is_tracked());
        assert_eq!(unwanted.inner().into_data(), output.into_data());
        assert_eq!(runs.swap(0, Ordering::Relaxed), 2);

        let leaf = input.autodiff().require_grad();
        let output = recomputed(leaf.clone(), counted);
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        output.sum().backward();
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_input_that_has_no_influence_has_no_gradient() {
        let (input, constant) = (random([1, 2, 3]).autodiff().require_grad(), random([1, 2, 3]));
        let output = recomputed(input.clone(), move |_| constant.clone());
        let gradient = input.grad(&(output + input.clone() * 2.0).sum().backward()).expect("that of the second term");
        assert_eq!(gradient.into_data(), (Tensor::<3>::ones([1, 2, 3], &Device::flex()) * 2.0).into_data());
    }

    #[test]
    fn a_layer_that_holds_tracked_tensors_keeps_their_gradients() {
        let [input, factor, weights] = [(); 3].map(|()| random([1, 4, 6]));
        let of = |times: fn(Tensor<3>, Tensor<3>) -> Tensor<3>| {
            let [input, factor] = [&input, &factor].map(|tensor| tensor.clone().autodiff().require_grad());
            let gradients = (times(input.clone(), factor.clone()) * weights.clone()).sum().backward();
            [input, factor].map(|tensor| tensor.grad(&gradients).expect("a gradient").into_data())
        };
        assert_eq!(of(|input, factor| recomputed(input, move |input| input * factor.clone())), of(|a, b| a * b));
    }

    /// The graphs of all threads share a lock, and a backward pass holds that of its own graph while its layers run.
    #[test]
    fn threads_do_not_wait_for_each_other() {
        let (input, weights, layer) = (random([1, 64, 12]), random([1, 64, 12]), layer());
        let expected = run(&input, &weights, &layer);
        thread::scope(|scope| {
            for _ in 0..8 {
                let (input, weights, layer, expected) = (&input, &weights, layer.clone(), &expected);
                scope.spawn(move || {
                    for _ in 0..10 {
                        let again = |input| recomputed(recomputed(input, |input| input * 1.0), layer.clone());
                        assert_eq!(&compute_on(&Device::flex(), || run(input, weights, again)), expected);
                    }
                });
            }
        });
    }

    #[test]
    fn a_second_run_that_is_ended_leaves_nothing_behind() {
        let (input, weights, layer) = (random([1, 5, 12]), random([1, 5, 12]), layer());
        let (flag, runs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ended, counted, same) = (Arc::clone(&flag), Arc::clone(&runs), layer.clone());
        let ending = move |input: Tensor<3>| {
            ended.store(counted.fetch_add(1, Ordering::Relaxed) == 1, Ordering::Relaxed);
            same(input)
        };
        assert!(interruptible(&flag, || run(&input, &weights, |input| recomputed(input, ending))).is_none());
        assert_eq!(runs.load(Ordering::Relaxed), 2, "it was the second run that ended");
        let expected = run(&input, &weights, &layer);
        assert_eq!(run(&input, &weights, |input| recomputed(input, layer.clone())), expected);
    }
}
