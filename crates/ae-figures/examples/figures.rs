//! Draws every figure of a run that nobody drew: two subjects whose attention moves apart.
//!
//! ```sh
//! cargo run --release --package ae-figures --example figures -- FOLDER
//! ```

use std::error::Error;
use std::path::PathBuf;

use ae_figures::{Explanation, MapChoice, Run, Step, StepGuidance, Subject, Term, Token, TokenMaps, report};
use image::{Rgb, RgbImage};

const STEPS: usize = 30;
const SIDE: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "outputs/figures".to_owned()));
    std::fs::create_dir_all(&folder)?;
    let explanation = explanation();
    explanation.maps(MapChoice::All)?.save(folder.join("maps.png"))?;
    explanation.strip(MapChoice::Subjects, 8)?.save(folder.join("steps.png"))?;
    explanation.loss_png().save(folder.join("loss.png"))?;
    std::fs::write(folder.join("loss.svg"), explanation.loss_svg())?;
    std::fs::write(folder.join("steps.apng"), explanation.animation(MapChoice::Subjects)?)?;
    std::fs::write(folder.join("report.html"), report(&explanation))?;
    Ok(())
}

fn explanation() -> Explanation {
    let words = [("<|startoftext|>", "start"), ("a", "text"), ("cat", "text"), ("and", "text"), ("dog", "text")];
    let token = |(index, (text, kind)): (usize, &(&str, &str))| Token {
        index,
        text: (*text).to_owned(),
        kind: (*kind).to_owned(),
        subject: [None, None, Some(0), None, Some(1)][index],
    };
    let subject = |text: &str, position| Subject { text: text.to_owned(), positions: vec![position] };
    let subjects = vec![subject("cat", 2), subject("dog", 4)];
    Explanation {
        prompt: "a cat and dog".to_owned(),
        seed: 42,
        command: "ae generate --prompt 'a cat and dog'".to_owned(),
        settings: serde_json::json!({ "steps": STEPS, "width": 96, "height": 96, "scheduler": "ddim", "model": "none" }),
        defaults: serde_json::Value::Null,
        trace: serde_json::Value::Null,
        tokens: words.iter().enumerate().map(token).collect(),
        terms: Term::per_subject(&subjects),
        subjects,
        layers: Vec::new(),
        runs: ["attend-and-excite", "stable-diffusion"].into_iter().map(run).collect(),
    }
}

fn run(method: &str) -> Run {
    let is_guided = method == "attend-and-excite";
    let steps = (0..STEPS).map(|step| {
        let share = step as f32 / STEPS as f32;
        let guidance = (is_guided && step < STEPS / 2).then(|| {
            let updates = if step.is_multiple_of(5) { 4 } else { 0 };
            let loss = |update: usize| 0.8 - share - 0.04 * update as f32;
            let evaluations = (0..=updates).map(|update| vec![loss(update), 0.6 * loss(update) + 0.1]);
            StepGuidance { evaluations: evaluations.collect(), updated: true }
        });
        let maps = Some(maps(if is_guided { share } else { 0.2 * share }));
        let timestep = 981.0 * f64::from(1.0 - share);
        Step { step, num_steps: STEPS, timestep, seconds: 0.1, guidance, maps, preview: Some(picture(share)) }
    });
    Run { method: method.to_owned(), picture: picture(1.0), found: None, steps: steps.collect() }
}

/// Hills of attention, those of the subjects the further apart the later.
fn maps(share: f32) -> TokenMaps {
    let hill = |centre: f32, patch: usize| {
        let (row, col) = ((patch / SIDE) as f32, (patch % SIDE) as f32);
        (-((row - 7.5).powi(2) + (col - centre).powi(2)) / 12.0).exp()
    };
    let values = (1..=4).flat_map(|token| {
        (0..SIDE * SIDE).map(move |patch| match token {
            2 => 0.4 * hill(7.5 - 4.5 * share, patch),
            4 => 0.35 * hill(7.5 + 4.5 * share, patch),
            _ => 0.05,
        })
    });
    TokenMaps::new(SIDE, SIDE, (1..=4).collect(), values.collect())
}

/// Two discs that come out of grey.
fn picture(share: f32) -> RgbImage {
    RgbImage::from_fn(96, 96, |x, y| {
        let disc = |centre: f32| (x as f32 - centre).hypot(y as f32 - 48.0) < 18.0;
        let colour = if disc(26.0) {
            [214.0, 120.0, 40.0]
        } else if disc(70.0) {
            [60.0, 110.0, 190.0]
        } else {
            [238.0; 3]
        };
        #[expect(clippy::cast_sign_loss, reason = "colours are not negative")]
        let byte = |channel: f32| (128.0 + (channel - 128.0) * share) as u8;
        Rgb(colour.map(byte))
    })
}
