//! The kinds of updates, and what is said of their shapes before anything is computed.

use crate::StoredTensor;

/// What is added to a parameter, before the factor of its layer.
///
/// Of a convolution the update is `[output, input * rows * cols]`, as PyTorch's weight lies in memory.
#[derive(Clone, Debug)]
pub enum LoraUpdate {
    /// LoRA and LoCon: one matrix, mostly a product of two.
    Matrix(LoraFactor),
    /// LoHa: the product of two matrices, element by element.
    Hadamard(LoraFactor, LoraFactor),
    /// LoKr: the Kronecker product of two matrices.
    Kronecker(LoraFactor, LoraFactor),
}

/// A matrix, whole or as a product of low rank.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "some hundreds at a time, of tensors that are not in memory")]
pub enum LoraFactor {
    /// `[output]`, `[output, input]` or `[output, input, rows, cols]`
    Whole(StoredTensor),
    /// `left * right`, with a core `sum_ab left[o, a] core[a, b, kernel] right[b, i]`.
    Product {
        /// `[output, rank]`, or `[rank, output]`; ones may follow.
        left: StoredTensor,
        /// Whether `left` is `[rank, output]`.
        is_left_transposed: bool,
        /// `[rank, rank, rows, cols]`
        core: Option<StoredTensor>,
        /// `[rank, input, ..]`
        right: StoredTensor,
    },
}

/// DoRA (Liu et al. 2024): `merged * magnitude / norm(merged)`, where `merged` is `W + scale * update`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoraMagnitude {
    /// One number for each output, or for each input.
    pub values: StoredTensor,
    /// Whether it is for each input, the layout that LyCORIS had at first: `[1, input]`.
    pub is_per_input: bool,
}

impl LoraMagnitude {
    /// Tells the two layouts apart by where the numbers lie; `None` for a tensor that has more than one extent.
    pub(super) fn of(key: &str, values: &StoredTensor) -> Option<Self> {
        let shape = values.shape();
        if shape.is_empty() || shape.iter().filter(|side| **side != 1).count() > 1 {
            return None;
        }
        // PEFT's are per output always: of convolutions [1, output, 1, 1].
        let is_per_input = key.ends_with(".dora_scale") && shape.len() > 1 && shape[0] == 1 && shape[1] != 1;
        Some(Self { values: values.clone(), is_per_input })
    }
}

impl LoraUpdate {
    /// Rows and columns: outputs, and inputs times the kernel; `None` when the parts do not fit together.
    pub fn shape(&self) -> Option<[usize; 2]> {
        match self {
            Self::Matrix(matrix) => matrix.shape(),
            Self::Hadamard(one, other) => one.shape().filter(|shape| other.shape() == Some(*shape)),
            Self::Kronecker(one, other) => {
                let ([a, b], [c, d]) = (one.shape()?, other.shape()?);
                Some([a.checked_mul(c)?, b.checked_mul(d)?])
            }
        }
    }

    /// The rank that divides its alpha; none of whole matrices.
    pub fn rank(&self) -> Option<usize> {
        match self {
            Self::Matrix(matrix) | Self::Hadamard(matrix, _) => matrix.rank(),
            Self::Kronecker(one, other) => other.rank().or(one.rank()),
        }
    }

    /// What is read of a file for it.
    pub(super) fn stored(&self) -> Vec<&StoredTensor> {
        match self {
            Self::Matrix(matrix) => matrix.stored(),
            Self::Hadamard(one, other) | Self::Kronecker(one, other) => [one.stored(), other.stored()].concat(),
        }
    }
}

impl LoraFactor {
    /// The rank of a product.
    fn rank(&self) -> Option<usize> {
        match self {
            Self::Whole(_) => None,
            Self::Product { right, .. } => right.shape().first().copied(),
        }
    }

    /// Rows and columns, as [`LoraUpdate::shape`].
    pub fn shape(&self) -> Option<[usize; 2]> {
        let matrix = |stored: &StoredTensor| match *stored.shape() {
            [] => None,
            [rows, ref rest @ ..] => Some([rows, rest.iter().product()]),
        };
        match self {
            Self::Whole(stored) => matrix(stored),
            Self::Product { left, is_left_transposed, core, right } => {
                let ([first, second], [rank, columns]) = (matrix(left)?, matrix(right)?);
                let (rows, inner) = if *is_left_transposed { (second, first) } else { (first, second) };
                let kernel = match core.as_ref().map(StoredTensor::shape) {
                    None => (inner == rank).then_some(1)?,
                    Some([a, b, kernel @ ..]) if (*a, *b) == (inner, rank) => kernel.iter().product(),
                    Some(_) => return None,
                };
                (rank > 0 && inner > 0).then_some(())?;
                Some([rows, columns.checked_mul(kernel)?])
            }
        }
    }

    fn stored(&self) -> Vec<&StoredTensor> {
        match self {
            Self::Whole(stored) => vec![stored],
            Self::Product { left, core, right, .. } => {
                [Some(left), core.as_ref(), Some(right)].into_iter().flatten().collect()
            }
        }
    }
}
