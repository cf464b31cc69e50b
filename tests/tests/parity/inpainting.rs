//! Models for inpainting, and masks with every model, against diffusers' `StableDiffusionInpaintPipeline`
//! (`tests/reference/make_convenience_fixtures.py`).

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ae_pipeline::{
    Destination, EotNormalization, Event, LoadOptions, Method, ModelSource, Output, Pipeline, Prepared, Request,
    SchedulerKind, Thresholds, convert, open_model,
};
use ae_tensor::FloatType;
use ae_tests::{Tensors, assert_close, fixtures, inpainting_model, largest_difference, model};
use ae_unet::{UNet2DConditionModel, UNetConfig};
use burn::tensor::{Device, Tensor};
use image::{GrayImage, RgbImage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    channels: usize,
    scheduler: String,
    strength: f64,
    padding: Option<usize>,
    steps: usize,
    seed: u64,
    guidance_scale: f64,
    prompt: String,
    negative_prompt: String,
    timesteps: Vec<f64>,
}

fn file(name: &str) -> PathBuf {
    fixtures("convenience/inpainting").join(name)
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(file("cases.json")).unwrap()).unwrap()
}

fn expected() -> Tensors {
    Tensors::read(&file("expected.safetensors"))
}

fn picture(name: &str) -> RgbImage {
    image::open(file(name)).unwrap().into_rgb8()
}

fn mask() -> GrayImage {
    image::open(file("mask.png")).unwrap().into_luma8()
}

fn load(folder: &Path, options: impl Into<LoadOptions>) -> Pipeline {
    Pipeline::load(&ModelSource::folder(folder), options, &Device::flex()).unwrap()
}

/// The model for inpainting; its folder goes when the value does.
fn nine_channels(options: impl Into<LoadOptions>) -> (Pipeline, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    inpainting_model(folder.path());
    (load(folder.path(), options), folder)
}

fn draw(pipeline: &Pipeline, request: &Request) -> Output {
    pipeline.generate(request, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as().unwrap()
}

/// Plain sampling of the fixtures' picture and mask in a few steps.
fn request(pipeline: &Pipeline) -> Request {
    let mut request = pipeline.request("a cat and a dog");
    request.init_image = Some(picture("init.png"));
    request.mask = Some(mask());
    request.settings.method = Method::StableDiffusion;
    request.settings.steps = 3;
    request.settings.attend_and_excite.attention_res = Some([4, 4]);
    request
}

/// What is said of a request but that plain sampling reads no attention.
fn notes(prepared: &Prepared) -> Vec<&str> {
    prepared.notes().iter().map(String::as_str).filter(|note| !note.starts_with("attention_res ")).collect()
}

impl Case {
    fn request(&self, pipeline: &Pipeline) -> Request {
        let mut request = request(pipeline);
        request.seeds = vec![self.seed];
        let settings = &mut request.settings;
        settings.prompt.clone_from(&self.prompt);
        settings.negative_prompt.clone_from(&self.negative_prompt);
        settings.steps = self.steps;
        settings.guidance_scale = self.guidance_scale;
        settings.scheduler = SchedulerKind::ALL.iter().copied().find(|kind| kind.class_name() == self.scheduler);
        settings.strength = (self.strength < 1.0).then_some(self.strength);
        settings.mask_padding = self.padding;
        // diffusers pastes nothing where it draws the whole picture.
        settings.mask_overlay = self.padding.is_some();
        (settings.height, settings.width) = (Some(64), Some(64));
        request
    }
}

#[test]
fn masks_draw_the_pictures_of_diffusers() {
    let (tensors, cases) = (expected(), cases());
    assert_eq!(cases.len(), 11);
    let ((nine, _folder), four) = (nine_channels(FloatType::F32), load(&model("sd1"), FloatType::F32));
    assert!(nine.is_inpainting() && !four.is_inpainting());
    for case in cases {
        let name = &case.name;
        let pipeline = if case.channels == 9 { &nine } else { &four };
        let mut condition = None;
        let output = pipeline.generate(&case.request(pipeline), &mut |event| {
            if let Event::Started { condition: seen, .. } = event {
                condition = seen.cloned();
            }
            ControlFlow::Continue(())
        });
        let drawn = &output.unwrap().pictures[0];
        let timesteps: Vec<f64> = drawn.trace.steps.iter().map(|step| step.timestep).collect();
        assert_eq!(timesteps, case.timesteps, "{name}");
        // A part is enlarged by filters that round in other places.
        let (relative, absolute) = if case.padding.is_some() { (1e-2, 1e-2) } else { (1e-3, 1e-4) };
        let compare = |what: &str, actual: &[f32]| {
            assert_close(
                &format!("{name}: {what}"),
                actual,
                &tensors.values(&format!("{name}/{what}")).0,
                relative,
                absolute,
            );
        };
        assert_eq!(condition.is_some(), case.channels == 9, "{name}");
        if let Some(condition) = condition {
            assert_eq!(condition.dims(), [1, 5, 8, 8]);
            assert_eq!(values(condition.clone().narrow(1, 0, 1)), tensors.values(&format!("{name}/mask")).0, "{name}");
            compare("masked_image_latents", &values(condition.narrow(1, 1, 4)));
        }
        compare("final_latents", &values(drawn.latents.clone()));
        let difference = largest_difference(&drawn.image, &picture(&format!("{name}.png")));
        assert!(difference <= 1 + u8::from(case.padding.is_some()), "{name}: the picture differs by {difference}/255");
        assert_eq!(drawn.part.is_some(), case.padding.is_some());
    }
}

/// The gradient of torch goes through the latents alone; mask and masked image are given.
#[test]
fn guidance_of_nine_channels_has_the_gradient_of_torch() {
    let (tensors, (pipeline, _folder)) = (expected(), nine_channels(FloatType::F32));
    let case = &cases()[0];
    let mut request = case.request(&pipeline);
    request.settings.method = Method::AttendAndExcite;
    request.settings.token_indices = Some(vec![2, 5]);
    let own = &mut request.settings.attend_and_excite;
    own.attention_scale = 100.0;
    own.eot_normalization = EotNormalization::Off;
    let stages = pipeline.stages(&request).unwrap();
    let expected = |key: &str| tensors.values(&format!("gradient/{key}")).0;
    assert_close("noise prediction", &stages.noise_prediction, &expected("noise_prediction"), 1e-3, 1e-4);
    let loss = stages.losses.iter().copied().fold(0.0, f32::max);
    assert_close("loss", &[loss], &expected("loss"), 1e-4, 1e-5);
    let gradient = expected("gradient");
    let largest = gradient.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    assert!(largest > 1e-4, "the gradient is {largest}");
    assert_close("gradient", &stages.gradient, &gradient, 1e-3, 1e-3 * largest);
}

/// With the default every pixel outside the mask is the initial image's own, whatever the method and the model.
#[test]
fn every_method_leaves_the_picture_outside_the_mask_as_it_is() {
    let ((nine, _folder), four) = (nine_channels(FloatType::F32), load(&model("sd1"), FloatType::F32));
    let (image, mask) = (picture("init.png"), mask());
    for pipeline in [&nine, &four] {
        for (method, blur, padding, tiling) in [
            (Method::StableDiffusion, 0.0, None, true),
            (Method::AttendAndExcite, 2.0, None, false),
            (Method::StructureDiffusion, 0.0, Some(2), false),
            (Method::ComposableDiffusion, 1.0, Some(8), false),
        ] {
            let mut request = request(pipeline);
            request.settings.method = method;
            if !pipeline.is_inpainting() {
                request.settings.attend_and_excite.attention_res = Some([4, 4]);
            }
            (request.settings.mask_blur, request.settings.mask_padding) = (blur, padding);
            (request.settings.height, request.settings.width) = (Some(64), Some(64));
            request.settings.vae_tiling = tiling;
            let drawn = draw(pipeline, &request).pictures.remove(0);
            let reach = if blur > 0.0 { image::imageops::blur(&mask, blur as f32) } else { mask.clone() };
            let (mut kept, mut anew) = (0, 0);
            for (x, y, pixel) in drawn.image.enumerate_pixels() {
                let is_own = pixel == image.get_pixel(x, y);
                if reach.get_pixel(x, y).0[0] == 0 {
                    assert!(is_own, "{method:?} at {x}, {y}");
                    kept += 1;
                } else {
                    anew += usize::from(!is_own);
                }
            }
            assert!(kept > 1000 && anew > 300, "{method:?}: {kept} kept, {anew} drawn anew");
            assert_eq!(drawn.trace.steps.iter().any(|step| step.guidance.is_some()), method == Method::AttendAndExcite);
        }
    }
}

/// Without a mask a model for inpainting draws everything anew, as with one that is white everywhere.
#[test]
fn no_mask_is_as_one_that_is_white_everywhere() {
    let (pipeline, _folder) = nine_channels(FloatType::F32);
    let mut white = request(&pipeline);
    white.mask = Some(GrayImage::from_pixel(64, 64, image::Luma([255])));
    let mut without = white.clone();
    (without.init_image, without.mask) = (None, None);
    (without.settings.height, without.settings.width) = (Some(64), Some(64));
    let prepared = pipeline.prepare(&without).unwrap();
    assert_eq!(notes(&prepared), ["the model is one for inpainting: without a mask it draws the whole picture anew"]);
    assert!(prepared.settings().strength.is_none());
    let [white, without] = [white, without].map(|request| draw(&pipeline, &request).pictures.remove(0).image);
    assert!(white == without);
}

/// Seeds drawn together, whose latents of the masked image differ, are the pictures that they give alone: also in a refinement,
/// which goes on with some of them.
#[test]
fn a_guided_batch_is_its_pictures() {
    let (pipeline, _folder) = nine_channels(FloatType::F32);
    let mut together = request(&pipeline);
    together.settings.method = Method::AttendAndExcite;
    together.settings.subjects = Some(vec!["cat".to_owned(), "dog".to_owned()]);
    together.seeds = vec![3, 4, 5];
    let losses: Vec<f32> = draw(&pipeline, &together)
        .pictures
        .iter()
        .map(|picture| picture.trace.steps[0].guidance.as_ref().unwrap().first().loss)
        .collect();
    // Some of them reach the threshold at once, others do not.
    let middle =
        f64::from(losses.iter().copied().fold(0.0, f32::max) + losses.iter().copied().fold(1.0, f32::min)) / 2.0;
    let own = &mut together.settings.attend_and_excite;
    own.thresholds = Thresholds::new([(ae_pipeline::StepIndex::Steps(0), 1.0 - middle)]);
    own.max_refinement_steps = 3;
    let batch = draw(&pipeline, &together);
    let refined: Vec<usize> = batch.pictures.iter().map(|picture| picture.trace.refinement_steps()).collect();
    assert!(refined.iter().any(|&updates| updates > 0) && refined.contains(&0), "{refined:?} of {losses:?}");
    for picture in &batch.pictures {
        let alone = draw(&pipeline, &together.clone().with(|request| request.seeds = vec![picture.seed]));
        assert_eq!(alone.pictures[0].trace.refinement_steps(), picture.trace.refinement_steps());
        let difference = largest_difference(&alone.pictures[0].image, &picture.image);
        assert!(difference <= 1, "seed {}: {difference}/255", picture.seed);
    }
}

#[test]
fn half_precision_and_networks_that_take_turns_draw_nearly_and_exactly_the_same() {
    let (pipeline, folder) = nine_channels(FloatType::F32);
    let whole = draw(&pipeline, &request(&pipeline)).pictures.remove(0);
    let mut options = LoadOptions::default();
    options.low_memory = true;
    let turns = load(folder.path(), options);
    assert!(draw(&turns, &request(&turns)).pictures[0].image == whole.image);
    let half = load(folder.path(), FloatType::BF16);
    let half = draw(&half, &request(&half)).pictures.remove(0);
    let difference = largest_difference(&half.image, &whole.image);
    assert!(difference > 0 && difference < 64, "{difference}/255");
}

#[test]
fn requests_that_do_not_fit_together_are_named() {
    type Change = fn(&mut Request);
    let four = load(&model("sd1"), FloatType::F32);
    let refused = |change: Change| {
        let mut request = request(&four);
        change(&mut request);
        four.prepare(&request).unwrap_err().to_string()
    };
    let cases: [(Change, &str); 7] = [
        (
            |r| r.init_image = None,
            "mask is given alone: expected an initial image with it, of which a part is drawn anew",
        ),
        (
            |r| r.mask = Some(GrayImage::new(64, 64)),
            "mask is black everywhere: expected white where the picture is drawn anew",
        ),
        (|r| (r.mask, r.settings.mask_blur) = (None, 4.0), "mask_blur is 4: expected a mask with it"),
        (|r| (r.mask, r.settings.mask_padding) = (None, Some(0)), "mask_padding is 0: expected a mask with it"),
        (|r| (r.mask, r.settings.mask_invert) = (None, true), "mask_invert is on: expected a mask with it"),
        (|r| (r.mask, r.settings.mask_overlay) = (None, false), "mask_overlay is off: expected a mask with it"),
        (|r| r.settings.mask_blur = 65.0, "mask_blur is 65.0: expected a number from 0 to 64"),
    ];
    for (change, expected) in cases {
        assert_eq!(refused(change), expected);
    }
    let prepared = four.prepare(&request(&four)).unwrap();
    assert_eq!((prepared.settings().strength, notes(&prepared)), (Some(1.0), Vec::new()));
    let small = request(&four).with(|request| request.mask = Some(GrayImage::from_pixel(8, 8, image::Luma([255]))));
    let prepared = four.prepare(&small).unwrap();
    assert_eq!(notes(&prepared), ["the mask has 8 x 8 pixels and is stretched to the initial image's 64 x 64"]);
}

/// A single file whose five further channels weigh nothing computes what the file without them does.
#[test]
fn a_single_file_of_nine_channels_loads() {
    use safetensors::{SafeTensors, tensor::TensorView};
    const NAME: &str = "model.diffusion_model.input_blocks.0.0.weight";
    let four = fixtures("formats/sd1/single.safetensors");
    let bytes = std::fs::read(&four).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let conv = tensors.tensor(NAME).unwrap();
    let [out, channels, ..] = conv.shape()[..] else { panic!("a convolution") };
    let kernel = conv.data().len() / out / channels;
    let padded: Vec<u8> =
        conv.data().chunks(channels * kernel).flat_map(|row| [row, &vec![0; 5 * kernel]].concat()).collect();
    let wide = TensorView::new(conv.dtype(), vec![out, 9, 3, 3], &padded).unwrap();
    let views = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name.clone(), if name == NAME { wide.clone() } else { view }));
    let folder = tempfile::tempdir().unwrap();
    let nine = folder.path().join("inpainting.safetensors");
    safetensors::serialize_to_file(views, None, &nine).unwrap();

    let device = Device::flex();
    let pipeline = Pipeline::load(&ModelSource::path(&nine), FloatType::F32, &device).unwrap();
    assert!(pipeline.is_inpainting() && pipeline.notice().is_none(), "{:?}", pipeline.notice());
    let predicted = |path: &Path, latents: Tensor<4>| {
        let source = ModelSource::path(path);
        let unet = open_model(&source, false, None, None).unwrap().unet().unwrap();
        let width = unet.config.cross_attention_dim;
        let unet = UNet2DConditionModel::load(&unet.config, &unet.weights, FloatType::F32, &device).unwrap();
        let text = Tensor::<3>::ones([1, 77, width], &device);
        values(unet.forward(latents, 501.0, &unet.read_text(&text)))
    };
    let latents = Tensor::<4>::ones([1, 4, 8, 8], &device) * 0.3;
    let beside = Tensor::<4>::ones([1, 5, 8, 8], &device) * 7.0;
    let both = Tensor::cat(vec![latents.clone(), beside], 1);
    assert_close("a single file", &predicted(&nine, both), &predicted(&four, latents), 1e-5, 1e-6);
}

/// Other numbers of channels are refused as what they are.
#[test]
fn other_tasks_are_still_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    inpainting_model(folder.path());
    let config = folder.path().join("unet/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    for (channels, named) in
        [(5, "depth-to-image"), (7, "upscaling"), (8, "InstructPix2Pix"), (10, "in_channels is 10")]
    {
        let text = text.replace("\"in_channels\": 9", &format!("\"in_channels\": {channels}"));
        assert_eq!(UNetConfig::from_json(&text).unwrap().in_channels, channels);
        std::fs::write(&config, text).unwrap();
        let error = Pipeline::load(&ModelSource::folder(folder.path()), FloatType::F32, &Device::flex());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

/// diffusers' `from_pretrained` makes the pipeline that the index names.
#[test]
fn a_converted_model_for_inpainting_is_one() {
    let (whole, _folder) = nine_channels(FloatType::F32);
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    inpainting_model(folder.path());
    let copy = place.path().join("copy");
    let destination = Destination::new(&copy, false).unwrap();
    convert(&ModelSource::folder(folder.path()), FloatType::F32, &destination, &Device::flex()).unwrap();
    let index = std::fs::read_to_string(copy.join("model_index.json")).unwrap();
    assert!(index.contains(r#""_class_name": "StableDiffusionInpaintPipeline""#), "{index}");
    let copy = load(&copy, FloatType::F32);
    assert!(copy.is_inpainting());
    let [expected, found] = [&whole, &copy].map(|pipeline| draw(pipeline, &request(pipeline)));
    assert!(expected.pictures[0].image == found.pictures[0].image);
}
