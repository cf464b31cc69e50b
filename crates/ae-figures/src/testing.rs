//! A run that nobody drew.

use image::{Rgb, RgbImage};
use serde_json::json;

use crate::{Explanation, Run, Step, StepGuidance, Subject, Term, Token, TokenMaps};

/// Two subjects in fifty steps; one run or two.
pub(crate) fn explanation(runs: usize) -> Explanation {
    let words = ["", "a", "lion", "and", "a", "red", "car", ""];
    let token = |(index, text): (usize, &&str)| Token {
        index,
        text: (*text).to_owned(),
        kind: ["start", "text", "text", "text", "text", "text", "text", "end"][index].to_owned(),
        subject: [None, None, Some(0), None, None, None, Some(1), None][index],
    };
    let subject = |text: &str, position| Subject { text: text.to_owned(), positions: vec![position] };
    let subjects = vec![subject("lion", 2), subject("car", 6)];
    Explanation {
        prompt: "a lion and a red car".to_owned(),
        seed: 7,
        command: "ae generate".to_owned(),
        settings: json!({ "steps": 50 }),
        defaults: serde_json::Value::Null,
        trace: json!({ "steps": [] }),
        tokens: words.iter().enumerate().map(token).collect(),
        terms: Term::per_subject(&subjects),
        subjects,
        layers: Vec::new(),
        runs: (0..runs).map(run).collect(),
    }
}

fn run(index: usize) -> Run {
    let method = ["attend-and-excite", "stable-diffusion"][index];
    let steps = (0..50).map(|step| Step {
        step,
        num_steps: 50,
        timestep: 981.0 - 20.0 * step as f64,
        seconds: 0.01,
        guidance: (index == 0 && step < 25).then(|| guidance(step)),
        maps: Some(maps(step)),
        preview: Some(picture(step)),
    });
    Run { method: method.to_owned(), picture: picture(50), found: None, steps: steps.collect() }
}

fn guidance(step: usize) -> StepGuidance {
    let refinements = if step.is_multiple_of(10) { 3 } else { 0 };
    let loss = |iteration: usize| 0.9 - 0.02 * step as f32 - 0.05 * iteration as f32;
    let evaluations = (0..=refinements).map(|iteration| vec![loss(iteration), loss(iteration) / 2.0]);
    StepGuidance { evaluations: evaluations.collect(), updated: true }
}

/// Two hills that move apart.
fn maps(step: usize) -> TokenMaps {
    const SIDE: usize = 8;
    let place = step as f32 / 50.0;
    let hill = |centre: f32, patch: usize| {
        let (row, col) = ((patch / SIDE) as f32, (patch % SIDE) as f32);
        (-((row - 3.5).powi(2) + (col - centre).powi(2)) / 4.0).exp()
    };
    let values = (1..=6).flat_map(|token| {
        (0..SIDE * SIDE).map(move |patch| match token {
            2 => 0.4 * (0.5 + place) * hill(3.5 - 3.0 * place, patch),
            6 => 0.3 * (0.5 + place) * hill(3.5 + 3.0 * place, patch),
            _ => 0.05,
        })
    });
    TokenMaps::new(SIDE, SIDE, (1..=6).collect(), values.collect())
}

fn picture(step: usize) -> RgbImage {
    RgbImage::from_fn(16, 16, |x, y| Rgb([(x * 16) as u8, (y * 16) as u8, step as u8 * 5]))
}
