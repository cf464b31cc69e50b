use std::collections::BTreeSet;
use std::ops::ControlFlow;

use ae_guidance::AttentionModel;
use ae_unet::{AttentionKind, AttentionObserver, AttentionSite, ConditioningText, UNet2DConditionModel};
use burn::tensor::Tensor;

use crate::PipelineError;

/// The U-Net at one timestep and for one prompt, as guidance sees it.
pub(crate) struct GuidedUNet<'a> {
    pub(crate) unet: &'a UNet2DConditionModel,
    pub(crate) timestep: f64,
    /// The prompt alone.
    pub(crate) text: &'a ConditioningText,
    pub(crate) layers: &'a GuidedLayers,
    /// The scheduler's scaling of the model's input.
    pub(crate) scale_input: &'a dyn Fn(Tensor<4>) -> Tensor<4>,
}

impl AttentionModel for GuidedUNet<'_> {
    fn cross_attention(&self, latents: Tensor<4>) -> Vec<Tensor<4>> {
        let text = self.text.repeat_to(latents.dims()[0]);
        let mut collector = Collector { layers: self.layers, maps: Vec::with_capacity(self.layers.count) };
        // The pass ends at the last wanted layer; the prediction is not needed.
        let _ = self.unet.forward_with((self.scale_input)(latents), self.timestep, &text, &mut collector);
        collector.maps
    }
}

/// The cross-attention layers of one resolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuidedLayers {
    pub(crate) resolution: [usize; 2],
    count: usize,
}

impl GuidedLayers {
    /// The layers at `resolution` in a pass over latents of `latent_size`.
    pub(crate) fn find(
        unet: &UNet2DConditionModel,
        latent_size: [usize; 2],
        resolution: [usize; 2],
    ) -> Result<Self, PipelineError> {
        let sites = unet.attention_sites(latent_size);
        let cross = || sites.iter().filter(|site| site.kind == AttentionKind::Cross);
        let count = cross().filter(|site| site.resolution == resolution).count();
        if count == 0 {
            let show = |[rows, cols]: [usize; 2]| format!("{rows}x{cols}");
            let available: BTreeSet<_> = cross().map(|site| site.resolution).collect();
            let available = available.into_iter().rev().map(show).collect::<Vec<_>>().join(", ");
            return Err(PipelineError::AttentionResolution { wanted: show(resolution), available });
        }
        Ok(Self { resolution, count })
    }
}

struct Collector<'a> {
    layers: &'a GuidedLayers,
    maps: Vec<Tensor<4>>,
}

impl AttentionObserver for Collector<'_> {
    fn wants(&self, site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross && site.resolution == self.layers.resolution
    }

    fn observe(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<()> {
        self.maps.push(probs);
        if self.maps.len() == self.layers.count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
