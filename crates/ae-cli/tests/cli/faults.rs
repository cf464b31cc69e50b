//! Hostile files and faults of the world: each ends at once, with a line that says what it was.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{Outcome, Place};

/// Long enough for a busy machine, and far below what any of these took.
const SOON: Duration = Duration::from_secs(10);

/// Runs a command that must fail soon; returns what it said.
fn fails_soon(place: &Place, args: &[&str]) -> String {
    let start = Instant::now();
    let outcome = place.run(args);
    assert!(start.elapsed() < SOON, "{:?}: {outcome}", start.elapsed());
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.lines().count() <= 2 && outcome.stderr.starts_with("error: "), "{outcome}");
    outcome.stderr
}

fn generate<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["generate", "--prompt", "a cat", "--steps", "1"], args].concat()
}

#[test]
fn a_pipe_or_a_device_is_named_wherever_a_file_is_read() {
    let place = Place::new();
    let made = Command::new("mkfifo").arg(place.path().join("pipe")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("pipe", place.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", place.path().join("endless")).unwrap();
    for (file, found) in [("pipe", "a pipe"), ("link", "a pipe"), ("endless", "a device")] {
        image::GrayImage::new(8, 8).save(place.path().join("a.png")).unwrap();
        for option in ["--model", "--vae", "--lora", "--embedding", "--init-image", "--latents", "--from", "--mask"] {
            let before: &[&str] = if option == "--mask" { &["--init-image", "a.png"] } else { &[] };
            let said = fails_soon(&place, &generate(&[before, &[option, file]].concat()));
            assert!(said.contains(&format!("it is {found}; expected a file")), "{option} {file}: {said}");
        }
    }
    let model = place.path().join("model");
    fs::create_dir(&model).unwrap();
    // The embedded model's folder, with one file replaced.
    let sprites = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites");
    for file in ["model_index.json", "attend_and_excite.json"] {
        for entry in fs::read_dir(&sprites).unwrap().map(Result::unwrap) {
            let original = if entry.file_name() == file { "/dev/zero".into() } else { entry.path() };
            std::os::unix::fs::symlink(original, model.join(entry.file_name())).unwrap();
        }
        let said = fails_soon(&place, &generate(&["--model", "model"]));
        assert!(said.contains("it is a device; expected a file"), "{file}: {said}");
        fs::remove_dir_all(&model).unwrap();
        fs::create_dir(&model).unwrap();
    }
}

#[test]
fn a_picture_that_claims_gigabytes_is_refused_by_its_header() {
    let place = Place::new();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 60_000, 60_000);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    let mut writer = encoder.write_header().unwrap();
    writer.write_chunk(png::chunk::IDAT, &[0x78, 0x9c]).unwrap();
    drop(writer);
    fs::write(place.path().join("large.png"), file).unwrap();
    image::GrayImage::new(8, 8).save(place.path().join("a.png")).unwrap();
    for args in [&["--init-image", "large.png"][..], &["--init-image", "a.png", "--mask", "large.png"]] {
        let said = fails_soon(&place, &generate(args));
        assert!(said.contains("has 60000 x 60000 pixels"), "{said}");
    }
}

#[test]
fn a_pickle_that_would_cost_gigabytes_is_refused() {
    let place = Place::new();
    let mut pickle = b"\x80\x02N".to_vec();
    pickle.extend(b"\x85\x94".repeat(15_000_000));
    pickle.push(b'.');
    fs::write(place.path().join("x.pt"), pickle).unwrap();
    for option in ["--model", "--vae", "--lora", "--embedding"] {
        let said = fails_soon(&place, &generate(&[option, "x.pt"]));
        assert!(said.contains("'x.pt' is no model: its index would take more memory"), "{option}: {said}");
    }
}

#[test]
fn what_names_say_to_a_terminal_is_shown_and_not_obeyed() {
    let place = Place::new();
    let name = "\x1b[2Jmodel\x07.safetensors";
    let header = br#"{"a\u001b[31m":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let file = [&(header.len() as u64).to_le_bytes(), header.as_slice(), &[0; 4]].concat();
    fs::write(place.path().join(name), file).unwrap();
    for option in ["--model", "--vae", "--lora"] {
        let said = fails_soon(&place, &generate(&[option, name]));
        assert!(!said.contains('\x1b') && !said.contains('\x07') && said.contains(r"\u{1b}[2Jmodel\u{7}"), "{said:?}");
    }
    let mut command = place.command(&generate(&["--model", "org/name"]));
    command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", "ftp://user:secret@host\x1b[2J");
    let outcome = Outcome::from(command.output().unwrap());
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(!outcome.stderr.contains("secret") && !outcome.stderr.contains('\x1b'), "{outcome}");
}

#[test]
fn a_full_standard_output_is_an_error_and_a_closed_one_is_none() {
    let place = Place::new();
    for args in [&["models"] as &[&str], &["tokens", "--prompt", "a cat"], &["devices"], &["--help"], &["--version"]] {
        if cfg!(target_os = "linux") {
            let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let outcome = Outcome::from(place.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap());
            assert_eq!(outcome.code, Some(1), "{args:?}: {outcome}");
            assert!(outcome.stderr.contains("cannot write the results to the standard output: No space"), "{outcome}");
        }
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let outcome = Outcome::from(place.command(args).stdout(writer).output().unwrap());
        assert_eq!(outcome.code, Some(0), "{args:?}: {outcome}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_said_before_the_model_is_loaded() {
    let place = Place::new();
    fs::write(place.path().join("taken"), "").unwrap();
    fs::write(place.path().join("no.safetensors"), "").unwrap();
    // The model is none: what is said of the place comes first.
    for args in [
        &["generate", "--prompt", "a cat", "--output", "taken"] as &[&str],
        &["generate", "--prompt", "a cat", "--output", "/proc/none"],
        &["generate", "--prompt", "a cat", "--save-tensors", "taken/x.safetensors"],
        &["serve", "--gallery", "taken"],
    ] {
        let said = fails_soon(&place, &[args, &["--model", "no.safetensors"]].concat());
        assert!(said.starts_with("error: cannot write to '") && said.contains(args[args.len() - 2]), "{said}");
    }
    assert_eq!(place.files(), ["no.safetensors", "taken"]);
}
