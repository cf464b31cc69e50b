use crate::attention::AttentionLayers;
use crate::guided_run::GuidedRun;
use crate::{Pipeline, Prepared};

/// Bytes of a number in single precision.
const BYTES: usize = 4;

impl Pipeline {
    /// About how many bytes of memory the U-Net takes while it draws so many pictures of a request together, its weights included; an
    /// estimate from its config that is above what is measured (`tests/tests/batches`). The decoder, which takes one picture at a time, is
    /// not in it.
    pub fn memory(&self, prepared: &Prepared, pictures: usize) -> u64 {
        let config = &self.unet_config;
        // A prediction has the negative prompt and every part of the prompt in one pass; that of guidance has the prompt alone.
        let texts = prepared.read_prompt().len() + 1;
        let plain = texts * config.activations(prepared.latent_size, None);
        let last = prepared.guided.iter().flat_map(GuidedRun::layers).filter_map(AttentionLayers::last);
        let guided = last.map(|site| config.activations(prepared.latent_size, Some(site))).max();
        let picture = plain.max(guided.unwrap_or(0));
        (BYTES * (config.parameters() + pictures * picture)) as u64
    }
}
