use crate::Weights;
use crate::multiply::{Added, Left, multiply};
use crate::panel::{Cut, Strided};
use crate::profile::{Kernel, counted};

/// How the weights of a [`linear`] layer lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightOrder {
    /// `[inputs, outputs]`, as burn keeps them.
    InputsFirst,
    /// `[outputs, inputs]`, as torch keeps them; the gradient by the input of a layer with the other order is a layer
    /// with this one.
    OutputsFirst,
}

/// `input * weight + bias + residual`, row by row.
///
/// # Shapes
/// - input: `[rows, inputs]`
/// - weight: `[inputs, outputs]` or `[outputs, inputs]`
/// - bias: `[outputs]`
/// - residual and output: `[rows, outputs]`
///
/// # Panics
///
/// When the sizes do not fit together.
pub fn linear<'a>(
    input: &[f32],
    weight: impl Into<Weights<'a>>,
    order: WeightOrder,
    outputs: usize,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    let operations = 2 * input.len() * outputs;
    let weight = weight.into();
    counted(Kernel::Linear, operations, || product(input, weight, order, outputs, bias, residual))
}

/// As [`linear`], without being counted.
pub(crate) fn product(
    input: &[f32],
    weight: Weights<'_>,
    order: WeightOrder,
    outputs: usize,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    let inputs = weight.len() / outputs;
    assert_eq!(weight.len(), inputs * outputs, "linear: weight of {inputs} by {outputs}");
    let rows = input.len() / inputs;
    assert_eq!(input.len(), rows * inputs, "linear: rows of {inputs}");
    let strides = match order {
        WeightOrder::InputsFirst => (outputs, 1),
        WeightOrder::OutputsFirst => (1, inputs),
    };
    let right = Strided { values: weight, start: 0, row_stride: strides.0, column_stride: strides.1 };
    let cut = Cut { columns: outputs };
    let offsets: Vec<usize> = (0..rows).map(|row| row * inputs).collect();
    let left = Left { values: input, rows: &offsets, segments: &[0], depth: inputs };
    let mut out = vec![0.0; rows * outputs];
    let pack = |index: usize, panel: &mut [f32]| {
        right.pack(inputs, cut.start(index), cut.used(index), cut.width(index), panel);
    };
    multiply(left, cut, &pack, Added { bias, residual }, &mut out);
    out
}

/// As [`product`], in the memory of the input, whose rows are at least as long as the output's.
pub(crate) fn product_in_place(
    mut values: Vec<f32>,
    weight: Weights<'_>,
    order: WeightOrder,
    outputs: usize,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    /// Elements of the input that are multiplied at a time, so that the weights are seldom packed.
    const SOME: usize = 4 << 20;
    let inputs = weight.len() / outputs;
    assert!(outputs <= inputs, "linear: {inputs} inputs hold no {outputs} outputs");
    let rows = values.len() / inputs;
    for first in (0..rows).step_by((SOME / inputs).max(1)) {
        let end = rows.min(first + (SOME / inputs).max(1));
        let out = product(&values[first * inputs..end * inputs], weight, order, outputs, bias, None);
        values[first * outputs..end * outputs].copy_from_slice(&out);
    }
    values.truncate(rows * outputs);
    values.shrink_to_fit();
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random, with_kept};

    #[test]
    fn it_is_the_definition_for_few_and_for_many_rows() {
        for (rows, inputs, outputs) in [(1, 3, 5), (13, 40, 77), (77, 96, 320), (1030, 64, 100), (700, 33, 24)] {
            let (input, weight) = (random(rows * inputs, 1), random(inputs * outputs, 2));
            let (bias, residual) = (random(outputs, 3), random(rows * outputs, 4));
            let expected: Vec<f32> = (0..rows * outputs)
                .map(|i| {
                    let (row, column) = (i / outputs, i % outputs);
                    let products = (0..inputs)
                        .map(|k| f64::from(input[row * inputs + k]) * f64::from(weight[k * outputs + column]));
                    (products.sum::<f64>() + f64::from(bias[column]) + f64::from(residual[i])) as f32
                })
                .collect();
            let transposed: Vec<f32> =
                (0..inputs * outputs).map(|i| weight[i % inputs * outputs + i / inputs]).collect();
            for (weight, order) in [(&weight, WeightOrder::InputsFirst), (&transposed, WeightOrder::OutputsFirst)] {
                let actual = linear(&input, weight.as_slice(), order, outputs, Some(&bias), Some(&residual));
                assert_close(&actual, &expected, 1e-5);
            }
        }
    }

    #[test]
    fn weights_of_every_type_give_what_the_same_numbers_in_single_precision_give() {
        for (rows, inputs, outputs) in [(1, 1, 1), (13, 41, 77), (1030, 130, 100), (7, 300, 24)] {
            let input = random(rows * inputs, 1);
            for (order, lines) in [(WeightOrder::InputsFirst, inputs), (WeightOrder::OutputsFirst, outputs)] {
                with_kept(&random(inputs * outputs, 2), lines, |kept, widened| {
                    let expected = linear(&input, widened, order, outputs, None, None);
                    assert_eq!(linear(&input, kept, order, outputs, None, None), expected);
                });
            }
        }
    }

    #[test]
    fn no_rows_give_no_rows() {
        assert!(linear(&[], [1.0; 6].as_slice(), WeightOrder::InputsFirst, 2, None, None).is_empty());
    }
}
