//! Whole runs against the reference: the same refinement at every step, the same picture.

use std::ops::ControlFlow;

use ae_pipeline::{ModelSource, Pipeline};
use ae_tensor::FloatType;
use ae_tests::{Case, device, largest_difference, model, tolerances};

/// Largest difference of a recorded loss.
const LOSS: f32 = 1e-3;

fn pipeline(case: &Case) -> Pipeline {
    Pipeline::load(&ModelSource::folder(model(&case.model)), FloatType::F32, &device()).unwrap()
}

fn guided(name: &str) {
    let case = Case::read(name);
    let pipeline = pipeline(&case);
    let mut observe = |_: ae_pipeline::Event<'_>| ControlFlow::Continue(());
    let output = pipeline.generate(&case.request(&pipeline, true), &mut observe).unwrap();
    let picture = &output.pictures[0];

    assert_eq!(picture.trace.steps.len(), case.steps.len(), "{name}: number of steps");
    for (index, (step, recorded)) in picture.trace.steps.iter().zip(&case.steps).enumerate() {
        assert!((step.timestep - recorded.timestep).abs() < 1e-9, "{name}: timestep {index}");
        let Some(guidance) = &step.guidance else { continue };
        let counts = (guidance.refinement_steps(), recorded.refinement_steps());
        assert_eq!(counts.0, counts.1, "{name}: refinement at step {index}, {guidance:?} against {recorded:?}");
        let (first, last) = (recorded.losses[0], *recorded.losses.last().unwrap());
        assert!((guidance.first().loss - first).abs() < LOSS, "{name}: {index}: {} {first}", guidance.first().loss);
        assert!((guidance.last().loss - last).abs() < LOSS, "{name}: {index}: {} {last}", guidance.last().loss);
    }
    let guided_steps = picture.trace.steps.iter().filter(|step| step.guidance.is_some()).count();
    assert_eq!(guided_steps, case.arguments.max_iter_to_alter, "{name}: guided steps");
    let difference = largest_difference(&picture.image, &case.picture("image.png"));
    assert!(difference <= tolerances().picture, "{name}: the guided picture differs by {difference}/255");
}

fn plain(name: &str) {
    let case = Case::read(name);
    let pipeline = pipeline(&case);
    let mut observe = |_: ae_pipeline::Event<'_>| ControlFlow::Continue(());
    let output = pipeline.generate(&case.request(&pipeline, false), &mut observe).unwrap();
    let difference = largest_difference(&output.pictures[0].image, &case.picture("plain.png"));
    assert!(difference <= tolerances().picture, "{name}: the plain picture differs by {difference}/255");
}

macro_rules! runs {
    (both: $($test:ident: $name:literal,)*; plain: $($plain_test:ident: $plain_name:literal,)*) => {
        mod guided_run {
            $(#[test] fn $test() { super::guided($name); })*
        }
        mod plain_run {
            $(#[test] fn $test() { super::plain($name); })*
            $(#[test] fn $plain_test() { super::plain($plain_name); })*
        }

        #[test]
        fn every_case_is_run() {
            let tested = [$($name,)* $($plain_name,)*];
            assert_eq!(Case::names().len(), tested.len());
            for name in Case::names() {
                assert!(tested.contains(&name.as_str()), "{name} is not run");
            }
        }
    };
}

runs! {
    both:
    sd1_pndm_10: "sd1-pndm-10",
    sd1_ddim_10_landscape: "sd1-ddim-10-landscape",
    sd1_pndm_50: "sd1-pndm-50",
    sd1_ddim_50: "sd1-ddim-50",
    sd1_three_subjects: "sd1-three-subjects",
    sd1_odd_size: "sd1-odd-size",
    sd2_ddim_10: "sd2-ddim-10",
    sd2_pndm_10_portrait: "sd2-pndm-10-portrait",
    distilled_pndm_10: "distilled-pndm-10",
    sprites_lion_car: "sprites-lion-car",
    sprites_cat_frog: "sprites-cat-frog",
    ;
    plain:
    sd1_euler: "sd1-euler-plain",
    sd1_euler_ancestral: "sd1-euler-a-plain",
    sd2_dpmpp_2m: "sd2-dpmpp-2m-plain",
}
