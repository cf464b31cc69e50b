use std::convert::Infallible;
use std::ops::ControlFlow;

use burn::tensor::Tensor;

use crate::AttentionSite;

/// Looks at attention probabilities while the U-Net runs, changes them, or ends the pass
/// (diffusers' `attn_processor`).
///
/// The U-Net asks at every site, in the order of the pass. A layer that is not wanted runs fused attention, which never forms
/// its probabilities. [`observe_attention`] makes a processor that looks only; a pair of processors is a processor of both.
pub trait AttentionProcessor {
    /// The value that an ended pass returns; [`Infallible`] for a processor that never ends one.
    type Break;

    /// Hears that a pass begins, and at which timestep.
    fn begin(&mut self, timestep: f64) {
        let _ = timestep;
    }

    /// Whether the probabilities of this layer are wanted. If not, they are never formed.
    fn wants(&self, site: &AttentionSite) -> bool;

    /// Receives the probabilities of a wanted layer and returns those that the layer goes on with: the same, or others of the
    /// same shape. Gradients flow through a change.
    ///
    /// [`ControlFlow::Break`] ends the pass here: nothing that only later layers need is computed.
    ///
    /// The batch has every text, text by text, with the latents in their order within each. In a self-attention before the first
    /// cross-attention it has the latents alone, because up to there they are the same for all texts.
    ///
    /// # Shapes
    /// - probs and output: `[batch, heads, rows * cols, tokens]`, single precision; for self-attention the last axis is
    ///   `rows * cols` too
    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Self::Break, Tensor<4>>;
}

/// A processor that looks only: `look` receives the probabilities of the layers for which `wants` is true.
pub fn observe_attention(
    wants: impl Fn(&AttentionSite) -> bool,
    look: impl FnMut(&AttentionSite, Tensor<4>),
) -> impl AttentionProcessor<Break = Infallible> {
    Observe { wants, look }
}

struct Observe<W, L> {
    wants: W,
    look: L,
}

impl<W: Fn(&AttentionSite) -> bool, L: FnMut(&AttentionSite, Tensor<4>)> AttentionProcessor for Observe<W, L> {
    type Break = Infallible;

    fn wants(&self, site: &AttentionSite) -> bool {
        (self.wants)(site)
    }

    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
        (self.look)(site, probs.clone());
        ControlFlow::Continue(probs)
    }
}

/// Wants nothing.
impl AttentionProcessor for () {
    type Break = Infallible;

    fn wants(&self, _: &AttentionSite) -> bool {
        false
    }

    fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
        ControlFlow::Continue(probs)
    }
}

impl<P: AttentionProcessor + ?Sized> AttentionProcessor for &mut P {
    type Break = P::Break;

    fn begin(&mut self, timestep: f64) {
        (**self).begin(timestep);
    }

    fn wants(&self, site: &AttentionSite) -> bool {
        (**self).wants(site)
    }

    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<P::Break, Tensor<4>> {
        (**self).process(site, probs)
    }
}

/// None wants nothing.
impl<P: AttentionProcessor> AttentionProcessor for Option<P> {
    type Break = P::Break;

    fn begin(&mut self, timestep: f64) {
        if let Some(processor) = self {
            processor.begin(timestep);
        }
    }

    fn wants(&self, site: &AttentionSite) -> bool {
        self.as_ref().is_some_and(|processor| processor.wants(site))
    }

    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<P::Break, Tensor<4>> {
        match self {
            Some(processor) => processor.process(site, probs),
            None => ControlFlow::Continue(probs),
        }
    }
}

/// One after the other: the second sees what the first returns. Each is given only what it wants.
impl<P: AttentionProcessor, Q: AttentionProcessor<Break = P::Break>> AttentionProcessor for (P, Q) {
    type Break = P::Break;

    fn begin(&mut self, timestep: f64) {
        self.0.begin(timestep);
        self.1.begin(timestep);
    }

    fn wants(&self, site: &AttentionSite) -> bool {
        self.0.wants(site) || self.1.wants(site)
    }

    fn process(&mut self, site: &AttentionSite, mut probs: Tensor<4>) -> ControlFlow<P::Break, Tensor<4>> {
        if self.0.wants(site) {
            probs = self.0.process(site, probs)?;
        }
        if self.1.wants(site) {
            probs = self.1.process(site, probs)?;
        }
        ControlFlow::Continue(probs)
    }
}

#[cfg(test)]
mod tests {
    use ae_tensor::{NoiseKind, NoiseSource};
    use burn::module::{Module, ModuleMapper, Param};
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;
    use crate::{AttentionKind, ConditioningText, UNet2DConditionModel, UNetConfig};

    const TIMESTEP: f64 = 301.0;
    const TOKENS: usize = 5;
    const WIDTH: usize = 8;

    /// Parameters from a generator of their own, so that no test depends on another.
    struct Fill(NoiseSource);

    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| self.0.tensor(tensor.dims(), &tensor.device()) * 0.2)
        }
    }

    /// Two levels with attention, seven transformers.
    fn config() -> UNetConfig {
        let config = r#"{
            "sample_size": 8, "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
            "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
            "attention_head_dim": 2, "cross_attention_dim": 8
        }"#;
        UNetConfig::from_json(config).unwrap()
    }

    fn unet() -> UNet2DConditionModel {
        let model = UNet2DConditionModel::new(&config(), &Device::flex());
        model.map(&mut Fill(NoiseSource::new(NoiseKind::TorchCpu, 1)))
    }

    fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
        NoiseSource::new(NoiseKind::TorchCpu, seed).tensor(shape, &Device::flex())
    }

    fn latents() -> Tensor<4> {
        random([1, 4, 8, 8], 2)
    }

    /// Two texts.
    fn text(unet: &UNet2DConditionModel) -> ConditioningText {
        unet.read_text(&random([2, TOKENS, WIDTH], 3))
    }

    fn data<const D: usize>(tensor: Tensor<D>) -> TensorData {
        tensor.without_autodiff().into_data()
    }

    fn largest_difference(a: Tensor<4>, b: Tensor<4>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    fn is_cross(site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross
    }

    /// Changes the probabilities of some layers.
    struct Change<W, C>(W, C);

    impl<W, C> AttentionProcessor for Change<W, C>
    where
        W: Fn(&AttentionSite) -> bool,
        C: FnMut(&AttentionSite, Tensor<4>) -> Tensor<4>,
    {
        type Break = Infallible;

        fn wants(&self, site: &AttentionSite) -> bool {
            (self.0)(site)
        }

        fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
            ControlFlow::Continue((self.1)(site, probs))
        }
    }

    /// No attention to one token.
    fn without(token: usize, probs: &Tensor<4>) -> Tensor<4> {
        let [batch, heads, patches, _] = probs.dims();
        let nothing = Tensor::zeros([batch, heads, patches, 1], &probs.device());
        probs.clone().slice_assign([0..batch, 0..heads, 0..patches, token..token + 1], nothing)
    }

    #[test]
    fn what_is_not_wanted_is_not_processed_and_the_pass_stays_the_same_bit_for_bit() {
        struct Nothing(Vec<f64>);
        impl AttentionProcessor for Nothing {
            type Break = Infallible;
            fn begin(&mut self, timestep: f64) {
                self.0.push(timestep);
            }
            fn wants(&self, _: &AttentionSite) -> bool {
                false
            }
            fn process(&mut self, site: &AttentionSite, _: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
                panic!("{site} was not wanted")
            }
        }
        let (unet, mut nothing) = (unet(), Nothing(Vec::new()));
        let text = text(&unet);
        let plain = unet.forward(latents(), TIMESTEP, &text);
        let processed = unet.forward_with(latents(), TIMESTEP, &text, &mut (&mut nothing, Some(())));
        assert_eq!(data(processed), data(plain));
        assert_eq!(nothing.0, [TIMESTEP]);
    }

    #[test]
    fn probabilities_have_the_shape_that_the_site_says() {
        let unet = unet();
        let (sites, mut seen) = (config().attention_sites([8, 8]), Vec::new());
        let look = |site: &AttentionSite, probs: Tensor<4>| {
            let [rows, cols] = site.resolution;
            let keys = if is_cross(site) { TOKENS } else { rows * cols };
            // Up to the first cross-attention both texts have the same latents.
            let batch = if seen.is_empty() { 1 } else { 2 };
            assert_eq!(probs.dims(), [batch, site.heads, rows * cols, keys], "{site}");
            let sums = probs.sum_dim(3);
            assert!(largest_difference(sums.clone(), sums.ones_like()) < 1e-5, "{site}");
            seen.push(*site);
        };
        unet.forward_with(latents(), TIMESTEP, &text(&unet), &mut observe_attention(|_| true, look));
        assert_eq!(seen, sites);
        assert_eq!(sites.len(), 14);
    }

    #[test]
    fn probabilities_of_another_pass_can_be_injected() {
        let unet = unet();
        let record = |text: &ConditioningText| {
            let mut maps = Vec::new();
            let look = |_: &_, probs| maps.push(probs);
            let output = unet.forward_with(latents(), TIMESTEP, text, &mut observe_attention(|_| true, look));
            (output, maps)
        };
        let text = text(&unet);
        let (observed, maps) = record(&text);
        let plain = unet.forward(latents(), TIMESTEP, &text);
        data(observed.clone()).assert_approx_eq::<f32>(&data(plain), Tolerance::rel_abs(1e-4, 1e-5));

        let inject = |latents, maps: Vec<Tensor<4>>| {
            let mut maps = maps.into_iter();
            unet.forward_with(latents, TIMESTEP, &text, &mut Change(|_: &_| true, |_: &_, _| maps.next().unwrap()))
        };
        assert_eq!(data(inject(latents(), maps.clone())), data(observed.clone()));
        // Maps without a gradient fit into a pass with one.
        assert_eq!(data(inject(latents().autodiff().require_grad(), maps)), data(observed.clone()));

        let (_, others) = record(&unet.read_text(&random([2, TOKENS, WIDTH], 4)));
        assert!(largest_difference(inject(latents(), others), observed) > 1e-3);
    }

    #[test]
    fn a_masked_token_has_no_influence() {
        const TOKEN: usize = 3;
        let unet = unet();
        let context: Tensor<3> = random([2, TOKENS, WIDTH], 3);
        let other = context.clone().slice_assign([0..2, TOKEN..TOKEN + 1, 0..WIDTH], random([2, 1, WIDTH], 5));
        let masked = |text: &ConditioningText, renormalise: bool| {
            let mut mask = Change(is_cross, |_: &_, probs: Tensor<4>| {
                let rest = without(TOKEN, &probs);
                if renormalise { rest.clone() / rest.sum_dim(3) } else { rest }
            });
            unet.forward_with(latents(), TIMESTEP, text, &mut mask)
        };
        let plain = |context| unet.forward(latents(), TIMESTEP, &unet.read_text(context));
        assert!(largest_difference(plain(&context), plain(&other)) > 1e-2);
        // Without its share the others are what they are without the token.
        let [ours, theirs] = [&context, &other].map(|context| data(masked(&unet.read_text(context), true)));
        ours.assert_approx_eq::<f32>(&theirs, Tolerance::rel_abs(1e-4, 1e-5));
        // Where only its value differs, nothing of it is left.
        let [ours, theirs] =
            [&context, &other].map(|values| data(masked(&unet.read_text_with_values(&context, values), false)));
        assert_eq!(ours, theirs);
    }

    /// The derivative along `direction`, by automatic and by finite differences.
    fn derivatives(loss: impl Fn(Tensor<4>) -> Tensor<1>, at: &Tensor<4>, direction: &Tensor<4>) -> [f32; 2] {
        const H: f64 = 1e-2;
        let leaf = at.clone().autodiff().require_grad();
        let gradient = leaf.grad(&loss(leaf.clone()).backward()).expect("the loss depends on the leaf");
        let value =
            |shift: f64| -> f32 { loss(at.clone() + direction.clone() * shift).without_autodiff().into_scalar() };
        [(gradient * direction.clone()).sum().into_scalar(), (value(H) - value(-H)) / (2.0 * H as f32)]
    }

    fn assert_derivatives_agree([automatic, finite]: [f32; 2]) {
        assert!(finite.abs() > 1e-2, "{finite}");
        assert!((automatic - finite).abs() < 0.01 * finite.abs(), "{automatic} against {finite}");
    }

    /// Probabilities a hundred times as far from their mean: random weights attend almost evenly.
    #[test]
    fn the_gradient_flows_through_a_change() {
        let unet = unet();
        let (text, weights, direction) = (text(&unet), random([2, 4, 8, 8], 6), random([1, 4, 8, 8], 7));
        let loss = |latents: Tensor<4>, is_tracked: bool| {
            let sharpen = |_: &_, probs: Tensor<4>| {
                let probs = if is_tracked { probs } else { probs.detach() };
                let mean = probs.clone().mean_dim(3);
                mean.clone() + (probs - mean) * 100.0
            };
            let output = unet.forward_with(latents, TIMESTEP, &text, &mut Change(|_: &_| true, sharpen));
            (output * weights.clone()).sum()
        };
        assert_derivatives_agree(derivatives(|latents| loss(latents, true), &latents(), &direction));
        // A change that holds the gradient back is seen: the test looks at what flows through the probabilities.
        let [automatic, finite] = derivatives(|latents| loss(latents, false), &latents(), &direction);
        assert!((automatic - finite).abs() > 0.05 * finite.abs(), "{automatic} against {finite}");
    }

    #[test]
    fn the_gradient_reaches_an_injected_map() {
        let unet = unet();
        let (text, weights) = (text(&unet), random([2, 4, 8, 8], 6));
        // The cross-attention of the mid block, of 4x4 patches.
        let site = config().attention_sites([8, 8])[5];
        let map = random([2, site.heads, 16, TOKENS], 8).abs();
        let loss = |map: Tensor<4>| {
            let mut inject = Change(|asked: &AttentionSite| *asked == site, |_: &_, _| map.clone());
            (unet.forward_with(latents(), TIMESTEP, &text, &mut inject) * weights.clone()).sum()
        };
        assert_derivatives_agree(derivatives(loss, &map, &random(map.dims(), 9)));
    }

    #[test]
    fn a_processor_ends_the_pass_with_a_value() {
        /// Ends at the third cross-attention.
        struct Third(Vec<AttentionSite>);
        impl AttentionProcessor for Third {
            type Break = (AttentionSite, Tensor<4>);
            fn wants(&self, site: &AttentionSite) -> bool {
                is_cross(site)
            }
            fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Self::Break, Tensor<4>> {
                self.0.push(*site);
                if self.0.len() == 3 { ControlFlow::Break((*site, probs)) } else { ControlFlow::Continue(probs) }
            }
        }
        let (unet, mut third) = (unet(), Third(Vec::new()));
        let ended = unet.try_forward_with(latents(), TIMESTEP, &text(&unet), &mut Some(&mut third));
        let (site, probs) = ended.break_value().expect("the pass was ended");
        let cross: Vec<_> = config().attention_sites([8, 8]).into_iter().filter(is_cross).collect();
        assert_eq!(third.0, cross[..3]);
        assert_eq!((site, probs.dims()), (cross[2], [2, 2, 16, TOKENS]));
    }

    #[test]
    fn the_second_of_a_pair_sees_what_the_first_returns() {
        let unet = unet();
        let (mut cross, mut all) = (0, 0);
        let first = Change(is_cross, |_: &_, probs: Tensor<4>| without(0, &probs));
        let second = observe_attention(
            |_| true,
            |site, probs| {
                let share: f32 = probs.narrow(3, 0, 1).max().into_scalar();
                assert_eq!(share == 0.0, is_cross(site), "{site}");
                (cross, all) = (cross + usize::from(is_cross(site)), all + 1);
            },
        );
        unet.forward_with(latents(), TIMESTEP, &text(&unet), &mut (first, second));
        assert_eq!((cross, all), (7, 14));
    }

    #[test]
    #[should_panic(
        expected = "must keep the shape of the probabilities at down_blocks.0.attentions.0.transformer_blocks.0.attn2 (8x8)"
    )]
    fn another_shape_panics_with_the_site() {
        let unet = unet();
        let mut narrow = Change(is_cross, |_: &_, probs: Tensor<4>| probs.narrow(3, 0, 1));
        unet.forward_with(latents(), TIMESTEP, &text(&unet), &mut narrow);
    }
}
