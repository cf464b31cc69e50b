//! `detector.json`: the architecture in words and numbers, and what was measured.

use ae_config::{ConfigError, Fields};
use serde::Deserialize;

/// The sides of the detector's pictures.
pub(super) const IMAGE_SIZE: u32 = 128;

/// What `detector.json` says in words; other words would be another network.
const WORDS: &[(&str, &str)] = &[
    ("input", "N x 3 x 128 x 128 RGB in [-1, 1]"),
    ("layer", "3x3 convolution, padding 1, bias (batch norm folded in), ReLU"),
    ("then", "3x3 max-pool, stride 1, padding 1 (-inf)"),
    ("present", "max over places of the subject's logit > 0"),
    ("colour", "argmax of the colour logits at the place of that maximum"),
];

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

#[derive(Debug)]
pub(super) struct Architecture {
    /// Channels in, channels out and stride of every convolution.
    pub(super) convolutions: Vec<[usize; 3]>,
    pub(super) subjects: Vec<String>,
    pub(super) colours: Vec<String>,
    pub(super) held_out_accuracy: MeasuredAccuracy,
}

impl Architecture {
    pub(super) fn from_json(json: &str) -> Result<Self, ConfigError> {
        Fields::read("detector.json", json)?.try_into()
    }

    /// The channels before the head.
    pub(super) fn features(&self) -> usize {
        self.convolutions.last().map_or(3, |[_, to, _]| *to)
    }
}

impl TryFrom<Fields> for Architecture {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        for (field, expected) in WORDS {
            fields.checked(field, String::new(), format_args!("'{expected}'"), |found| found == expected)?;
        }
        let convolutions: Vec<[usize; 3]> = fields.checked(
            "convs_in_out_stride",
            Vec::new(),
            "1 to 32 convolutions of 3 channels first and then those that the one before makes, 1 to 1024, and a stride of 1 or 2",
            |convolutions: &Vec<[usize; 3]>| {
                let from = std::iter::once(3).chain(convolutions.iter().map(|[_, to, _]| *to));
                let valid = |([channels, to, stride], from): (&[usize; 3], usize)| {
                    *channels == from && (1..=1024).contains(to) && (1..=2).contains(stride)
                };
                (1..=32).contains(&convolutions.len()) && convolutions.iter().zip(from).all(valid)
            },
        )?;
        let names = |field, fewest: usize| {
            let enough = |names: &Vec<String>| (fewest..=1024).contains(&names.len());
            fields.checked(field, Vec::new(), format_args!("{fewest} to 1024 names"), enough)
        };
        let held_out_accuracy = "held_out_accuracy";
        let accuracy: Option<MeasuredAccuracy> = fields.optional(held_out_accuracy)?;
        let shares = |a: &DetectorAccuracy| [a.exact_set, a.recall, a.precision, a.colour_accuracy];
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        let accuracy = accuracy
            .filter(|MeasuredAccuracy { clean, vae, .. }| shares(clean).iter().chain(&shares(vae)).all(is_share));
        Ok(Self {
            convolutions,
            subjects: names("subjects", 1)?,
            colours: names("colours", 2)?,
            held_out_accuracy: accuracy.ok_or_else(|| fields.error(held_out_accuracy, "shares from 0 to 1"))?,
        })
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
        let truncated = Architecture::from_json(&JSON[..200]).unwrap_err().to_string();
        assert!(truncated.starts_with("detector.json is malformed"), "{truncated}");
        let silent = refusal("\"then\":", "\"thus\":");
        assert!(silent.starts_with("then is absent in detector.json; expected '3x3 max-pool"), "{silent}");
        let layer = refusal("batch norm folded in", "no batch norm");
        assert!(layer.starts_with("layer is \"3x3 convolution, padding 1, bias (no batch norm), ReLU\" in"), "{layer}");
        assert!(refusal("128 x 128", "64 x 64").starts_with("input is \"N x 3 x 64 x 64"));
        assert!(refusal("   3,\n   24", "   4,\n   24").contains("of 3 channels first"));
        assert!(refusal("   48,\n   2", "   48,\n   0").contains("a stride of 1 or 2"));
        assert!(refusal("   128,\n   1\n  ]\n ]", "   4000000000,\n   1\n  ]\n ]").contains("makes, 1 to 1024,"));
        assert!(refusal("\"recall\": 0.99", "\"recall\": 1.99").contains("expected shares from 0 to 1"));
    }
}
