//! Writes the report of an evaluation that nobody ran: four arms, three sets, pictures of discs.
//!
//! ```sh
//! cargo run --package ae-eval --example report -- FOLDER
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use ae_eval::{Arm, ArmScores, Metric, MetricKind, PictureScore, Plan, Prompt, Report, ReportPicture, Scorer, Scores};
use ae_figures::{PictureRow, picture_table};
use image::{Rgb, RgbImage};
use serde_json::json;

const ARMS: [(&str, f64); 4] = [
    ("stable-diffusion", 0.35),
    ("composable-diffusion", 0.3),
    ("structure-diffusion", 0.4),
    ("attend-and-excite", 0.75),
];
const SETS: [&str; 3] = ["animals", "animals_objects", "objects"];
const SUBJECTS: [&str; 5] = ["cat", "dog", "red car", "clock", "blue bowl"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "outputs/report".to_owned()));
    std::fs::create_dir_all(&folder)?;
    let plan = plan();
    let scores: Vec<_> = ARMS.iter().map(|(arm, share)| scores(&plan, arm, *share)).collect();
    let report = Report::new(&plan, &scores)?;
    let examples = report.examples(None, 3)?;
    let page = report.html(&examples, |arm, prompt, seed| {
        Some(ReportPicture {
            picture: picture(arm, prompt, seed),
            path: Some(format!("{arm}/{}.png", name(prompt, seed))),
        })
    });
    std::fs::write(folder.join("index.html"), page)?;
    std::fs::write(folder.join("report.md"), report.markdown())?;
    std::fs::write(folder.join("results.csv"), report.csv())?;
    std::fs::write(folder.join("results.json"), report.json())?;
    for metric in report.charts() {
        std::fs::write(folder.join(format!("{}.svg", metric.key)), metric.chart.svg())?;
        metric.chart.png().save(folder.join(format!("{}.png", metric.key)))?;
    }
    let rows = plan.prompts.iter().take(3).map(|prompt| PictureRow {
        label: format!("“{}”, seed 1", prompt.text),
        pictures: ARMS.iter().map(|(arm, _)| Some(picture(arm, prompt, 1))).collect(),
    });
    let arms: Vec<_> = ARMS.iter().map(|(arm, _)| (*arm).to_owned()).collect();
    picture_table(&arms, &rows.collect::<Vec<_>>(), 192).save(folder.join("pictures.png"))?;
    Ok(())
}

fn plan() -> Plan {
    let pairs = SUBJECTS
        .iter()
        .enumerate()
        .flat_map(|(place, one)| SUBJECTS[place + 1..].iter().map(move |other| (one, other)));
    let prompts = SETS.iter().flat_map(|set| pairs.clone().map(move |pair| (set, pair)));
    let prompts = prompts.map(|(set, (one, other))| Prompt::new(format!("a {one} and a {other} among {set}"), *set));
    Plan {
        model: "none".to_owned(),
        arms: ARMS
            .map(|(name, _)| Arm { name: name.to_owned(), settings: json!({ "steps": 50, "method": name }) })
            .to_vec(),
        prompts: prompts.collect(),
        seeds: (0..4).collect(),
        files: BTreeMap::new(),
    }
}

/// A share from 0 to 1 that looks random, the same for the same picture.
fn chance(arm: &str, prompt: &Prompt, seed: u64) -> f64 {
    let bytes = arm.bytes().chain(prompt.text.bytes()).chain(seed.to_le_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ((hash ^ (hash >> 32)) & 0xffff) as f64 / 65_536.0
}

fn has_both(arm: &str, prompt: &Prompt, seed: u64) -> bool {
    ARMS.iter().any(|(name, share)| *name == arm && chance(arm, prompt, seed) < *share)
}

fn name(prompt: &Prompt, seed: u64) -> String {
    format!("{}-{seed}", prompt.text.replace(' ', "-"))
}

/// What a scorer says of a picture.
type Score<'a> = &'a dyn Fn(&Prompt, u64) -> (BTreeMap<String, f64>, serde_json::Value);

fn scores(plan: &Plan, arm: &str, share: f64) -> ArmScores {
    let pictures = |score: Score| {
        let pictures = plan.prompts.iter().flat_map(|prompt| plan.seeds.iter().map(move |seed| (prompt, *seed)));
        let score = |(prompt, seed): (&Prompt, u64)| {
            let (values, detail) = score(prompt, seed);
            PictureScore { prompt: prompt.text.clone(), seed, sha256: "0".repeat(64), values, detail }
        };
        pictures.map(score).collect::<Vec<_>>()
    };
    let scorer = |name: &str, about: &str, key: &str, title: &str, kind| Scorer {
        name: name.to_owned(),
        about: about.to_owned(),
        metrics: vec![Metric { key: key.to_owned(), title: title.to_owned(), kind }],
    };
    let detector = Scores {
        scorer: scorer("detector", "A rule that sees every disc.", "both_subjects", "Both subjects", MetricKind::Share),
        pictures: pictures(&|prompt, seed| {
            let both = has_both(arm, prompt, seed);
            (
                BTreeMap::from([("both_subjects".to_owned(), f64::from(u8::from(both)))]),
                json!({ "found": if both { 2 } else { 1 } }),
            )
        }),
    };
    let blip = Scores {
        scorer: scorer(
            "blip",
            "No caption at all: a number.",
            "text_text",
            "Text-text similarity",
            MetricKind::Similarity,
        ),
        pictures: pictures(&|prompt, seed| {
            let similarity = 0.7 + 0.1 * share + 0.1 * chance("similarity", prompt, seed);
            (BTreeMap::from([("text_text".to_owned(), similarity)]), json!("two discs on a grey background"))
        }),
    };
    ArmScores { arm: arm.to_owned(), scores: vec![detector, blip] }
}

/// One disc or two.
fn picture(arm: &str, prompt: &Prompt, seed: u64) -> RgbImage {
    let (both, place) = (has_both(arm, prompt, seed), chance("place", prompt, seed) * 100.0);
    RgbImage::from_fn(384, 384, |x, y| {
        let is_disc = |centre: f64| (f64::from(x) - centre).hypot(f64::from(y) - 130.0 - place) < 70.0;
        Rgb(if is_disc(110.0) {
            [214, 120, 40]
        } else if both && is_disc(270.0) {
            [60, 110, 190]
        } else {
            [228, 230, 226]
        })
    })
}
