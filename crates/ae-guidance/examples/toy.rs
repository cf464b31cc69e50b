//! Guides a toy model by an objective of its own: the attention of two tokens must not overlap. Prints how its terms change
//! while the latents are refined.
//!
//! ```sh
//! cargo run --release -p ae-guidance --example toy
//! ```
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;

use ae_guidance::{
    DenoisingStep, Evaluation, Guidance, GuidanceError, Losses, MapSet, Objective, Pass, Plan, Refinement, Score,
    StepSize,
};
use ae_tensor::{DeviceSpec, NoiseKind, NoiseSource};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

/// `<sot>`, "a cat and a dog" and `<eot>`.
const TOKENS: usize = 7;
const SIDE: usize = 8;

/// Two tokens get much attention, but not of the same patches.
#[derive(Debug)]
struct Apart([usize; 2]);

impl Objective for Apart {
    fn maps(&self) -> Vec<MapSet> {
        vec![MapSet::cross([SIDE, SIDE])]
    }

    fn plan(&self) -> Plan {
        Plan::new(0..25, StepSize::Constant(0.5)).with_refinement([(0, Refinement::AtMost(20))])
    }

    fn evaluate(&self, pass: &mut Pass<'_>) -> Result<Score, GuidanceError> {
        let maps = pass.aggregate(0, [SIDE, SIDE]);
        let images = maps.dims()[0];
        let [a, b] = self.0.map(|token| maps.clone().narrow(3, token, 1));
        let per_image = |map: Tensor<4>| map.reshape([images, SIDE * SIDE]).sum_dim(1);
        let overlap = per_image(a.clone().min_pair(b.clone()));
        let presence = -per_image(a + b);
        let loss = (overlap.clone() * 2.0 + presence.clone()).reshape([images]);
        let names = ["overlap", "presence"].map(str::to_owned).into();
        Ok(Score::new(loss, names, Tensor::cat(vec![overlap, presence], 1)))
    }

    fn is_satisfied(&self, _: usize, losses: &Losses) -> bool {
        losses.terms[0].value < 2.0
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = DeviceSpec::CPU.open()?;
    let mut noise = NoiseSource::new(NoiseKind::TorchCpu, 4);

    // In place of a U-Net: every patch of four channels attends to the tokens through fixed keys.
    let keys = noise.tensor([1, 1, 4, TOKENS], &device);
    let model = |latents: Tensor<4>, _: &[MapSet]| {
        let batch = latents.dims()[0];
        let patches = latents.reshape([batch, 1, 4, SIDE * SIDE]).swap_dims(2, 3);
        vec![vec![softmax(patches.matmul(keys.clone()), 3)]]
    };

    println!("updates  overlap presence    loss");
    let mut print = |Evaluation { iteration, losses, .. }: Evaluation<'_>| {
        let terms: Vec<_> = losses.values().map(|value| format!("{value:>8.3}")).collect();
        println!("{iteration:>7} {} {:>7.3}", terms.join(" "), losses.loss);
        ControlFlow::Continue(())
    };
    let mut guidance = Guidance::new(Arc::new(Apart([2, 5])))?;
    let latents = noise.tensor([1, 4, SIDE, SIDE], &device) * 0.2;
    let step = DenoisingStep::new(0, 50, 981.0);
    guidance.guide(&model, latents, step, &mut print)?.read_traces(&mut print)?;
    Ok(())
}
