//! Help and the token table.

use crate::run::Place;
use crate::snapshot::assert_snapshot;

#[test]
fn help() {
    let place = Place::new();
    assert_snapshot("help", &place.run(&["--help"]));
    assert_snapshot("help_generate", &place.run(&["generate", "--help"]));
    assert_snapshot("help_tokens", &place.run(&["tokens", "--help"]));
    assert_snapshot("help_eval_run", &place.run(&["eval", "run", "--help"]));
    assert_snapshot("help_eval_score", &place.run(&["eval", "score", "--help"]));
    assert_snapshot("help_eval_report", &place.run(&["eval", "report", "--help"]));
    assert_snapshot("help_serve", &place.run(&["serve", "--help"]));
    assert_snapshot("help_models", &place.run(&["models", "--help"]));
    assert_snapshot("help_models_pull", &place.run(&["models", "pull", "--help"]));
    assert_snapshot("help_models_rm", &place.run(&["models", "rm", "--help"]));
    assert_snapshot("help_inspect", &place.run(&["inspect", "--help"]));
    assert_snapshot("help_config", &place.run(&["config", "--help"]));
    assert_snapshot("help_convert", &place.run(&["convert", "--help"]));
}

#[test]
fn models_are_listed_with_size_and_licence() {
    assert_snapshot("models", &Place::new().run(&["models"]));
}

#[test]
fn weights_are_no_words_of_a_weighted_prompt() {
    let args = ["tokens", "--prompt", "a (lion:1.3) and a [car]", "--prompt-weighting"];
    assert_snapshot("tokens_weighted", &Place::new().run(&args));
}

#[test]
fn tokens_with_the_automatic_choice() {
    assert_snapshot("tokens", &Place::new().run(&["tokens", "--prompt", "a lion, and a RED car"]));
}

#[test]
fn tokens_of_words_in_pieces_and_repeated_words() {
    let args = ["tokens", "--prompt", "a zebra and a cat and a cat", "--subjects", "zebra,cat#2"];
    assert_snapshot("tokens_pieces", &Place::new().run(&args));
}

#[test]
fn tokens_of_an_empty_prompt() {
    assert_snapshot("tokens_empty", &Place::new().run(&["tokens", "--prompt", ""]));
}

#[test]
fn the_notices_of_the_embedded_model_are_in_the_binary() {
    let outcome = Place::new().run(&["notices"]);
    assert_eq!(outcome.code, Some(0));
    for holder in ["Google LLC", "Microsoft Corporation", "Apache License 2.0", "MIT License"] {
        assert!(outcome.stdout.contains(holder), "{holder}");
    }
}
