use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use ae_guidance::{AttentionModel, aggregate_attention};
use ae_unet::{AttentionKind, AttentionProcessor, AttentionSite, ConditioningText, UNet2DConditionModel};
use burn::tensor::Tensor;

use crate::latent_size::latent_size;
use crate::{AttentionMaps, Pipeline, PipelineError, Request};

/// The U-Net at one timestep and for one prompt, as guidance sees it.
pub(crate) struct GuidedUNet<'a> {
    pub(crate) unet: &'a UNet2DConditionModel,
    pub(crate) timestep: f64,
    /// The prompt alone.
    pub(crate) text: &'a ConditioningText,
    pub(crate) layers: &'a CrossAttentionLayers,
}

impl AttentionModel for GuidedUNet<'_> {
    fn cross_attention(&self, latents: Tensor<4>) -> Vec<Tensor<4>> {
        let text = self.text.repeat_to(latents.dims()[0]);
        // The pass ends at the last wanted layer; the prediction is not needed.
        let mut last = Last(self.layers.collector());
        let _ = self.unet.try_forward_with(latents, self.timestep, &text, &mut last);
        last.0.maps
    }
}

/// The cross-attention layers of one resolution: what guidance reads and what attention maps show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CrossAttentionLayers {
    pub(crate) resolution: [usize; 2],
    count: usize,
}

impl CrossAttentionLayers {
    /// The layers in a pass over latents of `latent_size` whose maps are of `resolution`; by default of the model's own.
    pub(crate) fn find(
        pipeline: &Pipeline,
        latent_size: [usize; 2],
        resolution: Option<[usize; 2]>,
    ) -> Result<Self, PipelineError> {
        let reduction = pipeline.defaults().attention_reduction;
        let resolution = resolution.unwrap_or(latent_size.map(|side| side.div_ceil(reduction)));
        let available = pipeline.cross_attention(latent_size);
        let Some(&count) = available.get(&resolution) else {
            let show = |[rows, cols]: [usize; 2]| format!("{rows}x{cols}");
            let available = available.into_keys().rev().map(show).collect::<Vec<_>>().join(", ");
            return Err(PipelineError::AttentionResolution { wanted: show(resolution), available });
        };
        Ok(Self { resolution, count })
    }

    /// A processor that looks at these layers.
    pub(crate) fn collector(&self) -> Collector<'_> {
        Collector { layers: self, maps: Vec::with_capacity(self.count) }
    }
}

impl Pipeline {
    /// Rows and columns of the attention maps that guidance can read, smallest first.
    ///
    /// # Errors
    ///
    /// When pictures of the request's size cannot be drawn.
    pub fn attention_resolutions(&self, request: &Request) -> Result<Vec<[usize; 2]>, PipelineError> {
        Ok(self.cross_attention(latent_size(self, request)?).into_keys().collect())
    }

    /// The number of cross-attention layers of every resolution in a pass over latents of `latent_size`.
    fn cross_attention(&self, latent_size: [usize; 2]) -> BTreeMap<[usize; 2], usize> {
        // The layout alone: parameters of a network that is not loaded take no memory.
        let layout = UNet2DConditionModel::new(&self.unet_config, &self.device);
        let mut layers = BTreeMap::new();
        for site in layout.attention_sites(latent_size) {
            if site.kind == AttentionKind::Cross {
                *layers.entry(site.resolution).or_default() += 1;
            }
        }
        layers
    }
}

/// Gathers the probabilities of some layers.
pub(crate) struct Collector<'a> {
    layers: &'a CrossAttentionLayers,
    maps: Vec<Tensor<4>>,
}

impl Collector<'_> {
    /// The maps of the last `pictures` of the batch: in a noise prediction, those with the prompt.
    pub(crate) fn attention_maps(self, pictures: usize) -> Result<Vec<AttentionMaps>, PipelineError> {
        let Self { layers: CrossAttentionLayers { resolution, .. }, maps, .. } = self;
        let maps = maps.into_iter().map(|probs| {
            let batch = probs.dims()[0];
            probs.narrow(0, batch - pictures, pictures)
        });
        let aggregated = aggregate_attention(maps.collect(), *resolution);
        aggregated.split(1, 0).into_iter().map(|maps| AttentionMaps::read(maps, *resolution)).collect()
    }
}

impl AttentionProcessor for Collector<'_> {
    type Break = Infallible;

    fn wants(&self, site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross && site.resolution == self.layers.resolution
    }

    fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
        self.maps.push(probs.clone());
        ControlFlow::Continue(probs)
    }
}

/// Gathers the same and ends the pass at the last of them.
struct Last<'a>(Collector<'a>);

impl AttentionProcessor for Last<'_> {
    type Break = ();

    fn wants(&self, site: &AttentionSite) -> bool {
        self.0.wants(site)
    }

    fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<(), Tensor<4>> {
        let Collector { layers, maps } = &mut self.0;
        maps.push(probs.clone());
        if maps.len() == layers.count { ControlFlow::Break(()) } else { ControlFlow::Continue(probs) }
    }
}
