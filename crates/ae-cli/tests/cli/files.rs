//! The files a run leaves.

use std::fs;
use std::io::BufReader;
use std::path::Path;

use serde_json::json;

use crate::run::Place;
use crate::snapshot::assert_snapshot;

/// The text chunks of a PNG file, `key: text`; reading it to the end also checks that it is whole.
fn text_chunks(path: &Path) -> Vec<String> {
    let decoder = png::Decoder::new(BufReader::new(fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    let chunks = &reader.info().utf8_text;
    chunks.iter().map(|chunk| format!("{}: {}", chunk.keyword, chunk.get_text().unwrap())).collect()
}

/// Where a picture is within a larger one, by its middle rows.
fn found_in(sheet: &image::RgbImage, picture: &image::RgbImage) -> Option<(u32, u32)> {
    let rows = |y: u32, left: u32, of: &image::RgbImage| {
        (0..picture.width()).map(|x| *of.get_pixel(left + x, y)).collect::<Vec<_>>()
    };
    let places = (0..=sheet.height() - picture.height())
        .flat_map(|y| (0..=sheet.width() - picture.width()).map(move |x| (x, y)));
    let mut places = places.filter(|(x, y)| sheet.get_pixel(*x, *y) == picture.get_pixel(0, 0));
    places.find(|(x, y)| [0, 64, 127].iter().all(|row| rows(y + row, *x, sheet) == rows(*row, 0, picture)))
}

#[test]
fn sheets_say_methods_and_seeds_and_have_the_plain_picture_first() {
    let place = Place::new();
    let args = ["generate", "-q", "--prompt", "a cat and a dog", "--seeds", "0,5", "--steps", "2", "--compare"];
    let outcome = place.run(&args);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let open = |name: &str| image::open(place.path().join("outputs").join(name)).unwrap().into_rgb8();
    let single = |name: &str| open(&format!("a cat and a dog/{name}.png"));
    for (sheet, names) in [
        (single("5-compare"), vec!["5-plain", "5"]),
        (open("a cat and a dog.png"), vec!["0", "5"]),
        (open("a cat and a dog-compare.png"), vec!["0-plain", "0", "5-plain", "5"]),
    ] {
        let places: Vec<_> = names.iter().map(|name| found_in(&sheet, &single(name)).expect(name)).collect();
        // From left to right, with room for labels above.
        for pair in places.chunks(2) {
            assert!(pair[0].0 + 128 < pair[1].0 && pair[0].1 == pair[1].1 && pair[0].1 > 40, "{names:?}: {places:?}");
        }
        assert!(places.len() < 4 || places[2].1 > places[0].1 + 128, "{places:?}");
    }
}

#[test]
fn pictures_grid_comparison_and_trace() {
    let place = Place::new();
    let args = [
        "generate",
        "--prompt",
        "a cat and a dog",
        "--seeds",
        "0,5",
        "--steps",
        "2",
        "--compare",
        "--trace",
        "--no-labels",
    ];
    let outcome = place.run(&args);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let folder = "outputs/a cat and a dog";
    let expected =
        ["0-compare.png", "0-plain.png", "0.json", "0.png", "5-compare.png", "5-plain.png", "5.json", "5.png"];
    let mut expected: Vec<_> = expected.iter().map(|name| format!("{folder}/{name}")).collect();
    expected.splice(0..0, [format!("{folder}-compare.png"), format!("{folder}.png")]);
    assert_eq!(place.files(), expected);
    // Every file is named on standard output.
    let mut named: Vec<_> = outcome.stdout.lines().map(|line| line.replace('\\', "/")).collect();
    named.sort();
    assert_eq!(named, expected);

    let size = |name: &str| image::image_dimensions(place.path().join(folder).with_file_name(name)).unwrap();
    assert_eq!(size("a cat and a dog.png"), (264, 128));
    assert_eq!(size("a cat and a dog/5.png"), (128, 128));
    assert_eq!(size("a cat and a dog/5-compare.png"), (264, 128));
    // Methods by seeds.
    assert_eq!(size("a cat and a dog-compare.png"), (264, 264));

    let trace: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path().join(folder).join("5.json")).unwrap()).unwrap();
    assert_eq!(trace["settings"]["seed"], 5);
    let steps = trace["trace"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2);
    assert_eq!(trace["trace"]["subjects"][1]["text"], "dog");
    assert_eq!(steps[0]["guidance"]["evaluations"][0]["terms"][1]["name"], "dog");
    assert!(steps[0]["seconds"].as_f64().unwrap() > 0.0);
}

/// What each method says it draws, and that no two draw the same.
#[test]
fn every_method_draws() {
    let place = Place::new();
    let mut pictures = Vec::new();
    let mut said = String::new();
    for method in ["attend-and-excite", "stable-diffusion", "structure-diffusion", "composable-diffusion"] {
        let args =
            ["generate", "--prompt", "a lion and a red car", "--steps", "3", "--method", method, "--output", method];
        let outcome = place.run(&args);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let path = place.path().join(method).join("a lion and a red car/42.png");
        said.extend(outcome.stderr.lines().take(1).map(|line| format!("{method}: {line}\n")));
        pictures.push(image::open(&path).unwrap().into_rgb8());
        let settings = text_chunks(&path).into_iter().find(|chunk| chunk.starts_with("settings: ")).unwrap();
        let settings: serde_json::Value = serde_json::from_str(&settings["settings: ".len()..]).unwrap();
        assert_eq!(settings["method"], method);
        let phrases = if method == "structure-diffusion" { json!(["a lion", "a red car"]) } else { json!(null) };
        assert_eq!(settings["phrases"], phrases);
    }
    assert_snapshot("methods", &said);
    for (index, picture) in pictures.iter().enumerate() {
        assert!(!pictures[..index].contains(picture), "method {index} draws as another");
    }
}

#[test]
fn a_picture_carries_its_settings() {
    let place = Place::new();
    let args = [
        "generate",
        "--prompt",
        "a lion & a crown",
        "--seeds",
        "3",
        "--steps",
        "2",
        "--negative-prompt",
        "grün",
        "--token-indices",
        "2,5",
        "--thresholds",
        "none",
        "--output",
        "out",
    ];
    let outcome = place.run(&args);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let path = outcome.stdout.trim();
    assert_snapshot("chunks", &text_chunks(&place.path().join(path)).join("\n"));
}

/// The same seed gives the same picture, alone or after others, and with the plain one beside it.
#[test]
fn a_seed_is_a_picture() {
    let place = Place::new();
    let run = |output: &str, more: &[&str]| {
        let args = [&["generate", "-q", "--prompt", "a frog", "--steps", "3", "--output", output], more].concat();
        let outcome = place.run(&args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
        image::open(place.path().join(output).join("a frog/2.png")).unwrap().into_rgb8()
    };
    let alone = run("alone", &["--seeds", "2"]);
    assert_eq!(alone, run("after", &["--seeds", "1,2"]));
    assert_eq!(alone, run("beside", &["--seeds", "2", "--compare"]));
    assert_ne!(alone, run("cuda", &["--seeds", "2", "--rng", "torch-cuda"]));
    assert_ne!(alone, run("plain", &["--seeds", "2", "--method", "stable-diffusion"]));
}

#[test]
fn several_prompts_with_their_subjects() {
    let place = Place::new();
    let args = [
        "generate",
        "--prompt",
        "a cat and a dog",
        "--subjects",
        "dog",
        "--prompt",
        "a bird",
        "--subjects",
        "bird",
        "--steps",
        "2",
    ];
    let outcome = place.run(&args);
    assert_eq!(place.files(), ["outputs/a bird/42.png", "outputs/a cat and a dog/42.png"], "{outcome}");
    assert!(outcome.stderr.contains("subjects: dog (5)\n"), "{outcome}");
}

#[test]
fn every_option_of_the_method_is_taken() {
    let place = Place::new();
    let args = [
        "generate",
        "--prompt",
        "a cat and a dog",
        "--steps",
        "2",
        "--scheduler",
        "euler-a",
        "--height",
        "96",
        "--width",
        "160",
        "--max-iter-to-alter",
        "1",
        "--thresholds",
        "0:0.9",
        "--max-refinement-steps",
        "2",
        "--scale-factor",
        "5",
        "--scale-range",
        "0.9,0.1",
        "--attention-scale",
        "20",
        "--attention-res",
        "12x20",
        "--sigma",
        "1",
        "--kernel-size",
        "5",
        "--eot-normalization",
        "on",
        "--guidance-scale",
        "3",
        "--device",
        "cpu",
        "--dtype",
        "f32",
        "-v",
    ];
    let outcome = place.run(&args);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("iteration 1: losses"), "{outcome}");
    assert_eq!(image::image_dimensions(place.path().join("outputs/a cat and a dog/42.png")).unwrap(), (160, 96));
    let plain =
        place.run(&["generate", "--prompt", "a cat", "--steps", "1", "--no-smoothing", "--guidance-scale", "1"]);
    assert_eq!(plain.code, Some(0), "{plain}");
}

#[test]
fn odd_prompts_draw_pictures() {
    let long = "a cat and ".repeat(125);
    for prompt in ["", "🐱🐶", &long] {
        let place = Place::new();
        let outcome = place.run(&[
            "generate",
            "--method",
            "stable-diffusion",
            "--prompt",
            prompt,
            "--steps",
            "1",
            "--seeds",
            "1",
        ]);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert_eq!(outcome.stderr.contains("too long"), prompt.len() > 100, "{outcome}");
        assert_eq!(place.files().len(), 1, "{:?}", place.files());
    }
}

#[test]
fn an_output_that_is_no_folder_is_an_error() {
    let place = Place::new();
    fs::write(place.path().join("taken"), "").unwrap();
    let outcome = place.run(&["generate", "--prompt", "a cat", "--steps", "1", "--output", "taken"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("cannot write to 'taken/a cat'"), "{outcome}");
    assert_eq!(place.files(), ["taken"]);
}

/// A limit on the size of files stands for a full disk: it is found out before anything is drawn.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_partial_file() {
    let place = Place::new();
    let command =
        format!("trap '' XFSZ; ulimit -f 4; exec '{}' generate --prompt 'a cat' --steps 1", env!("CARGO_BIN_EXE_ae"));
    let output = std::process::Command::new("sh").args(["-c", &command]).current_dir(place.path()).output().unwrap();
    let outcome = crate::run::Outcome::from(output);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("cannot write to 'outputs/a cat'"), "{outcome}");
    assert_eq!(place.files(), [""; 0]);
}
