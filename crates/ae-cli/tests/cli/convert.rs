//! Models written for others. That diffusers reads them as the same is checked by `tests/reference/check_converted.py`.

use std::fs;
use std::path::Path;

use crate::round_trip::fixture;
use crate::run::{Outcome, Place};

const WEIGHTS: [&str; 3] = [
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
];

fn done(place: &Place, args: &[&str]) -> Outcome {
    let outcome = place.run(args);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    outcome
}

fn picture(place: &Place, output: &str, more: &[&str]) -> image::RgbImage {
    let args = ["generate", "a cat and a dog", "--seeds", "5", "--output", output];
    // Small and plain: it is about the weights.
    let quick = ["--steps", "1", "--method", "stable-diffusion", "--height", "64", "--width", "64"];
    done(place, &[&args[..], &quick, more].concat());
    image::open(place.path().join(output).join("a cat and a dog/5.png")).unwrap().into_rgb8()
}

fn same_weights(place: &Place, one: &str, other: &str) {
    for file in WEIGHTS {
        let read = |folder: &str| fs::read(place.path().join(folder).join(file)).unwrap();
        assert!(read(one) == read(other), "{file} of {one} and {other}");
    }
}

#[test]
fn a_converted_model_draws_the_same_pictures() {
    let place = Place::new();
    done(&place, &["convert", "embedded", "sprites"]);
    assert!(picture(&place, "one", &[]) == picture(&place, "two", &["--model", "sprites"]));
    assert!(place.path().join("sprites/attend_and_excite.json").is_file());
    // Nothing but the model is left.
    let entries: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(entries.len(), 3, "{entries:?}");
}

#[test]
fn what_was_merged_is_in_the_model() {
    let place = Place::new();
    let (model, lora) = (fixture("models/sd1"), format!("{}:0.7", fixture("convenience/lora/kohya.safetensors")));
    for dtype in ["f32", "f16"] {
        let merged = format!("merged-{dtype}");
        done(&place, &["convert", &model, &merged, "--lora", &lora, "--dtype", dtype]);
        let added = picture(&place, "added", &["--model", &model, "--lora", &lora, "--dtype", dtype]);
        assert!(added == picture(&place, "whole", &["--model", &merged, "--dtype", dtype]), "{dtype}");
        assert!(added != picture(&place, "plain", &["--model", &model, "--dtype", dtype]), "{dtype}");
        // Once more changes nothing, bit by bit.
        done(&place, &["convert", &merged, "again", "--dtype", dtype, "--force"]);
        same_weights(&place, &merged, "again");
    }
    // Quantised with what was merged, and in no other order.
    let quantized = picture(&place, "quantised", &["--model", &model, "--lora", &lora, "--dtype", "q8"]);
    assert!(quantized == picture(&place, "merged before", &["--model", "merged-f32", "--dtype", "q8"]));
    assert!(quantized != picture(&place, "not quantised", &["--model", "merged-f32"]));
    let vae = fixture("models/sd2");
    done(&place, &["convert", &model, "other", "--vae", &vae]);
    let added = picture(&place, "added", &["--model", &model, "--vae", &vae]);
    assert!(added == picture(&place, "whole", &["--model", "other"]));
}

#[test]
fn a_single_file_has_the_weights_of_the_folder() {
    let place = Place::new();
    for (name, source) in
        [("sd1", fixture("formats/sd1/single.safetensors")), ("sd2", fixture("formats/sd2/single-f16.ckpt"))]
    {
        for dtype in ["f32", "f16"] {
            let (folder, file) = (format!("{name}-{dtype}"), format!("{name}-{dtype}.safetensors"));
            let again = format!("{folder}-again");
            done(&place, &["convert", &source, &folder, "--dtype", dtype]);
            let said = done(&place, &["convert", &source, &file, "--dtype", dtype]);
            assert!(said.stderr.contains("the file does not carry the sampler"), "{said}");
            done(&place, &["convert", &file, &again, "--dtype", dtype]);
            same_weights(&place, &folder, &again);
        }
    }
}

#[test]
fn what_a_single_file_cannot_say_is_refused_by_name_and_nothing_is_left() {
    let place = Place::new();
    let outcome = place.run(&["convert", "embedded", "sprites.safetensors"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("nothing in it says of the U-Net: attention_head_dim 4"), "{outcome}");
    assert!(outcome.stderr.ends_with("; give a folder\n"), "{outcome}");
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn nothing_is_replaced_unasked_and_nothing_that_is_no_model_at_all() {
    let place = Place::new();
    let fails = |args: &[&str], said: &str| {
        let outcome = place.run(&[&["convert"], args].concat());
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stderr.contains(said), "{said}: {outcome}");
    };
    let file = |name: &str| {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    };
    file("taken");
    file("folder/letter.txt");
    file("model/model_index.json");
    file("x.safetensors");
    // The model is none: what is said of the place comes first.
    for (out, said) in [
        ("model", "'model' is there already, and was not to be replaced; --force replaces it"),
        ("folder", "'folder' is there already"),
        ("x.safetensors", "'x.safetensors' is there already"),
        ("taken", "'taken' is no folder, which a model does not replace"),
        ("x.ckpt", "'x.ckpt' names a file of another kind"),
        ("x.GGUF", "'x.GGUF' names a file of another kind"),
        ("taken/below", "cannot write the model to 'taken/below'"),
        ("/proc/none/model", "cannot write the model to '/proc/none/model'"),
        ("..", "'..' is no name of a file or folder"),
    ] {
        fails(&["none.safetensors", out], said);
    }
    let memory_alone = "a model is not written in q8, which is made while weights are loaded; use f16, bf16 or f32";
    fails(&["none.safetensors", "model", "--dtype", "q8"], memory_alone);
    for (out, said) in [
        ("folder", "'folder' is a folder without a model, which a model does not replace"),
        ("taken", "'taken' is no folder"),
        (".", "'.' is no name of a file or folder"),
    ] {
        fails(&["none.safetensors", out, "--force"], said);
    }
    // A model that cannot be loaded leaves what is there.
    fails(&["x.safetensors", "model", "--force"], "x.safetensors");
    assert_eq!(fs::read_to_string(place.path().join("model/model_index.json")).unwrap(), "mine");
    done(&place, &["convert", "embedded", "model", "--force"]);
    assert_ne!(fs::read_to_string(place.path().join("model/model_index.json")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(place.path().join("folder/letter.txt")).unwrap(), "mine");
}

/// A file that must not grow as far stands for a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_leaves_nothing() {
    let place = Place::new();
    let ae = env!("CARGO_BIN_EXE_ae");
    for out in ["sprites", "deep/er/sprites"] {
        let script = format!("trap '' XFSZ; ulimit -f 200; exec '{ae}' convert embedded {out}");
        let mut command = std::process::Command::new("bash");
        let command = command.args(["-c", &script]).current_dir(place.path());
        let outcome = Outcome::from(command.env("XDG_CONFIG_HOME", "config").output().unwrap());
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stderr.contains(&format!("cannot write the model to '{out}': File too large")), "{outcome}");
        assert!(!Path::new(out).exists());
    }
    assert_eq!(place.files(), [""; 0]);
}
