//! LoRA, textual inversion, clip skip, prompt weighting and image-to-image against diffusers
//! (`tests/reference/make_convenience_fixtures.py`).

use std::ops::ControlFlow;
use std::path::PathBuf;

use ae_checkpoint::{Lora, LoraNetwork};
use ae_clip::{ClipTextModel, ClipTokenizer, apply_weights, parse_weighted_prompt};
use ae_pipeline::{
    EmbeddingRef, LoadOptions, LoraRef, Method, ModelSource, Pipeline, SchedulerKind, StepIndex, Thresholds,
    load_tokenizer,
};
use ae_tensor::{FloatType, apply_lora};
use ae_tests::{Tensors, assert_close, fixtures, largest_difference, model};
use ae_unet::UNet2DConditionModel;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

fn folder(group: &str) -> PathBuf {
    fixtures("convenience").join(group)
}

fn cases<T: for<'de> Deserialize<'de>>(group: &str) -> T {
    serde_json::from_slice(&std::fs::read(folder(group).join("cases.json")).unwrap()).unwrap()
}

fn expected(group: &str) -> Tensors {
    Tensors::read(&folder(group).join("expected.safetensors"))
}

fn close<const D: usize>(name: &str, actual: Tensor<D>, tensors: &Tensors, key: &str) {
    let (expected, shape) = tensors.values(key);
    assert_eq!(actual.dims().to_vec(), shape, "{name}: shape of {key}");
    let actual: Vec<f32> = actual.into_data().try_into_vec_as().unwrap();
    assert_close(&format!("{name}: {key}"), &actual, &expected, 1e-4, 2e-5);
}

fn text_encoder(name: &str) -> ClipTextModel {
    ClipTextModel::from_folder(model(name).join("text_encoder"), FloatType::F32, &Device::flex()).unwrap()
}

fn unet(name: &str) -> UNet2DConditionModel {
    UNet2DConditionModel::from_folder(model(name).join("unet"), FloatType::F32, &Device::flex()).unwrap()
}

#[derive(Deserialize)]
struct LoraCase {
    name: String,
    model: String,
    loras: Vec<LoraFile>,
}

#[derive(Deserialize)]
struct LoraFile {
    file: String,
    scale: f64,
}

#[test]
fn a_lora_changes_both_networks_as_in_diffusers() {
    let tensors = expected("lora");
    let cases: Vec<LoraCase> = cases("lora");
    assert!(cases.len() >= 8, "{} cases", cases.len());
    let device = Device::flex();
    let latents: Tensor<4> = tensors.tensor("latents", &device);
    let timestep = f64::from(tensors.values("timestep").0[0]);
    for LoraCase { name, model, loras } in &cases {
        let (mut text_encoder, mut unet) = (text_encoder(model), unet(model));
        for LoraFile { file, scale } in loras {
            let lora = Lora::open(folder("lora").join(file)).unwrap();
            let of = |network| lora.layers.iter().filter(move |layer| layer.network == network).cloned();
            apply_lora(&mut unet, of(LoraNetwork::UNet), *scale, FloatType::F32)
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            apply_lora(&mut text_encoder, of(LoraNetwork::TextEncoder), *scale, FloatType::F32).unwrap();
        }
        let embeddings = text_encoder.encode(&tensors.ids(&format!("{name}/input_ids"))).unwrap();
        close(name, embeddings.clone(), &tensors, &format!("{name}/text_embeddings"));
        let prediction = unet.forward(latents.clone(), timestep, &unet.read_text(&embeddings));
        close(name, prediction, &tensors, &format!("{name}/noise_prediction"));
    }
}

#[derive(Deserialize)]
struct InversionCases {
    model: String,
    files: Vec<InversionFile>,
    prompts: Vec<InversionPrompt>,
}

#[derive(Deserialize)]
struct InversionFile {
    file: String,
    token: Option<String>,
}

#[derive(Deserialize)]
struct InversionPrompt {
    prompt: String,
}

#[test]
fn textual_inversions_are_tokens_as_in_diffusers() {
    let tensors = expected("inversion");
    let InversionCases { model: name, files, prompts } = cases("inversion");
    let choice = |InversionFile { file, token }: &InversionFile| {
        EmbeddingRef::new(folder("inversion").join(file).to_string_lossy(), token.clone())
    };
    let mut options = LoadOptions::default();
    options.embeddings = files.iter().map(choice).collect();
    let source = ModelSource::folder(model(&name));
    let tokenizer = load_tokenizer(&source, &[], &options.embeddings).unwrap();
    let pipeline = Pipeline::load(&source, options, &Device::flex()).unwrap();
    let ids = tensors.ids("input_ids");
    assert_eq!(prompts.len(), ids.len());
    let mut compared = 0;
    for (index, (InversionPrompt { prompt }, expected)) in prompts.iter().zip(ids).enumerate() {
        let tokens = pipeline.tokenize(prompt).unwrap();
        assert_eq!(tokenizer.tokenize(prompt).unwrap().ids(), tokens.ids());
        assert_eq!(tokens.ids(), expected, "{prompt}");
        let embeddings = pipeline.encode(&[&tokens]).unwrap();
        let (values, shape) = tensors.values("text_embeddings");
        let size = shape[1] * shape[2];
        let actual: Vec<f32> = embeddings.into_data().try_into_vec_as().unwrap();
        assert_close(prompt, &actual, &values[index * size..(index + 1) * size], 1e-4, 1e-5);
        compared += 1;
    }
    assert!(compared >= 5);
}

/// Adapters and embeddings of a loaded pipeline, changed forth and back, are bit by bit those of a fresh one, in both ways of
/// keeping networks, and with quantised weights.
#[test]
fn changed_additions_are_as_after_a_fresh_load() {
    let file = |group: &str, file: &str| folder(group).join(file).to_string_lossy().into_owned();
    let lora = |name: &str, strength| LoraRef::new(file("lora", name), strength);
    let toy = EmbeddingRef::new(file("inversion", "learned_embeds.safetensors"), None);
    let shape = EmbeddingRef::new(file("inversion", "shape.safetensors"), None);
    let choices = [
        (vec![lora("kohya.safetensors", 0.6)], vec![toy.clone()]),
        (vec![lora("kohya-mid.safetensors", 1.0), lora("old.safetensors", -0.5)], vec![shape, toy]),
        (vec![], vec![]),
        (vec![lora("peft.safetensors", 1.0)], vec![]),
    ];
    let source = ModelSource::folder(model("sd1"));
    let keepings = [(false, FloatType::F32), (true, FloatType::F32), (false, FloatType::Q8), (true, FloatType::Q8)];
    for (low_memory, dtype) in keepings {
        let load = |(loras, embeddings): &(Vec<LoraRef>, Vec<EmbeddingRef>)| {
            let mut options = LoadOptions::from(dtype);
            (options.loras, options.embeddings, options.low_memory) = (loras.clone(), embeddings.clone(), low_memory);
            Pipeline::load(&source, options, &Device::flex()).unwrap()
        };
        let picture = |pipeline: &Pipeline| {
            let mut request = pipeline.request("a <toy> and a dog");
            request.settings.method = Method::StableDiffusion;
            request.settings.steps = 2;
            request.seeds = vec![3];
            let output = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
            output.pictures[0].image.clone().into_raw()
        };
        let mut changing = load(&choices[0]);
        for choice in choices.iter().skip(1).chain(&choices[..1]) {
            changing = changing.with_additions(&choice.0, &choice.1).unwrap();
            let fresh = load(choice);
            assert_eq!(picture(&changing), picture(&fresh), "{choice:?}");
            assert_eq!(changing.notes(), fresh.notes());
        }
    }
}

#[derive(Deserialize)]
struct ClipSkipCases {
    prompts: Vec<String>,
}

#[test]
fn clip_skip_leaves_out_the_last_layers_as_in_diffusers() {
    let tensors = expected("clip_skip");
    let ClipSkipCases { prompts } = cases("clip_skip");
    for name in ["sd1", "sd2"] {
        let tokenizer = load_tokenizer(&ModelSource::folder(model(name)), &[], &[]).unwrap();
        let ids: Vec<Vec<u32>> = prompts.iter().map(|prompt| tokenizer.tokenize(prompt).unwrap().ids()).collect();
        assert_eq!(ids, tensors.ids(&format!("{name}/input_ids")));
        let model = text_encoder(name);
        for (clip_skip, key) in [(0, "none"), (1, "1"), (2, "2")] {
            let embeddings = model.encode_with_clip_skip(&ids, clip_skip).unwrap();
            close(name, embeddings, &tensors, &format!("{name}/{key}"));
        }
    }
}

#[derive(Deserialize)]
struct WeightingCases {
    model: WeightingModel,
    parsed: Vec<Parsed>,
    weighted: Vec<Weighted>,
}

#[derive(Deserialize)]
struct WeightingModel {
    text_encoder: String,
    tokenizer: String,
}

#[derive(Deserialize)]
struct Parsed {
    prompt: String,
    fragments: Vec<(String, f64)>,
}

#[derive(Deserialize)]
struct Weighted {
    prompt: String,
    chunks: usize,
}

/// The syntax is AUTOMATIC1111's, as `parse_prompt_attention` of diffusers' community pipeline
/// `lpw_stable_diffusion` reads it, the arithmetic its `get_weighted_text_embeddings`.
#[test]
fn weights_of_a_prompt_are_those_of_the_community_pipeline() {
    let tensors = expected("weighting");
    let WeightingCases { model, parsed, weighted } = cases("weighting");
    assert!(parsed.len() >= 20, "{} prompts", parsed.len());
    // AUTOMATIC1111's program of today knows these, the pipeline does not.
    let newer = ["(a cat: 1.2)", "(a cat:1.2 )", "a cat BREAK a dog"];
    for Parsed { prompt, fragments } in parsed.into_iter().filter(|case| !newer.contains(&case.prompt.as_str())) {
        let actual = parse_weighted_prompt(&prompt).unwrap();
        assert_eq!(actual.len(), fragments.len(), "{prompt:?}: {actual:?}");
        for ((text, weight), (expected, factor)) in actual.iter().zip(&fragments) {
            assert_eq!(text, expected, "{prompt:?}");
            assert!((f64::from(*weight) - factor).abs() < 1e-6, "{prompt:?}: {weight} {factor}");
        }
    }

    let tokenizer = ClipTokenizer::from_dir(&fixtures(&model.tokenizer)).unwrap();
    let encoder = fixtures(&model.text_encoder);
    let encoder = ClipTextModel::from_folder(encoder, FloatType::F32, &Device::flex()).unwrap();
    let mut compared = 0;
    // A prompt of more than 75 tokens is cut, as it is without weights; the community pipeline has several chunks.
    for (index, Weighted { prompt, .. }) in weighted.iter().enumerate().filter(|(_, case)| case.chunks == 1) {
        let actual = tokenizer.tokenize_weighted(prompt).unwrap();
        assert_eq!(actual.prompt.ids(), tensors.ids(&format!("{index}/input_ids"))[0], "{prompt}");
        assert_close(prompt, &actual.weights, &tensors.values(&format!("{index}/weights")).0, 1e-6, 1e-6);
        let embeddings = encoder.encode(&[actual.prompt.ids()]).unwrap();
        let weighted = apply_weights(embeddings, &[actual.weights]).unwrap();
        close(prompt, weighted, &tensors, &format!("{index}/text_embeddings"));
        compared += 1;
    }
    assert!(compared >= 5);
}

#[derive(Deserialize)]
struct InitImageCase {
    name: String,
    scheduler: String,
    strength: f64,
    steps: usize,
    seed: u64,
    guidance_scale: f64,
    prompt: String,
    negative_prompt: String,
    timesteps: Vec<f64>,
}

#[test]
fn image_to_image_draws_the_pictures_of_diffusers() {
    let tensors = expected("img2img");
    let cases: Vec<InitImageCase> = cases("img2img");
    assert_eq!(cases.len(), 9);
    let pipeline = Pipeline::load(&ModelSource::folder(model("sd1")), FloatType::F32, &Device::flex()).unwrap();
    let image = image::open(folder("img2img").join("init.png")).unwrap().into_rgb8();
    for case in cases {
        let name = &case.name;
        let kind = SchedulerKind::ALL.iter().copied().find(|kind| kind.class_name() == case.scheduler);
        let mut request = pipeline.request(&case.prompt);
        request.seeds = vec![case.seed];
        request.init_image = Some(image.clone());
        let settings = &mut request.settings;
        settings.negative_prompt = case.negative_prompt;
        settings.steps = case.steps;
        settings.guidance_scale = case.guidance_scale;
        settings.scheduler = kind;
        settings.method = Method::StableDiffusion;
        settings.strength = Some(case.strength);
        let output = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
        let picture = &output.pictures[0];
        let timesteps: Vec<f64> = picture.trace.steps.iter().map(|step| step.timestep).collect();
        assert_eq!(timesteps, case.timesteps, "{name}");
        let (latents, _) = tensors.values(&format!("{name}/final_latents"));
        let actual: Vec<f32> = picture.latents.clone().into_data().try_into_vec_as().unwrap();
        assert_close(name, &actual, &latents, 1e-3, 1e-4);
        let expected = image::open(folder("img2img").join(format!("{name}.png"))).unwrap().into_rgb8();
        let difference = largest_difference(&picture.image, &expected);
        assert!(difference <= 2, "{name}: the picture differs by {difference}/255");
    }
}

/// Guidance counts the steps of the whole schedule, so that its thresholds stay with their noise levels.
#[test]
fn guidance_of_image_to_image_begins_where_the_schedule_does() {
    let pipeline = Pipeline::load(&ModelSource::folder(model("sd1")), FloatType::F32, &Device::flex()).unwrap();
    let image = image::open(folder("img2img").join("init.png")).unwrap().into_rgb8();
    let mut request = pipeline.request("a cat and a dog");
    request.init_image = Some(image);
    request.settings.strength = Some(0.6);
    request.settings.steps = 10;
    request.settings.scheduler = Some(SchedulerKind::Ddim);
    request.settings.attend_and_excite.max_iter_to_alter = StepIndex::Steps(7);
    request.settings.attend_and_excite.thresholds = Thresholds::none();
    let output = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    // Steps 4 to 9 of the schedule are taken, of which 4, 5 and 6 are guided.
    let guided: Vec<bool> = output.pictures[0].trace.steps.iter().map(|step| step.guidance.is_some()).collect();
    assert_eq!(guided, [true, true, true, false, false, false]);
}
