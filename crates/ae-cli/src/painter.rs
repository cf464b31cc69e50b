use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ae_pipeline::{EmbeddingChoice, Pipeline};
use ae_tensor::{DeviceSpec, FloatType};

use crate::args::{DeviceArgs, LoadArgs};
use crate::error::CliError;
use crate::model;
use crate::output::{Download, say};
use crate::requests::load_options;

/// A model on a device.
pub(crate) struct Painter {
    pub(crate) device: DeviceSpec,
    pub(crate) pipeline: Pipeline,
}

impl Painter {
    /// The stack of a thread that draws: as the main thread has, for the graphs of a backward pass are deep.
    pub(crate) const STACK: usize = 8 << 20;

    /// A model on every device, at least one.
    pub(crate) fn load_all(
        model: Option<&str>,
        embeddings: &[EmbeddingChoice],
        devices: &DeviceArgs,
        load: &LoadArgs,
        quiet: bool,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Vec<Self>, CliError> {
        // All of them first: a device that is not there shall not be found out after an hour of loading.
        let devices = devices.device.iter().map(|spec| Ok((*spec, spec.open()?)));
        let devices = devices.collect::<Result<Vec<_>, CliError>>()?;
        let mut download = Download::new(quiet).interrupted_by(Arc::clone(interrupted));
        let source = model::source(model, load.dtype != FloatType::F32, &mut download)?;
        let painters = devices.into_iter().map(|(device, opened)| {
            let pipeline = Pipeline::load(&source, load_options(load, embeddings), &opened)?;
            Ok(Self { device, pipeline })
        });
        let painters = painters.collect::<Result<Vec<_>, CliError>>()?;
        if let Some(notice) = painters[0].pipeline.notice() {
            say(&format!("note: {notice}"));
        }
        Ok(painters)
    }
}
