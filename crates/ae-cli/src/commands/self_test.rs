use ae_settings::Settings;
use ae_tensor::{Backend, DeviceSpec, FloatType, listed_devices};
use attend_and_excite::self_test::{Reference, quick_test, test_device};

use crate::Verbosity;
use crate::args::SelfTestArgs;
use crate::error::CliError;
use crate::models;
use crate::output::{Download, print, say};

/// Compares devices with the CPU, operation by operation and stage by stage.
pub(crate) fn self_test(args: &SelfTestArgs, verbosity: Verbosity) -> Result<(), CliError> {
    let specs =
        if args.device.is_empty() { gpus() } else { models::devices(&args.device, FloatType::F32, verbosity.quiet) };
    if specs.is_empty() {
        say(
            "this build finds no device on this machine but the CPU, with which others are compared (see `ae devices`)",
        );
        return Ok(());
    }
    if !verbosity.quiet {
        say(if args.quick { QUICK } else { WHOLE });
    }
    let mut print = |line: &str| print(line);
    let mut test: Box<dyn FnMut(DeviceSpec) -> _> = if args.quick {
        Box::new(|spec| quick_test(spec, &mut print))
    } else {
        let mut settings = Settings::default();
        settings.model.clone_from(&args.model);
        let source = models::find(&settings, &mut Download::new(verbosity.quiet))?.source;
        let reference = Reference::compute(&source)?;
        Box::new(move |spec| test_device(spec, args.dtype, &source, &reference, &mut print))
    };
    let mut failed = Vec::new();
    for spec in specs {
        if test(spec)?.is_some() {
            failed.push(spec.to_string());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(CliError::SelfTest { devices: failed.join(", ") }) }
}

/// How long a device takes, said before it is tested.
const WHOLE: &str = "a test takes some seconds; the first one of a device and a driver compiles kernels, which takes some minutes \
                     where the processor is slow or plays the GPU";
const QUICK: &str = "a quick test takes some seconds, the first one of a device and a driver up to a minute";

/// Every device but the CPU.
fn gpus() -> Vec<DeviceSpec> {
    listed_devices().into_iter().map(|(spec, _)| spec).filter(|spec| spec.backend() != Backend::Cpu).collect()
}
