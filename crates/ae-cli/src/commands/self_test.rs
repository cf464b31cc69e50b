use ae_settings::Settings;
use ae_tensor::{Backend, DeviceSpec, devices};
use attend_and_excite::self_test::{Reference, test_device};

use crate::Verbosity;
use crate::args::SelfTestArgs;
use crate::error::CliError;
use crate::models;
use crate::output::{Download, print, say};

/// Compares devices with the CPU, operation by operation and stage by stage.
pub(crate) fn self_test(args: &SelfTestArgs, verbosity: Verbosity) -> Result<(), CliError> {
    let specs = if args.device.is_empty() { gpus() } else { args.device.clone() };
    if specs.is_empty() {
        say(
            "this build finds no device on this machine but the CPU, with which others are compared (see `ae devices`)",
        );
        return Ok(());
    }
    let mut settings = Settings::default();
    settings.model.clone_from(&args.model);
    let source = models::find(&settings, &mut Download::new(verbosity.quiet))?.source;
    let reference = Reference::compute(&source)?;
    let mut failed = Vec::new();
    for spec in specs {
        if !test_device(spec, args.dtype, &source, &reference, &mut |line| print(line))? {
            failed.push(spec.to_string());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(CliError::SelfTest { devices: failed.join(", ") }) }
}

/// Every device but the CPU.
fn gpus() -> Vec<DeviceSpec> {
    devices().into_iter().map(|(spec, _)| spec).filter(|spec| spec.backend() != Backend::Cpu).collect()
}
