//! Guidance under one sampler against guidance under another.

use std::ops::ControlFlow;

use ae_pipeline::{Event, ModelSource, Pipeline, SchedulerKind, Thresholds};
use ae_tensor::FloatType;
use ae_tests::{device, sprites};

/// The largest loss of every guided step of a picture that is not refined.
fn losses(pipeline: &Pipeline, prompt: &str, scheduler: SchedulerKind) -> Vec<f32> {
    let mut request = pipeline.request(prompt);
    request.seeds = vec![3];
    request.settings.scheduler = Some(scheduler);
    let guidance = &mut request.settings.attend_and_excite;
    guidance.thresholds = Thresholds::none();
    let altered = guidance.max_iter_to_alter.resolve(request.settings.steps);
    let mut losses = Vec::new();
    let ended = pipeline.generate(&request, &mut |event| {
        if let Event::Evaluated { losses: seen, .. } = event {
            losses.push(seen.loss);
        }
        if losses.len() < altered { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(ended.is_err(), "a picture is not needed");
    assert_eq!(losses.len(), altered);
    losses
}

/// Euler's method is DDIM on the same timesteps, with latents of another scale: guidance must not see the difference.
#[test]
fn euler_is_guided_as_ddim() {
    let pipeline = Pipeline::load(&ModelSource::folder(sprites()), FloatType::F32, &device()).unwrap();
    for prompt in ["a cat and a dog", "a lion and a red car", "a turtle and a frog"] {
        let (ddim, euler) =
            (losses(&pipeline, prompt, SchedulerKind::Ddim), losses(&pipeline, prompt, SchedulerKind::Euler));
        let differences = ddim.iter().zip(&euler).map(|(ddim, euler)| (ddim - euler).abs());
        let largest = differences.fold(0.0, f32::max);
        assert!(largest < 2e-3, "{prompt}: {largest}; {ddim:?} under DDIM, {euler:?} under Euler");
    }
}
