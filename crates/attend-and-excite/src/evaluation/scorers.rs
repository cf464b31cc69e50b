//! The scorers of `ae eval score`: what ae-vision sees, as metrics.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ae_checkpoint::Checkpoint;
use ae_eval::{Metric, MetricKind, PictureScorer, Prompt, Scored, Scorer, ScorerFailure, Thing};
use ae_settings::a1111::take_networks;
use ae_vision::{CaptionOptions, Captioner, ClipScorer, Detection, SubjectDetector};
use burn::tensor::Device;
use image::RgbImage;
use serde_json::{Value, json};

use crate::Error;

fn metric(key: &str, title: &str, kind: MetricKind) -> Metric {
    Metric { key: key.to_owned(), title: title.to_owned(), kind }
}

/// The last part of a folder's path: the name of the model in it.
pub fn name_of(folder: &Path) -> String {
    let name = folder.file_name().or_else(|| folder.as_os_str().to_str().map(std::ffi::OsStr::new));
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// Counts the embedded model's subjects, and the colours of its objects.
#[expect(missing_debug_implementations, reason = "networks have nothing to show")]
pub struct DetectorScorer {
    detector: SubjectDetector,
    scorer: Scorer,
}

impl DetectorScorer {
    const ALL: &str = "all_subjects";
    const COLOURS: &str = "all_colours";
    const NO_OTHER: &str = "no_other";

    /// A scorer by the detector.
    pub fn new(detector: SubjectDetector) -> Self {
        let accuracy = detector.accuracy();
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let about = format!(
            "The subject detector of the embedded model: a subject is there when its logit is above 0 anywhere. On held-out \
             renderings it names the exact set of subjects in {} ({} after the autoencoder), and colours in {} ({}). It was trained on \
             renderings, not on drawn pictures, and misses malformed subjects that the eye still recognises.",
            percent(accuracy.clean.exact_set),
            percent(accuracy.vae.exact_set),
            percent(accuracy.clean.colour_accuracy),
            percent(accuracy.vae.colour_accuracy),
        );
        let metrics = vec![
            metric(Self::ALL, "All subjects there", MetricKind::Share),
            metric(Self::COLOURS, "All subjects there in the colours named", MetricKind::Share),
            metric(Self::NO_OTHER, "No subject that was not asked for", MetricKind::Share),
        ];
        Self { detector, scorer: Scorer { name: "detector".to_owned(), about, metrics } }
    }

    /// The detector that belongs to the embedded model, if it is compiled in.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub fn embedded(device: &Device) -> Result<Option<Self>, Error> {
        #[cfg(feature = "embedded")]
        let files = Some(crate::embedded::DETECTOR);
        #[cfg(not(feature = "embedded"))]
        let files: Option<(&'static str, &'static [u8])> = None;
        let Some((json, weights)) = files else { return Ok(None) };
        let failed = |error| Error::Scorer(Box::new(error));
        let weights = Checkpoint::from_bytes("the embedded detector", weights.into())
            .map_err(|error| Error::Scorer(Box::new(error)))?;
        SubjectDetector::from_files(json, &weights, device).map(|detector| Some(Self::new(detector))).map_err(failed)
    }

    /// Whether it knows what a prompt asks for.
    pub fn knows(&self, prompt: &Prompt) -> bool {
        let is_known = |thing: &Thing| self.detector.subjects().contains(&thing.noun);
        !prompt.things.is_empty() && prompt.things.iter().all(is_known)
    }
}

impl PictureScorer for DetectorScorer {
    fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    fn score(&mut self, prompt: &Prompt, pictures: &[RgbImage]) -> Result<Vec<Scored>, ScorerFailure> {
        let seen = self.detector.detect(pictures)?;
        let knows = self.knows(prompt);
        Ok(seen
            .iter()
            .map(|detections| if knows { judged(prompt, detections) } else { unjudged(detections) })
            .collect())
    }
}

/// What is there, of a prompt that asks for something else than the detector knows.
fn unjudged(detections: &[Detection]) -> Scored {
    Scored { values: BTreeMap::new(), detail: json!({ "found": found(detections, |_| true) }) }
}

fn judged(prompt: &Prompt, detections: &[Detection]) -> Scored {
    let of = |thing: &Thing| detections.iter().find(|detection| detection.subject == thing.noun);
    let is_there = |thing: &&Thing| of(thing).is_some_and(Detection::is_present);
    let is_coloured = |thing: &Thing| {
        let colour = of(thing).map(|detection| detection.colour.as_str());
        thing.colour.is_none() || thing.colour.as_deref() == colour
    };
    let is_asked = |detection: &Detection| prompt.things.iter().any(|thing| thing.noun == detection.subject);
    let things = &prompt.things;
    let all = things.iter().all(|thing| is_there(&thing));
    let share = |holds: bool| f64::from(u8::from(holds));

    let mut values = BTreeMap::from([
        (DetectorScorer::ALL.to_owned(), share(all)),
        (
            DetectorScorer::NO_OTHER.to_owned(),
            share(!detections.iter().any(|detection| detection.is_present() && !is_asked(detection))),
        ),
    ]);
    let has_colours = things.iter().any(|thing| thing.colour.is_some());
    if has_colours {
        values.insert(DetectorScorer::COLOURS.to_owned(), share(all && things.iter().all(is_coloured)));
    }
    // A colour is told only where one was asked for: animals have their own.
    let tells_colour =
        |detection: &Detection| things.iter().any(|thing| thing.noun == detection.subject && thing.colour.is_some());
    Scored { values, detail: json!({ "found": found(detections, tells_colour) }) }
}

/// The subjects that are there, in words.
fn found(detections: &[Detection], tells_colour: impl Fn(&Detection) -> bool) -> Vec<String> {
    let name = |detection: &Detection| {
        if tells_colour(detection) {
            format!("{} {}", detection.colour, detection.subject)
        } else {
            detection.subject.clone()
        }
    };
    detections.iter().filter(|detection| detection.is_present()).map(name).collect()
}

/// The paper's similarities of picture and prompt.
#[expect(missing_debug_implementations, reason = "networks have nothing to show")]
pub struct ClipSimilarity {
    clip: Arc<ClipScorer>,
    scorer: Scorer,
}

impl ClipSimilarity {
    const FULL: &str = "clip_full";
    const MINIMUM: &str = "clip_minimum";

    /// A scorer by CLIP, which is called `model`.
    pub fn new(clip: Arc<ClipScorer>, model: &str) -> Self {
        let about = format!(
            "CLIP of '{model}': cosines of picture and text, whose features are means over the 80 templates of ImageNet, as in \
             the paper; of the minimum object, that of the worse half of the prompt."
        );
        let metrics = vec![
            metric(Self::FULL, "CLIP, full prompt", MetricKind::Similarity),
            metric(Self::MINIMUM, "CLIP, minimum object", MetricKind::Similarity),
        ];
        Self { clip, scorer: Scorer { name: "clip".to_owned(), about, metrics } }
    }
}

impl PictureScorer for ClipSimilarity {
    fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    fn score(&mut self, prompt: &Prompt, pictures: &[RgbImage]) -> Result<Vec<Scored>, ScorerFailure> {
        let features = self.clip.image_features(pictures)?;
        let text = take_networks(&prompt.text).prompt;
        let full = self.clip.full_prompt(&features, &text)?;
        let minimum = self.clip.minimum_object(&features, &text)?;
        let scored = full.iter().enumerate().map(|(picture, full)| {
            let mut values = BTreeMap::from([(Self::FULL.to_owned(), f64::from(*full))]);
            if let Some(minimum) = &minimum {
                values.insert(Self::MINIMUM.to_owned(), f64::from(minimum[picture]));
            }
            Scored { values, detail: Value::Null }
        });
        Ok(scored.collect())
    }
}

/// The paper's similarity of a caption and the prompt.
#[expect(missing_debug_implementations, reason = "networks have nothing to show")]
pub struct CaptionSimilarity {
    captioner: Captioner,
    clip: Arc<ClipScorer>,
    scorer: Scorer,
}

impl CaptionSimilarity {
    const TEXT_TEXT: &str = "text_text";

    /// A scorer by a captioner and CLIP, and what they are called.
    pub fn new(captioner: Captioner, model: &str, clip: Arc<ClipScorer>, clip_model: &str) -> Self {
        let about = format!(
            "Captions by BLIP of '{model}'; the cosine of caption and prompt as texts of CLIP of '{clip_model}', as in the paper."
        );
        let metrics = vec![metric(Self::TEXT_TEXT, "Text-text similarity", MetricKind::Similarity)];
        Self { captioner, clip, scorer: Scorer { name: "blip".to_owned(), about, metrics } }
    }
}

impl PictureScorer for CaptionSimilarity {
    fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    fn score(&mut self, prompt: &Prompt, pictures: &[RgbImage]) -> Result<Vec<Scored>, ScorerFailure> {
        let captions = self.captioner.captions_with(pictures, &CaptionOptions::of_the_paper())?;
        let similarities = self.clip.text_texts(&take_networks(&prompt.text).prompt, &captions)?;
        let scored = captions.into_iter().zip(similarities).map(|(caption, similarity)| Scored {
            values: BTreeMap::from([(Self::TEXT_TEXT.to_owned(), f64::from(similarity))]),
            detail: json!({ "caption": caption }),
        });
        Ok(scored.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(subject: &str, logit: f32, colour: &str) -> Detection {
        Detection { subject: subject.to_owned(), logit, colour: colour.to_owned(), colour_margin: 1.0 }
    }

    fn score(things: &[(&str, Option<&str>)], detections: &[Detection]) -> Scored {
        let thing = |(noun, colour): &(&str, Option<&str>)| Thing {
            noun: (*noun).to_owned(),
            colour: colour.map(str::to_owned),
        };
        let things = things.iter().map(thing).collect();
        judged(&Prompt { things, ..Prompt::new("", "") }, detections)
    }

    fn values(scored: &Scored) -> Vec<(&str, f64)> {
        scored.values.iter().map(|(key, value)| (key.as_str(), *value)).collect()
    }

    #[test]
    fn subjects_and_colours_are_counted() {
        let seen = [detection("cat", 1.0, "gray"), detection("car", 0.5, "red"), detection("bowl", -0.1, "blue")];
        let both = score(&[("cat", None), ("car", Some("red"))], &seen);
        assert_eq!(values(&both), [("all_colours", 1.0), ("all_subjects", 1.0), ("no_other", 1.0)]);
        assert_eq!(both.detail, json!({ "found": ["cat", "red car"] }));
        let wrong = score(&[("cat", None), ("car", Some("blue"))], &seen);
        assert_eq!(values(&wrong), [("all_colours", 0.0), ("all_subjects", 1.0), ("no_other", 1.0)]);
        // A subject that is not there has no right colour, whatever its logits say.
        let missing = score(&[("car", Some("red")), ("bowl", Some("blue"))], &seen);
        assert_eq!(values(&missing), [("all_colours", 0.0), ("all_subjects", 0.0), ("no_other", 0.0)]);
        assert_eq!(values(&score(&[("cat", None)], &seen)), [("all_subjects", 1.0), ("no_other", 0.0)]);
    }
}
