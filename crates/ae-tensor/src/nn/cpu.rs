//! The layers on the CPU in single precision, by the kernels of [`ae_kernels`]; elsewhere they are burn's.
//!
//! Every function answers with none where it does not apply, and the caller goes on with burn's operations.

mod attention;
mod channels;
mod conv;
mod elementwise;
mod geglu;
mod heads;
mod linear;
mod norms;
mod operation;
mod prepared;
mod repeated;
mod shared;
mod smoothing;
mod softmax;

pub(super) use attention::{attention, attention_probs, attention_values, recomputed_attention, self_attention};
pub(super) use channels::join_channels;
pub(super) use conv::conv2d;
pub(super) use elementwise::elementwise;
pub(super) use geglu::geglu;
pub(super) use heads::mean_over_heads;
pub(super) use linear::linear;
pub(super) use norms::{group_norm, layer_norm};
pub(super) use prepared::Prepared;
pub(super) use repeated::repeated;
pub(super) use shared::shared;
pub(super) use smoothing::smoothed;
pub(super) use softmax::softmax;

use ae_kernels::Pictures;

fn size([batch, rows, columns, _]: [usize; 4]) -> Pictures {
    Pictures { batch, rows, columns }
}
