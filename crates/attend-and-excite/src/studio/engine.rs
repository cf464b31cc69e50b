use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ae_hub::{HubError, Progress, Waiting};
use ae_pipeline::{
    ClipTokenizer, LoadError, PipelineError, Prepared, SubjectChoice, TokenizedPrompt, load_tokenizer, read_prompt,
};
use ae_server::{
    Adapters, Device, Drawn, Engine, EngineError, GenerateRequest, InputFiles, Model, ModelDefaults, Tokens,
    TokensRequest, Transfer, Update,
};
use ae_settings::{EmbeddingRef, Method, Overrides, PromptSyntax, Settings};
use ae_tensor::{DeviceSpec, interruptible};

use super::adapters::{AdapterFiles, AdapterFolders};
use super::catalogue::{Catalogue, Listed};
use super::draw::Job;
use super::{failed, refusals, refused, tokens};
use crate::{Error, FoundModel, InputImages, LoadedModel, weights_choice};

/// Draws with one model at a time: that of the last job stays in memory.
#[expect(missing_debug_implementations, reason = "it holds networks")]
pub struct StudioEngine {
    catalogue: Mutex<Catalogue>,
    /// The default first, each with its title.
    devices: Vec<(DeviceSpec, String)>,
    /// What is loaded with every model, and what can be.
    adapters: AdapterFiles,
    /// Where a request says nothing.
    low_memory: bool,
    loaded: Mutex<Option<Loaded>>,
    /// Of the models that were loaded once: what they call themselves, and what suits them.
    known: Mutex<HashMap<String, (Option<String>, ModelDefaults)>>,
    /// Those that were asked for last, the latest first.
    tokenizers: Mutex<VecDeque<(Tokenizing, Arc<ClipTokenizer>)>>,
    /// Set where what is drawn shall end.
    interrupted: Arc<AtomicBool>,
}

/// The model in memory.
struct Loaded {
    id: String,
    low_memory: bool,
    model: Arc<LoadedModel>,
}

/// What decides a tokenizer: a model, and what brings it tokens.
#[derive(PartialEq)]
struct Tokenizing {
    id: String,
    loras: Vec<String>,
    embeddings: Vec<EmbeddingRef>,
}

/// Nothing is left half changed where a lock is held.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StudioEngine {
    /// An engine of these models and devices, at least one of each; `shared` says what is loaded with every model where a request
    /// says nothing, and `folders` what else can be.
    pub fn new(
        catalogue: Catalogue,
        devices: Vec<(DeviceSpec, String)>,
        shared: &Overrides,
        folders: AdapterFolders,
        low_memory: bool,
    ) -> Self {
        Self {
            catalogue: Mutex::new(catalogue),
            devices,
            adapters: AdapterFiles::new(folders, shared),
            low_memory,
            loaded: Mutex::default(),
            known: Mutex::default(),
            tokenizers: Mutex::default(),
            interrupted: Arc::default(),
        }
    }

    /// Loads the default model on the default device, so that its defaults are known and the first picture is quick.
    ///
    /// # Errors
    ///
    /// When it cannot be loaded.
    pub fn load_default(&self) -> Result<(), EngineError> {
        let listed = self.listed(None)?;
        self.model(&listed, self.device(None)?, self.low_memory, self.adapters.shared()).map(drop)
    }

    /// The model of an id, or of the name that it gives itself in its pictures; without one the first.
    fn listed(&self, name: Option<&str>) -> Result<Arc<Listed>, EngineError> {
        let catalogue = lock(&self.catalogue);
        let models = catalogue.models();
        let Some(name) = name else { return Ok(Arc::clone(&models[0])) };
        let known = lock(&self.known);
        let calls_itself =
            |listed: &&Arc<Listed>| known.get(&listed.id).is_some_and(|(own, _)| own.as_deref() == Some(name));
        let found = models.iter().find(|listed| listed.id == name);
        found.or_else(|| models.iter().find(calls_itself)).cloned().ok_or_else(|| {
            let ids: Vec<_> = models.iter().map(|listed| listed.id.as_str()).collect();
            let name: String = name.chars().take(60).collect();
            EngineError::refused("model", format!("there is no model '{name}'; choose one of {}", ids.join(", ")))
        })
    }

    /// Where a model is.
    fn found(listed: &Listed) -> Result<&FoundModel, EngineError> {
        let missing = || EngineError::refused("model", listed.is_missing().unwrap_or_default());
        listed.found.as_ref().ok_or_else(missing)
    }

    /// A model on a device with what settings add to it; another one leaves the memory first. Of the same one nothing is read again
    /// but what is added, unless the autoencoder is another.
    fn model(
        &self,
        listed: &Listed,
        device: DeviceSpec,
        low_memory: bool,
        wanted: &Settings,
    ) -> Result<Arc<LoadedModel>, EngineError> {
        let failed = |error: Error| EngineError::Failed(AdapterFiles::without_paths(wanted, &error.to_string()));
        let in_memory = lock(&self.loaded).take();
        let is_it = |loaded: &Loaded| {
            let model = &loaded.model;
            let is_same = loaded.id == listed.id && loaded.low_memory == low_memory;
            is_same && model.device == device && model.vae() == wanted.vae.as_ref()
        };
        let base = if let Some(loaded) = in_memory.filter(is_it) {
            loaded.model
        } else {
            let found = Self::found(listed)?;
            let mut settings = self.adapters.shared().clone();
            settings.vae.clone_from(&wanted.vae);
            let model = LoadedModel::load(found, &settings, low_memory, device).map_err(failed)?;
            // A model without a name of its own is called by its path, which clients must not see.
            let name = Some(model.pipeline.name().to_owned()).filter(|name| *name != found.source.name());
            lock(&self.known).insert(listed.id.clone(), (name, defaults(&model)));
            Arc::new(model)
        };
        let has_all = base.loras() == wanted.loras && base.embeddings() == wanted.embeddings;
        let changed = if has_all {
            Ok(Arc::clone(&base))
        } else {
            base.with_additions(&wanted.loras, &wanted.embeddings).map(Arc::new)
        };
        // What cannot be added leaves the model as it was.
        let kept = changed.as_ref().unwrap_or(&base);
        *lock(&self.loaded) = Some(Loaded { id: listed.id.clone(), low_memory, model: Arc::clone(kept) });
        changed.map_err(failed)
    }

    /// A model, if it is in memory.
    fn loaded_model(&self, listed: &Listed) -> Option<Arc<LoadedModel>> {
        let loaded = lock(&self.loaded);
        loaded.as_ref().filter(|loaded| loaded.id == listed.id).map(|loaded| Arc::clone(&loaded.model))
    }

    /// A request over the model's defaults, understood; `given` are its settings with the paths of what they name.
    fn prepare(
        request: &GenerateRequest,
        given: &Overrides,
        model: &LoadedModel,
        seed: u64,
    ) -> Result<Prepared, EngineError> {
        let mut own = model.pipeline.request_with(given).map_err(refused)?;
        own.seeds = vec![seed];
        input_images(request)?.give_to(&mut own);
        own.attention_maps = own.settings.method != Method::ComposableDiffusion;
        match model.pipeline.prepare(&own) {
            Err(PipelineError::MapsOfParts | PipelineError::MapsOfSchedule) => {
                own.attention_maps = false;
                model.pipeline.prepare(&own)
            }
            prepared => prepared,
        }
        .map_err(refused)
    }

    /// What is loaded for a request whose files are paths already.
    fn loading(&self, resolved: &Overrides) -> Settings {
        let mut settings = self.adapters.shared().clone();
        settings.loras = resolved.loras.clone().unwrap_or_default();
        settings.embeddings = resolved.embeddings.clone().unwrap_or_default();
        settings.vae.clone_from(&resolved.vae);
        settings
    }

    fn device(&self, name: Option<&str>) -> Result<DeviceSpec, EngineError> {
        let Some(name) = name else { return Ok(self.devices[0].0) };
        let found = self.devices.iter().find(|(spec, _)| spec.to_string() == name);
        found.map(|(spec, _)| *spec).ok_or_else(|| {
            let names: Vec<_> = self.devices.iter().map(|(spec, _)| spec.to_string()).collect();
            EngineError::refused("device", format!("there is no device '{name}'; choose one of {}", names.join(", ")))
        })
    }

    fn tokenizer(&self, listed: &Listed, wanted: &Settings) -> Result<Arc<ClipTokenizer>, EngineError> {
        /// Clients can ask for as many as there are files.
        const MOST: usize = 8;
        let loras = wanted.loras.iter().map(|lora| lora.name.clone()).collect();
        let key = Tokenizing { id: listed.id.clone(), loras, embeddings: wanted.embeddings.clone() };
        if let Some((_, tokenizer)) = lock(&self.tokenizers).iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(tokenizer));
        }
        // All that can be downloaded have that of Stable Diffusion 1.
        let Some(found) = &listed.found else { return Ok(Arc::new(ClipTokenizer::stable_diffusion_1())) };
        let tokenizer = load_tokenizer(&found.source, &wanted.loras, &wanted.embeddings);
        let tokenizer = tokenizer.map_err(|error| {
            let message = AdapterFiles::without_paths(wanted, &error.to_string());
            match error {
                // The request, or a word of its prompt, chose it.
                LoadError::Embedding { .. } | LoadError::EmbeddingFile(_) => {
                    EngineError::refused("embeddings", message)
                }
                _ => EngineError::Failed(message),
            }
        })?;
        let tokenizer = Arc::new(tokenizer);
        let mut tokenizers = lock(&self.tokenizers);
        tokenizers.push_front((key, Arc::clone(&tokenizer)));
        tokenizers.truncate(MOST);
        Ok(tokenizer)
    }

    /// The first text of the first part of the prompt of settings whose files are paths already.
    fn tokenize(&self, listed: &Listed, resolved: &Overrides) -> Result<TokenizedPrompt, EngineError> {
        let settings = Settings::combine([resolved]).map_err(|error| refused(error.into()))?;
        let tokenizer = self.tokenizer(listed, &self.loading(resolved))?;
        let parts = read_prompt(&tokenizer, &settings, settings.steps).map_err(refused)?;
        Ok(parts[0].first().prompt.clone())
    }
}

/// The images that a request brings; of their files clients know the names alone.
fn input_images(request: &GenerateRequest) -> Result<InputImages, EngineError> {
    let InputFiles { init_image, mask } = &request.images;
    InputImages::open(init_image.as_deref(), mask.as_deref()).map_err(|error| {
        let field =
            if matches!(error, Error::TransparentMask { .. }) || init_image.is_none() { "mask" } else { "init_image" };
        let name = if field == "mask" { &request.overrides.mask } else { &request.overrides.init_image };
        let mut message = error.to_string();
        for (path, file) in [init_image, mask].into_iter().flatten().zip(name) {
            message = message.replace(&path.display().to_string(), &file.name);
        }
        EngineError::refused(field, message)
    })
}

/// The model's own settings, resolved as far as they do not depend on a request.
fn defaults(model: &LoadedModel) -> ModelDefaults {
    let pipeline = &model.pipeline;
    let [height, width] = pipeline.default_size();
    let mut settings = pipeline.settings_under(&Overrides::default());
    settings.height = Some(height);
    settings.width = Some(width);
    settings.scheduler = settings.scheduler.or_else(|| pipeline.default_scheduler().ok());
    let of_method = |method: &Method| {
        let mut given = Overrides::default();
        given.method = Some(*method);
        (method.name().to_owned(), pipeline.settings_under(&given))
    };
    let methods = Method::ALL.iter().filter(|method| method.guides()).map(of_method).collect();
    ModelDefaults { multiple: pipeline.size_multiple(), settings: settings.over(&model.record()), methods }
}

impl Engine for StudioEngine {
    fn models(&self) -> Vec<Model> {
        let loaded = lock(&self.loaded).as_ref().map(|loaded| loaded.id.clone());
        let models = lock(&self.catalogue).models().to_vec();
        let known = lock(&self.known);
        let model = |listed: &Arc<Listed>| {
            let Listed { id, title, option: _, found, bytes, licence, description, vocabulary } = Listed::clone(listed);
            let (name, defaults) = known.get(&id).cloned().map_or((None, None), |(name, all)| (name, Some(all)));
            let (loaded, remote) = (loaded.as_ref() == Some(&id), found.is_none());
            Model {
                title: name.unwrap_or(title),
                id,
                loaded,
                remote,
                bytes,
                licence,
                description,
                vocabulary,
                defaults,
            }
        };
        models.iter().map(model).collect()
    }

    fn adapters(&self) -> Result<Adapters, EngineError> {
        Ok(self.adapters.list())
    }

    fn download(
        &self,
        model: &str,
        observe: &mut (dyn FnMut(&Transfer) -> ControlFlow<()> + Send),
    ) -> Result<(), EngineError> {
        let listed = self.listed(Some(model))?;
        let mut listener = Listener { transfer: Transfer::default(), observe, arrived: 0, present: 0 };
        let choice = weights_choice(self.adapters.shared());
        let found = listed.fetch(&choice, &mut listener).map_err(|error| match error {
            Error::Hub(HubError::Cancelled) => EngineError::Interrupted,
            error => failed(&error),
        })?;
        lock(&self.catalogue).arrived(&listed.id, &found).map_err(|error| failed(&error))
    }

    fn devices(&self) -> Vec<Device> {
        let device = |(spec, title): &(DeviceSpec, String)| Device { id: spec.to_string(), title: title.clone() };
        self.devices.iter().map(device).collect()
    }

    fn tokens(&self, request: &TokensRequest) -> Result<Tokens, EngineError> {
        let listed = self.listed(request.model.as_deref())?;
        let mut given = Overrides::default();
        given.prompt = Some(request.prompt.clone());
        (given.prompt_syntax, given.long_prompts) = (request.prompt_syntax(), request.long_prompts);
        given.loras.clone_from(&request.loras);
        given.embeddings.clone_from(&request.embeddings);
        let prompt = self.tokenize(&listed, &self.adapters.resolve(&given)?)?;
        Ok(tokens::describe(&prompt, listed.vocabulary.as_ref()))
    }

    fn command(&self, request: &GenerateRequest) -> Result<String, EngineError> {
        let listed = self.listed(request.overrides.model.as_deref())?;
        Ok(request.command_line(listed.public_option()))
    }

    fn check(&self, request: &GenerateRequest) -> Result<(), EngineError> {
        let listed = self.listed(request.overrides.model.as_deref())?;
        Self::found(&listed)?;
        self.device(request.device.as_deref())?;
        refusals::check(&request.overrides, self.adapters.shared())?;
        let given = self.adapters.resolve(&request.overrides)?;
        let has_tokens =
            |model: &Arc<LoadedModel>| model.embeddings() == given.embeddings.as_deref().unwrap_or_default();
        if let Some(model) = self.loaded_model(&listed).filter(has_tokens) {
            return Self::prepare(request, &given, &model, 0).map(drop);
        }
        input_images(request)?;
        // Of a model that is not loaded, the tokens are all that can be checked now.
        let prompt = self.tokenize(&listed, &given)?;
        let settings = Settings::combine([&given]).map_err(|error| refused(error.into()))?;
        // A prompt that changes may have its subjects in another text.
        if request.method().guides() && settings.prompt_syntax == PromptSyntax::Plain {
            SubjectChoice::of(&settings).resolve(&prompt).map_err(refused)?;
        }
        Ok(())
    }

    fn draw(
        &self,
        request: &GenerateRequest,
        seed: u64,
        observe: &mut (dyn FnMut(Update<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Drawn, EngineError> {
        // What was meant for another picture; what is meant for this one, `observe` says at the first step.
        self.interrupted.store(false, Ordering::SeqCst);
        let listed = self.listed(request.overrides.model.as_deref())?;
        let device = self.device(request.device.as_deref())?;
        refusals::check(&request.overrides, self.adapters.shared())?;
        let given = self.adapters.resolve(&request.overrides)?;
        let low_memory = request.low_memory.unwrap_or(self.low_memory);
        let model = self.model(&listed, device, low_memory, &self.loading(&given))?;
        let prepared = Self::prepare(request, &given, &model, seed)?;
        let job = Job { request, listed: &listed, model: &model, prepared };
        interruptible(&self.interrupted, || job.draw(observe)).unwrap_or(Err(EngineError::Interrupted))
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }
}

/// Tells how far a download is.
struct Listener<'a> {
    transfer: Transfer,
    observe: &'a mut (dyn FnMut(&Transfer) -> ControlFlow<()> + Send),
    /// Bytes of the files that are whole.
    arrived: u64,
    /// Bytes of the file that comes.
    present: u64,
}

impl Listener<'_> {
    fn tell(&mut self) -> ControlFlow<()> {
        self.transfer.bytes = self.arrived + self.present;
        (self.observe)(&self.transfer)
    }
}

impl Progress for Listener<'_> {
    fn planned(&mut self, _: usize, bytes: u64) {
        self.transfer.total = bytes;
    }

    fn started(&mut self, file: &str, _: u64, present: u64) {
        file.clone_into(&mut self.transfer.doing);
        self.present = present;
        // The next byte asks whether to go on.
        let _ = self.tell();
    }

    fn advanced(&mut self, bytes: u64) -> ControlFlow<()> {
        self.present += bytes;
        self.tell()
    }

    fn finished(&mut self, _: &str) {
        self.arrived += std::mem::take(&mut self.present);
        let _ = self.tell();
    }

    fn waiting(&mut self, waiting: Waiting<'_>) -> ControlFlow<()> {
        match waiting {
            Waiting::OtherProcess { file } => {
                self.transfer.doing = format!("waiting for another program that downloads {file}");
            }
            Waiting::Retry { cause, wait } => {
                self.transfer.doing = format!("{cause}; trying again in {} s", wait.as_secs());
            }
            _ => {}
        }
        self.tell()
    }
}
