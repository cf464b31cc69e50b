//! Runs that are ended from outside.
#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{Outcome, Place};

/// Starts a run of many pictures and waits for the second.
fn started(place: &Place) -> Child {
    let args = ["generate", "--prompt", "a cat", "--seeds", "0-999", "--steps", "4", "--thresholds", "none"];
    let child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !place.path().join("outputs/a cat/1.png").exists() {
        assert!(start.elapsed() < Duration::from_mins(2), "no picture after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn every_picture_is_whole(place: &Place) -> usize {
    // What a killed run was about to write has another name.
    let pictures = place.files().into_iter().filter(|name| !name.contains("/.ae-"));
    let mut count = 0;
    for name in pictures {
        image::open(place.path().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        count += 1;
    }
    count
}

#[test]
fn ctrl_c_ends_the_run_and_keeps_what_is_finished() {
    for name in ["-INT", "-TERM"] {
        let place = Place::new();
        let child = started(&place);
        signal(&child, name);
        let outcome = Outcome::from(child.wait_with_output().unwrap());
        assert_eq!(outcome.code, Some(1), "{outcome}");
        let pictures = every_picture_is_whole(&place);
        assert!(outcome.stderr.contains(&format!("interrupted; {pictures} picture(s) were finished")), "{outcome}");
        assert_eq!(place.files().len(), pictures, "{:?}", place.files());
    }
}

#[test]
fn a_killed_run_leaves_only_whole_pictures() {
    let place = Place::new();
    let mut child = started(&place);
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert!(every_picture_is_whole(&place) >= 2);
}
