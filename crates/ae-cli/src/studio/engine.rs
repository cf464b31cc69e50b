use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use ae_pipeline::{ClipTokenizer, LoadOptions, Method, Pipeline, PipelineError, SchedulerKind, load_tokenizer};
use ae_server::{
    Device, Drawn, Engine, EngineError, GenerateRequest, Model, ModelDefaults, Tokens, TokensRequest, Update,
};
use ae_tensor::{DeviceSpec, NoiseKind};

use super::catalogue::{Catalogue, Listed};
use super::request::{Names, subjects, translate};
use super::{draw, failed, tokens};

/// Draws with one model at a time: that of the last job stays in memory.
pub(crate) struct StudioEngine {
    catalogue: Catalogue,
    /// The default first, each with its title.
    devices: Vec<(DeviceSpec, String)>,
    options: LoadOptions,
    loaded: Mutex<Option<Loaded>>,
    /// Of the models that were loaded once: what they call themselves, and what suits them.
    known: Mutex<HashMap<String, (Option<String>, ModelDefaults)>>,
    /// Of the models that were asked for tokens.
    tokenizers: Mutex<HashMap<String, Arc<ClipTokenizer>>>,
}

/// A model on a device.
struct Loaded {
    id: String,
    device: DeviceSpec,
    pipeline: Arc<Pipeline>,
}

/// Nothing is left half changed where a lock is held.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StudioEngine {
    pub(crate) fn new(catalogue: Catalogue, devices: Vec<(DeviceSpec, String)>, options: LoadOptions) -> Self {
        Self {
            catalogue,
            devices,
            options,
            loaded: Mutex::default(),
            known: Mutex::default(),
            tokenizers: Mutex::default(),
        }
    }

    /// Loads the default model on the default device, so that its defaults are known and the first picture is quick.
    pub(crate) fn load_default(&self) -> Result<(), EngineError> {
        self.pipeline(self.listed(None)?, self.device(None)?).map(drop)
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
            EngineError::Refused(format!("there is no model '{name}'; choose one of {}", ids.join(", ")))
        })
    }

    /// The pipeline of a model on a device; another one leaves the memory first.
    fn pipeline(&self, listed: &Listed, device: DeviceSpec) -> Result<Arc<Pipeline>, EngineError> {
        {
            let mut loaded = lock(&self.loaded);
            if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.id == listed.id && loaded.device == device) {
                return Ok(Arc::clone(&loaded.pipeline));
            }
            *loaded = None;
        }
        let opened = device.open().map_err(|error| failed(&error))?;
        let pipeline =
            Arc::new(Pipeline::load(&listed.source, self.options.clone(), &opened).map_err(|error| failed(&error))?);
        // A model without a name of its own is called by its path, which is nobody's business.
        let name = Some(pipeline.name().to_owned()).filter(|name| *name != listed.source.name());
        lock(&self.known).insert(listed.id.clone(), (name, defaults(&pipeline)));
        *lock(&self.loaded) = Some(Loaded { id: listed.id.clone(), device, pipeline: Arc::clone(&pipeline) });
        Ok(pipeline)
    }

    /// The pipeline of a model, if that is in memory.
    fn loaded_pipeline(&self, listed: &Listed) -> Option<Arc<Pipeline>> {
        let loaded = lock(&self.loaded);
        loaded.as_ref().filter(|loaded| loaded.id == listed.id).map(|loaded| Arc::clone(&loaded.pipeline))
    }

    fn device(&self, name: Option<&str>) -> Result<DeviceSpec, EngineError> {
        let Some(name) = name else { return Ok(self.devices[0].0) };
        let found = self.devices.iter().find(|(spec, _)| spec.to_string() == name);
        found.map(|(spec, _)| *spec).ok_or_else(|| {
            let names: Vec<_> = self.devices.iter().map(|(spec, _)| spec.to_string()).collect();
            EngineError::Refused(format!("there is no device '{name}'; choose one of {}", names.join(", ")))
        })
    }

    fn tokenizer(&self, listed: &Listed) -> Result<Arc<ClipTokenizer>, EngineError> {
        if let Some(tokenizer) = lock(&self.tokenizers).get(&listed.id) {
            return Ok(Arc::clone(tokenizer));
        }
        let tokenizer = load_tokenizer(&listed.source, &self.options.embeddings).map_err(|error| failed(&error))?;
        let tokenizer = Arc::new(tokenizer);
        lock(&self.tokenizers).insert(listed.id.clone(), Arc::clone(&tokenizer));
        Ok(tokenizer)
    }
}

fn defaults(pipeline: &Pipeline) -> ModelDefaults {
    let [height, width] = pipeline.default_size();
    let defaults = pipeline.defaults();
    ModelDefaults {
        height,
        width,
        multiple: pipeline.size_multiple(),
        steps: defaults.num_inference_steps,
        guidance_scale: defaults.guidance_scale,
        scheduler: pipeline.default_scheduler().ok().map(|kind| kind.name().to_owned()),
        scale_factor: defaults.scale_factor,
        attention_scale: defaults.attention_scale,
    }
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

    fn samplers(&self) -> Vec<String> {
        SchedulerKind::ALL.iter().map(|kind| kind.name().to_owned()).collect()
    }

    fn methods(&self) -> Vec<String> {
        Names::METHODS.map(str::to_owned).to_vec()
    }

    fn rngs(&self) -> Vec<String> {
        NoiseKind::ALL.iter().map(|kind| kind.name().to_owned()).collect()
    }

    fn tokens(&self, request: &TokensRequest) -> Result<Tokens, EngineError> {
        let tokenizer = self.tokenizer(self.listed(request.model.as_deref())?)?;
        Ok(tokens::describe(&tokens::tokenize(&tokenizer, &request.prompt, request.prompt_weighting)?))
    }

    fn check(&self, request: &GenerateRequest) -> Result<(), EngineError> {
        let listed = self.listed(request.model.as_deref())?;
        self.device(request.device.as_deref())?;
        let names = Names::parse(request)?;
        let refused = |error: PipelineError| EngineError::Refused(error.to_string());
        if let Some(pipeline) = self.loaded_pipeline(listed) {
            return pipeline.check(&translate(request, &pipeline, 0)?).map_err(refused);
        }
        // Of a model that is not loaded, the tokens are all that can be checked now.
        let prompt = tokens::tokenize(&*self.tokenizer(listed)?, &request.prompt, request.prompt_weighting)?;
        if names.is_guided {
            subjects(request).resolve(&prompt).map_err(refused)?;
        }
        Ok(())
    }

    fn draw(
        &self,
        request: &GenerateRequest,
        seed: u64,
        observe: &mut (dyn FnMut(Update<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Drawn, EngineError> {
        let listed = self.listed(request.model.as_deref())?;
        let device = self.device(request.device.as_deref())?;
        let pipeline = self.pipeline(listed, device)?;
        let guided = translate(request, &pipeline, seed)?;
        let has_guidance = guided.method != Method::StableDiffusion;
        let compare = request.compare && has_guidance;
        let order = draw::Order { request, listed, seed, guided, compare };
        order.draw(&pipeline, observe)
    }
}
