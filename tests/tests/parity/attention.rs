//! The attention maps that a run shows, against the reference; and that to show them changes no picture.

use std::ops::ControlFlow;

use ae_pipeline::{Event, ModelSource, Pipeline, PipelineError};
use ae_tensor::FloatType;
use ae_tests::{Case, assert_close, device, largest_difference, model, tolerances};

fn pipeline(case: &Case) -> Pipeline {
    Pipeline::load(&ModelSource::folder(model(&case.model)), FloatType::F32, &device()).unwrap()
}

/// At the first step of plain sampling the latents are those that the reference's first guidance pass sees.
fn first_maps(name: &str) {
    let case = Case::read(name);
    let pipeline = pipeline(&case);
    let request = case.request(&pipeline, false).with(|request| request.attention_maps = true);
    let mut shown = None;
    let ended = pipeline.generate(&request, &mut |event| {
        let Event::Denoised { attention, .. } = event else { return ControlFlow::Continue(()) };
        shown = Some(attention.to_vec());
        ControlFlow::Break(())
    });
    assert!(matches!(ended, Err(PipelineError::Interrupted)));
    let [maps] = &shown.unwrap()[..] else { panic!("one picture") };
    let [rows, cols] = maps.resolution();
    // The reference has the tokens last.
    let patches = (0..rows * cols).flat_map(|patch| (0..maps.tokens()).map(move |token| maps.map(token)[patch]));
    let expected = case.values("attention_maps");
    let tolerances = tolerances();
    assert_close(name, &patches.collect::<Vec<_>>(), &expected, tolerances.relative, tolerances.absolute);
}

#[test]
fn maps_of_the_first_step_are_the_references() {
    for name in ["sd1-pndm-10", "sd1-ddim-10-landscape", "sd2-ddim-10", "sprites-lion-car"] {
        first_maps(name);
    }
}

#[test]
fn showing_maps_changes_no_picture() {
    for guided in [true, false] {
        let case = Case::read("sprites-lion-car");
        let pipeline = pipeline(&case);
        let mut request = case.request(&pipeline, guided);
        request.settings.steps = 10;
        let draw = |attention_maps| {
            let request = request.clone().with(|request| request.attention_maps = attention_maps);
            let mut maps = 0;
            let output = pipeline.generate(&request, &mut |event| {
                if let Event::Denoised { attention, .. } = event {
                    maps += attention.len();
                }
                ControlFlow::Continue(())
            });
            let picture = output.unwrap().pictures.remove(0);
            assert_eq!(maps, if attention_maps { picture.trace.steps.len() } else { 0 });
            picture.image
        };
        let difference = largest_difference(&draw(true), &draw(false));
        assert!(difference <= 1, "the picture differs by {difference}/255");
    }
}
