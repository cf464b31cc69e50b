//! What a LoRA changes, and how.

use std::collections::BTreeMap;

use ae_checkpoint::{Lora, LoraLayer, LoraNetwork};
use serde::Serialize;

/// What a LoRA changes: each with the number of parameters that it is of.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Adapter {
    /// The networks.
    pub networks: BTreeMap<&'static str, usize>,
    /// The kinds of updates, as [`LoraLayer::kind`] calls them.
    pub kinds: BTreeMap<&'static str, usize>,
    /// The ranks of updates of low rank.
    pub ranks: BTreeMap<usize, usize>,
    /// The alphas of these: the factor at strength 1 times the rank.
    pub alphas: BTreeMap<String, usize>,
}

impl Adapter {
    pub(super) fn of(lora: &Lora) -> Self {
        let mut adapter = Self::default();
        for layer in &lora.layers {
            let network = match layer.network {
                LoraNetwork::UNet => "U-Net",
                LoraNetwork::TextEncoder => "text encoder",
            };
            *adapter.networks.entry(network).or_default() += 1;
            *adapter.kinds.entry(layer.kind()).or_default() += 1;
            if let Some(rank) = layer.update.rank() {
                *adapter.ranks.entry(rank).or_default() += 1;
                *adapter.alphas.entry(alpha(layer, rank)).or_default() += 1;
            }
        }
        adapter
    }
}

/// Without the last digits, which division and multiplication change.
fn alpha(layer: &LoraLayer, rank: usize) -> String {
    ((layer.scale * rank as f64 * 1e6).round() / 1e6).to_string()
}
