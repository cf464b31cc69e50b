use ae_pipeline::{Destination, check_written_type, convert as convert_model};
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
    // What is wrong with the type and the place is said before anything is downloaded.
    check_written_type(settings.dtype)?;
    let destination = Destination::new(&args.output, args.force)?;
    settings.model = Some(args.model.clone());
    let source = models::find(&settings, &mut Download::new(verbosity.quiet))?.source;
    let (options, device) = (load_options(&settings, false), DeviceSpec::CPU.open()?);
    for note in convert_model(&source, options, &destination, &device)? {
        say(&format!("note: {note}"));
    }
    print_path(&args.output);
    Ok(())
}
