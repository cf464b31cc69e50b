//! A picture is drawn again by its settings: the same settings and the same pixels.

use std::path::{Path, PathBuf};

use ae_settings::{LongPrompts, Overrides, PromptSyntax, Settings};
use attend_and_excite::{FoundSettings, read_settings};

use crate::run::{Outcome, Place};
use crate::snapshot::assert_snapshot;

pub(crate) fn fixture(path: &str) -> String {
    let path = ae_tests::fixtures(path);
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display())).display().to_string()
}

fn settings(picture: &Path) -> Overrides {
    match read_settings(picture).unwrap() {
        FoundSettings::Settings(settings) => settings,
        other => panic!("{other:?}"),
    }
}

/// Draws a picture; returns where it is.
fn draw(place: &Place, output: &str, args: &[String]) -> PathBuf {
    let mut all = vec!["generate", "--quiet", "--output", output];
    all.extend(args.iter().map(String::as_str));
    let outcome = place.run(&all);
    assert_eq!(outcome.code, Some(0), "{args:?}: {outcome}");
    place.path().join(outcome.stdout.lines().next().unwrap())
}

/// Draws a picture by its arguments and again by its settings, with files found in the folders of `found_in`.
fn is_drawn_again(args: &[&str], found_in: &[&str]) {
    let place = Place::new();
    let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let first = draw(&place, "first", &args);
    let mut again = vec!["--from".to_owned(), first.display().to_string()];
    again.extend(found_in.iter().map(|arg| (*arg).to_owned()));
    let second = draw(&place, "second", &again);
    assert_eq!(settings(&first), settings(&second), "{args:?}");
    let pixels = |path: &Path| image::open(path).unwrap().into_rgb8();
    assert!(pixels(&first) == pixels(&second), "{args:?}: other pixels");
}

#[test]
fn pictures_of_every_method_and_option_are_drawn_again() {
    // Few updates, for time.
    let prompt = ["--prompt", "a lion and a (red car:1.2)", "--steps", "3", "--max-refinement-steps", "2"];
    for options in [
        &["--seeds", "7"][..],
        &["--seeds", "18446744073709551615", "--rng", "torch-cuda"],
        &["--method", "stable-diffusion", "--negative-prompt", "a \"cat\", --steps 3"],
        &["--method", "structure-diffusion", "--phrases", "a lion,red car", "--prompt-weighting"],
        &["--method", "composable-diffusion"],
        &["--subjects", "car", "--thresholds", "0:0.05,40%:0.5", "--max-iter-to-alter", "2"],
        &["--token-indices", "2,6", "--thresholds", "none", "--scale-factor", "3.3", "--scale-range", "1,0.25"],
        &["--attention-scale", "12.5", "--no-smoothing", "--eot-normalization", "on", "--attention-res", "8"],
        &["--sigma", "1.5", "--kernel-size", "5", "--guidance-scale", "-1.5", "--clip-skip", "1"],
        &["--scheduler", "euler-a", "--timestep-spacing", "trailing"],
        &["--preset", "hyper-4"],
        &["--preset", "turbo", "--scheduler", "lcm"],
        &["--scheduler", "euler", "--sigmas", "exponential", "--timestep-spacing", "linspace"],
        &["--scheduler", "dpmpp-2m", "--sigmas", "karras", "--height", "96", "--width", "160"],
        &["--vae-tiling", "--prompt-weighting", "--dtype", "bf16", "--prediction-type", "epsilon"],
        &["--dtype", "q8"],
        &["--prompt-syntax", "a1111", "--negative-prompt", "[blue:(green:1.3):1]"],
    ] {
        is_drawn_again(&[&prompt[..], options].concat(), &[]);
    }
    let long = format!("{} a lion and a red car", "very ".repeat(75));
    for (prompt, options) in [
        ("a [lion|cat] AND a (hat:1.2) :0.5", &["--method", "stable-diffusion"][..]),
        ("a [lion:cat:0.5] BREAK and a red car # at night", &[]),
        (&long, &["--long-prompts", "padded", "--negative-prompt", "a cat"]),
    ] {
        let shared = ["--prompt", prompt, "--steps", "3", "--max-refinement-steps", "2", "--prompt-syntax", "a1111"];
        is_drawn_again(&[&shared[..], options].concat(), &[]);
    }
}

/// A tag in the prompt is the option, bit by bit, also where the prompts of a call have other ones.
#[test]
fn a_lora_of_the_prompt_is_the_lora_of_the_option() {
    let place = Place::new();
    let (model, folder) = (fixture("models/sd1"), fixture("convenience/lora"));
    let file = format!("{folder}/kohya.safetensors:0.7:0.3");
    let all = |args: &[&str]| -> Vec<String> {
        let shared = ["--steps", "2", "--model", &model, "--prompt-syntax", "a1111"];
        [&shared[..], args].concat().into_iter().map(str::to_owned).collect()
    };
    let pixels = |path: &Path| image::open(path).unwrap().into_rgb8();
    let tag = ["--prompt", "a cat <lora:kohya:0.7:0.3>", "--lora-dir", &folder];
    let by_tag = draw(&place, "tag", &all(&tag));
    let by_option = draw(&place, "option", &all(&["--prompt", "a cat", "--lora", &file]));
    let without = draw(&place, "without", &all(&["--prompt", "a dog"]));
    assert_eq!(settings(&by_tag), settings(&by_option));
    assert!(pixels(&by_tag) == pixels(&by_option));
    let both = all(&[&["--prompt", "a dog"], &tag[..], &["--output", "both"]].concat());
    let args: Vec<_> = std::iter::once("generate").chain(both.iter().map(String::as_str)).collect();
    let outcome = place.run(&args);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    for (name, expected) in [("a cat", &by_tag), ("a dog", &without)] {
        let path = place.path().join("both").join(name).join("42.png");
        assert_eq!(settings(&path), settings(expected), "{name}");
        assert!(pixels(&path) == pixels(expected), "{name}");
    }
    let again = ["--from", by_tag.to_str().unwrap(), "--model-dir", &fixture("models"), "--lora-dir", &folder];
    assert!(pixels(&draw(&place, "again", &again.map(str::to_owned))) == pixels(&by_tag));
    for (prompt, reason) in [
        ("a cat <lora:nowhere:1>", "there is no file 'nowhere' in"),
        ("a cat <hypernet:x:1>", "hypernetworks are not loaded here"),
        ("a cat <lora:kohya:dyn=4>", "a rank (dyn) is not chosen here"),
    ] {
        let outcome = refused(&place, &["--prompt-syntax", "a1111", "--lora-dir", &folder, "--prompt", prompt]);
        assert!(outcome.stderr.contains(reason), "{outcome}");
    }
}

/// PEFT's config has the alpha: it decides the picture, and stands in its settings.
#[test]
fn a_folder_of_peft_is_a_lora_with_its_config() {
    let place = Place::new();
    let (model, folder) = (fixture("models/sd1"), place.path().join("ink"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(fixture("convenience/lora/peft.safetensors"), folder.join("adapter_model.safetensors")).unwrap();
    let config = folder.join("adapter_config.json");
    let (name, shared) = (folder.display().to_string(), ["--prompt", "a cat", "--steps", "2", "--model", &model]);
    let draw_with = |alpha: u32, output: &str| {
        std::fs::write(&config, format!(r#"{{"r": 2, "lora_alpha": {alpha}}}"#)).unwrap();
        draw(
            &place,
            output,
            &[&shared[..], &["--lora", &name]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    let pixels = |path: &Path| image::open(path).unwrap().into_rgb8();
    let (one, other) = (draw_with(2, "one"), draw_with(20, "other"));
    assert!(pixels(&one) != pixels(&other));
    let lora = |picture: &Path| settings(picture).loras.unwrap().remove(0);
    let (first, second) = (lora(&one), lora(&other));
    assert_eq!(first.name, "adapter_model.safetensors");
    assert!(first.sha256.is_some() && first.sha256 == second.sha256);
    assert!(first.config_sha256.is_some() && first.config_sha256 != second.config_sha256);
    let from = |picture: &Path| {
        let picture = picture.display().to_string();
        ["--from", &picture, "--model-dir", &fixture("models"), "--lora-dir", &name].map(str::to_owned)
    };
    assert!(pixels(&draw(&place, "again", &from(&other))) == pixels(&other));
    for (change, reason) in
        [(true, "is not the file that the settings name"), (false, "there is no file 'adapter_config.json'")]
    {
        let args = from(&one);
        if !change {
            std::fs::remove_file(&config).unwrap();
        }
        let outcome = refused(&place, &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(outcome.stderr.contains(reason), "{outcome}");
    }
}

#[test]
fn pictures_of_every_file_that_is_loaded_are_drawn_again() {
    let model = fixture("models/sd1");
    let prompt = ["--prompt", "a <shape> and a cat", "--steps", "2", "--model", &model];
    let models = ["--model-dir", &fixture("models")];
    let (lora, embedding) =
        (fixture("convenience/lora/kohya.safetensors"), fixture("convenience/inversion/shape.safetensors"));
    let folders = ["--lora-dir", &fixture("convenience/lora"), "--embedding-dir", &fixture("convenience/inversion")];
    let lora = format!("{lora}:0.7");
    let embedding = format!("{embedding}:<shape>");
    let options = ["--lora", &lora, "--embedding", &embedding];
    is_drawn_again(&[&prompt[..], &options].concat(), &[&models[..], &folders].concat());

    let vae = fixture("models/sd2/vae/diffusion_pytorch_model.safetensors");
    let vae_folder = fixture("models/sd2");
    let image = fixture("convenience/img2img/init.png");
    let place = Place::new();
    std::fs::copy(&image, place.path().join("init.png")).unwrap();
    let options = ["--vae", &vae_folder, "--init-image", "init.png", "--strength", "0.6"];
    let args = [&prompt[..], &options].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let first = draw(&place, "first", &args);
    // The initial image is found by its hash, whatever it is called now.
    std::fs::rename(place.path().join("init.png"), place.path().join("renamed.png")).unwrap();
    let mut again = vec!["--from".to_owned(), first.display().to_string()];
    again.extend(models.iter().map(|arg| (*arg).to_owned()));
    again.extend(["--vae-dir".to_owned(), Path::new(&vae).parent().unwrap().display().to_string()]);
    let second = draw(&place, "second", &again);
    let (mut first_settings, mut second_settings) = (settings(&first), settings(&second));
    assert_eq!(first_settings.init_image.take().unwrap().sha256, second_settings.init_image.take().unwrap().sha256);
    assert_eq!(first_settings.vae.take().unwrap().sha256, second_settings.vae.take().unwrap().sha256);
    assert_eq!(first_settings, second_settings);
    assert!(image::open(&first).unwrap().into_rgb8() == image::open(&second).unwrap().into_rgb8());
}

#[test]
fn pictures_that_were_drawn_anew_in_part_are_drawn_again() {
    let models = tempfile::tempdir().unwrap();
    let nine = models.path().join("nine");
    ae_tests::inpainting_model(&nine);
    let inpainting = |name: &str| fixture(&format!("convenience/inpainting/{name}.png"));
    let (image, mask) = (inpainting("init"), inpainting("mask"));
    let prompt = ["--prompt", "a cat and a dog", "--steps", "2", "--attention-res", "4", "--init-image", "init.png"];
    let (folder, parent) = (nine.display().to_string(), models.path().display().to_string());
    for (model, found_in, options) in [
        (&folder, &parent, &["--mask", "mask.png"][..]),
        (&folder, &parent, &["--mask", "mask.png", "--mask-blur", "1.5", "--mask-padding", "3", "--strength", "0.5"]),
        (&fixture("models/sd1"), &fixture("models"), &["--mask", "mask.png", "--mask-invert", "--no-mask-overlay"]),
    ] {
        let place = Place::new();
        for (from, to) in [(&image, "init.png"), (&mask, "mask.png")] {
            std::fs::copy(from, place.path().join(to)).unwrap();
        }
        let args =
            [&prompt[..], &["--model", model], options].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
        let first = draw(&place, "first", &args);
        let drawn = settings(&first);
        let recorded = drawn.mask.clone().unwrap();
        assert_eq!((recorded.name.as_str(), recorded.sha256.map(|hash| hash.len())), ("mask.png", Some(64)));
        // Both images are found by their hashes, whatever they are called now.
        for (from, to) in [("init.png", "a.png"), ("mask.png", "b.png")] {
            std::fs::rename(place.path().join(from), place.path().join(to)).unwrap();
        }
        let again = ["--from", &first.display().to_string(), "--model-dir", found_in].map(str::to_owned);
        let second = draw(&place, "second", &again);
        let mut read = settings(&second);
        for (file, expected) in [(&mut read.init_image, &drawn.init_image), (&mut read.mask, &drawn.mask)] {
            let (file, expected) = (file.as_mut().unwrap(), expected.as_ref().unwrap());
            assert_eq!(file.sha256, expected.sha256);
            file.name.clone_from(&expected.name);
        }
        assert_eq!(read, drawn);
        assert!(image::open(&first).unwrap().into_rgb8() == image::open(&second).unwrap().into_rgb8());
        // The fields that other programs read say the same.
        let file = std::fs::File::open(&first).unwrap();
        let mut chunks = attend_and_excite::png_chunks::TextChunks::open(std::io::BufReader::new(file)).unwrap();
        let reading = ae_settings::a1111::read(&chunks.get("parameters").unwrap().unwrap());
        assert_eq!(reading.unsupported, []);
        let parameters = reading.overrides;
        assert_eq!((&parameters.mask, parameters.strength), (&drawn.mask, drawn.strength));
        assert_eq!(parameters.mask_padding, drawn.mask_padding);
    }
    let place = Place::new();
    std::fs::copy(&image, place.path().join("init.png")).unwrap();
    let args =
        ["--prompt", "a cat and a dog", "--steps", "2", "--attention-res", "4", "--model", &folder].map(str::to_owned);
    let outcome = place.run(&[&["generate"], &args.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("note: the model is one for inpainting: without a mask"), "{outcome}");
    let looked = place.run(&["inspect", &folder]);
    assert!(looked.stdout.contains("U-Net for inpainting") && looked.stdout.contains("with `--mask`"), "{looked}");
}

/// A small generator of settings: every run tests the same ones.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn number(&mut self) -> f64 {
        (self.below(1000) as f64 + 0.5) / 100.0
    }
}

/// Settings through a command line and JSON are the identity, whatever is given.
#[test]
fn generated_settings_survive_the_command_line_and_json() {
    let mut random = Lcg(1);
    for _ in 0..500 {
        let mut given = serde_json::Map::new();
        let mut guidance = serde_json::Map::new();
        for (group, option) in ae_settings::all_options() {
            use ae_settings::{Group, Kind};
            if option.group == Group::Record || random.below(3) > 0 || ["seed", "strength"].contains(&option.name) {
                continue;
            }
            let value = match option.kind {
                Kind::Text => serde_json::json!(["a cat", "", "-x \"y\" 'z' \u{1f431}\n", "--steps"][random.below(4)]),
                Kind::Switch => serde_json::json!(true),
                Kind::Whole => serde_json::json!(1 + random.below(64)),
                Kind::Number => serde_json::json!(random.number().min(option.range.map_or(f64::MAX, |[_, most]| most))),
                Kind::Pair => serde_json::json!([random.number(), random.number()]),
                Kind::Choice(choices) => serde_json::json!(choices[random.below(choices.len())].name),
                Kind::Words => serde_json::json!(["cat", "red car"]),
                Kind::Indices => serde_json::json!([random.below(70), 3]),
                Kind::Resolution => serde_json::json!([1 + random.below(64), 1 + random.below(64)]),
                Kind::Step => {
                    [serde_json::json!(random.below(50)), serde_json::json!("12.5%")][random.below(2)].clone()
                }
                Kind::Thresholds => serde_json::json!({ "0": 0.05, "20%": random.number() }),
                Kind::File => serde_json::json!({ "name": "a.safetensors" }),
                Kind::Loras => serde_json::json!([{ "name": "a.safetensors", "strength": random.number() }]),
                Kind::Embeddings => serde_json::json!([{ "name": "a.pt" }]),
                Kind::Pairs => {
                    [serde_json::json!(["red:cat", "big#2:cat"]), serde_json::json!([])][random.below(2)].clone()
                }
                Kind::Boxes => serde_json::json!(["cat:0,0.25,0.5,1", "dog#2:0.5,0,1,1"]),
                Kind::InitialNoise => serde_json::json!(["seed", "initno", "best:3"][random.below(3)]),
                _ => continue,
            };
            let members = if group.is_some() { &mut guidance } else { &mut given };
            members.insert(option.name.to_owned(), value);
        }
        if given.contains_key("subjects") {
            given.remove("token_indices");
        }
        given.insert("attend_and_excite".to_owned(), guidance.into());
        let given = Overrides::from_json(&given.into()).unwrap();
        let settings = Settings::combine([&given]).unwrap();
        let text = serde_json::to_string(&settings.to_json()).unwrap();
        let read = Overrides::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
        // What only other methods read is not in it.
        assert_eq!(Settings::combine([&read]).unwrap().to_json(), settings.to_json(), "{text}");
    }
}

fn refused(place: &Place, args: &[&str]) -> Outcome {
    let outcome = place.run(&[&["generate", "--quiet"], args].concat());
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    assert!(place.files().iter().all(|file| !file.starts_with("outputs/")), "{:?}", place.files());
    outcome
}

/// Writes a PNG file with one text chunk.
fn picture(place: &Place, name: &str, keyword: &str, text: &str) {
    let file = std::fs::File::create(place.path().join(name)).unwrap();
    attend_and_excite::png_chunks::write(file, [1, 1], &[0, 0, 0], &[(keyword, text)]).unwrap();
}

#[test]
fn what_cannot_be_drawn_again_is_named_and_nothing_is_drawn() {
    let place = Place::new();
    let mut all = String::new();
    for (name, keyword, text) in [
        ("future", "settings", r#"{"format": 3, "prompt": "a cat"}"#),
        ("unknown", "settings", r#"{"prompt": "a cat", "stepz": 3}"#),
        ("type", "settings", r#"{"prompt": "a cat", "steps": "many"}"#),
        ("method", "settings", r#"{"prompt": "a cat", "method": "magic"}"#),
        ("broken", "settings", "{"),
        ("lora", "settings", r#"{"prompt": "a cat", "loras": [{"name": "gone.safetensors", "strength": 1.0}]}"#),
        ("model", "settings", r#"{"prompt": "a cat", "model": "gone.ckpt"}"#),
        ("none", "Comment", "nothing"),
        (
            "hires",
            "parameters",
            "a cat\nSteps: 3, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 128x128, Hires upscale: 2, Model: sprites 3",
        ),
    ] {
        let file = format!("{name}.png");
        picture(&place, &file, keyword, text);
        all = format!("{all}{name}: {}", refused(&place, &["--from", &file]).stderr);
    }
    std::fs::write(place.path().join("text.png"), "no picture").unwrap();
    all = format!("{all}text: {}", refused(&place, &["--from", "text.png"]).stderr);
    all = format!("{all}missing: {}", refused(&place, &["--from", "missing.png"]).stderr);
    assert_snapshot("from_refusals", &all);
}

#[test]
fn a_picture_of_another_program_is_drawn_without_what_is_ignored() {
    let place = Place::new();
    let text = "a lion and a red car\nNegative prompt: a cat\nSteps: 3, Sampler: Euler a, CFG scale: 5, Seed: 7, Size: 128x128, \
                Model hash: 0123456789, Model: other, Hires upscale: 2";
    picture(&place, "theirs.png", "parameters", text);
    let args = ["--from", "theirs.png", "--model", "embedded", "--ignore", "Hires"].map(str::to_owned);
    let drawn = settings(&draw(&place, "outputs", &args));
    assert_eq!((drawn.steps, drawn.seed, drawn.prompt_syntax), (Some(3), Some(7), Some(PromptSyntax::A1111)));
    assert_eq!(drawn.long_prompts, Some(LongPrompts::Chunks));
    assert_eq!(drawn.rng, Some(ae_settings::NoiseKind::TorchCuda));
    assert_eq!(drawn.method, Some(ae_settings::Method::StableDiffusion));
}

#[test]
fn tensors_come_out_and_go_in_again() {
    let place = Place::new();
    let args = [
        "--prompt",
        "a cat",
        "--steps",
        "2",
        "--save-tensors",
        "run.safetensors",
        "--save-attention",
        "mid_block.*.attn2",
    ];
    let first = draw(&place, "first", &args.map(str::to_owned));
    let args = ["--prompt", "a cat", "--steps", "2", "--seeds", "9", "--latents", "run.safetensors"];
    let second = draw(&place, "second", &args.map(str::to_owned));
    let difference = |a: &Path, b: &Path| {
        let (a, b) = (image::open(a).unwrap().into_rgb8(), image::open(b).unwrap().into_rgb8());
        a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    };
    assert!(difference(&first, &second) <= 1, "{}", difference(&first, &second));
    let outcome = place.run(&["generate", "--prompt", "a cat", "--seeds", "1,2", "--save-tensors", "x.safetensors"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
}
