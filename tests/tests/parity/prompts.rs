//! Prompts in AUTOMATIC1111's syntax against runs that are assembled by hand (`tests/reference/make_prompts_fixtures.py`).

use std::ops::ControlFlow;

use ae_pipeline::{
    LoadOptions, LongPrompts, LoraRef, Method, ModelSource, Overrides, Pipeline, PromptSyntax, Request, SchedulerKind,
};
use ae_tensor::FloatType;
use ae_tests::{Tensors, assert_close, fixtures, model};
use burn::tensor::Device;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    prompt: String,
    negative_prompt: String,
    seed: u64,
    steps: usize,
    guidance_scale: f64,
    scheduler: String,
    long_prompts: Option<LongPrompts>,
}

fn pipeline() -> Pipeline {
    Pipeline::load(&ModelSource::folder(model("sd1")), FloatType::F32, &Device::flex()).unwrap()
}

/// The small model with a text encoder whose embeddings have a mean that is not 0, as the reference has it.
fn raised_model() -> tempfile::TempDir {
    let (from, to) = (model("sd1"), tempfile::tempdir().unwrap());
    for folder in ["", "scheduler", "text_encoder", "tokenizer", "unet", "vae"] {
        std::fs::create_dir_all(to.path().join(folder)).unwrap();
        let files = std::fs::read_dir(from.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|path| path.is_file()) {
            std::fs::copy(&file, to.path().join(folder).join(file.file_name().unwrap())).unwrap();
        }
    }
    let weights = to.path().join("text_encoder/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let place = {
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let bias = tensors.tensor("final_layer_norm.bias").unwrap();
        assert_eq!(bias.dtype(), safetensors::Dtype::F16);
        let start = bias.data().as_ptr() as usize - bytes.as_ptr() as usize;
        start..start + bias.data().len()
    };
    // 0.25 in half precision.
    for value in bytes[place].chunks_exact_mut(2) {
        value.copy_from_slice(&0x3400_u16.to_le_bytes());
    }
    std::fs::write(weights, bytes).unwrap();
    to
}

/// A small request in the syntax, without guidance.
fn request(pipeline: &Pipeline, prompt: &str) -> Request {
    pipeline.request(prompt).with(|request| {
        let settings = &mut request.settings;
        settings.method = Method::StableDiffusion;
        settings.prompt_syntax = PromptSyntax::A1111;
        settings.scheduler = Some(SchedulerKind::Ddim);
        (settings.width, settings.height, settings.steps) = (Some(128), Some(128), 2);
    })
}

fn latents(pipeline: &Pipeline, request: &Request) -> Vec<f32> {
    let output = pipeline.generate(request, &mut |_| ControlFlow::Continue(()));
    let latents =
        output.unwrap_or_else(|error| panic!("{}: {error}", request.settings.prompt)).pictures.remove(0).latents;
    latents.into_data().try_into_vec_as().unwrap()
}

#[test]
fn prompts_of_every_kind_are_drawn_as_by_hand() {
    let folder = fixtures("prompts");
    let tensors = Tensors::read(&folder.join("expected.safetensors"));
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    assert!(cases.len() >= 13, "{} cases", cases.len());
    let model = raised_model();
    let pipeline = Pipeline::load(&ModelSource::folder(model.path()), FloatType::F32, &Device::flex()).unwrap();
    for case in cases {
        let mut request = request(&pipeline, &case.prompt);
        request.seeds = vec![case.seed];
        let settings = &mut request.settings;
        settings.negative_prompt = case.negative_prompt;
        settings.steps = case.steps;
        settings.guidance_scale = case.guidance_scale;
        settings.scheduler = Some(case.scheduler.parse().unwrap());
        settings.long_prompts = case.long_prompts;
        let actual = latents(&pipeline, &request);
        let (expected, _) = tensors.values(&format!("{}/latents", case.name));
        assert_close(&case.name, &actual, &expected, 2e-3, 2e-4);
    }
}

/// What a tag does is what the option does, bit by bit, also with strengths apart; and the strengths are those of the networks.
#[test]
fn strengths_of_a_lora_belong_to_their_networks() {
    let file = fixtures("convenience").join("lora").join("kohya.safetensors").to_string_lossy().into_owned();
    let load = |lora: &[LoraRef]| {
        let mut options = LoadOptions::default();
        options.loras = lora.to_vec();
        Pipeline::load(&ModelSource::folder(model("sd1")), options, &Device::flex()).unwrap()
    };
    let lora = |strength, unet_strength| {
        let mut lora = LoraRef::new(file.clone(), strength);
        lora.unet_strength = unet_strength;
        vec![lora]
    };
    let drawn = |pipeline: &Pipeline| latents(pipeline, &request(pipeline, "a cat"));
    let text = |pipeline: &Pipeline| -> Vec<f32> {
        let tokens = pipeline.tokenize("a cat").unwrap();
        pipeline.encode(&[&tokens]).unwrap().into_data().try_into_vec_as().unwrap()
    };
    let (plain, both) = (load(&[]), load(&lora(0.7, None)));
    assert_eq!(drawn(&both), drawn(&load(&lora(0.7, Some(0.7)))));
    let (text_alone, unet_alone) = (load(&lora(0.7, Some(0.0))), load(&lora(0.0, Some(0.7))));
    assert_eq!(text(&text_alone), text(&both));
    assert_eq!(text(&unet_alone), text(&plain));
    assert_ne!(text(&both), text(&plain));
    let pictures = [&plain, &both, &text_alone, &unet_alone].map(drawn);
    for (index, picture) in pictures.iter().enumerate() {
        assert!(pictures[index + 1..].iter().all(|other| other != picture), "{index}");
    }
    // A pipeline that changes its strengths is a fresh one.
    let changed = both.with_additions(&lora(0.0, Some(0.7)), &[]).unwrap();
    assert_eq!(drawn(&changed), pictures[3]);
}

/// Subjects beyond the first chunk, and those of the text of the step.
#[test]
fn guidance_follows_the_chunks_and_the_texts_of_a_prompt() {
    let pipeline = pipeline();
    let long = format!("{} a cat and a dog", "red ".repeat(80));
    let guided = |prompt: &str, subjects: Option<&[&str]>| {
        let mut request = request(&pipeline, prompt);
        request.settings.method = Method::AttendAndExcite;
        request.settings.steps = 4;
        request.settings.subjects = subjects.map(|words| words.iter().map(|&word| word.to_owned()).collect());
        request.attention_maps = !prompt.contains('[');
        let prepared = pipeline.prepare(&request).unwrap();
        let mut maps = Vec::new();
        let output = pipeline.draw(&prepared, &mut |event| {
            if let ae_pipeline::Event::Denoised { attention, .. } = event {
                maps.extend(attention.iter().map(ae_pipeline::AttentionMaps::tokens));
            }
            ControlFlow::Continue(())
        });
        (prepared, output.unwrap().pictures.remove(0).trace, maps)
    };
    let (prepared, trace, maps) = guided(&long, None);
    // 75 of the 80 words fill the first chunk.
    let positions: Vec<_> = prepared.subjects().iter().map(|subject| subject.positions.clone()).collect();
    assert_eq!(positions, [[77 + 7], [77 + 10]]);
    assert_eq!(maps, [154; 4]);
    assert!(trace.steps[0].guidance.is_some());

    let (prepared, trace, _) = guided("a [cat:blue:1] and a dog", Some(&["cat", "dog"]));
    let names: Vec<Vec<&str>> = prepared
        .guided_subjects()
        .iter()
        .map(|subjects| subjects.iter().map(|subject| subject.text.as_str()).collect())
        .collect();
    assert_eq!(names, [vec!["cat", "dog"], vec!["dog"]]);
    let terms: Vec<Vec<&str>> = trace
        .steps
        .iter()
        .filter_map(|step| step.guidance.as_ref())
        .map(|guidance| guidance.evaluations[0].terms.iter().map(|term| term.name.as_str()).collect())
        .collect();
    assert_eq!(terms[..2], [["cat", "dog"], ["cat", "dog"]]);
    assert!(terms[2..].iter().all(|terms| terms == &["dog"]), "{terms:?}");
    // A text without a subject is drawn without guidance.
    let (_, trace, _) = guided("[a cat:blue:0]", Some(&["blue"]));
    assert!(trace.steps[0].guidance.is_some());
    let (_, trace, _) = guided("[a cat:blue:1]", Some(&["cat"]));
    let steps: Vec<_> = trace.steps.iter().map(|step| step.guidance.is_some()).collect();
    assert_eq!(steps[..3], [true, true, false]);
}

#[test]
fn what_a_method_cannot_draw_is_refused_by_name() {
    let pipeline = pipeline();
    let refusal = |prompt: &str, change: &dyn Fn(&mut Request)| {
        let request = request(&pipeline, prompt).with(change);
        pipeline.prepare(&request).unwrap_err().to_string()
    };
    let method = |method| move |request: &mut Request| request.settings.method = method;
    let maps = |request: &mut Request| request.attention_maps = true;
    for (prompt, expected) in [
        (
            "a cat AND a dog",
            "method is attend-and-excite: expected stable-diffusion or composable-diffusion, or a prompt without AND",
        ),
        ("[red:blue:1]", "the prompt '"),
    ] {
        let refused = refusal(prompt, &method(Method::AttendAndExcite));
        assert!(refused.starts_with(expected), "{refused}");
    }
    for prompt in ["a cat AND a dog", "a [cat:dog:1]", "a cat BREAK a dog"] {
        let refused = refusal(prompt, &method(Method::StructureDiffusion));
        assert!(
            refused.starts_with("method is structure-diffusion: expected another, or a prompt of one text"),
            "{refused}"
        );
    }
    assert!(refusal("a cat AND a dog", &maps).starts_with("the parts of the prompt are drawn by themselves"));
    assert!(refusal("a [cat|dog]", &maps).starts_with("the prompt changes from step to step"));
    let positions = |request: &mut Request| {
        request.settings.method = Method::AttendAndExcite;
        request.settings.token_indices = Some(vec![2]);
    };
    assert!(refusal("a [cat|dog]", &positions).starts_with("token_indices is [2]: expected subjects by their words"));
    let missing = |request: &mut Request| {
        request.settings.method = Method::AttendAndExcite;
        request.settings.subjects = Some(vec!["bird".to_owned()]);
    };
    assert!(refusal("a [cat|dog]", &missing).starts_with("'bird' is not in the prompt"));
    assert!(refusal("a <lora:x:1> cat", &|_| ()).contains("names networks in angle brackets"));
    // Composable Diffusion has the parts of either syntax.
    let composed = request(&pipeline, "a cat AND a [dog:bird:1]").with(method(Method::ComposableDiffusion));
    assert_eq!(pipeline.prepare(&composed).unwrap().read_prompt().len(), 2);
}

/// Old settings draw the old picture: weights, cut to one chunk.
#[test]
fn a_former_switch_draws_what_it_drew() {
    let pipeline = pipeline();
    let prompt = format!("a (cat:1.3), {}", "red ".repeat(90));
    let settings = serde_json::json!({ "prompt": prompt, "prompt_weighting": true, "method": "stable-diffusion", "steps": 2,
        "width": 128, "height": 128, "scheduler": "ddim" });
    let old = pipeline.request_with(&Overrides::from_json(&settings).unwrap()).unwrap();
    let mut today = request(&pipeline, &prompt);
    today.settings.long_prompts = Some(LongPrompts::Cut);
    assert_eq!(latents(&pipeline, &old), latents(&pipeline, &today));
    today.settings.long_prompts = None;
    assert_ne!(latents(&pipeline, &old), latents(&pipeline, &today));
}
