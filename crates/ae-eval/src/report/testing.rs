//! A small evaluation that nobody ran: three arms, two sets, six prompts, two seeds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ArmScores, Report};
use crate::{Arm, Metric, MetricKind, PictureScore, Plan, Prompt, Scorer, Scores};

/// The first of both sets has an odd text.
const PROMPTS: [(&str, &str); 6] = [
    ("a cat and a dog", "animals"),
    ("a <script>alert(\"1\")</script> and a | b, \"c\"", "animals"),
    ("a bear and a horse", "animals"),
    ("a red car and a blue bowl", "objects"),
    ("a pink crown and a green chair", "objects"),
    ("a clock and an apple", "objects"),
];
const SEEDS: [u64; 2] = [7, 8];
/// Whether both subjects are there, prompt by prompt and seed by seed, for the first two arms; for the third no other.
const BOTH: [[u8; 12]; 2] = [[0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1], [1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1]];

pub(super) fn plan() -> Plan {
    let arm = |name: &str, settings| Arm { name: name.to_owned(), settings };
    let prompt = |(text, set): (&str, &str)| Prompt::new(text, set);
    Plan {
        model: "a model".to_owned(),
        arms: vec![
            arm("stable-diffusion", json!({ "steps": 50 })),
            arm("attend-and-excite", json!({ "steps": 50, "thresholds": { "0": 0.05 } })),
            arm("all|steps", json!({ "steps": 50 })),
        ],
        prompts: PROMPTS.map(prompt).to_vec(),
        seeds: SEEDS.to_vec(),
        files: BTreeMap::new(),
    }
}

fn scorer(name: &str, metrics: &[(&str, &str, MetricKind)]) -> Scorer {
    let metric = |(key, title, kind): &(&str, &str, MetricKind)| Metric {
        key: (*key).to_owned(),
        title: (*title).to_owned(),
        kind: *kind,
    };
    let about = format!("The scorer {name}; right in 9 of 10 pictures.");
    Scorer { name: name.to_owned(), about, metrics: metrics.iter().map(metric).collect() }
}

/// The detector has seen two arms and two pictures of the third, BLIP two arms but for one picture, which is missing in the
/// second; colours apply to two prompts.
pub(super) fn scores() -> Vec<ArmScores> {
    let shares = [("both_subjects", "Both subjects", MetricKind::Share), ("colours", "Colours", MetricKind::Share)];
    let detector = |arm: usize, pictures: usize| Scores {
        scorer: scorer("detector", &shares),
        pictures: (0..pictures).map(|place| picture(place, |place| detection(arm, place))).collect(),
    };
    let blip = |arm: usize, without: Option<usize>| Scores {
        scorer: scorer("blip", &[("text_text", "Text-text similarity", MetricKind::Similarity)]),
        pictures: (0..12)
            .filter(|place| Some(*place) != without)
            .map(|place| picture(place, |p| caption(arm, p)))
            .collect(),
    };
    vec![
        ArmScores { arm: "stable-diffusion".to_owned(), scores: vec![detector(0, 12), blip(0, None)] },
        ArmScores { arm: "attend-and-excite".to_owned(), scores: vec![detector(1, 12), blip(1, Some(11))] },
        ArmScores { arm: "all|steps".to_owned(), scores: vec![detector(1, 2)] },
    ]
}

fn picture(place: usize, score: impl Fn(usize) -> (BTreeMap<String, f64>, Value)) -> PictureScore {
    let (values, detail) = score(place);
    let (prompt, seed) = (PROMPTS[place / 2].0.to_owned(), SEEDS[place % 2]);
    PictureScore { prompt, seed, sha256: format!("{place:064x}"), values, detail }
}

fn detection(arm: usize, place: usize) -> (BTreeMap<String, f64>, Value) {
    let both = BOTH[arm][place];
    let mut values = BTreeMap::from([("both_subjects".to_owned(), f64::from(both))]);
    if (6..10).contains(&place) {
        values.insert("colours".to_owned(), f64::from(both));
    }
    (values, json!({ "found": if both == 1 { 2 } else { 1 } }))
}

fn caption(arm: usize, place: usize) -> (BTreeMap<String, f64>, Value) {
    let similarity = 0.7 + 0.01 * place as f64 + 0.05 * arm as f64 * (place % 3) as f64;
    (BTreeMap::from([("text_text".to_owned(), similarity)]), Value::String(format!("a <picture> of {place}")))
}

pub(super) fn report(scores: &[ArmScores]) -> Report {
    Report::new(&plan(), scores).unwrap()
}
