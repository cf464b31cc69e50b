use ae_settings::Settings;
use ae_tensor::DeviceSpec;
use attend_and_excite::load_options;

use crate::Verbosity;
use crate::args::ConvertArgs;
use crate::error::CliError;
use crate::models;
use crate::output::{Download, print_path, say};

/// Writes a model, with what is added to it, for others.
pub(crate) fn convert(args: &ConvertArgs, verbosity: Verbosity) -> Result<(), CliError> {
    let mut settings = Settings::default();
    settings.apply(&args.settings.given);
    settings.model = Some(args.model.clone());
    let source = models::find(&settings, &mut Download::new(verbosity.quiet))?.source;
    let (options, device) = (load_options(&settings, false), DeviceSpec::CPU.open()?);
    for note in ae_pipeline::convert(&source, options, &args.output, args.force, &device)? {
        say(&format!("note: {note}"));
    }
    print_path(&args.output);
    Ok(())
}
