//! Devices: listed, tested against the CPU, sharing the seeds, short of memory.
//!
//! Everything runs on the CPU; what a GPU adds is tested by `cargo xtask test --device`.

use std::fs;

use crate::run::Place;

#[test]
fn the_list_has_the_cpu_and_what_is_not_in_the_build() {
    let outcome = Place::new().run(&["devices"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let mut lines = outcome.stdout.lines();
    let heading: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(heading, ["device", "name", "driver", "memory", "dtypes"]);
    let cpu = lines.next().unwrap();
    assert!(cpu.starts_with("cpu ") && cpu.contains("burn-flex") && cpu.ends_with("f32 f16 bf16 q8"), "{cpu}");
    assert!(outcome.stderr.lines().any(|line| line.starts_with("not in this build: ")), "{outcome}");
}

#[test]
fn a_device_that_is_right_passes_its_test() {
    for dtype in ["f16", "q8"] {
        let outcome = Place::new().run(&["self-test", "--device", "cpu", "--dtype", dtype]);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert!(!outcome.stdout.contains("WRONG"), "{outcome}");
        for compared in ["convolution 3x3 ", "self-attention ", "guidance gradient ", "guided picture "] {
            assert!(outcome.stdout.contains(&format!("\n  {compared}")), "{compared}: {outcome}");
        }
        let last = outcome.stdout.lines().last().unwrap();
        assert!(last.starts_with("cpu: results on this device can be trusted"), "{last}");
    }
}

#[test]
fn the_quick_test_takes_no_model_and_says_how_long_it_takes() {
    let place = Place::new();
    let outcome = place.run(&["self-test", "--quick", "--device", "cpu"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.starts_with("a quick test takes some seconds"), "{outcome}");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(lines[1].starts_with("  product with itself, transposed ") && lines[1].ends_with(" s"), "{outcome}");
    assert!(lines.len() < 9 && !outcome.stdout.contains("guided picture"), "{outcome}");
    for more in [&["--model", "x"][..], &["--dtype", "f16"]] {
        let outcome = place.run(&[&["self-test", "--quick"], more].concat());
        assert_eq!(outcome.code, Some(2), "{outcome}");
    }
}

/// In a build for the CPU alone there is no choice to speak of; the record has the device that was used.
#[test]
fn the_device_is_chosen_unasked_and_recorded_by_its_name() {
    let place = Place::new();
    let args = ["generate", "a frog", "--steps", "1", "--method", "stable-diffusion", "--verbose"];
    let outcomes = [&[][..], &["--device", "auto"], &["--device", "cpu"]].map(|more| {
        let outcome = place.run(&[&args[..], more].concat());
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert!(outcome.stderr.contains(r#""device":"cpu""#), "{outcome}");
        // Without the time that it took, which is said last.
        outcome.stderr.lines().filter(|line| !line.starts_with("1 picture in ")).collect::<Vec<_>>().join("\n")
    });
    assert!(outcomes[0] == outcomes[1] && outcomes[1] == outcomes[2], "{outcomes:?}");
}

#[test]
fn several_devices_share_the_seeds_and_draw_the_same_pictures() {
    let place = Place::new();
    let run = |output: &str, devices: &str| {
        let args = ["generate", "a frog", "--seeds", "0-3", "--batch-size", "1", "--steps", "2", "--device", devices];
        let outcome = place.run(&[&args[..], &["--output", output]].concat());
        assert_eq!(outcome.code, Some(0), "{outcome}");
        outcome
    };
    run("one", "cpu");
    let outcome = run("two", "cpu,cpu");
    // Both took part, and said so.
    assert!(outcome.stderr.contains("on cpu (2/4): step 2/2"), "{outcome}");
    for file in ["a frog/0.png", "a frog/1.png", "a frog/2.png", "a frog/3.png", "a frog.png"] {
        let read = |output: &str| fs::read(place.path().join(output).join(file)).unwrap();
        assert_eq!(read("one"), read("two"), "{file}");
    }
}

/// One network at a time on the device, and a picture that fits into one tile.
#[test]
fn saving_memory_changes_nothing() {
    let place = Place::new();
    let run = |output: &str, more: &[&str]| {
        let args = ["generate", "--prompt", "a frog", "--seeds", "0", "--steps", "2", "--output", output];
        let outcome = place.run(&[&args[..], more].concat());
        assert_eq!(outcome.code, Some(0), "{outcome}");
        image::open(place.path().join(output).join("a frog/0.png")).unwrap().into_rgb8()
    };
    let expected = run("usual", &[]);
    assert!(expected == run("low", &["--low-memory"]));
    assert!(expected == run("tiled", &["--vae-tiling"]));
}

#[test]
fn a_damaged_network_is_named_although_it_is_loaded_late() {
    let place = Place::new();
    let sprites = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites");
    for folder in ["scheduler", "text_encoder", "tokenizer", "unet", "vae"] {
        fs::create_dir_all(place.path().join("model").join(folder)).unwrap();
        for entry in fs::read_dir(sprites.join(folder)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), place.path().join("model").join(folder).join(entry.file_name())).unwrap();
        }
    }
    let text = fs::read_to_string(place.path().join("model/vae/config.json")).unwrap();
    assert!(text.contains("\"layers_per_block\": 1"), "{text}");
    let text = text.replace("\"layers_per_block\": 1", "\"layers_per_block\": 2");
    fs::write(place.path().join("model/vae/config.json"), text).unwrap();
    let args = ["generate", "--prompt", "a frog", "--steps", "1", "--model", "model", "--low-memory"];
    let outcome = place.run(&args);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("vae") && outcome.stderr.contains("missing"), "{outcome}");
}

/// Bit by bit, however many are drawn together.
#[test]
fn pictures_drawn_together_are_those_drawn_alone() {
    let place = Place::new();
    let run = |output: &str, more: &[&str]| {
        let args =
            ["generate", "--prompt", "a frog", "--seeds", "5-7", "--steps", "2", "--verbose", "--output", output];
        let plan = ["--max-iter-to-alter", "2", "--thresholds", "0:0.05"];
        let outcome = place.run(&[&args[..], &plan, more].concat());
        assert_eq!(outcome.code, Some(0), "{outcome}");
        outcome
    };
    run("alone", &["--batch-size", "1"]);
    // By itself all that are small.
    let outcome = run("all", &[]);
    assert!(outcome.stderr.contains("seeds 5,6,7 (1-3/3): step 2/2"), "{outcome}");
    let outcome = run("together", &["--batch-size", "2"]);
    for line in ["seeds 5,6 (1-2/3): step 2/2", "seed 7 (3/3): step 2/2", "seed 6, step 1, iteration 0: losses"] {
        assert!(outcome.stderr.contains(line), "no {line:?} in {outcome}");
    }
    for file in ["a frog/5.png", "a frog/6.png", "a frog/7.png", "a frog.png"] {
        let read = |output: &str| image::open(place.path().join(output).join(file)).unwrap().into_rgb8();
        let alone = read("alone");
        assert!(alone == read("together") && alone == read("all"), "{file}");
    }
}
