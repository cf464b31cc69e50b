use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ae_checkpoint::Lora;
use ae_pipeline::{LoadOptions, ModelSource, Pipeline, Prepared};
use ae_settings::{EmbeddingRef, FileRef, LoraRef, Overrides, Settings};
use ae_tensor::DeviceSpec;

use crate::file_hash::{FileHashes, HashesInBackground};
use crate::known_presets::known_preset;
use crate::{Error, FoundModel};

/// A model on a device, with the record of what was loaded.
#[derive(Debug)]
pub struct LoadedModel {
    /// The device.
    pub device: DeviceSpec,
    /// The pipeline.
    pub pipeline: Pipeline,
    record: Arc<Record>,
}

/// What was loaded, as settings; the hashes of the files are computed beside the run.
#[derive(Debug)]
struct Record {
    found: FoundModel,
    settings: Settings,
    loaded: Overrides,
    hashes: HashesInBackground,
    complete: OnceLock<Overrides>,
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
        let mut options = load_options(settings, low_memory);
        options.preset = known_preset(found, &settings.loras);
        let load = |(device, opened)| Ok((device, Pipeline::load(&found.source, options.clone(), &opened)?));
        let loaded = opened.into_iter().map(load).collect::<Result<Vec<_>, Error>>()?;
        let Some((_, first)) = loaded.first() else { return Ok(Vec::new()) };
        let record = Arc::new(Record::new(found, settings, first));
        Ok(loaded
            .into_iter()
            .map(|(device, pipeline)| Self { device, pipeline, record: Arc::clone(&record) })
            .collect())
    }

    /// A model on one device.
    ///
    /// # Errors
    ///
    /// As [`load_all`](Self::load_all).
    pub fn load(found: &FoundModel, settings: &Settings, low_memory: bool, device: DeviceSpec) -> Result<Self, Error> {
        Ok(Self::load_all(found, settings, low_memory, &[device])?.remove(0))
    }

    /// The model with other LoRAs and textual inversions, as [`all_with_additions`](Self::all_with_additions).
    ///
    /// # Errors
    ///
    /// When one of them cannot be loaded.
    pub fn with_additions(&self, loras: &[LoraRef], embeddings: &[EmbeddingRef]) -> Result<Self, Error> {
        Ok(Self::all_with_additions(std::slice::from_ref(self), loras, embeddings)?.remove(0))
    }

    /// The models with other LoRAs and textual inversions, bit by bit as if they had been loaded with them; what these do not
    /// change is shared.
    ///
    /// # Errors
    ///
    /// When one of them cannot be loaded.
    pub fn all_with_additions(
        models: &[Self],
        loras: &[LoraRef],
        embeddings: &[EmbeddingRef],
    ) -> Result<Vec<Self>, Error> {
        let Some(first) = models.first() else { return Ok(Vec::new()) };
        let mut settings = first.record.settings.clone();
        settings.loras = loras.to_vec();
        settings.embeddings = embeddings.to_vec();
        let preset = known_preset(&first.record.found, loras);
        let change = |model: &Self| {
            let pipeline = model.pipeline.with_additions(loras, embeddings)?;
            Ok(pipeline.with_known_preset(preset.clone()))
        };
        let pipelines = models.iter().map(change).collect::<Result<Vec<_>, Error>>()?;
        let record = Arc::new(Record::new(&first.record.found, &settings, &pipelines[0]));
        let loaded = models.iter().zip(pipelines);
        Ok(loaded
            .map(|(model, pipeline)| Self { device: model.device, pipeline, record: Arc::clone(&record) })
            .collect())
    }

    /// The textual inversions that it was loaded with.
    pub fn embeddings(&self) -> &[EmbeddingRef] {
        &self.record.settings.embeddings
    }

    /// The autoencoder that it was loaded with in place of its own.
    pub fn vae(&self) -> Option<&FileRef> {
        self.record.settings.vae.as_ref()
    }

    /// Whether it is the embedded model.
    #[cfg(all(feature = "eval", feature = "figures"))]
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.record.found.source, ModelSource::Embedded(_))
    }

    /// The LoRAs that it was loaded with.
    pub fn loras(&self) -> &[LoraRef] {
        &self.record.settings.loras
    }

    /// What was loaded, as settings: every file by its base name and its hash. Waits for the hashes.
    pub fn record(&self) -> Overrides {
        let mut record = self.record.complete().clone();
        record.device = Some(self.device.backend().name().to_owned());
        record
    }

    /// All that decides the image of a seed: the settings of the run, and what was loaded.
    pub fn settings(&self, prepared: &Prepared, seed: u64) -> Settings {
        let mut settings = prepared.settings().clone();
        settings.apply(&self.record());
        settings.seed = seed;
        settings
    }
}

impl Record {
    fn new(found: &FoundModel, settings: &Settings, pipeline: &Pipeline) -> Self {
        let base_name = |name: &str| FileRef::new(name).base_name().to_owned();
        // The parts of a folder have their names in it.
        let folder = match &found.source {
            ModelSource::Folder(folder) => Some(folder),
            _ => None,
        };
        let in_model = |path: &PathBuf| {
            let inside = folder.and_then(|folder| path.strip_prefix(folder).ok());
            let name =
                inside.map_or_else(|| base_name(&path.to_string_lossy()), |path| path.to_string_lossy().into_owned());
            FileRef::new(name)
        };
        let mut paths = pipeline.weight_files().to_vec();
        if settings.vae.is_none() {
            paths.extend_from_slice(pipeline.vae_files());
        }
        paths.sort();
        paths.dedup();

        let mut loaded = Overrides::default();
        loaded.model = Some(found.name.clone().unwrap_or_else(|| pipeline.name().to_owned()));
        loaded.revision.clone_from(&found.revision);
        loaded.dtype = Some(settings.dtype);
        loaded.variant.clone_from(&settings.variant);
        loaded.prediction_type = settings.prediction_type;
        loaded.model_files = Some(paths.iter().map(in_model).collect());
        loaded.loras = Some(settings.loras.clone());
        loaded.embeddings = Some(settings.embeddings.clone());
        loaded.vae = settings.vae.as_ref().map(|vae| FileRef::new(base_name(&vae.name)));
        // In the order in which `complete` takes them.
        let loras: Vec<_> = settings.loras.iter().map(|lora| lora_files(&lora.name)).collect();
        paths.extend(loras.iter().map(|files| files.0.clone()));
        paths.extend(loras.iter().filter_map(|files| files.1.clone()));
        paths.extend(settings.embeddings.iter().map(|embedding| PathBuf::from(&embedding.name)));
        paths.extend(settings.vae.iter().filter_map(|_| pipeline.vae_files().first().cloned()));
        for (lora, (weights, config)) in loaded.loras.iter_mut().flatten().zip(&loras) {
            lora.name = base_name(&weights.to_string_lossy());
            // Until the hash is there.
            lora.config_sha256 = config.as_ref().map(|_| String::new());
        }
        for name in loaded.embeddings.iter_mut().flatten().map(|embedding| &mut embedding.name) {
            *name = base_name(name);
        }
        let hashes = HashesInBackground::start(FileHashes::from_env(), paths);
        Self { found: found.clone(), settings: settings.clone(), loaded, hashes, complete: OnceLock::new() }
    }

    /// The record with the hashes. A file that cannot be read any more has none.
    fn complete(&self) -> &Overrides {
        self.complete.get_or_init(|| {
            let mut record = self.loaded.clone();
            let Ok(hashes) = self.hashes.wait() else {
                record.loras.iter_mut().flatten().for_each(|lora| lora.config_sha256 = None);
                return record;
            };
            let files = record.model_files.iter_mut().flatten().map(|file| &mut file.sha256);
            let (loras, configs): (Vec<_>, Vec<_>) =
                record.loras.iter_mut().flatten().map(|lora| (&mut lora.sha256, &mut lora.config_sha256)).unzip();
            let configs = configs.into_iter().filter(|config| config.is_some());
            let embeddings = record.embeddings.iter_mut().flatten().map(|embedding| &mut embedding.sha256);
            let vae = record.vae.iter_mut().map(|vae| &mut vae.sha256);
            for (sha256, hash) in files.chain(loras).chain(configs).chain(embeddings).chain(vae).zip(hashes) {
                *sha256 = Some(hash.clone());
            }
            record
        })
    }
}

/// The files of a LoRA that was loaded: its weights, and PEFT's config.
fn lora_files(name: &str) -> (PathBuf, Option<PathBuf>) {
    Lora::files(name).map_or_else(|_| (name.into(), None), |files| (files.weights, files.config))
}

/// How a model is loaded, and what is added to it.
pub fn load_options(settings: &Settings, low_memory: bool) -> LoadOptions {
    let mut options = LoadOptions::from(settings.dtype);
    options.vae = settings.vae.as_ref().map(|vae| vae.name.clone().into());
    options.loras.clone_from(&settings.loras);
    options.embeddings.clone_from(&settings.embeddings);
    options.low_memory = low_memory;
    options.variant.clone_from(&settings.variant);
    options.prediction_type = settings.prediction_type;
    options
}
