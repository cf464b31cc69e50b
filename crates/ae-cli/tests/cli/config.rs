//! Defaults of options: the config file and the environment.

use std::fs;

use crate::run::{Outcome, Place};

const GENERATE: [&str; 6] = ["generate", "a frog", "--method", "stable-diffusion", "--verbose", "--seeds=3"];

fn config(place: &Place, text: &str) {
    let folder = place.path().join("config/attend-and-excite-rs");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), text).unwrap();
}

fn run(place: &Place, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = place.command(args);
    Outcome::from(command.envs(variables.iter().copied()).output().unwrap())
}

/// The number of steps that a picture was drawn with.
fn steps(outcome: &Outcome) -> u32 {
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let (_, after) = outcome.stderr.split_once(r#""steps":"#).unwrap_or_else(|| panic!("{outcome}"));
    after.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn the_nearest_of_command_line_environment_and_file_counts() {
    let place = Place::new();
    assert_eq!(place.run(&["config", "set", "steps", "2"]).code, Some(0));
    let environment = [("AE_STEPS", "3")];
    assert_eq!(steps(&run(&place, &GENERATE, &[])), 2);
    assert_eq!(steps(&run(&place, &GENERATE, &environment)), 3);
    assert_eq!(steps(&run(&place, &[&GENERATE[..], &["--steps", "1"]].concat(), &environment)), 1);
    let listed = run(&place, &["config"], &environment);
    let row = |outcome: &Outcome, name: &str| {
        let line = outcome.stdout.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{outcome}")).split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row(&listed, "steps"), "steps 3 AE_STEPS");
    assert_eq!(row(&place.run(&["config"]), "steps"), "steps 2 config file");
    assert_eq!(row(&listed, "smoothing"), "smoothing true");
    assert_eq!(place.run(&["config", "unset", "steps"]).code, Some(0));
    assert_eq!(row(&place.run(&["config"]), "steps"), "steps the model's, or 50");
    let path = place.run(&["config", "path"]).stdout;
    assert!(path.trim_end().ends_with("config/attend-and-excite-rs/config.toml"), "{path}");
    assert_eq!(fs::read_to_string(path.trim_end()).unwrap(), "");
}

/// What was recorded is what was drawn with, and what is drawn again is what was recorded.
#[test]
fn a_picture_is_drawn_again_whatever_the_config_has_become() {
    let place = Place::new();
    config(&place, "steps = 2\nguidance_scale = 3.5\noutput = 'mine'\n");
    assert_eq!(steps(&run(&place, &GENERATE, &[])), 2);
    let picture = |file: &str| image::open(place.path().join(file)).unwrap().into_rgb8();
    let first = picture("mine/a frog/3.png");
    config(&place, "steps = 1\nguidance_scale = 9.0\nscheduler = 'ddim'\noutput = 'again'\n");
    let again = run(&place, &["generate", "--from", "mine/a frog/3.png", "--verbose"], &[("AE_WIDTH", "64")]);
    assert_eq!(steps(&again), 2);
    assert!(picture("again/a frog/3.png") == first);
}

#[test]
fn a_mistake_in_the_file_is_named_and_can_be_mended() {
    let place = Place::new();
    config(&place, "stepps = 2\n");
    let outcome = run(&place, &GENERATE, &[]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("'stepps' in '") && outcome.stderr.contains("the nearest is 'steps'"), "{outcome}");
    assert_eq!(place.files().len(), 1);
    for fine in [&["--help"][..], &["config", "path"], &["config", "--help"]] {
        assert_eq!(place.run(fine).code, Some(0));
    }
    assert_eq!(place.run(&["config", "unset", "stepps"]).code, Some(0));
    assert_eq!(place.run(&["devices"]).code, Some(0));
    for wrong in
        [&["config", "set", "steps", "many"][..], &["config", "set", "stepps", "2"], &["config", "unset", "steps"]]
    {
        let outcome = place.run(wrong);
        assert_eq!(outcome.code, Some(2), "{outcome}");
    }
    config(&place, "steps = ");
    for damaged in [&["devices"][..], &["config", "set", "steps", "2"]] {
        let outcome = place.run(damaged);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stderr.contains("is no TOML, in line 1: "), "{outcome}");
    }
}

#[test]
fn a_variable_that_cannot_be_read_is_named() {
    let outcome = run(&Place::new(), &GENERATE, &[("AE_STEPS", "many")]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("'steps' in the variable AE_STEPS: invalid value 'many'"), "{outcome}");
}
