//! StructureDiffusion and Composable Diffusion against their definitions, written out in Python.

use std::ops::ControlFlow;

use ae_pipeline::{Method, ModelSource, Pipeline, Request, SchedulerKind};
use ae_tensor::{FloatType, read};
use ae_tests::{Tensors, assert_close, device, fixtures, largest_difference, model, tolerances};
use serde::Deserialize;

/// `case.json` of `make_baselines_fixtures.py`.
#[derive(Deserialize)]
struct Case {
    model: String,
    prompt: String,
    negative_prompt: String,
    phrases: Option<Vec<String>>,
    seed: u64,
    guidance_scale: f64,
    steps: usize,
    height: usize,
    width: usize,
    scheduler: Option<String>,
}

impl Case {
    fn request(&self, pipeline: &Pipeline) -> Request {
        let class = |name: &String| SchedulerKind::ALL.iter().copied().find(|kind| kind.class_name() == name).unwrap();
        let mut request = pipeline.request(&self.prompt);
        request.seeds = vec![self.seed];
        let settings = &mut request.settings;
        settings.negative_prompt.clone_from(&self.negative_prompt);
        (settings.height, settings.width) = (Some(self.height), Some(self.width));
        settings.steps = self.steps;
        settings.guidance_scale = self.guidance_scale;
        settings.scheduler = self.scheduler.as_ref().map(class);
        settings.phrases.clone_from(&self.phrases);
        settings.method = if self.phrases.is_some() { Method::StructureDiffusion } else { Method::ComposableDiffusion };
        request
    }
}

/// The first noise prediction and the whole run.
fn equals_the_reference(name: &str) {
    let folder = fixtures("baselines").join(name);
    let case: Case = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
    let expected = Tensors::read(&folder.join("expected.safetensors"));
    let pipeline = Pipeline::load(&ModelSource::folder(model(&case.model)), FloatType::F32, &device()).unwrap();
    let request = case.request(&pipeline);
    let tolerances = tolerances();
    let (first, prediction) = (pipeline.stages(&request).unwrap(), expected.values("noise_prediction").0);
    // Guidance multiplies what the U-Net rounds.
    let absolute = tolerances.absolute * case.guidance_scale as f32;
    assert_close(&format!("{name}: noise"), &first.noise_prediction, &prediction, tolerances.relative, absolute);

    let draw = |request: &Request| pipeline.generate(request, &mut |_| ControlFlow::Continue(())).unwrap();
    let picture = draw(&request).pictures.remove(0);
    if case.model == "sprites" {
        let expected = image::open(folder.join("picture.png")).unwrap().into_rgb8();
        let difference = largest_difference(&picture.image, &expected);
        assert!(difference <= tolerances.picture, "{name}: the picture differs by {difference}/255");
    } else {
        // Rounding grows over the steps of random weights.
        let (latents, expected) = (read(picture.latents).unwrap(), expected.values("final_latents").0);
        assert_close(&format!("{name}: final latents"), &latents, &expected, 1e-3, 1e-3);
    }
    // A baseline that changed nothing would pass for plain sampling.
    let plain = draw(&request.with(|request| request.settings.method = Method::StableDiffusion));
    assert!(
        largest_difference(&plain.pictures[0].image, &picture.image) > tolerances.picture,
        "{name}: as plain sampling"
    );
}

macro_rules! cases {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { equals_the_reference($name); })*

        #[test]
        fn every_case_is_run() {
            let entries = std::fs::read_dir(fixtures("baselines")).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            let mut run = vec![$($name,)*];
            run.sort_unstable();
            assert_eq!(names, run);
        }
    };
}

cases! {
    structure_sd1: "structure-sd1",
    structure_sd2_portrait: "structure-sd2-portrait",
    structure_three: "structure-three",
    structure_sprites: "structure-sprites",
    composable_sd1: "composable-sd1",
    composable_sd2_weights: "composable-sd2-weights",
    composable_sprites: "composable-sprites",
}
