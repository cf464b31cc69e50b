use ae_pipeline::{EmbeddingChoice, LoadOptions, LoraChoice, Pipeline, Prepared};
use ae_settings::{EmbeddingRef, FileRef, LoraRef, Overrides, Settings};
use ae_tensor::DeviceSpec;

use crate::{Error, FoundModel};

/// A model on a device, with the record of what was loaded.
#[derive(Debug)]
pub struct LoadedModel {
    /// The device.
    pub device: DeviceSpec,
    /// The pipeline.
    pub pipeline: Pipeline,
    record: Overrides,
}

impl LoadedModel {
    /// The stack of a thread that draws: as the main thread has, for the graphs of a backward pass are deep.
    pub const STACK: usize = 8 << 20;

    /// A model with what is added to it, on every device.
    ///
    /// # Errors
    ///
    /// When a device is missing, or a file cannot be loaded.
    pub fn load_all(
        found: &FoundModel,
        settings: &Settings,
        low_memory: bool,
        devices: &[DeviceSpec],
    ) -> Result<Vec<Self>, Error> {
        // Open all devices first: a missing one must fail before an hour of loading.
        let opened = devices.iter().map(|spec| Ok((*spec, spec.open()?))).collect::<Result<Vec<_>, Error>>()?;
        let options = load_options(settings, low_memory);
        let load = |(device, opened): (DeviceSpec, _)| {
            let pipeline = Pipeline::load(&found.source, options.clone(), &opened)?;
            let record = record(found, settings, &pipeline, device);
            Ok(Self { device, pipeline, record })
        };
        opened.into_iter().map(load).collect()
    }

    /// A model on one device.
    ///
    /// # Errors
    ///
    /// As [`load_all`](Self::load_all).
    pub fn load(found: &FoundModel, settings: &Settings, low_memory: bool, device: DeviceSpec) -> Result<Self, Error> {
        Ok(Self::load_all(found, settings, low_memory, &[device])?.remove(0))
    }

    /// What was loaded, as settings.
    pub fn record(&self) -> &Overrides {
        &self.record
    }

    /// All that decides the image of a seed: the settings of the run, and what was loaded.
    pub fn settings(&self, prepared: &Prepared, seed: u64) -> Settings {
        let mut settings = prepared.settings().clone();
        settings.apply(&self.record);
        settings.seed = seed;
        settings
    }
}

/// How a model is loaded, and what is added to it.
pub fn load_options(settings: &Settings, low_memory: bool) -> LoadOptions {
    let lora = |lora: &LoraRef| LoraChoice::new(&lora.name, lora.strength);
    let embedding = |embedding: &EmbeddingRef| EmbeddingChoice::new(&embedding.name, embedding.token.clone());
    let mut options = LoadOptions::from(settings.dtype);
    options.vae = settings.vae.as_ref().map(|vae| vae.name.clone().into());
    options.loras = settings.loras.iter().map(lora).collect();
    options.embeddings = settings.embeddings.iter().map(embedding).collect();
    options.low_memory = low_memory;
    options.prediction_type = settings.prediction_type;
    options
}

/// The record of what was loaded: every file by its base name.
fn record(found: &FoundModel, settings: &Settings, pipeline: &Pipeline, device: DeviceSpec) -> Overrides {
    let file = |name: &str, sha256: &Option<String>| {
        let file = FileRef { name: name.to_owned(), sha256: sha256.clone() };
        (file.base_name().to_owned(), file.sha256)
    };
    let mut record = Overrides::default();
    record.model = Some(found.name.clone().unwrap_or_else(|| pipeline.name().to_owned()));
    record.revision.clone_from(&found.revision);
    record.device = Some(device.backend().name().to_owned());
    record.dtype = Some(settings.dtype);
    record.prediction_type = settings.prediction_type;
    record.vae = settings.vae.as_ref().map(|vae| {
        let (name, sha256) = file(&vae.name, &vae.sha256);
        FileRef { name, sha256 }
    });
    let loras = settings.loras.iter().map(|lora| {
        let (name, sha256) = file(&lora.name, &lora.sha256);
        LoraRef { name, sha256, strength: lora.strength }
    });
    record.loras = Some(loras.collect());
    let embeddings = settings.embeddings.iter().map(|embedding| {
        let (name, sha256) = file(&embedding.name, &embedding.sha256);
        EmbeddingRef { name, sha256, token: embedding.token.clone() }
    });
    record.embeddings = Some(embeddings.collect());
    record
}
