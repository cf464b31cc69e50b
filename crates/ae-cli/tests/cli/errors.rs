//! Every mistake has an exit code and one or two lines that name it, and leaves no file behind.

use crate::run::Place;
use crate::snapshot::assert_snapshot;

/// Runs `ae generate` on "a cat and a dog" with more arguments; it must fail without a file.
fn fails(name: &str, code: i32, args: &[&str]) {
    fails_for(name, code, "a cat and a dog", args);
}

fn fails_for(name: &str, code: i32, prompt: &str, args: &[&str]) {
    fails_with(name, code, &[&["generate", "--prompt", prompt, "--steps", "2"], args].concat());
}

fn fails_with(name: &str, code: i32, args: &[&str]) {
    let place = Place::new();
    let outcome = place.run(args);
    assert_eq!(outcome.code, Some(code), "{outcome}");
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    assert_eq!(place.files(), [""; 0]);
    assert_snapshot(name, &outcome);
}

#[test]
fn usage() {
    fails("seeds", 2, &["--seeds", "1-x"]);
    fails("seeds_absurd", 2, &["--seeds", "0-18446744073709551615"]);
    fails("thresholds", 2, &["--thresholds", "0=0.5"]);
    fails("scheduler", 2, &["--scheduler", "DPM++ SDE"]);
    fails("method", 2, &["--method", "magic"]);
    fails("device_unknown", 2, &["--device", "tpu"]);
    fails("dtype", 2, &["--dtype", "f64"]);
    fails("subjects_and_indices", 2, &["--subjects", "cat", "--token-indices", "2"]);
    fails("subjects_per_prompt", 2, &["--prompt", "a bird", "--subjects", "cat"]);
    fails("token_indices", 2, &["--token-indices", "2,x"]);
    fails("quiet_and_verbose", 2, &["-q", "-v"]);
}

#[test]
fn subjects() {
    fails("subject_missing", 1, &["--subjects", "cat,bird"]);
    fails("subject_empty", 1, &["--subjects", "cat,"]);
    fails("index_out_of_range", 1, &["--token-indices", "2,77"]);
    fails("index_on_sot", 1, &["--token-indices", "0"]);
    fails("index_on_eot", 1, &["--token-indices", "6"]);
    fails("index_on_padding", 1, &["--token-indices", "40"]);
    fails_for("no_noun", 1, "a red and the", &[]);
    fails_for("empty_prompt", 1, "", &[]);
    fails_for("emoji_prompt", 1, "🐱🐶", &[]);
    let long = "a cat and ".repeat(125) + "a dog";
    fails_for("subject_cut_away", 1, &long, &["--subjects", "dog"]);
}

#[test]
fn pairs_groups_boxes_and_noise() {
    let guided = |name: &str, code, method: &str, args: &[&str]| {
        fails(name, code, &[&["--method", method], args].concat());
    };
    guided("pair", 2, "syngen", &["--pairs", "red"]);
    guided("pair_missing", 1, "syngen", &["--pairs", "red:cat"]);
    guided("pair_of_no_subject", 1, "ebama", &["--subjects", "cat", "--pairs", "a:dog"]);
    guided("group_of_two_words", 1, "conform", &["--groups", "cat; cat dog"]);
    guided("groups_and_pairs", 2, "conform", &["--groups", "cat; dog", "--pairs", "a:dog"]);
    guided("pairs_per_prompt", 2, "syngen", &["--prompt", "a bird", "--pairs", "a:cat"]);
    guided("box", 2, "boxdiff", &["--boxes", "cat:0,0,1"]);
    guided("box_outside", 2, "boxdiff", &["--boxes", "cat:0,0,1,1.5"]);
    guided("box_of_no_word", 1, "boxdiff", &["--boxes", "bird:0,0,1,1"]);
    guided("box_missing", 1, "boxdiff", &["--subjects", "cat,dog", "--boxes", "cat:0,0,1,1"]);
    guided("threshold_of_no_refinement", 1, "syngen", &["--thresholds", "0:0.5"]);
    guided("nothing_to_compare", 1, "conform", &["--subjects", "cat"]);
    guided("initial_noise", 2, "ebama", &["--initial-noise", "best:0"]);
    guided(
        "initial_noise_of_parts",
        1,
        "composable-diffusion",
        &["--initial-noise", "best:2", "--negative-prompt", "x"],
    );
    fails_for(
        "initial_noise_of_no_subject",
        1,
        "a red and the",
        &["--method", "stable-diffusion", "--initial-noise", "initno"],
    );
}

#[test]
fn parts_and_phrases() {
    fails_for("part_empty", 1, "a cat | ", &["--method", "composable-diffusion"]);
    fails("maps_of_parts", 1, &["--method", "composable-diffusion", "--maps"]);
    fails("phrase_missing", 1, &["--method", "structure-diffusion", "--phrases", "a cat,a red dog"]);
    fails("phrases_per_prompt", 2, &["--prompt", "a bird", "--phrases", "a cat"]);
}

#[test]
fn settings() {
    fails_with("steps_zero", 2, &["generate", "--prompt", "a cat", "--steps", "0"]);
    fails_with("steps_absurd", 1, &["generate", "--prompt", "a cat", "--steps", "1001"]);
    fails("size_odd", 1, &["--height", "130"]);
    fails("size_small", 1, &["--width", "8"]);
    fails("size_absurd", 2, &["--width", "99999999999"]);
    fails("attention_res", 1, &["--attention-res", "24"]);
    fails("guidance_scale", 2, &["--guidance-scale", "inf"]);
    fails("scale_factor", 2, &["--scale-factor", "-1"]);
    fails("scale_factor_absurd", 1, &["--scale-factor", "1e300"]);
    fails("kernel_even", 1, &["--kernel-size", "4"]);
    fails("kernel_large", 1, &["--kernel-size", "33"]);
    fails("sigma", 2, &["--sigma", "0"]);
    fails("thresholds_range", 1, &["--thresholds", "0:1.5"]);
}

#[test]
fn devices() {
    fails("device_not_compiled", 1, &["--device", "cuda:1"]);
}

#[test]
fn what_is_added_to_a_model() {
    fails("lora_missing", 1, &["--lora", "none.safetensors"]);
    fails("lora_strength", 2, &["--lora", "a.safetensors:inf"]);
    fails("embedding_missing", 1, &["--embedding", "none.pt"]);
    fails("vae_missing", 1, &["--vae", "none.safetensors"]);
    fails("clip_skip_absurd", 1, &["--clip-skip", "99"]);
    fails("prediction_type", 2, &["--prediction-type", "magic"]);
    fails("init_image_missing", 1, &["--init-image", "none.png"]);
    fails("strength_alone", 2, &["--strength", "0.5"]);
    let place = Place::new();
    std::fs::write(place.path().join("text.png"), "no picture").unwrap();
    image::RgbImage::new(128, 128).save(place.path().join("black.png")).unwrap();
    for (name, code, file, strength) in [
        ("init_image_text", 1, "text.png", "0.5"),
        ("strength_zero", 2, "black.png", "0"),
        ("strength_tiny", 1, "black.png", "0.01"),
    ] {
        let args = ["generate", "--prompt", "a cat", "--init-image", file, "--strength", strength, "--steps", "2"];
        let outcome = place.run(&args);
        assert_eq!(outcome.code, Some(code), "{outcome}");
        assert_snapshot(name, &outcome);
    }
}

#[test]
fn masks() {
    let place = Place::new();
    let image = |name: &str, value: u8| {
        let luma = image::GrayImage::from_pixel(128, 128, image::Luma([value]));
        luma.save(place.path().join(name)).unwrap();
    };
    image("picture.png", 90);
    image("black.png", 0);
    image("white.png", 255);
    std::fs::write(place.path().join("text.png"), "no picture").unwrap();
    image::RgbaImage::new(128, 128).save(place.path().join("clear.png")).unwrap();
    for (name, code, args) in [
        ("mask_alone", 1, &["--mask", "white.png"] as &[&str]),
        ("mask_missing", 1, &["--init-image", "picture.png", "--mask", "none.png"]),
        ("mask_text", 1, &["--init-image", "picture.png", "--mask", "text.png"]),
        ("mask_black", 1, &["--init-image", "picture.png", "--mask", "black.png"]),
        ("mask_white_inverted", 1, &["--init-image", "picture.png", "--mask", "white.png", "--mask-invert"]),
        ("mask_transparent", 1, &["--init-image", "picture.png", "--mask", "clear.png"]),
        ("mask_blur_alone", 1, &["--init-image", "picture.png", "--mask-blur", "4"]),
        ("mask_blur_absurd", 2, &["--init-image", "picture.png", "--mask", "white.png", "--mask-blur", "1e9"]),
        ("mask_padding_alone", 1, &["--mask-padding", "32"]),
        (
            "mask_overlay_padding",
            1,
            &["--init-image", "picture.png", "--mask", "white.png", "--mask-padding", "8", "--no-mask-overlay"],
        ),
    ] {
        let before = place.files();
        let outcome = place.run(&[&["generate", "--prompt", "a cat", "--steps", "2"], args].concat());
        assert_eq!(outcome.code, Some(code), "{outcome}");
        assert_eq!(place.files(), before);
        assert_snapshot(name, &outcome);
    }
}

#[test]
fn models_by_name_without_a_network() {
    let place = Place::new();
    for (name, model) in [
        ("hub_offline", "sd14"),
        ("hub_offline_name", "org/name@v1"),
        ("hub_bad_revision", "org/name@../x"),
        ("hub_path", "./models/none.ckpt"),
    ] {
        let outcome = place.run(&["generate", "--prompt", "a cat", "--model", model]);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert_snapshot(name, &outcome);
    }
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn models() {
    fails("model_missing", 1, &["--model", "nowhere"]);
    let place = Place::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    std::fs::write(place.path().join("file"), "text").unwrap();
    for (name, model) in [("model_empty", "empty"), ("model_file", "file")] {
        let outcome = place.run(&["generate", "--prompt", "a cat", "--model", model]);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert_snapshot(name, &outcome);
    }
    assert_eq!(place.files(), ["file"]);
}
