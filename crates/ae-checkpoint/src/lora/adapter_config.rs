//! PEFT's config of an adapter: in the header of diffusers' files, or beside the file in PEFT's folders.

use std::path::Path;

use serde_json::Value;

use super::address::Address;
use super::files::CONFIG;
use super::{LoraError, LoraNetwork};
use crate::Checkpoint;

/// Where diffusers' files have it.
pub(super) const IN_HEADER: &str = "lora_adapter_metadata";
/// Ways of starting a training that change the base: an update of that base is none of the original's.
const CHANGED_BASE: [&str; 6] = ["pissa", "olora", "corda", "loftq", "lora_ga", "loraga"];

/// Settings that make another layer of an adapter than the product of its factors, and what they ask for. `null` and `false` ask for
/// nothing.
const OTHER_LAYERS: [(&str, &str); 7] = [
    ("alora_invocation_tokens", "an adapter that acts from a token of the prompt on"),
    ("arrow_config", "a mixture of adapters, chosen token by token"),
    ("kasa_config", "an adapter of the singular values of its base"),
    ("layer_replication", "an adapter of a model with layers repeated"),
    ("monteclora_config", "an adapter of random draws"),
    ("use_bdlora", "an adapter of blocks on a diagonal"),
    ("use_qalora", "an adapter of groups of a quantized base"),
];

/// The settings of all networks of a file.
pub(super) struct AdapterConfigs {
    value: Value,
    /// Whether the keys begin with their network.
    has_networks: bool,
}

impl AdapterConfigs {
    /// What diffusers writes into the header of a file: one JSON object for all networks.
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self, LoraError> {
        match checkpoint.metadata().get(IN_HEADER) {
            Some(text) => Self::parse(checkpoint.name(), IN_HEADER, text, true),
            None => Ok(Self { value: Value::Null, has_networks: true }),
        }
    }

    /// What PEFT writes beside its file.
    pub(super) fn open(weights: &Path, config: &Path) -> Result<Self, LoraError> {
        /// Far above any config.
        const LARGEST: u64 = 1 << 20;
        let name = weights.display().to_string();
        let text = ae_files::read_text(config, LARGEST).map_err(|cause| LoraError::Read {
            name: name.clone(),
            key: CONFIG.to_owned(),
            cause,
        })?;
        Self::parse(&name, CONFIG, &text, false)
    }

    fn parse(name: &str, what: &str, text: &str, has_networks: bool) -> Result<Self, LoraError> {
        let damaged = |reason| LoraError::Damaged { name: name.to_owned(), reason };
        let value: Value = serde_json::from_str(text).map_err(|error| damaged(format!("{what}: {error}")))?;
        for (key, value) in value.as_object().into_iter().flatten() {
            let setting = if has_networks {
                key.split_once('.').map_or(key.as_str(), |(_, setting)| setting)
            } else {
                key.as_str()
            };
            let asks = !matches!(value, Value::Null | Value::Bool(false));
            if let Some((_, what)) = OTHER_LAYERS.iter().find(|(other, _)| asks && *other == setting) {
                return Err(LoraError::Unsupported { name: name.to_owned(), key: key.clone(), what });
            }
            let start = value.as_str().filter(|_| setting == "init_lora_weights").unwrap_or_default();
            if CHANGED_BASE.iter().any(|changed| start.starts_with(changed)) {
                let what = "an update of a base that its training changed (PiSSA, OLoRA and the like)";
                return Err(LoraError::Unsupported { name: name.to_owned(), key: format!("{key} = {start}"), what });
            }
        }
        Ok(Self { value, has_networks })
    }

    /// PEFT's factor: alpha over rank, or over its root; 1 where the file says nothing.
    pub(super) fn scale(&self, address: &Address, rank: Option<usize>) -> f64 {
        let prefix = match (self.has_networks, address.network) {
            (false, _) => "",
            (true, LoraNetwork::UNet) => "unet.",
            (true, LoraNetwork::TextEncoder) => "text_encoder.",
        };
        let setting = |name: &str| &self.value[format!("{prefix}{name}")];
        let own = setting("alpha_pattern").as_object().into_iter().flatten();
        let own = own.filter(|(pattern, _)| is_of(&address.module, pattern)).find_map(|(_, alpha)| alpha.as_f64());
        // PEFT's LoHa and LoKr call it alpha.
        let alpha = own.or_else(|| setting("lora_alpha").as_f64()).or_else(|| setting("alpha").as_f64());
        let rank = rank.map(|rank| rank as f64).or_else(|| setting("r").as_f64());
        let (Some(alpha), Some(rank)) = (alpha, rank) else { return 1.0 };
        alpha / if setting("use_rslora").as_bool() == Some(true) { rank.sqrt() } else { rank }
    }
}

/// Whether a pattern of PEFT, the end of a path, is of a module.
fn is_of(module: &str, pattern: &str) -> bool {
    let start = module.strip_suffix(&pattern.trim_start_matches('^').replace('.', "_"));
    start.is_some_and(|start| start.is_empty() || start.ends_with('_'))
}
