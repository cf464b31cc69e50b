//! `detector.json`: the architecture in words and numbers, and what was measured.

use serde::Deserialize;

use super::DetectorError;

/// The sides of the detector's pictures.
pub(super) const IMAGE_SIZE: u32 = 128;

/// What `detector.json` says in words; other words would be another network.
const INPUT: &str = "N x 3 x 128 x 128 RGB in [-1, 1]";
const LAYER: &str = "3x3 convolution, padding 1, bias (batch norm folded in), ReLU";
const THEN: &str = "3x3 max-pool, stride 1, padding 1 (-inf)";
const PRESENT: &str = "max over places of the subject's logit > 0";
const COLOUR: &str = "argmax of the colour logits at the place of that maximum";

/// How often a detector was right on pictures that it was not trained with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MeasuredAccuracy {
    /// The training steps until then.
    pub steps: u64,
    /// On pictures as they were rendered.
    pub clean: DetectorAccuracy,
    /// On pictures that went through the embedded model's VAE, which blurs them as it does what the model draws.
    pub vae: DetectorAccuracy,
}

/// How often a detector was right, as shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DetectorAccuracy {
    /// The number of pictures.
    pub images: u64,
    /// Of all pictures, those in which exactly the subjects shown were found.
    pub exact_set: f64,
    /// Of the subjects shown, those that were found.
    pub recall: f64,
    /// Of the subjects found, those that were shown.
    pub precision: f64,
    /// Of the coloured objects shown, those whose colour was recognised.
    pub colour_accuracy: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Architecture {
    input: String,
    /// Channels in, channels out and stride of every convolution.
    #[serde(rename = "convs_in_out_stride")]
    pub(super) convolutions: Vec<[usize; 3]>,
    layer: String,
    then: String,
    present: String,
    colour: String,
    pub(super) subjects: Vec<String>,
    pub(super) colours: Vec<String>,
    pub(super) held_out_accuracy: MeasuredAccuracy,
}

impl Architecture {
    pub(super) fn from_json(json: &str) -> Result<Self, DetectorError> {
        let architecture: Self = serde_json::from_str(json)?;
        architecture.validate()?;
        Ok(architecture)
    }

    /// The channels before the head.
    pub(super) fn features(&self) -> usize {
        self.convolutions.last().map_or(3, |[_, to, _]| *to)
    }

    fn validate(&self) -> Result<(), DetectorError> {
        let words = [
            ("input", &self.input, INPUT),
            ("layer", &self.layer, LAYER),
            ("then", &self.then, THEN),
            ("present", &self.present, PRESENT),
            ("colour", &self.colour, COLOUR),
        ];
        if let Some((field, found, expected)) = words.into_iter().find(|(_, found, expected)| found != expected) {
            return Err(DetectorError::Architecture { field, found: found.clone(), expected });
        }
        let value = |field, reason: &str| Err(DetectorError::Value { field, reason: reason.to_owned() });
        let convolutions = &self.convolutions;
        if !(1..=32).contains(&convolutions.len()) {
            return value("convs_in_out_stride", "expected 1 to 32 convolutions");
        }
        let from = std::iter::once(3).chain(convolutions.iter().map(|[_, to, _]| *to));
        if convolutions.iter().zip(from).any(|([channels, ..], from)| *channels != from) {
            return value("convs_in_out_stride", "expected 3 channels first, and then those that the one before makes");
        }
        let in_bounds = |[_, to, stride]: &[usize; 3]| (1..=1024).contains(to) && (1..=2).contains(stride);
        if !convolutions.iter().all(in_bounds) {
            return value("convs_in_out_stride", "expected 1 to 1024 channels and a stride of 1 or 2");
        }
        for (field, names, fewest) in [("subjects", &self.subjects, 1), ("colours", &self.colours, 2)] {
            if !(fewest..=1024).contains(&names.len()) {
                return value(field, &format!("expected {fewest} to 1024 names"));
            }
        }
        let MeasuredAccuracy { clean, vae, .. } = &self.held_out_accuracy;
        let shares = |a: &DetectorAccuracy| [a.exact_set, a.recall, a.precision, a.colour_accuracy];
        if !shares(clean).into_iter().chain(shares(vae)).all(|share| (0.0..=1.0).contains(&share)) {
            return value("held_out_accuracy", "expected shares from 0 to 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = include_str!("../../../../assets/detector/detector.json");

    fn refusal(from: &str, to: &str) -> String {
        let json = JSON.replacen(from, to, 1);
        assert_ne!(json, JSON);
        Architecture::from_json(&json).unwrap_err().to_string()
    }

    #[test]
    fn what_the_file_says() {
        let architecture = Architecture::from_json(JSON).unwrap();
        assert_eq!((architecture.subjects.len(), architecture.colours.len(), architecture.features()), (24, 11, 128));
        let accuracy = architecture.held_out_accuracy;
        assert_eq!((accuracy.steps, accuracy.clean.images, accuracy.clean.precision), (1488, 500, 1.0));
        assert!((accuracy.vae.exact_set - 0.992).abs() < 1e-6);
    }

    #[test]
    fn other_networks_and_absurd_numbers_are_refused() {
        assert!(
            Architecture::from_json(&JSON[..200]).unwrap_err().to_string().starts_with("detector.json is malformed")
        );
        let layer = refusal("batch norm folded in", "no batch norm");
        assert!(layer.starts_with("layer is '3x3 convolution, padding 1, bias (no batch norm), ReLU' in"), "{layer}");
        assert!(refusal("128 x 128", "64 x 64").starts_with("input is 'N x 3 x 64 x 64"));
        assert!(refusal("   3,\n   24", "   4,\n   24").contains("expected 3 channels first"));
        assert!(refusal("   48,\n   2", "   48,\n   0").contains("a stride of 1 or 2"));
        assert!(refusal("   128,\n   1\n  ]\n ]", "   4000000000,\n   1\n  ]\n ]").contains("1 to 1024 channels"));
        assert!(refusal("\"recall\": 0.99", "\"recall\": 1.99").contains("expected shares from 0 to 1"));
    }
}
