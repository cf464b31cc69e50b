use std::ops::ControlFlow;

use ae_guidance::{Guidance, Plan};
use ae_tensor::{compute_on, read};

use crate::run::Run;
use crate::{Pipeline, PipelineError, Request};

/// What the stages of the first denoising step compute, for comparing one device with another.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages {
    /// The text embeddings of negative prompt and prompt, or its parts.
    pub text_embeddings: Vec<f32>,
    /// The noise prediction with classifier-free guidance, at the first latents.
    pub noise_prediction: Vec<f32>,
    /// The terms of the guidance loss at the first latents, of Attend-and-Excite the loss of every subject; none for plain sampling.
    pub losses: Vec<f32>,
    /// The gradient of the loss by the U-Net's input; none for plain sampling.
    pub gradient: Vec<f32>,
}

impl Pipeline {
    /// Computes the stages of the first denoising step of a request.
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate).
    pub fn stages(&self, request: &Request) -> Result<Stages, PipelineError> {
        compute_on(&self.device, || {
            let prepared = self.prepare(request)?;
            let mut run = Run::set_up(self, &prepared)?;
            // One update at the first step in place of the plan.
            let first = prepared.first_step;
            let once = |guidance: Guidance| {
                let plan = Plan::new(first..first + 1, guidance.plan().step_size);
                guidance.with_plan(plan)
            };
            let guidance = run.guidance.into_iter().map(|guidance| guidance.map(once).transpose());
            run.guidance = guidance.collect::<Result<_, _>>()?;
            let unet = self.unet.get()?;
            let texts = run.read_texts(&unet);
            let noise_prediction = read(run.predict_noise(&unet, &texts, 0, &mut ()))?;
            let (mut losses, mut gradient) = (Vec::new(), Vec::new());
            if let Some(guided) = run.guide(&unet, &texts, 0, &mut |_| ControlFlow::Continue(()))? {
                gradient = guided.gradient().map(read).transpose()?.unwrap_or_default();
                let traces = guided.read_traces(&mut |_| ControlFlow::Continue(()))?;
                losses = traces.iter().flat_map(|trace| trace.first().values()).collect();
            }
            Ok(Stages { text_embeddings: read(run.conditioning.keys)?, noise_prediction, losses, gradient })
        })
    }
}
