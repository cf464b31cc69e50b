use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use ae_guidance::{AttentionModel, Layers, MapKind, MapSet, Objective, aggregate_attention};
use ae_tensor::nn::shared;
use ae_unet::{AttentionKind, AttentionProcessor, AttentionSite, ConditioningText, UNet2DConditionModel};
use burn::tensor::Tensor;

use crate::latent_size::latent_size;
use crate::layer_choice::find_layers;
use crate::start::{Condition, beside};
use crate::{AttentionMaps, Pipeline, PipelineError, Request};

/// The U-Net at one timestep and for one prompt, as guidance sees it.
pub(crate) struct GuidedUNet<'a> {
    pub(crate) unet: &'a UNet2DConditionModel,
    pub(crate) timestep: f64,
    /// The prompt alone.
    pub(crate) text: &'a ConditioningText,
    /// What it sees beside the latents.
    pub(crate) condition: Option<&'a Condition>,
    /// The layers of every set of maps that the objective reads.
    pub(crate) layers: &'a [AttentionLayers],
}

impl AttentionModel for GuidedUNet<'_> {
    fn attention(&self, latents: Tensor<4>, images: &[usize], _: &[MapSet]) -> Vec<Vec<Tensor<4>>> {
        let text = self.text.repeat_to(images.len());
        let input = beside(self.condition, latents, images);
        // The pass ends at the last wanted layer; the prediction is not needed.
        let mut last = Last(Collector::new(self.layers));
        let _ = self.unet.try_forward_with(input, self.timestep, &text, &mut last);
        last.0.maps
    }
}

/// The attention layers that a set of maps means, all of one resolution.
#[derive(Clone, Debug)]
pub(crate) struct AttentionLayers {
    pub(crate) resolution: [usize; 2],
    sites: Vec<AttentionSite>,
}

impl AttentionLayers {
    /// Finds the layers of a set among those of a pass.
    pub(crate) fn find(sites: &[AttentionSite], set: &MapSet) -> Result<Self, PipelineError> {
        let kind = match set.kind {
            MapKind::Cross => AttentionKind::Cross,
            MapKind::SelfAttention => AttentionKind::SelfAttention,
        };
        let mut sites: Vec<_> = sites.iter().copied().filter(|site| site.kind == kind).collect();
        match &set.layers {
            Layers::Resolution(resolution) => {
                let available: BTreeSet<_> = sites.iter().map(|site| site.resolution).collect();
                sites.retain(|site| site.resolution == *resolution);
                if sites.is_empty() {
                    let available = available.into_iter().rev().map(show).collect::<Vec<_>>().join(", ");
                    return Err(PipelineError::AttentionResolution { wanted: show(*resolution), available });
                }
            }
            Layers::Named(patterns) => sites = find_layers(patterns, &sites)?,
        }
        let resolutions: BTreeSet<_> = sites.iter().map(|site| site.resolution).collect();
        match resolutions.iter().collect::<Vec<_>>()[..] {
            [&resolution] => Ok(Self { resolution, sites }),
            ref several => {
                let found = several.iter().map(|resolution| show(**resolution)).collect::<Vec<_>>().join(", ");
                Err(PipelineError::MixedResolutions { found })
            }
        }
    }

    /// Those of every set of maps that an objective reads.
    pub(crate) fn of_objective(sites: &[AttentionSite], objective: &dyn Objective) -> Result<Vec<Self>, PipelineError> {
        objective.maps().iter().map(|set| Self::find(sites, set)).collect()
    }

    /// The cross-attention that a model's defaults name.
    pub(crate) fn default_of(pipeline: &Pipeline, latent_size: [usize; 2]) -> Result<Self, PipelineError> {
        let set = MapSet::cross(default_resolution(pipeline, latent_size));
        Self::find(&pipeline.unet_config.attention_sites(latent_size), &set)
    }

    /// Their paths, as diffusers has them.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.sites.iter().map(AttentionSite::path).collect()
    }

    /// Whether these are cross-attention layers.
    pub(crate) fn are_cross(&self) -> bool {
        self.sites.iter().all(|site| site.kind == AttentionKind::Cross)
    }

    /// The last of them in a pass; they are in its order.
    pub(crate) fn last(&self) -> Option<&AttentionSite> {
        self.sites.last()
    }

    /// A processor that looks at these layers.
    pub(crate) fn collector(&self) -> Collector<'_> {
        Collector::new(std::slice::from_ref(self))
    }
}

/// Rows and columns of the attention maps that a model's defaults name.
pub(crate) fn default_resolution(pipeline: &Pipeline, latent_size: [usize; 2]) -> [usize; 2] {
    latent_size.map(|side| side.div_ceil(pipeline.defaults().attention_reduction))
}

fn show([rows, cols]: [usize; 2]) -> String {
    format!("{rows}x{cols}")
}

impl Pipeline {
    /// Rows and columns of the cross-attention maps that guidance can read, smallest first.
    ///
    /// # Errors
    ///
    /// When pictures of the request's size cannot be drawn.
    pub fn attention_resolutions(&self, request: &Request) -> Result<Vec<[usize; 2]>, PipelineError> {
        let sites = self.unet_config.attention_sites(latent_size(self, request)?);
        let cross = sites.iter().filter(|site| site.kind == AttentionKind::Cross);
        Ok(cross.map(|site| site.resolution).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// Gathers the probabilities of some layers, set by set.
pub(crate) struct Collector<'a> {
    sets: &'a [AttentionLayers],
    maps: Vec<Vec<Tensor<4>>>,
}

impl<'a> Collector<'a> {
    fn new(sets: &'a [AttentionLayers]) -> Self {
        Self { sets, maps: vec![Vec::new(); sets.len()] }
    }

    fn keep(&mut self, site: &AttentionSite, probs: &Tensor<4>) {
        let wanting = self.sets.iter().zip(&mut self.maps).filter(|(set, _)| set.sites.contains(site));
        wanting.for_each(|(_, maps)| maps.push(probs.clone()));
    }

    /// The maps of the only set, for the last `pictures` of the batch: in a noise prediction, those with the prompt.
    /// A prompt that was repeated to more than its `tokens` has the sum over its repetitions.
    pub(crate) fn attention_maps(
        mut self,
        pictures: usize,
        tokens: usize,
    ) -> Result<Vec<AttentionMaps>, PipelineError> {
        let [AttentionLayers { resolution, .. }] = self.sets else { unreachable!("one set is shown") };
        let maps = self.maps.remove(0).into_iter().map(|probs| {
            let batch = probs.dims()[0];
            probs.narrow(0, batch - pictures, pictures)
        });
        let aggregated = aggregate_attention(maps.collect(), *resolution);
        let aggregated = match aggregated.dims() {
            [batch, rows, cols, all] if all > tokens => {
                let repeated = aggregated.reshape([batch, rows * cols, all / tokens, tokens]);
                repeated.sum_dim(2).reshape([batch, rows, cols, tokens])
            }
            _ => aggregated,
        };
        aggregated.split(1, 0).into_iter().map(|maps| AttentionMaps::read(maps, *resolution)).collect()
    }
}

impl AttentionProcessor for Collector<'_> {
    type Break = Infallible;

    fn wants(&self, site: &AttentionSite) -> bool {
        self.sets.iter().any(|set| set.sites.contains(site))
    }

    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
        let [kept, probs] = shared(probs);
        self.keep(site, &kept);
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

    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<(), Tensor<4>> {
        let [kept, probs] = shared(probs);
        self.0.keep(site, &kept);
        let is_whole = self.0.sets.iter().zip(&self.0.maps).all(|(set, maps)| set.sites.len() == maps.len());
        if is_whole { ControlFlow::Break(()) } else { ControlFlow::Continue(probs) }
    }
}

#[cfg(test)]
mod tests {
    use ae_unet::UNetConfig;

    use super::*;

    fn found(set: &MapSet) -> Result<(usize, [usize; 2]), String> {
        let config = UNetConfig::stable_diffusion_1();
        let layers = AttentionLayers::find(&config.attention_sites([64, 64]), set);
        layers.map(|layers| (layers.sites.len(), layers.resolution)).map_err(|error| error.to_string())
    }

    fn named(kind: MapKind, patterns: &[&str]) -> MapSet {
        MapSet::new(kind, Layers::Named(patterns.iter().map(|&pattern| pattern.to_owned()).collect()))
    }

    #[test]
    fn layers_are_found_by_resolution_and_by_name() {
        // Two in a down block, three in an up block.
        assert_eq!(found(&MapSet::cross([16, 16])), Ok((5, [16, 16])));
        assert_eq!(found(&MapSet::self_attention([16, 16])), Ok((5, [16, 16])));
        assert_eq!(found(&named(MapKind::Cross, &["up_blocks.1.*"])), Ok((3, [16, 16])));
        let both = ["up_blocks.1.attentions.0.*", "up_blocks.1.*", "down_blocks.2.attentions.1.*"];
        assert_eq!(found(&named(MapKind::SelfAttention, &both)), Ok((4, [16, 16])), "each layer once");
    }

    #[test]
    fn layers_that_are_not_there_or_do_not_fit_together_are_refused_by_name() {
        let error = found(&MapSet::cross([17, 16])).unwrap_err();
        assert_eq!(
            error,
            "the U-Net has no cross-attention of 17x16; at this image size it has 64x64, 32x32, 16x16, 8x8"
        );
        let error = found(&named(MapKind::Cross, &["up_blocks.9.*"])).unwrap_err();
        assert!(
            error.starts_with("the U-Net has no attention layer 'up_blocks.9.*'; it has down_blocks.0.a"),
            "{error}"
        );
        let error = found(&named(MapKind::Cross, &["up_blocks.1.*", "mid_block.*"])).unwrap_err();
        assert!(error.contains("8x8, 16x16"), "{error}");
        let error = found(&named(MapKind::Cross, &[])).unwrap_err();
        assert!(error.contains("of one resolution"), "{error}");
    }
}
