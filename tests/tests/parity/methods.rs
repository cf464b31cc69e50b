//! The methods that guide, in whole runs of every kind of model.

use std::ops::ControlFlow;

use ae_pipeline::{Method, ModelSource, Output, Overrides, Pipeline, Request};
use ae_tensor::{FloatType, read};
use ae_tests::{Tensors, assert_close, device, fixtures, largest_difference, model};
use serde_json::{Value, json};

const PROMPT: &str = "a red lion and a blue car";
const SEEDS: [u64; 3] = [3, 4, 5];
/// As few steps and updates as there can be: what is computed is what a longer run computes.
const STEPS: usize = 2;

fn pipeline(name: &str, dtype: FloatType) -> Pipeline {
    Pipeline::load(&ModelSource::folder(model(name)), dtype, &device()).unwrap()
}

fn request(pipeline: &Pipeline, method: Method, given: &Value) -> Request {
    let mut given = Overrides::from_json(given).unwrap();
    given.method = Some(method);
    given.prompt = Some(given.prompt.unwrap_or_else(|| PROMPT.to_owned()));
    given.steps = given.steps.or(Some(STEPS));
    if method == Method::InitNo {
        given.noise_passes = Some(2);
    }
    let is_given = given.attend_and_excite.max_refinement_steps.is_some();
    pipeline.request_with(&given).unwrap().with(|request| {
        let own = &mut request.settings.attend_and_excite;
        if !is_given && method.guides() && own.thresholds.iter().next().is_some() {
            own.max_refinement_steps = 1;
        }
    })
}

fn draw(pipeline: &Pipeline, request: &Request) -> Output {
    pipeline.generate(request, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn guided() -> impl Iterator<Item = Method> {
    Method::ALL.iter().copied().filter(|method| method.guides())
}

/// Every method draws with every kind of model, square and wide; another picture than plain sampling; and each picture of a batch is
/// what it is alone, bit by bit.
fn matrix(name: &str) {
    let pipeline = pipeline(name, FloatType::F32);
    let [height, width] = pipeline.default_size().map(|side| side / 2);
    for wide in [false, true] {
        let size = json!({ "height": height, "width": if wide { width * 2 } else { width } });
        let drawn = |method, seeds: &[u64]| {
            draw(&pipeline, &request(&pipeline, method, &size).with(|request| request.seeds = seeds.to_vec()))
        };
        let plain = drawn(Method::StableDiffusion, &SEEDS);
        for method in guided() {
            let together = drawn(method, &SEEDS);
            let alone = drawn(method, &SEEDS[1..2]);
            for (guided, plain) in together.pictures.iter().zip(&plain.pictures) {
                assert!(guided.image != plain.image, "{name}, wide {wide}: {method} draws what plain sampling does");
                assert!(guided.trace.steps.iter().any(|step| step.guidance.is_some()), "{method}");
            }
            assert!(
                together.pictures[1].image == alone.pictures[0].image,
                "{name}, wide {wide}: {method} draws another picture in a batch"
            );
            let losses = |output: &Output, picture: usize| {
                let steps = output.pictures[picture].trace.steps.iter();
                steps.map(|step| format!("{:?}", step.guidance)).collect::<Vec<_>>()
            };
            assert!(losses(&together, 1) == losses(&alone, 0), "{name}, wide {wide}: {method} has other losses");
        }
    }
}

#[test]
fn every_method_draws_with_the_small_model_of_stable_diffusion_1() {
    matrix("sd1");
}

#[test]
fn every_method_draws_with_the_small_model_of_stable_diffusion_2() {
    matrix("sd2");
}

#[test]
fn every_method_draws_with_the_embedded_model() {
    matrix("sprites");
}

/// What settings say of a picture draws it again, whatever the method.
#[test]
fn resolved_settings_draw_the_same_picture() {
    let pipeline = pipeline("sprites", FloatType::F32);
    for method in guided() {
        let first = request(&pipeline, method, &json!({ "height": 128, "width": 128 }));
        let prepared = pipeline.prepare(&first).unwrap();
        assert_eq!(prepared.notes().iter().filter(|note| note.contains("has no effect")).count(), 0, "{method}");
        let settings = Value::Object(prepared.settings().to_json());
        let again = pipeline.request_with(&Overrides::from_json(&settings).unwrap()).unwrap();
        let resolved = pipeline.prepare(&again).unwrap();
        assert_eq!(Value::Object(resolved.settings().to_json()), settings, "{method}");
        assert!(draw(&pipeline, &again).pictures[0].image == draw(&pipeline, &first).pictures[0].image, "{method}");
    }
}

#[test]
fn half_weights_stay_finite() {
    for dtype in [FloatType::F16, FloatType::BF16] {
        let pipeline = pipeline("sprites", dtype);
        for method in guided() {
            draw(&pipeline, &request(&pipeline, method, &json!({ "height": 128, "width": 128 })));
        }
    }
}

/// What there is nothing to bind, to compare or to keep apart in, has a result or an error that names it.
#[test]
fn prompts_with_little_in_them_are_drawn_or_refused_by_name() {
    let pipeline = pipeline("sprites", FloatType::F32);
    let long = format!("a cat {}and a dog", "and ".repeat(73));
    for (prompt, given, method, refusal) in [
        ("a cat", json!({}), Method::SynGen, None),
        ("cat", json!({}), Method::SynGen, Some("there is nothing to compare")),
        ("cat", json!({}), Method::Ebama, None),
        ("a cat", json!({ "bare_nouns": false }), Method::SynGen, Some("there is nothing to compare")),
        ("a red cat", json!({ "bare_nouns": false }), Method::SynGen, None),
        ("a cat", json!({}), Method::Conform, Some("there is nothing to compare")),
        ("a cat", json!({}), Method::SelfCross, None),
        ("a cat", json!({}), Method::DivideAndBind, None),
        ("a cat", json!({}), Method::Predicated, None),
        ("a cat", json!({}), Method::BoxDiff, None),
        ("a cat and a dog", json!({ "boxes": ["cat:0,0,0.02,0.02", "dog:0.5,0,1,1"] }), Method::BoxDiff, None),
        ("a cat and a dog", json!({ "boxes": ["cat:0,0,1,1", "dog:0.99,0.99,1,1"] }), Method::BoxDiff, None),
        ("a cat and a dog", json!({ "groups": ["cat cat", "dog"] }), Method::Conform, Some("belongs to two words")),
        ("a cat and a dog", json!({ "pairs": ["cat:dog"] }), Method::SynGen, Some("belongs to two words")),
        (&long, json!({ "subjects": ["dog"] }), Method::SynGen, Some("was cut")),
        (&long, json!({ "boxes": ["dog:0,0,1,1"] }), Method::BoxDiff, Some("was cut")),
        ("red and blue", json!({}), Method::Predicated, Some("no word that could be a subject")),
        (
            "a cat and a dog",
            json!({ "attend_and_excite": { "thresholds": { "0": 0.5 } } }),
            Method::SynGen,
            Some("thresholds is 0:0.5: expected 1 at every step"),
        ),
    ] {
        let mut given = given.clone();
        given["prompt"] = prompt.into();
        (given["height"], given["width"]) = (128.into(), 128.into());
        let request = request(&pipeline, method, &given);
        let drawn = pipeline.generate(&request, &mut |_| ControlFlow::Continue(()));
        match (drawn, refusal) {
            (Ok(output), None) => {
                let is_guided = output.pictures[0].trace.steps.iter().any(|step| step.guidance.is_some());
                assert!(is_guided, "{method} does not guide '{prompt}'");
            }
            (Err(error), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{method}, '{prompt}', {given}: {error}");
            }
            (Ok(_), Some(expected)) => panic!("{method} draws '{prompt}', {given}: expected {expected}"),
            (Err(error), None) => panic!("{method} refuses '{prompt}', {given}: {error}"),
        }
    }
}

/// `case.json` of `make_methods_fixtures.py`.
#[derive(serde::Deserialize)]
struct Case {
    model: String,
    settings: Value,
}

/// Every loss of a run and where it ends, against the formulas on the modules of diffusers.
fn equals_the_reference(name: &str) {
    let folder = fixtures("methods").join(name);
    let case: Case = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
    let expected = Tensors::read(&folder.join("expected.safetensors"));
    let pipeline = pipeline(&case.model, FloatType::F32);
    let request = pipeline.request_with(&Overrides::from_json(&case.settings).unwrap()).unwrap();
    let picture = draw(&pipeline, &request).pictures.remove(0);
    let guidance = picture.trace.steps.iter().filter_map(|step| step.guidance.as_ref());
    let losses: Vec<f32> = guidance.flat_map(|guidance| &guidance.evaluations).map(|losses| losses.loss).collect();
    let wanted = expected.values("losses").0;
    assert_eq!(losses.len(), wanted.len(), "{name}: {losses:?} and {wanted:?}");
    let first = (losses[0] - wanted[0]).abs() / wanted[0].abs().max(1.0);
    assert!(first < 1e-4, "{name}: the first loss is {} and not {}", losses[0], wanted[0]);
    for (index, (loss, wanted)) in losses.iter().zip(&wanted).enumerate() {
        let difference = (loss - wanted).abs() / wanted.abs().max(1.0);
        assert!(difference < 2e-3, "{name}: loss {index} is {loss} and not {wanted}");
    }
    if case.model == "sprites" {
        let expected = image::open(folder.join("picture.png")).unwrap().into_rgb8();
        let difference = largest_difference(&picture.image, &expected);
        assert!(difference <= 2, "{name}: the picture differs by {difference}/255");
    } else {
        // Rounding grows over the steps of random weights.
        let (latents, expected) = (read(picture.latents).unwrap(), expected.values("final_latents").0);
        assert_close(&format!("{name}: final latents"), &latents, &expected, 2e-3, 2e-3);
    }
}

#[test]
fn runs_equal_the_reference() {
    let entries = std::fs::read_dir(fixtures("methods")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        equals_the_reference(&name);
    }
}

/// The noise is searched with any method and with plain sampling; each picture of a batch by itself.
#[test]
fn the_noise_to_start_from_is_searched() {
    let pipeline = pipeline("sprites", FloatType::F32);
    for method in [Method::StableDiffusion, Method::Ebama] {
        let drawn = |noise: &str, seeds: &[u64]| {
            let given = json!({ "initial_noise": noise, "noise_passes": 5, "scheduler": "euler-a", "height": 128,
                "width": 128 });
            draw(&pipeline, &request(&pipeline, method, &given).with(|request| request.seeds = seeds.to_vec()))
        };
        let plain = drawn("seed", &SEEDS);
        assert!(plain.pictures.iter().all(|picture| picture.trace.initial_noise.is_none()));
        let one = drawn("best:1", &SEEDS);
        for (one, plain) in one.pictures.iter().zip(&plain.pictures) {
            assert!(one.image == plain.image, "{method}: the only noise is that of the seed");
        }
        for (noise, passes) in [("best:4", 4), ("initno", 5)] {
            let together = drawn(noise, &SEEDS);
            let alone = drawn(noise, &SEEDS[2..]);
            assert!(together.pictures[2].image == alone.pictures[0].image, "{method}, {noise}");
            assert_eq!(together.pictures[2].trace.initial_noise, alone.pictures[0].trace.initial_noise);
            let mut others = 0;
            for (searched, plain) in together.pictures.iter().zip(&plain.pictures) {
                let trace = searched.trace.initial_noise.as_ref().unwrap();
                assert!(trace.passes <= passes && trace.scores.len() <= passes, "{trace:?}");
                let is_least = trace.scores.iter().all(|score| *score >= trace.scores[trace.chosen]);
                assert!(is_least, "{method}, {noise}: {trace:?}");
                let is_same = searched.image == plain.image;
                assert!(!is_same || trace.chosen == 0, "{method}, {noise}: {trace:?}");
                others += usize::from(!is_same);
            }
            assert!(others > 0, "{method}, {noise}: every noise is that of the seed");
        }
    }
    let refused = |given: Value, method, change: &dyn Fn(&mut Request)| {
        let request = request(&pipeline, method, &given).with(change);
        pipeline.prepare(&request).unwrap_err().to_string()
    };
    let best = || json!({ "initial_noise": "best:2" });
    let image = image::RgbImage::new(256, 256);
    let error = refused(best(), Method::Ebama, &|request| request.init_image = Some(image.clone()));
    assert!(error.starts_with("initial_noise is best:2: expected seed with an initial image"), "{error}");
    let parts = json!({ "initial_noise": "best:2", "prompt": "a cat AND a dog" });
    let error = refused(parts, Method::ComposableDiffusion, &|_| ());
    assert!(error.starts_with("initial_noise is best:2: expected seed with a prompt in parts"), "{error}");
    let none = json!({ "initial_noise": "initno", "prompt": "red and blue" });
    let error = refused(none, Method::StableDiffusion, &|_| ());
    assert!(error.contains("no word that could be a subject"), "{error}");
}
