use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use ae_pipeline::{
    ClipTokenizer, PipelineError, Prepared, SubjectChoice, TokenizedPrompt, load_tokenizer, read_prompt,
};
use ae_server::{
    Device, Drawn, Engine, EngineError, GenerateRequest, InputFiles, Model, ModelDefaults, Tokens, TokensRequest,
    Update,
};
use ae_settings::{Method, Overrides, PromptSyntax, Settings};
use ae_tensor::DeviceSpec;

use super::catalogue::{Catalogue, Listed};
use super::draw::Job;
use super::{failed, refusals, refused, tokens};
use crate::{Error, InputImages, LoadedModel};

/// Draws with one model at a time: that of the last job stays in memory.
#[expect(missing_debug_implementations, reason = "it holds networks")]
pub struct StudioEngine {
    catalogue: Catalogue,
    /// The default first, each with its title.
    devices: Vec<(DeviceSpec, String)>,
    /// What is loaded with every model.
    shared: Overrides,
    low_memory: bool,
    loaded: Mutex<Option<Loaded>>,
    /// Of the models that were loaded once: what they call themselves, and what suits them.
    known: Mutex<HashMap<String, (Option<String>, ModelDefaults)>>,
    /// Of the models that were asked for tokens.
    tokenizers: Mutex<HashMap<String, Arc<ClipTokenizer>>>,
}

/// The model in memory.
struct Loaded {
    id: String,
    model: Arc<LoadedModel>,
}

/// Nothing is left half changed where a lock is held.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StudioEngine {
    /// An engine of these models and devices, at least one of each; `shared` says what is loaded with every model.
    pub fn new(catalogue: Catalogue, devices: Vec<(DeviceSpec, String)>, shared: Overrides, low_memory: bool) -> Self {
        Self {
            catalogue,
            devices,
            shared,
            low_memory,
            loaded: Mutex::default(),
            known: Mutex::default(),
            tokenizers: Mutex::default(),
        }
    }

    /// Loads the default model on the default device, so that its defaults are known and the first picture is quick.
    ///
    /// # Errors
    ///
    /// When it cannot be loaded.
    pub fn load_default(&self) -> Result<(), EngineError> {
        self.model(self.listed(None)?, self.device(None)?).map(drop)
    }

    /// The model of an id, or of the name that it gives itself in its pictures; without one the first.
    fn listed(&self, name: Option<&str>) -> Result<&Listed, EngineError> {
        let models = self.catalogue.models();
        let Some(name) = name else { return Ok(&models[0]) };
        let known = lock(&self.known);
        let calls_itself =
            |listed: &&Listed| known.get(&listed.id).is_some_and(|(own, _)| own.as_deref() == Some(name));
        let found = models.iter().find(|listed| listed.id == name);
        found.or_else(|| models.iter().find(calls_itself)).ok_or_else(|| {
            let ids: Vec<_> = models.iter().map(|listed| listed.id.as_str()).collect();
            let name: String = name.chars().take(60).collect();
            EngineError::refused("model", format!("there is no model '{name}'; choose one of {}", ids.join(", ")))
        })
    }

    /// A model on a device; another one leaves the memory first.
    fn model(&self, listed: &Listed, device: DeviceSpec) -> Result<Arc<LoadedModel>, EngineError> {
        {
            let mut loaded = lock(&self.loaded);
            if let Some(loaded) =
                loaded.as_ref().filter(|loaded| loaded.id == listed.id && loaded.model.device == device)
            {
                return Ok(Arc::clone(&loaded.model));
            }
            *loaded = None;
        }
        let mut settings = Settings::default();
        settings.apply(&self.shared);
        let model =
            LoadedModel::load(&listed.found, &settings, self.low_memory, device).map_err(|error| failed(&error))?;
        let model = Arc::new(model);
        // A model without a name of its own is called by its path, which clients must not see.
        let name = Some(model.pipeline.name().to_owned()).filter(|name| *name != listed.found.source.name());
        lock(&self.known).insert(listed.id.clone(), (name, defaults(&model)));
        *lock(&self.loaded) = Some(Loaded { id: listed.id.clone(), model: Arc::clone(&model) });
        Ok(model)
    }

    /// A model, if it is in memory.
    fn loaded_model(&self, listed: &Listed) -> Option<Arc<LoadedModel>> {
        let loaded = lock(&self.loaded);
        loaded.as_ref().filter(|loaded| loaded.id == listed.id).map(|loaded| Arc::clone(&loaded.model))
    }

    /// A request over the model's defaults, understood.
    fn prepare(request: &GenerateRequest, model: &LoadedModel, seed: u64) -> Result<Prepared, EngineError> {
        let mut own = model.pipeline.request_with(&request.overrides).map_err(refused)?;
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

    fn device(&self, name: Option<&str>) -> Result<DeviceSpec, EngineError> {
        let Some(name) = name else { return Ok(self.devices[0].0) };
        let found = self.devices.iter().find(|(spec, _)| spec.to_string() == name);
        found.map(|(spec, _)| *spec).ok_or_else(|| {
            let names: Vec<_> = self.devices.iter().map(|(spec, _)| spec.to_string()).collect();
            EngineError::refused("device", format!("there is no device '{name}'; choose one of {}", names.join(", ")))
        })
    }

    fn tokenizer(&self, listed: &Listed) -> Result<Arc<ClipTokenizer>, EngineError> {
        if let Some(tokenizer) = lock(&self.tokenizers).get(&listed.id) {
            return Ok(Arc::clone(tokenizer));
        }
        let mut settings = Settings::default();
        settings.apply(&self.shared);
        let tokenizer = load_tokenizer(&listed.found.source, &settings.loras, &settings.embeddings);
        let tokenizer = tokenizer.map_err(|error| failed(&error))?;
        let tokenizer = Arc::new(tokenizer);
        lock(&self.tokenizers).insert(listed.id.clone(), Arc::clone(&tokenizer));
        Ok(tokenizer)
    }

    /// The first text of the first part of the prompt.
    fn tokenize(&self, listed: &Listed, given: &Overrides) -> Result<TokenizedPrompt, EngineError> {
        let settings = Settings::combine([given]).map_err(|error| refused(error.into()))?;
        let parts = read_prompt(&*self.tokenizer(listed)?, &settings, settings.steps).map_err(refused)?;
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
    ModelDefaults { multiple: pipeline.size_multiple(), settings: settings.over(&model.record()) }
}

impl Engine for StudioEngine {
    fn models(&self) -> Vec<Model> {
        let loaded = lock(&self.loaded).as_ref().map(|loaded| loaded.id.clone());
        let known = lock(&self.known);
        let model = |listed: &Listed| {
            let (name, defaults) = known.get(&listed.id).cloned().map_or((None, None), |(name, all)| (name, Some(all)));
            Model {
                id: listed.id.clone(),
                title: name.unwrap_or_else(|| listed.title.clone()),
                loaded: loaded.as_ref() == Some(&listed.id),
                defaults,
            }
        };
        self.catalogue.models().iter().map(model).collect()
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
        Ok(tokens::describe(&self.tokenize(listed, &given)?))
    }

    fn command(&self, request: &GenerateRequest) -> Result<String, EngineError> {
        let listed = self.listed(request.overrides.model.as_deref())?;
        Ok(request.command_line(listed.option.as_deref()))
    }

    fn check(&self, request: &GenerateRequest) -> Result<(), EngineError> {
        let given = &request.overrides;
        let listed = self.listed(given.model.as_deref())?;
        self.device(request.device.as_deref())?;
        refusals::check(given, &self.shared)?;
        if let Some(model) = self.loaded_model(listed) {
            return Self::prepare(request, &model, 0).map(drop);
        }
        input_images(request)?;
        // Of a model that is not loaded, the tokens are all that can be checked now.
        let prompt = self.tokenize(listed, given)?;
        let settings = Settings::combine([given]).map_err(|error| refused(error.into()))?;
        // A prompt that changes may have its subjects in another text.
        if request.method() == Method::AttendAndExcite && settings.prompt_syntax == PromptSyntax::Plain {
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
        let listed = self.listed(request.overrides.model.as_deref())?;
        let device = self.device(request.device.as_deref())?;
        refusals::check(&request.overrides, &self.shared)?;
        let model = self.model(listed, device)?;
        let prepared = Self::prepare(request, &model, seed)?;
        Job { request, listed, model: &model, prepared }.draw(observe)
    }
}
