//! Requests that cannot be drawn, and odd ones that can.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use ae_pipeline::{
    Event, InitialLatents, Method, ModelSource, Output, Pipeline, PipelineError, Request, SubjectChoice,
};
use ae_tensor::{FloatType, read};
use ae_tests::sprites;
use burn::tensor::Device;
use image::RgbImage;

fn pipeline() -> &'static Pipeline {
    static PIPELINE: OnceLock<Pipeline> = OnceLock::new();
    PIPELINE.get_or_init(|| {
        Pipeline::load(&ModelSource::folder(sprites()), FloatType::F32, &Device::flex()).expect("the embedded model")
    })
}

fn draw(request: &Request) -> Result<Output, PipelineError> {
    pipeline().generate(request, &mut |_| ControlFlow::Continue(()))
}

fn request(prompt: &str, subjects: SubjectChoice) -> Request {
    let mut request = pipeline().request(prompt);
    request.settings.steps = 1;
    match subjects {
        SubjectChoice::Auto => {}
        SubjectChoice::Words(words) => request.settings.subjects = Some(words),
        SubjectChoice::Indices(indices) => request.settings.token_indices = Some(indices),
    }
    request
}

fn error(request: &Request, parts: &[&str]) {
    let message = draw(request).expect_err("an error").to_string();
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

fn black() -> RgbImage {
    RgbImage::new(128, 128)
}

fn latents(shape: [usize; 4]) -> InitialLatents {
    InitialLatents::new(shape, vec![0.0; shape.iter().product()]).unwrap()
}

#[test]
fn options_outside_their_range_are_named() {
    type Change = fn(&mut Request);
    let good = request("a cat", SubjectChoice::Auto);
    let broken: [(Change, &str); 13] = [
        (|r| r.seeds.clear(), "seeds is empty"),
        (|r| r.settings.steps = 0, "steps is 0"),
        (|r| r.settings.steps = usize::MAX, "1000"),
        (|r| r.settings.height = Some(0), "height is 0"),
        (|r| r.settings.height = Some(127), "height is 127"),
        (|r| r.settings.width = Some(4), "width is 4"),
        (|r| r.settings.width = Some(usize::MAX - 3), "width is"),
        (|r| r.latents = Some(latents([2, 4, 32, 32])), "latents is of shape [2, 4, 32, 32]: expected [1, 4, 32, 32]"),
        (|r| r.latents = Some(latents([1, 3, 32, 32])), "latents is of shape [1, 3, 32, 32]: expected [1, 4, 32, 32]"),
        (
            |r| (r.latents, r.settings.height) = (Some(latents([1, 4, 16, 32])), Some(128)),
            "of shape [1, 4, 16, 32]: expected [1, 4, 32, 32]",
        ),
        (
            |r| (r.latents, r.init_image) = (Some(latents([1, 4, 32, 32])), Some(black())),
            "latents is given with an initial image",
        ),
        (|r| r.settings.guidance_scale = f64::NAN, "guidance_scale is not finite: expected a finite number"),
        (|r| r.settings.guidance_scale = 1e300, "not finite"),
    ];
    for (change, named) in broken {
        let mut request = good.clone();
        change(&mut request);
        error(&request, &[named]);
    }
}

#[test]
fn prompts_of_all_kinds_are_drawn_or_refused_in_words() {
    for prompt in ["", " ", "\0", "🐱", "and the of", "!!!"] {
        error(&request(prompt, SubjectChoice::Auto), &["no word that could be a subject"]);
        let mut plain = request(prompt, SubjectChoice::Auto);
        plain.settings.method = Method::StableDiffusion;
        assert_eq!(draw(&plain).unwrap().pictures.len(), 1, "{prompt:?}");
    }
    let long = "a cat and a dog with ".repeat(100);
    let prepared = pipeline().prepare(&request(&long, SubjectChoice::Words(vec!["cat".into(), "dog".into()]))).unwrap();
    assert!(prepared.prompt().truncation().is_some());
    pipeline().draw(&prepared, &mut |_| ControlFlow::Continue(())).unwrap();
    error(&request(&"x".repeat(1 << 20), SubjectChoice::Auto), &["65"]);
    let nul = draw(&request("a\0cat and a dog\0", SubjectChoice::Words(vec!["dog".into()]))).unwrap();
    assert_eq!(nul.pictures[0].trace.subjects[0].text, "dog");
}

#[test]
fn subjects_that_are_not_there_are_answered_with_the_words() {
    let words = |words: &[&str]| SubjectChoice::Words(words.iter().map(|&word| word.to_owned()).collect());
    error(&request("a cat and a dog", words(&["bird"])), &["'bird' is not in the prompt", "cat", "dog"]);
    error(&request("a cat and a dog", words(&[""])), &["no word"]);
    error(&request("a cat and a dog", words(&["cat", "cat"])), &["cat"]);
    for index in [0, 6, 7, 76, 77, usize::MAX] {
        error(&request("a cat and a dog", SubjectChoice::Indices(vec![2, index])), &[&index.to_string()]);
    }
    error(&request("a cat", SubjectChoice::Indices(Vec::new())), &["subject"]);
}

/// A word of several pieces is one subject, whose share of the attention is that of all its pieces.
#[test]
fn a_word_of_several_pieces_is_guided() {
    let output = draw(&request("a zebra and a cat", SubjectChoice::Auto)).unwrap();
    let subjects = &output.pictures[0].trace.subjects;
    assert!(subjects[0].positions.len() > 1, "{subjects:?}");
    let guidance = output.pictures[0].trace.steps[0].guidance.as_ref().unwrap();
    assert_eq!(guidance.first().terms.len(), 2);
}

/// Seeds drawn together are the pictures they give alone, bit by bit.
#[test]
fn a_batch_is_its_pictures() {
    let mut together = request("a cat and a frog", SubjectChoice::Auto);
    together.settings.steps = 4;
    together.seeds = vec![3, 4, 5];
    // Of the model's size, of one whose maps are too small for some kernels, and of one that is not square.
    for size in [None, Some([32, 32]), Some([192, 96])] {
        [together.settings.height, together.settings.width] = size.map_or([None; 2], |size| size.map(Some));
        let batch = draw(&together).unwrap();
        for picture in &batch.pictures {
            let alone = draw(&together.clone().with(|request| request.seeds = vec![picture.seed])).unwrap();
            let latents = |picture: &ae_pipeline::Picture| read(picture.latents.clone()).unwrap();
            assert_eq!(latents(&alone.pictures[0]), latents(picture), "seed {} at {size:?}", picture.seed);
            assert_eq!(alone.pictures[0].image, picture.image);
            assert_eq!(alone.pictures[0].trace.refinement_steps(), picture.trace.refinement_steps());
        }
    }
}

#[test]
fn an_observer_ends_the_run_at_either_kind_of_event() {
    let mut request = request("a cat", SubjectChoice::Auto);
    request.settings.steps = 3;
    for stop_at_evaluation in [true, false] {
        let mut steps = 0;
        let result = pipeline().generate(&request, &mut |event| {
            let stop = match event {
                Event::Evaluated { .. } => stop_at_evaluation,
                Event::Denoised { .. } => {
                    steps += 1;
                    !stop_at_evaluation
                }
                _ => false,
            };
            if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(PipelineError::Interrupted)));
        assert_eq!(steps, usize::from(!stop_at_evaluation));
    }
}

/// The latents of an event can be decoded while the run goes on.
#[test]
fn latents_of_a_step_are_pictures() {
    let mut request = request("a cat", SubjectChoice::Auto);
    request.settings.steps = 2;
    let mut previews = Vec::new();
    let output = pipeline().generate(&request, &mut |event| {
        if let Event::Denoised { latents, .. } = event {
            previews.push(pipeline().decode(latents.clone()).unwrap().remove(0));
        }
        ControlFlow::Continue(())
    });
    assert_eq!(previews.len(), 2);
    assert_eq!(previews[1], output.unwrap().pictures[0].image);
}
