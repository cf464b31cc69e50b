use std::path::PathBuf;
use std::sync::Arc;

use ae_checkpoint::{Checkpoint, LoraNetwork};
use ae_clip::{ClipTextModel, ClipTextModelConfig, ClipTokenizer};
use ae_scheduler::SchedulerConfig;
use ae_settings::{EmbeddingRef, LoraRef, Vocabulary};
use ae_tensor::{BurnFloat, Component, FloatType};
use ae_unet::{UNet2DConditionModel, UNetConfig};
use ae_vae::{AutoencoderKL, VaeConfig};
use burn::tensor::Device;

use crate::additions::{EmbeddedTokens, Loras};
use crate::model_files::{ModelFiles, open_model, open_vae};
use crate::pipeline::TextEncoder;
use crate::residency::Residency;
use crate::{KnownPreset, LoadError, LoadOptions, ModelSource, Pipeline, presets};

impl Pipeline {
    /// Loads a model onto `device`: a folder in diffusers' layout, a single file in the original layout, or
    /// one compiled in. `options` may be a [`FloatType`] alone.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another kind, a config describes another kind of model, the parts
    /// do not fit together, or the device does not compute in the type asked for. The error names the file.
    pub fn load(source: &ModelSource, options: impl Into<LoadOptions>, device: &Device) -> Result<Self, LoadError> {
        let LoadOptions { dtype, vae, loras, embeddings, low_memory, variant, prediction_type, preset } =
            options.into();
        if !dtype.is_supported_by(device) {
            return Err(LoadError::Dtype { dtype });
        }
        let prefer_half = dtype != FloatType::F32;
        let files = open_model(source, prefer_half, variant.as_deref(), prediction_type)?;
        let (unet, text_encoders) = (files.unet()?, files.text_encoders()?);
        let vae = vae.map_or_else(|| files.vae(), |path: PathBuf| open_vae(&path, prefer_half))?;
        check_fit(source, &unet.config, &text_encoders, &vae.config)?;
        let (scheduler, defaults) = (files.scheduler()?.for_latent_diffusion(), files.defaults()?);

        let mut weight_files = unet.weights.files().to_vec();
        weight_files.extend(text_encoders.iter().flat_map(|encoder| encoder.weights.files().to_vec()));
        let vae_files = vae.weights.files().to_vec();
        let distilled = unet.config.time_cond_proj_dim.map(|_| {
            "the U-Net takes the guidance scale as a condition, as models distilled by LCM do, and makes one prediction a step"
        });
        let notices: Vec<String> = files.notice().into_iter().chain(distilled.map(str::to_owned)).collect();
        let suggested_preset = presets::suggestion(source, &loras);
        let scheduler = prediction_type.into_iter().fold(scheduler, SchedulerConfig::with_prediction_type);
        let family = files.family()?;
        let preset = KnownPreset::over(preset, KnownPreset::by_configs(&unet.config, &scheduler, family));
        let (loras, vae_config) = (Arc::new(Loras::open(&loras)?), vae.config.clone());
        let base = Base { dtype, low_memory, tokenizers: files.tokenizers()?, text_encoders, unet };
        let (text_encoders, notes) = base.text_encoders(&embeddings, &loras, device, None)?;
        Ok(Self {
            text_encoders,
            unet: base.unet(&loras, device, None)?,
            unet_config: base.unet.config.clone(),
            vae: load(low_memory, device, &vae.weights.clone(), move |device| {
                Ok(AutoencoderKL::load(&vae.config, &vae.weights, dtype.unquantized(), device)?)
            })?,
            vae_config,
            weight_files,
            vae_files,
            scheduler,
            device: device.clone(),
            dtype,
            family,
            notice: (!notices.is_empty()).then(|| notices.join(". ")),
            notes,
            base: Arc::new(base),
            loras,
            name: defaults.name.clone().unwrap_or_else(|| source.name()),
            defaults,
            vocabulary: files.vocabulary()?,
            preset,
            suggested_preset,
        })
    }

    /// The model with other LoRAs and textual inversions in place of its own, bit by bit as if it had been loaded with them.
    ///
    /// What neither these nor its own change is shared with this one; the rest is read again where it lies in the files.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::load`], of the added files.
    pub fn with_additions(&self, loras: &[LoraRef], embeddings: &[EmbeddingRef]) -> Result<Self, LoadError> {
        let suggested_preset =
            loras.iter().find_map(|lora| presets::suggestion(&ModelSource::File((&lora.name).into()), &[]));
        let loras = Arc::new(Loras::open(loras)?);
        let (text_encoders, notes) = self.base.text_encoders(embeddings, &loras, &self.device, Some(self))?;
        Ok(Self {
            text_encoders,
            unet: self.base.unet(&loras, &self.device, Some(self))?,
            unet_config: self.unet_config.clone(),
            vae: self.vae.clone(),
            vae_config: self.vae_config.clone(),
            weight_files: self.weight_files.clone(),
            vae_files: self.vae_files.clone(),
            scheduler: self.scheduler.clone(),
            device: self.device.clone(),
            dtype: self.dtype,
            family: self.family,
            notice: self.notice.clone(),
            notes,
            base: Arc::clone(&self.base),
            loras,
            name: self.name.clone(),
            defaults: self.defaults.clone(),
            vocabulary: self.vocabulary.clone(),
            preset: self.preset.clone().filter(|known| !known.of_lora),
            suggested_preset: suggested_preset.or_else(|| self.suggested_preset.clone()),
        })
    }
}

impl Pipeline {
    /// The model with what is known from outside of the preset that it needs, as [`LoadOptions::preset`] says it.
    #[must_use]
    pub fn with_known_preset(mut self, known: Option<KnownPreset>) -> Self {
        let by_configs = KnownPreset::by_configs(&self.unet_config, &self.scheduler, self.family);
        self.preset = KnownPreset::over(known, by_configs);
        self
    }
}

/// A model without additions, before it is loaded: names, shapes, and where the weights lie.
#[derive(Debug)]
pub(crate) struct Base {
    dtype: FloatType,
    low_memory: bool,
    tokenizers: Vec<ClipTokenizer>,
    text_encoders: Vec<Component<ClipTextModelConfig>>,
    unet: Component<UNetConfig>,
}

impl Base {
    /// The text encoders with additions, made of those of `before` where they are on the device; and what is to be said of them.
    fn text_encoders(
        &self,
        embeddings: &[EmbeddingRef],
        loras: &Arc<Loras>,
        device: &Device,
        before: Option<&Pipeline>,
    ) -> Result<(Vec<TextEncoder>, Vec<String>), LoadError> {
        let mut notes: Vec<String> = loras.notes().collect();
        let mut encoders = Vec::new();
        for (index, (tokenizer, component)) in self.tokenizers.iter().zip(&self.text_encoders).enumerate() {
            let mut tokenizer = tokenizer.clone();
            let tokens = EmbeddedTokens::add(embeddings, loras, &mut tokenizer)?;
            notes.extend(tokens.iter().map(EmbeddedTokens::note));
            let (loras, dtype, weights) = (Arc::clone(loras), self.dtype, component.weights.clone());
            let add = move |model: &mut ClipTextModel| {
                loras.add_to(LoraNetwork::TextEncoder, model, dtype, |model, dtype, names| {
                    model.restore(&weights, dtype, names)
                })?;
                tokens.iter().try_for_each(|tokens| tokens.add_to(model))
            };
            let resident = before.and_then(|before| Some((before, before.text_encoders[index].model.resident()?)));
            let model = if let Some((before, model)) = resident {
                let mut model = model.clone();
                let names = before.loras.places(LoraNetwork::TextEncoder, &model);
                model.restore(&component.weights, self.dtype, names)?;
                add(&mut model)?;
                Residency::of(model, &component.weights)
            } else {
                let (Component { config, weights }, dtype) = (component.clone(), self.dtype);
                load(self.low_memory, device, &component.weights, move |device| {
                    let mut model = ClipTextModel::load(&config, &weights, dtype, device)?;
                    add(&mut model)?;
                    Ok(model)
                })?
            };
            encoders.push(TextEncoder { tokenizer, model });
        }
        Ok((encoders, notes))
    }

    /// The U-Net with additions, made of that of `before` where it is on the device.
    fn unet(
        &self,
        loras: &Arc<Loras>,
        device: &Device,
        before: Option<&Pipeline>,
    ) -> Result<Residency<UNet2DConditionModel>, LoadError> {
        let (Component { config, weights }, dtype, loras) = (self.unet.clone(), self.dtype, Arc::clone(loras));
        let add = move |unet: &mut UNet2DConditionModel, weights: &Checkpoint| {
            loras.add_to(LoraNetwork::UNet, unet, dtype, |unet, dtype, names| unet.restore(weights, dtype, &names))
        };
        if let Some((before, unet)) = before.and_then(|before| Some((before, before.unet.resident()?))) {
            let mut unet = unet.clone();
            let names = before.loras.places(LoraNetwork::UNet, &unet);
            unet.restore(&weights, dtype, &names)?;
            add(&mut unet, &weights)?;
            return Ok(Residency::of(unet, &weights));
        }
        let low_memory = self.low_memory;
        load(low_memory, device, &self.unet.weights, move |device| {
            let unet = UNet2DConditionModel::load(&config, &weights, dtype, device)?;
            let mut unet = if low_memory { unet.recomputing() } else { unet };
            add(&mut unet, &weights)?;
            Ok(unet)
        })
    }
}

/// Loads a network, now or at each use.
fn load<T>(
    low_memory: bool,
    device: &Device,
    weights: &Checkpoint,
    load: impl Fn(&Device) -> Result<T, LoadError> + Send + Sync + 'static,
) -> Result<Residency<T>, LoadError> {
    let on = device.clone();
    Residency::new(low_memory, device, weights, move || load(&on))
}

/// Loads a model's tokenizer alone, with the tokens of textual inversions, also of those in the files of LoRAs.
///
/// # Errors
///
/// When its files are missing or damaged.
pub fn load_tokenizer(
    source: &ModelSource,
    loras: &[LoraRef],
    embeddings: &[EmbeddingRef],
) -> Result<ClipTokenizer, LoadError> {
    let mut tokenizer = open_model(source, false, None, None)?.tokenizers()?.swap_remove(0);
    EmbeddedTokens::add(embeddings, &Loras::open(loras)?, &mut tokenizer)?;
    Ok(tokenizer)
}

/// Reads the words that a model knows, if it says them.
///
/// # Errors
///
/// When its file of them is damaged, or it is no model.
pub fn load_vocabulary(source: &ModelSource) -> Result<Option<Vocabulary>, LoadError> {
    match source {
        ModelSource::File(_) => Ok(None),
        source => open_model(source, false, None, None)?.vocabulary(),
    }
}

/// Checks what can be told of a model without loading it: that its files are there and describe networks that belong together.
///
/// # Errors
///
/// As [`Pipeline::load`] before it reads weights.
pub fn check_model(source: &ModelSource, files: &dyn ModelFiles) -> Result<(), LoadError> {
    check_fit(source, &files.unet()?.config, &files.text_encoders()?, &files.vae()?.config)?;
    files.tokenizers()?;
    files.scheduler()?;
    files.defaults()?;
    Ok(())
}

/// Whether the networks belong together.
pub(crate) fn check_fit(
    source: &ModelSource,
    unet: &UNetConfig,
    text_encoders: &[Component<ClipTextModelConfig>],
    vae: &VaeConfig,
) -> Result<(), LoadError> {
    let latents = vae.latent_channels;
    let task = match unet.in_channels {
        5 => Some("depth-to-image"),
        7 => Some("upscaling"),
        8 => Some("editing by instruction (InstructPix2Pix)"),
        _ => None,
    };
    if let (Some(task), 4, 4) = (task, latents, unet.out_channels) {
        let model = source.name();
        return Err(LoadError::Task { model, task, in_channels: unet.in_channels });
    }
    let in_channels = if unet.is_inpainting() { unet.in_channels } else { latents };
    let width = text_encoders.iter().map(|encoder| encoder.config.hidden_size).sum();
    let fits = [
        ("the U-Net's cross_attention_dim", unet.cross_attention_dim, "the text encoder's hidden_size", width),
        ("the U-Net's in_channels", unet.in_channels, "the VAE's latent_channels", in_channels),
        ("the U-Net's out_channels", unet.out_channels, "the VAE's latent_channels", latents),
    ];
    match fits.into_iter().find(|(_, a, _, b)| a != b) {
        Some((one, a, other, b)) => {
            Err(LoadError::Inconsistent { model: source.name(), reason: format!("{one} is {a}, {other} is {b}") })
        }
        None => Ok(()),
    }
}
