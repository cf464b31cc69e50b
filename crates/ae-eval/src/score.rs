use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use image::RgbImage;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::folder::read;
use crate::scores::seven_decimals;
use crate::{Folder, FolderError, PictureScore, Plan, Prompt, Scorer, Scores};

/// Pictures that are scored together.
const BATCH: usize = 16;
/// Time between two writings of scores: so much is lost when the program is killed.
const PACE: Duration = Duration::from_secs(10);

/// Someone who scores pictures.
pub trait PictureScorer {
    /// Who, and what is measured.
    fn scorer(&self) -> &Scorer;

    /// The values of pictures, and what was seen in them. The pictures of a call are of one prompt.
    ///
    /// # Errors
    ///
    /// When the scorer fails.
    fn score(&mut self, prompt: &Prompt, pictures: &[RgbImage]) -> Result<Vec<Scored>, ScorerFailure>;
}

/// What a scorer says of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The metrics that apply to it, by their keys.
    pub values: BTreeMap<String, f64>,
    /// What was seen, for the reader.
    pub detail: Value,
}

/// Why a scorer failed, in its own words.
pub type ScorerFailure = Box<dyn std::error::Error + Send + Sync>;

/// Pictures that cannot be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoringError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file that is no picture.
    #[error("'{path}' is no picture: {cause}; remove it to have it drawn again", path = path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: image::ImageError,
    },
    /// The scorer failed.
    #[error("the scorer '{scorer}' failed at '{prompt}': {cause}")]
    Scorer {
        /// Its name.
        scorer: String,
        /// The prompt, shortened.
        prompt: String,
        /// What it said.
        cause: ScorerFailure,
    },
    /// The observer ended it; what was scored is written.
    #[error("interrupted; what was scored is kept")]
    Interrupted,
}

/// How many pictures of an arm are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// In this call.
    pub scored: usize,
    /// Before, and still as they were then.
    pub known: usize,
    /// Of the plan, and not drawn.
    pub missing: usize,
}

impl Folder {
    /// Scores the pictures of an arm that are not scored yet, or were drawn anew since.
    ///
    /// What is scored is written from time to time, so that an interruption loses little, and in the order of the plan, so that it
    /// leaves no trace. `observe` hears of every picture and ends the work by breaking.
    ///
    /// # Errors
    ///
    /// See [`ScoringError`].
    pub fn score(
        &self,
        plan: &Plan,
        arm: &str,
        scorer: &mut dyn PictureScorer,
        observe: &mut dyn FnMut(Tally) -> ControlFlow<()>,
    ) -> Result<Tally, ScoringError> {
        let who = scorer.scorer().clone();
        self.remove_unfinished_scores(&who.name)?;
        let known = self.scores(&who.name, arm)?.filter(|scores| scores.scorer == who);
        let known = known.into_iter().flat_map(|scores| scores.pictures);
        let mut known: BTreeMap<_, _> = known.map(|score| ((score.prompt.clone(), score.seed), score)).collect();
        let mut scores = Scores { scorer: who, pictures: Vec::new() };
        let (mut tally, mut written, mut is_new) = (Tally::default(), Instant::now(), false);
        for prompt in &plan.prompts {
            for seeds in plan.seeds.chunks(BATCH) {
                let mut files = Files::default();
                for &seed in seeds {
                    let Some(bytes) = read(&self.picture(arm, &prompt.text, seed))? else {
                        tally.missing += 1;
                        continue;
                    };
                    let sha256 = format!("{:x}", Sha256::digest(&bytes));
                    let earlier = known.remove(&(prompt.text.clone(), seed));
                    match earlier.filter(|score| score.sha256 == sha256) {
                        Some(score) => {
                            tally.known += 1;
                            files.entries.push(score);
                        }
                        None => files.add(prompt, seed, sha256, self.decode(arm, &prompt.text, seed, &bytes)?),
                    }
                }
                tally.scored += files.new.len();
                is_new |= !files.new.is_empty();
                scores.pictures.extend(files.scored(scorer, prompt)?);
                let ends = observe(tally).is_break();
                if is_new && (ends || written.elapsed() >= PACE) {
                    // With what is known of pictures still to come: another interruption shall not lose it.
                    let rest = known.values().cloned();
                    let pictures = scores.pictures.iter().cloned().chain(rest).collect();
                    self.write_scores(arm, &Scores { pictures, ..scores.clone() })?;
                    (written, is_new) = (Instant::now(), false);
                }
                if ends {
                    return Err(ScoringError::Interrupted);
                }
            }
        }
        if self.scores(&scores.scorer.name, arm).ok().flatten().as_ref() != Some(&scores) {
            self.write_scores(arm, &scores)?;
        }
        Ok(tally)
    }

    fn decode(&self, arm: &str, prompt: &str, seed: u64, bytes: &[u8]) -> Result<RgbImage, ScoringError> {
        let picture = image::load_from_memory(bytes);
        let picture = picture.map_err(|cause| ScoringError::Picture { path: self.picture(arm, prompt, seed), cause });
        Ok(picture?.into_rgb8())
    }
}

/// Some pictures of a prompt, in the order of their seeds.
#[derive(Default)]
struct Files {
    /// Their scores; of new ones without values.
    entries: Vec<PictureScore>,
    /// Which entries are new, and their pictures.
    new: Vec<usize>,
    pictures: Vec<RgbImage>,
}

impl Files {
    fn add(&mut self, prompt: &Prompt, seed: u64, sha256: String, picture: RgbImage) {
        self.new.push(self.entries.len());
        self.pictures.push(picture);
        let (values, detail) = (BTreeMap::new(), Value::Null);
        self.entries.push(PictureScore { prompt: prompt.text.clone(), seed, sha256, values, detail });
    }

    fn scored(mut self, scorer: &mut dyn PictureScorer, prompt: &Prompt) -> Result<Vec<PictureScore>, ScoringError> {
        if !self.pictures.is_empty() {
            let scored = scorer.score(prompt, &self.pictures).map_err(|cause| ScoringError::Scorer {
                scorer: scorer.scorer().name.clone(),
                prompt: prompt.text.chars().take(60).collect(),
                cause,
            })?;
            for (entry, Scored { values, detail }) in self.new.iter().zip(scored) {
                let entry = &mut self.entries[*entry];
                entry.values = values.into_iter().map(|(key, value)| (key, seven_decimals(value))).collect();
                entry.detail = detail;
            }
        }
        Ok(self.entries)
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use serde_json::json;

    use super::*;
    use crate::{Arm, Metric, MetricKind};

    /// Scores the red of the first pixel, and counts its pictures.
    struct Red {
        scorer: Scorer,
        seen: usize,
    }

    impl Red {
        fn new() -> Self {
            let metric = Metric { key: "red".to_owned(), title: "Red".to_owned(), kind: MetricKind::Similarity };
            let scorer = Scorer { name: "red".to_owned(), about: "the first pixel".to_owned(), metrics: vec![metric] };
            Self { scorer, seen: 0 }
        }
    }

    impl PictureScorer for Red {
        fn scorer(&self) -> &Scorer {
            &self.scorer
        }

        fn score(&mut self, prompt: &Prompt, pictures: &[RgbImage]) -> Result<Vec<Scored>, ScorerFailure> {
            if prompt.text == "impossible" {
                return Err("no idea".into());
            }
            self.seen += pictures.len();
            let red = |picture: &RgbImage| Scored {
                values: BTreeMap::from([("red".to_owned(), f64::from(picture.get_pixel(0, 0).0[0]) / 255.0)]),
                detail: json!({ "of": prompt.text }),
            };
            Ok(pictures.iter().map(red).collect())
        }
    }

    fn png(red: u8) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let picture = RgbImage::from_pixel(2, 2, Rgb([red, 0, 0]));
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn plan() -> Plan {
        Plan {
            model: "m".to_owned(),
            arms: vec![Arm { name: "plain".to_owned(), settings: Value::Null }],
            prompts: ["a cat", "a dog", "a hat"].map(|text| Prompt::new(text, "s")).to_vec(),
            seeds: (0..20).collect(),
            files: BTreeMap::new(),
        }
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("evaluation"));
        folder.begin(&plan()).unwrap();
        for prompt in plan().prompts {
            for seed in plan().seeds {
                folder.write_picture("plain", &prompt.text, seed, &png(seed as u8)).unwrap();
            }
        }
        (place, folder)
    }

    fn score(folder: &Folder, scorer: &mut Red, most: usize) -> Result<Tally, ScoringError> {
        folder.score(&plan(), "plain", scorer, &mut |tally| {
            if tally.scored >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    fn file(folder: &Folder) -> String {
        std::fs::read_to_string(folder.results().join("scores/red/plain.json")).unwrap()
    }

    #[test]
    fn interruptions_leave_no_trace_and_nothing_is_scored_twice() {
        let (_place, folder) = folder();
        let whole = score(&folder, &mut Red::new(), usize::MAX).unwrap();
        assert_eq!(whole, Tally { scored: 60, known: 0, missing: 0 });
        let expected = file(&folder);
        std::fs::remove_dir_all(folder.results().join("scores")).unwrap();

        let mut scorer = Red::new();
        for _ in 0..3 {
            assert!(matches!(score(&folder, &mut scorer, 1), Err(ScoringError::Interrupted)));
        }
        assert_eq!(score(&folder, &mut scorer, usize::MAX).unwrap().scored, 60 - 16 - 4 - 16);
        assert_eq!(scorer.seen, 60);
        assert!(file(&folder) == expected, "another file of scores");
        assert_eq!(score(&folder, &mut scorer, usize::MAX).unwrap(), Tally { scored: 0, known: 60, missing: 0 });
    }

    #[test]
    fn a_picture_drawn_anew_is_scored_anew() {
        let (_place, folder) = folder();
        score(&folder, &mut Red::new(), usize::MAX).unwrap();
        folder.write_picture("plain", "a dog", 7, &png(255)).unwrap();
        std::fs::remove_file(folder.picture("plain", "a hat", 3)).unwrap();
        let tally = score(&folder, &mut Red::new(), usize::MAX).unwrap();
        assert_eq!(tally, Tally { scored: 1, known: 58, missing: 1 });
        let scores = folder.scores("red", "plain").unwrap().unwrap();
        assert_eq!(scores.pictures.len(), 59);
        assert_eq!(scores.pictures[27].values["red"].to_bits(), 1.0_f64.to_bits());
        // Another scorer under the same name, such as one with other weights.
        let mut other = Red::new();
        other.scorer.about = "the last pixel".to_owned();
        assert_eq!(score(&folder, &mut other, usize::MAX).unwrap().scored, 59);
    }

    #[test]
    fn what_cannot_be_scored_is_named() {
        let (_place, folder) = folder();
        folder.write_picture("plain", "a cat", 3, b"no picture").unwrap();
        let refusal = score(&folder, &mut Red::new(), usize::MAX).unwrap_err().to_string();
        assert!(refusal.contains("3.png' is no picture: ") && refusal.ends_with("to have it drawn again"), "{refusal}");
        let mut plan = plan();
        plan.prompts[0].text = "impossible".to_owned();
        folder.write_picture("plain", "impossible", 0, &png(0)).unwrap();
        let failed = folder.score(&plan, "plain", &mut Red::new(), &mut |_| ControlFlow::Continue(()));
        assert_eq!(failed.unwrap_err().to_string(), "the scorer 'red' failed at 'impossible': no idea");
        std::fs::write(folder.results().join("evaluation.json"), "{").unwrap();
        let refusal = Folder::open(folder.pictures()).unwrap_err().to_string();
        assert!(refusal.contains("is damaged or of another version"), "{refusal}");
    }

    #[test]
    fn a_folder_without_a_plan_shows_what_it_holds() {
        let (_place, folder) = folder();
        std::fs::remove_file(folder.pictures().join("evaluation.json")).unwrap();
        let (_, found) = Folder::open(folder.pictures()).unwrap();
        assert_eq!((found.arms.len(), &*found.arms[0].name), (1, "plain"));
        assert_eq!(found.seeds, plan().seeds);
        assert_eq!(found.prompts[0].things, [crate::Thing { noun: "cat".to_owned(), colour: None }]);
        // The official repository draws one method into a folder.
        let (single, found) = Folder::open(folder.pictures().join("plain")).unwrap();
        assert_eq!((found.arms.len(), &*found.arms[0].name), (1, "plain"));
        let results = tempfile::tempdir().unwrap();
        let single = single.with_results_in(results.path());
        let tally = single.score(&found, "plain", &mut Red::new(), &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(tally.scored, 60);
        assert_eq!(single.scorers().unwrap(), ["red"]);
        let refusal = Folder::open(results.path()).unwrap_err().to_string();
        assert!(refusal.contains("holds no pictures of an evaluation"), "{refusal}");
        assert!(Folder::open("/no/such/folder").unwrap_err().to_string().starts_with("cannot read"));
    }

    #[test]
    fn prompts_of_the_benchmark_find_their_sets() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        for prompt in ["a dog and a cat", "a pink glasses and a red car", "something else"] {
            folder.write_picture("m", prompt, 0, &png(0)).unwrap();
        }
        let (_, plan) = Folder::open(place.path()).unwrap();
        let sets: Vec<_> = plan.prompts.iter().map(|prompt| prompt.set.as_str()).collect();
        assert_eq!(sets, ["animals", "objects", "prompts"]);
    }
}
