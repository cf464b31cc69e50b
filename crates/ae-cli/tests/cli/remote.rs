//! `ae generate --host` and a studio with the embedded model.
#![cfg(unix)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::RgbImage;
use serde_json::Value;

use crate::run::{Outcome, Place};
use crate::serve::Studio;

/// Pixels and settings of a picture.
fn read(place: &Place, name: &str) -> (RgbImage, Value) {
    let bytes = std::fs::read(place.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
    let text = reader.info().utf8_text.iter().find(|text| text.keyword == "settings").unwrap().get_text().unwrap();
    (image::load_from_memory(&bytes).unwrap().into_rgb8(), serde_json::from_str(&text).unwrap())
}

#[test]
fn what_a_studio_draws_is_what_is_drawn_here() {
    let (here, there) = (Place::new(), Place::new());
    let studio = Studio::start(&there, &[]);
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 30, 30])).save(here.path().join("red.png")).unwrap();
    let common =
        ["generate", "a lion and a red car", "--steps", "2", "--width", "64", "--height", "64", "--thresholds", "none"];
    for more in [
        &["--seeds", "7,8", "--compare", "--max-iter-to-alter", "1"][..],
        &["--seeds", "9", "--init-image", "red.png", "--strength", "0.9", "--low-memory"],
    ] {
        let local = here.run(&[&common[..], more, &["--output", "local"]].concat());
        let remote = here.run(&[&common[..], more, &["--output", "remote", "--host", &studio.url]].concat());
        assert_eq!((local.code, remote.code), (Some(0), Some(0)), "{local}{remote}");
        let names = |outcome: &Outcome| {
            outcome.stdout.lines().map(|line| line.split_once('/').unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(names(&local)), sorted(names(&remote)));
        assert!(remote.stderr.contains("subjects: lion, car"), "{remote}");
        for name in names(&remote).iter().filter(|name| !name.ends_with("-compare.png") && name.contains('/')) {
            let (local, mut own) = read(&here, &format!("local/{name}"));
            let (remote, mut other) = read(&here, &format!("remote/{name}"));
            // A studio reads maps at every step, for its view: probabilities that are formed round otherwise.
            let apart = local.iter().zip(remote.iter()).map(|(one, other)| one.abs_diff(*other)).max();
            assert!(apart <= Some(1), "{name}: {apart:?}");
            // A studio calls its models by their ids.
            assert_eq!(other["model"].take(), "embedded");
            own["model"].take();
            assert_eq!(own, other, "{name}");
        }
    }
    let again = here.run(&[
        "generate",
        "--from",
        "remote/a lion and a red car/9.png",
        "--output",
        "again",
        "--host",
        &studio.url,
    ]);
    assert_eq!(again.code, Some(0), "{again}");
    let name = "a lion and a red car/9.png";
    assert_eq!(read(&here, &format!("again/{name}")), read(&here, &format!("remote/{name}")));
}

#[test]
fn what_a_studio_cannot_do_is_refused_before_it_draws() {
    let place = Place::new();
    let studio = Studio::start(&place, &["--token", "not-to-be-guessed-0123"]);
    let bare = studio.url.split("/?").next().unwrap().to_owned();
    let run = |args: &[&str], token: &str| {
        let args = [&["generate", "a cat", "--steps", "2"], args].concat();
        Outcome::from(place.command(&args).env("AE_TOKEN", token).output().unwrap())
    };
    for (args, token, code, said) in [
        (&["--host", &studio.url, "--model", "no/such"][..], "", 1, "refuses it: there is no model 'no/such'"),
        (
            &["--host", &studio.url, "--lora", "here/ink.safetensors"],
            "",
            1,
            "refuses it: there is no LoRA 'ink.safetensors' here",
        ),
        (&["--host", &studio.url, "--width", "100000"], "", 2, "100000"),
        (&["--host", &studio.url, "--subjects", "dog"], "", 1, "refuses it"),
        (&["--host", &studio.url, "--init-image", "none.png"], "", 1, "cannot read the image 'none.png'"),
        (&["--host", &studio.url, "--maps"], "", 2, "--maps needs the run on this machine"),
        (&["--host", &bare], "", 1, "wants its token"),
        (&["--host", &bare], "wrong-token-0123456789", 1, "wants its token"),
        (&["--host", "http://127.0.0.1:1"], "", 1, "does not answer"),
        (&["--host", "ftp://example.org"], "", 1, "no address of a studio"),
    ] {
        let outcome = run(args, token);
        assert_eq!(outcome.code, Some(code), "{args:?} {outcome}");
        assert!(outcome.stderr.contains(said) && !outcome.stderr.contains("not-to-be-guessed"), "{args:?} {outcome}");
    }
    assert!(
        place.files().iter().all(|name| std::path::Path::new(name).extension().is_none_or(|end| end != "png")),
        "{:?}",
        place.files()
    );
    // The same studio, by the variables.
    let args = ["generate", "a cat", "--steps", "1", "--width", "64", "--height", "64"];
    let mut command = place.command(&args);
    command.env("AE_HOST", &bare).env("AE_TOKEN", "not-to-be-guessed-0123");
    let outcome = Outcome::from(command.output().unwrap());
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert_eq!(outcome.stdout.trim(), "outputs/a cat/42.png");
}

#[test]
fn ctrl_c_cancels_the_job_there() {
    let place = Place::new();
    let studio = Studio::start(&place, &[]);
    let args = ["generate", "a cat", "--seeds", "0-7", "--steps", "20", "--thresholds", "none", "--host", &studio.url];
    let child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !place.path().join("outputs/a cat/0.png").exists() {
        assert!(start.elapsed() < Duration::from_mins(2), "no picture after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("interrupted; "), "{outcome}");
    let jobs = studio.client.get("/api/jobs").json();
    assert_eq!(jobs["jobs"][0]["state"], "cancelled", "{jobs}");
}
