use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ae_files::write_file_by_path;
use ae_tensor::{ComputeError, read};
use ae_unet::{AttentionProcessor, AttentionSite};
use burn::tensor::Tensor;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};
use serde_json::json;

use crate::initial_latents::NAME;
use crate::{Event, LayerChoice, Pipeline, PipelineError, Prepared, Processor};

/// Records the raw tensors of a run for research, and writes them as a safetensors file.
///
/// It is fed by the events of a run and, for attention, by its [`processor`](Self::processor):
///
/// ```no_run
/// # use std::ops::ControlFlow;
/// # use ae_pipeline::{Pipeline, Request, TensorRecorder};
/// # fn record(pipeline: &Pipeline, request: &Request) -> Result<(), Box<dyn std::error::Error>> {
/// let prepared = pipeline.prepare(request)?;
/// let recorder = TensorRecorder::new(pipeline, &prepared, &["up_blocks.*.attn2".parse()?])?;
/// pipeline.draw_with(&prepared, &mut *recorder.processor(), &mut |event| {
///     recorder.observe(&event);
///     ControlFlow::Continue(())
/// })?;
/// recorder.save("run.safetensors")?;
/// # Ok(())
/// # }
/// ```
///
/// All tensors are single precision. Steps are counted from 0, in three digits or more:
///
/// | name | axes | content |
/// | --- | --- | --- |
/// | `latents.initial` | picture, channel, row, column | noise that the run starts from, before it is multiplied by `init_noise_sigma` |
/// | `condition` | picture, channel, row, column | mask, and latents of the image without what is drawn anew; of models for inpainting |
/// | `latents.step.007` | as the initial ones | latents after the step |
/// | `gradient.step.007` | the same | gradient of the loss by the U-Net's input, as the step's last latent update used it; only at steps with one |
/// | `attention.step.007.LAYER` | text and picture, head, query, key | probabilities of a chosen layer in the step's noise prediction |
///
/// The first axis of an attention has the pictures with the negative prompt, then with the prompt (or its parts); in a
/// self-attention before the first cross-attention the pictures alone. The file's metadata has the axes, `prompt`,
/// `negative_prompt`, `seeds`, `tokens`, `timesteps`, `heads` (of every recorded layer), `model` and `init_noise_sigma`; lists are
/// JSON.
#[derive(Debug)]
pub struct TensorRecorder {
    /// The heads that are recorded of every layer.
    layers: HashMap<AttentionSite, Vec<usize>>,
    metadata: HashMap<String, String>,
    recorded: Mutex<Recorded>,
}

#[derive(Debug, Default)]
struct Recorded {
    /// The probabilities of the step that is not over.
    attention: Vec<(AttentionSite, Tensor<4>)>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    timesteps: Vec<f64>,
    init_noise_sigma: f64,
    failed: Option<ComputeError>,
}

/// Tensors that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The device failed while one was read.
    #[error(transparent)]
    Device(#[from] ComputeError),
    /// The tensors are too many for a safetensors file.
    #[error(transparent)]
    Format(#[from] SafeTensorError),
    /// The file cannot be written.
    #[error("cannot write '{file}'")]
    Write {
        /// The file.
        file: String,
        /// The reason that the system gives.
        source: io::Error,
    },
}

impl TensorRecorder {
    /// A recorder of one run of a prepared request: its latents, gradients, and the attention of the layers of `choices`.
    ///
    /// # Errors
    ///
    /// When a choice means no layer, or a head that is not there.
    pub fn new(pipeline: &Pipeline, prepared: &Prepared, choices: &[LayerChoice]) -> Result<Self, PipelineError> {
        let sites = pipeline.unet_config.attention_sites(prepared.latent_size);
        let mut layers: HashMap<_, Vec<_>> = HashMap::new();
        for choice in choices {
            for (site, heads) in choice.resolve(&sites)? {
                let chosen = layers.entry(site).or_default();
                chosen.extend(heads);
                chosen.sort_unstable();
                chosen.dedup();
            }
        }
        let settings = prepared.settings();
        let tokens: Vec<_> = prepared.prompt().tokens().iter().map(|token| token.text.as_str()).collect();
        let heads: BTreeMap<_, _> = layers.iter().map(|(site, heads)| (site.path(), heads)).collect();
        let latents = "picture, channel, row, column";
        let metadata = [
            ("axes.latents", latents.to_owned()),
            ("axes.gradient", latents.to_owned()),
            ("axes.attention", "text and picture, head, query, key".to_owned()),
            ("prompt", settings.prompt.clone()),
            ("negative_prompt", settings.negative_prompt.clone()),
            ("seeds", json!(prepared.seeds).to_string()),
            ("tokens", json!(tokens).to_string()),
            ("heads", json!(heads).to_string()),
            ("model", pipeline.name().to_owned()),
        ];
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Self { layers, metadata, recorded: Mutex::default() })
    }

    /// A processor that looks at the chosen layers. Paired with another, it sees what the other returns if it comes second.
    pub fn processor(&self) -> Box<Processor<'_>> {
        Box::new(Look(self))
    }

    /// Records the tensors of an event. The recorder forgets an earlier run when another starts.
    pub fn observe(&self, event: &Event<'_>) {
        let mut recorded = self.recorded();
        match event {
            Event::Started { latents, init_noise_sigma, condition, .. } => {
                *recorded = Recorded { init_noise_sigma: *init_noise_sigma, ..Recorded::default() };
                recorded.keep(NAME.to_owned(), latents);
                if let Some(condition) = condition {
                    recorded.keep("condition".to_owned(), condition);
                }
            }
            Event::Denoised { step, traces, latents, gradient, .. } => {
                recorded.timesteps.extend(traces.first().map(|trace| trace.timestep));
                recorded.keep(format!("latents.step.{step:03}"), latents);
                if let Some(gradient) = gradient {
                    recorded.keep(format!("gradient.step.{step:03}"), gradient);
                }
                for (site, probs) in std::mem::take(&mut recorded.attention) {
                    recorded.keep(format!("attention.step.{step:03}.{}", site.path()), &probs);
                }
            }
            Event::SearchedNoise { .. } | Event::Evaluated { .. } => {}
        }
    }

    /// Writes the recorded tensors. The file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// When the device failed while a tensor was read, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        let recorded = self.recorded();
        if let Some(failed) = &recorded.failed {
            return Err(failed.clone().into());
        }
        let mut metadata = self.metadata.clone();
        metadata.insert("timesteps".to_owned(), json!(recorded.timesteps).to_string());
        metadata.insert("init_noise_sigma".to_owned(), recorded.init_noise_sigma.to_string());
        let views = recorded
            .tensors
            .iter()
            .map(|(name, (shape, bytes))| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
        let views: Vec<_> = views.collect::<Result<_, SafeTensorError>>()?;
        let path = path.as_ref();
        let wrote = match path.file_name() {
            Some(_) => write_file_by_path(path, |draft| safetensors::serialize_to_file(views, Some(metadata), draft)),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file").into()),
        };
        wrote.map_err(|error| match error {
            SafeTensorError::IoError(source) => SaveError::Write { file: path.display().to_string(), source },
            other => SaveError::Format(other),
        })
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    fn keep(&mut self, name: String, tensor: &Tensor<4>) {
        match read(tensor.clone()) {
            Ok(values) => {
                let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
                self.tensors.insert(name, (tensor.dims().to_vec(), bytes));
            }
            Err(error) => self.failed = Some(error),
        }
    }
}

/// The processor of a recorder.
struct Look<'a>(&'a TensorRecorder);

impl AttentionProcessor for Look<'_> {
    type Break = Infallible;

    fn wants(&self, site: &AttentionSite) -> bool {
        self.0.layers.contains_key(site)
    }

    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
        let heads = self.0.layers[site].iter().map(|&head| probs.clone().narrow(1, head, 1)).collect();
        self.0.recorded().attention.push((*site, Tensor::cat(heads, 1)));
        ControlFlow::Continue(probs)
    }
}
