//! Habits of a terminal: pipes, completion, and what asks before it removes.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::run::{Outcome, Place};
use crate::snapshot::assert_snapshot;

/// Runs a command with a text on its standard input.
fn piped(args: &[&str], input: &str) -> Outcome {
    let place = Place::new();
    let mut command = place.command(args);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Outcome::from(child.wait_with_output().unwrap())
}

#[test]
fn a_prompt_is_an_argument_an_option_or_a_line_of_a_pipe() {
    let place = Place::new();
    let option = place.run(&["tokens", "--prompt", "a lion, and a RED car"]);
    assert_eq!(option.code, Some(0), "{option}");
    assert_eq!(place.run(&["tokens", "a lion, and a RED car"]).stdout, option.stdout);
    for input in ["a lion, and a RED car", "a lion, and a RED car\n", "\u{feff}\r\n a lion, and a RED car \r\n"] {
        assert_eq!(piped(&["tokens", "-"], input).stdout, option.stdout, "{input:?}");
    }
    let two = piped(&["tokens", "-"], "a lion, and a RED car\na lion, and a RED car\n");
    assert_eq!(two.stdout, option.stdout.repeat(2));
}

#[test]
fn a_pipe_without_a_prompt_is_refused() {
    for input in ["", "\n \n", "\u{feff}"] {
        let outcome = piped(&["tokens", "-"], input);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(2), "error: standard input has no prompt\n"));
    }
    let place = Place::new();
    let both = place.run(&["tokens", "a cat", "--prompt", "a dog"]);
    assert_eq!(both.code, Some(2), "{both}");
    let unquoted = place.run(&["generate", "a", "cat"]);
    assert_eq!(unquoted.code, Some(2), "{unquoted}");
}

#[test]
fn one_picture_goes_to_standard_output_and_more_do_not() {
    let place = Place::new();
    let args = ["generate", "a cat and a dog", "--steps", "1", "--method", "stable-diffusion", "--output", "-"];
    let output = place.command(&args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(image::load_from_memory(&output.stdout).unwrap().width(), 128);
    assert_eq!(place.files(), [""; 0]);
    for more in [&["--seeds", "0,1"][..], &["--compare"], &["--maps"], &["--trace"], &["--report"]] {
        let outcome = place.run(&[&args[..], more].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome}");
        assert!(outcome.stderr.contains("--output -"), "{outcome}");
    }
}

#[test]
fn a_shell_completes_commands_values_and_models() {
    let complete = |words: &[&str]| {
        let place = Place::new();
        let mut command = place.command(&[&["--", "ae"][..], words].concat());
        command.env("COMPLETE", "bash").env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let has = |words: &[&str], expected: &[&str]| {
        let found = complete(words);
        for name in expected {
            assert!(found.lines().any(|line| line == *name), "{words:?}: {name} in {found:?}");
        }
    };
    has(&[""], &["generate", "inspect", "models"]);
    has(&["models", ""], &["pull", "rm", "clean"]);
    has(&["generate", "--method", ""], &["attend-and-excite", "stable-diffusion"]);
    has(&["generate", "--scheduler", "d"], &["ddim"]);
    has(&["generate", "--model", ""], &["embedded", "sd14", "sd-turbo"]);
    has(&["models", "rm", "sd"], &["sd14"]);
}

/// A cache with a model of 3 bytes.
fn cached() -> Place {
    let place = Place::new();
    let repo = place.path().join("cache/hub/models--org--name");
    let snapshot = repo.join("snapshots").join("0123456789abcdef0123456789abcdef01234567");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repo.join("blobs")).unwrap();
    fs::write(repo.join("blobs/x"), "abc").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../../blobs/x", snapshot.join("model_index.json")).unwrap();
    place
}

#[cfg(unix)]
#[test]
fn a_model_is_removed_when_that_is_confirmed() {
    let place = cached();
    let asked = place.run(&["models", "rm", "org/name"]);
    assert_eq!(asked.code, Some(2), "{asked}");
    assert!(asked.stderr.contains("2 file(s), 1 kB; --yes removes them"), "{asked}");
    assert_eq!(place.files().len(), 2);
    let removed = place.run(&["models", "rm", "org/name", "--yes"]);
    assert_eq!(removed.code, Some(0), "{removed}");
    assert_eq!(place.files(), [""; 0]);
    let again = place.run(&["models", "rm", "org/name", "--yes"]);
    assert_eq!(again.code, Some(1), "{again}");
    assert!(again.stderr.contains("the cache has no such model"), "{again}");
}

#[cfg(unix)]
#[test]
fn leftovers_are_removed_and_models_stay() {
    let place = cached();
    let blobs = place.path().join("cache/hub/models--org--name/blobs");
    fs::write(blobs.join("y.incomplete"), vec![0; 5000]).unwrap();
    let asked = place.run(&["models", "clean"]);
    assert!(asked.code == Some(2) && asked.stderr.contains("1 file(s), 5 kB"), "{asked}");
    assert_eq!(place.run(&["models", "clean", "--yes"]).code, Some(0));
    assert!(blobs.join("x").exists() && !blobs.join("y.incomplete").exists());
    let nothing = place.run(&["models", "clean"]);
    assert!(nothing.code == Some(0) && nothing.stderr.contains("nothing to remove"), "{nothing}");
}

#[test]
fn anything_can_be_inspected() {
    let place = Place::new();
    let embedded = place.run(&["inspect", "embedded", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&embedded.stdout).unwrap_or_else(|_| panic!("{embedded}"));
    assert_eq!(json["verdict"], "can be drawn with");
    assert_eq!(json["parts"][1]["name"], "U-Net");
    fs::write(place.path().join("model.safetensors"), "<!doctype html><html>").unwrap();
    assert_snapshot("inspect_page", &place.run(&["inspect", "model.safetensors"]));
    assert_snapshot("inspect_missing", &place.run(&["inspect", "org/name"]));
    assert_snapshot("inspect_address", &place.run(&["inspect", "https://civitai.com/models/1?modelVersionId=2"]));
}

/// The blocks themselves are tested beside their code.
#[test]
fn a_preview_without_a_terminal_is_noted_and_changes_nothing() {
    let place = Place::new();
    let args = ["generate", "a frog", "--steps", "1", "--method", "stable-diffusion"];
    let plain = place.run(&args);
    let shown = place.run(&[&args[..], &["--preview"]].concat());
    assert_eq!((shown.code, &shown.stdout), (Some(0), &plain.stdout), "{shown}");
    assert!(shown.stderr.contains("note: --preview shows nothing: standard error is no terminal"), "{shown}");
    assert!(!shown.stderr.contains('\u{2580}'), "{shown}");
}
