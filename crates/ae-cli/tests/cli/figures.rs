//! Figures, animation and report of the embedded model.
//!
//! Pictures are compared with their snapshots at a quarter of the size, within a tolerance: structure and labels must be the
//! same, the last digits of a float need not be.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use image::imageops::{FilterType, resize};

use crate::run::{Outcome, Place};
use crate::snapshot::assert_snapshot;

/// Pixels of the figure per pixel of its snapshot.
const REDUCTION: u32 = 4;
/// Most that a pixel, and the mean of all, may differ in 255ths.
const PIXEL: u8 = 48;
const MEAN: f64 = 1.0;

fn assert_picture(name: &str, picture: &RgbImage) {
    let (width, height) = (picture.width().div_ceil(REDUCTION), picture.height().div_ceil(REDUCTION));
    let small = resize(picture, width, height, FilterType::Triangle);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots").join(format!("{name}.png"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        small.save(&path).unwrap();
        return;
    }
    let expected = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_rgb8();
    assert_eq!(small.dimensions(), expected.dimensions(), "{name}: size of the snapshot");
    let differences = || small.iter().zip(expected.iter()).map(|(one, other)| one.abs_diff(*other));
    let worst = differences().max().unwrap();
    let mean = differences().map(f64::from).sum::<f64>() / small.len() as f64;
    assert!(
        worst <= PIXEL && mean <= MEAN,
        "{name} differs from its snapshot by {worst}/255, on average {mean:.2}/255"
    );
}

/// A run in ten steps; the folder of its files.
fn drawn(place: &Place, args: &[&str]) -> (PathBuf, Outcome) {
    let common = ["-q", "--prompt", "a lion and a red car", "--seeds", "7", "--steps", "10"];
    let plan = ["--max-iter-to-alter", "25", "--thresholds", "0:0.05,10:0.5,20:0.8"];
    let outcome = place.run(&[&args[..1], &common, &plan, &args[1..]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
    // Every file is named on standard output.
    let mut named: Vec<_> = outcome.stdout.lines().map(|line| line.replace('\\', "/")).collect();
    named.sort();
    assert_eq!(named, place.files());
    (place.path().join("outputs/a lion and a red car"), outcome)
}

fn open(folder: &Path, name: &str) -> RgbImage {
    image::open(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}")).into_rgb8()
}

/// The texts of an SVG document in their order, one per line.
fn texts(svg: &str) -> String {
    let texts =
        svg.split("<text").skip(1).map(|text| text.split_once('>').unwrap().1.split_once("</text>").unwrap().0.trim());
    texts.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn explain_draws_every_figure_with_and_without_guidance() {
    let place = Place::new();
    let (folder, _) = drawn(&place, &["explain"]);
    for (file, name) in
        [("7-maps.png", "explain_maps"), ("7-steps.png", "explain_steps"), ("7-loss.png", "explain_loss")]
    {
        assert_picture(name, &open(&folder, file));
    }
    let svg = fs::read_to_string(folder.join("7-loss.svg")).unwrap();
    assert_snapshot("loss_texts", &texts(&svg));
    for part in ["<title>", "<desc>", "Inter"] {
        assert!(svg.contains(part), "{part}");
    }

    let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(folder.join("7-steps.apng")).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    assert_eq!(reader.info().animation_control.unwrap().num_frames, 10);
    let (width, height) = (reader.info().width, reader.info().height);
    let mut frames = Vec::new();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    while reader.next_frame(&mut pixels).is_ok() {
        frames.push(RgbImage::from_raw(width, height, pixels.clone()).unwrap());
    }
    assert_eq!(frames.len(), 10);
    assert_picture("animation_first", &frames[0]);
    assert_picture("animation_last", &frames[9]);

    let html = fs::read_to_string(folder.join("7.html")).unwrap();
    let json = html.split_once("id=\"record\">").unwrap().1.split_once("</script>").unwrap().0;
    let record: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(record["runs"].as_array().unwrap().len(), 2);
    assert_eq!(record["runs"][0]["steps"].as_array().unwrap().len(), 10);
    assert!(record["runs"][1]["steps"][9]["preview"].is_string());
    let expected = "ae explain -q --prompt 'a lion and a red car' --seeds 7 --steps 10 --max-iter-to-alter 25 \
                    --thresholds '0:0.05,10:0.5,20:0.8'";
    assert_eq!(record["command"], expected);
}

#[test]
fn maps_of_all_tokens() {
    let place = Place::new();
    let (folder, _) = drawn(&place, &["generate", "--maps", "all", "--preview-every", "3"]);
    assert_picture("maps_all", &open(&folder, "7-maps.png"));
    assert_picture("steps_all", &open(&folder, "7-steps.png"));
}

#[test]
fn plain_sampling_has_maps_and_no_loss() {
    let place = Place::new();
    let (folder, _) = drawn(&place, &["generate", "--maps", "--method", "stable-diffusion"]);
    assert_picture("plain_maps", &open(&folder, "7-maps.png"));
    let svg = fs::read_to_string(folder.join("7-loss.svg")).unwrap();
    assert!(svg.contains("no step was guided"), "{svg}");
}

/// To look at the attention changes no picture.
#[test]
fn figures_change_no_picture() {
    let place = Place::new();
    let draw = |more: &[&str]| {
        let output = format!("out{}", more.len());
        let args = ["generate", "-q", "--prompt", "a cat and a frog", "--steps", "4", "--output", &output];
        let outcome = place.run(&[&args, more].concat());
        assert_eq!(outcome.code, Some(0), "{outcome}");
        open(&place.path().join(output).join("a cat and a frog"), "42.png")
    };
    let difference = draw(&[]).iter().zip(draw(&["--maps", "--report"]).iter()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(difference <= Some(1), "{difference:?}");
}

/// Several pictures drawn together have figures of their own.
#[test]
fn a_batch_has_figures_for_every_seed() {
    let place = Place::new();
    let outcome = place.run(&[
        "generate",
        "-q",
        "--prompt",
        "a cat and a frog",
        "--steps",
        "2",
        "--seeds",
        "1,2",
        "--batch-size",
        "2",
        "--maps",
        "--report",
    ]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let folder = place.path().join("outputs/a cat and a frog");
    let (one, other) = (open(&folder, "1-maps.png"), open(&folder, "2-maps.png"));
    assert!(one.dimensions() == other.dimensions() && one != other);
    assert!(folder.join("1.html").exists() && folder.join("2.html").exists());
}

#[test]
fn what_cannot_be_shown_is_named() {
    let place = Place::new();
    let fails = |args: &[&str]| {
        let outcome = place.run(args);
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        outcome
    };
    let plain = ["generate", "-q", "--steps", "1", "--method", "stable-diffusion", "--prompt"];
    assert_snapshot("figures_no_subject", &fails(&[&plain[..], &["the red", "--maps"]].concat()));
    assert_snapshot("figures_no_token", &fails(&[&plain[..], &["", "--maps", "all", "--output", "none"]].concat()));
    assert_snapshot("explain_plain", &fails(&["explain", "--prompt", "a cat", "--method", "stable-diffusion"]));
    assert_snapshot("preview_every", &fails(&["generate", "--prompt", "a cat", "--preview-every", "0"]));
    assert_snapshot("maps_whose", &fails(&["generate", "--prompt", "a cat", "--maps", "mine"]));
}
