//! Models in every format against the same expected values.

use std::path::Path;

use ae_clip::{ClipTextModel, ClipTextModelConfig};
use ae_guidance::{AttendAndExcite, GuidanceSettings, Subjects, aggregate_attention};
use ae_pipeline::{LoadError, ModelFiles, ModelSource, open_model};
use ae_tensor::{Component, FloatType};
use ae_unet::{AttentionKind, AttentionSite, UNet2DConditionModel, UNetConfig, observe_attention};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Tensors, assert_close};

/// The `formats.json` beside a set of models (`tests/reference/make_formats_fixtures.py`, `make_full.py`).
#[derive(Debug, Deserialize)]
pub struct Formats {
    families: std::collections::BTreeMap<String, FamilyEntry>,
    /// The models.
    pub variants: Vec<Variant>,
}

/// One model in one format.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the names of the file")]
pub struct Variant {
    pub name: String,
    path: String,
    family: String,
    components: Vec<String>,
    #[serde(rename = "variant")]
    suffix: Option<String>,
    expected: String,
}

#[derive(Debug, Deserialize)]
struct FamilyEntry {
    attention_resolution: [usize; 2],
    tokens: Vec<usize>,
    attention_scale: f64,
    config: std::collections::BTreeMap<String, Value>,
}

/// Per element, relative and absolute; the relative one also in norm.
const TOLERANCE: (f32, f32) = (1e-3, 1e-4);

impl Formats {
    /// Reads the file of a folder.
    ///
    /// # Panics
    ///
    /// When it is not there or not whole.
    pub fn read(folder: &Path) -> Self {
        let path = folder.join("formats.json");
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Loads every component of a variant and compares what it computes.
    ///
    /// # Panics
    ///
    /// When a component cannot be loaded, a config is not the expected one, or a value differs.
    pub fn check(&self, folder: &Path, variant: &Variant) {
        let Variant { name, path, family, components, expected, .. } = variant;
        let family = &self.families[family];
        let source = ModelSource::path(folder.join(path));
        let expected = Tensors::read(&folder.join(expected));
        let check = Check { name, family, expected: &expected, device: Device::flex() };
        assert!(!components.is_empty(), "{name}: nothing to check");
        let model = open_model(&source, variant.suffix.is_some(), None, None);
        let model = model.unwrap_or_else(|error| panic!("{name}: {error}"));
        for component in components {
            check.component(component, &*model).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

struct Check<'a> {
    name: &'a str,
    family: &'a FamilyEntry,
    expected: &'a Tensors,
    device: Device,
}

impl Check<'_> {
    fn component(&self, component: &str, model: &dyn ModelFiles) -> Result<(), LoadError> {
        match component {
            "text_encoder" => self.text_encoder(&model.text_encoders()?[0]),
            "unet" => self.unet(&model.unet()?),
            "vae" => self.vae(&model.vae()?),
            other => panic!("{}: {other}", self.name),
        }
        Ok(())
    }

    /// Every field of the expected config that the shapes tell.
    fn config(&self, component: &str, config: &impl Serialize) {
        let config = serde_json::to_value(config).unwrap();
        for (field, expected) in self.family.config[component].as_object().unwrap() {
            // A folder's config names one number of heads, or one per level.
            let same = config[field] == *expected || all_equal(&config[field], expected);
            assert!(same, "{}: {component} {field} is {}, expected {expected}", self.name, config[field]);
        }
    }

    fn close<const D: usize>(&self, stage: &str, actual: Tensor<D>) {
        let (expected, shape) = self.expected.values(stage);
        let name = format!("{}: {stage}", self.name);
        assert_eq!(actual.dims().to_vec(), shape, "{name}: shape");
        let actual: Vec<f32> = actual.into_data().try_into_vec_as().unwrap();
        assert_close(&name, &actual, &expected, TOLERANCE.0, TOLERANCE.1);
    }

    fn text_encoder(&self, Component { config, weights }: &Component<ClipTextModelConfig>) {
        self.config("text_encoder", config);
        let model = ClipTextModel::load(config, weights, FloatType::F32, &self.device);
        let model = model.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        self.close("text_embeddings", model.encode(&self.expected.ids("input_ids")).unwrap());
    }

    fn unet(&self, Component { config, weights }: &Component<UNetConfig>) {
        self.config("unet", config);
        let FamilyEntry { attention_resolution, tokens, attention_scale, .. } = self.family;
        let unet = UNet2DConditionModel::load(config, weights, FloatType::F32, &self.device);
        let unet = unet.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let latents: Tensor<4> = self.expected.tensor("latents", &self.device);
        let embeddings: Tensor<3> = self.expected.tensor("text_embeddings", &self.device);
        let timestep = f64::from(self.expected.values("timestep").0[0]);
        let (both, text) = (latents.clone().repeat_dim(0, 2), unet.read_text(&embeddings));
        self.close("noise_prediction", unet.forward(both, timestep, &text));

        let tracked = latents.autodiff().require_grad();
        let mut maps = Vec::new();
        let wants =
            |site: &AttentionSite| site.kind == AttentionKind::Cross && site.resolution == *attention_resolution;
        let prompt = text.narrow(1, 1);
        unet.forward_with(
            tracked.clone(),
            timestep,
            &prompt,
            &mut observe_attention(wants, |_, probs| maps.push(probs)),
        );
        let settings = GuidanceSettings { attention_scale: *attention_scale, ..Default::default() };
        let subjects = tokens.iter().map(|&token| vec![token]).collect();
        let subjects = Subjects::new(subjects, 77, None).unwrap();
        let objective = AttendAndExcite::new(settings, subjects, *attention_resolution).unwrap();
        let score = objective.score(objective.subject_maps(aggregate_attention(maps, *attention_resolution)));
        let gradients = score.loss.clone().sum().backward();
        self.close("loss", score.loss.inner());
        self.close("gradient", tracked.grad(&gradients).unwrap());
    }

    fn vae(&self, Component { config, weights }: &Component<VaeConfig>) {
        self.config("vae", config);
        let vae = AutoencoderKL::load(config, weights, FloatType::F32, &self.device);
        let vae = vae.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let decoded = vae.decode(self.expected.tensor("vae_latents", &self.device));
        self.close("image", decoded);
        let distribution = vae.encode(self.expected.tensor::<4>("image", &self.device).clamp(-1.0, 1.0));
        self.close("encoded_mean", distribution.mean / config.scaling_factor);
        self.close("encoded_std", distribution.standard_deviation / config.scaling_factor);
    }
}

/// Whether one side is a list of nothing but the other.
fn all_equal(one: &Value, other: &Value) -> bool {
    let repeats = |list: &Value, item: &Value| {
        list.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(|value| value == item))
    };
    repeats(one, other) || repeats(other, one)
}
