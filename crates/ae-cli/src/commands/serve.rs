use std::net::SocketAddr;

use ae_server::{Config, Limits, Server};
use ae_settings::Settings;
use ae_tensor::{DeviceChoice, DeviceSpec, FloatType, devices};
use attend_and_excite::studio::{AdapterFolders, Catalogue, StudioEngine};
use attend_and_excite::weights_choice;

use crate::Verbosity;
use crate::args::{self, ServeArgs};
use crate::error::CliError;
use crate::heap::share_arenas;
use crate::interrupts::Interrupts;
use crate::models;
use crate::output::{Download, listen, print, say, try_places};

/// Serves the studio until Ctrl-C or SIGTERM.
pub(crate) fn serve(args: &ServeArgs, verbosity: Verbosity) -> Result<(), CliError> {
    share_arenas();
    let mut limits = Limits::default();
    for limit in &args.limit {
        limits.set(limit).map_err(|error| CliError::Usage(error.to_string()))?;
    }
    listen(verbosity);
    try_places("--gallery", [args.gallery.as_path()])?;
    let interrupts = Interrupts::listen()?;
    let mut download = Download::new(verbosity.quiet).interrupted_by(interrupts.flag());
    let given = &args.settings.given;
    let mut settings = Settings::default();
    settings.apply(given);
    let catalogue = Catalogue::new(&args.model, &args.folders.model_dir, &weights_choice(&settings), &mut download)?;
    catalogue.notes().iter().for_each(|note| say(&format!("note: {note}")));
    let args::FolderArgs { lora_dir: loras, embedding_dir: embeddings, vae_dir: vaes, .. } = args.folders.clone();
    let engine = StudioEngine::new(
        catalogue,
        listed_devices(&args.device, settings.dtype, verbosity.quiet)?,
        given,
        AdapterFolders { loras, embeddings, vaes },
        args.low_memory,
    );
    engine.load_default()?;

    let token = args.token.clone().or_else(|| std::env::var("AE_TOKEN").ok().filter(|token| !token.is_empty()));
    let address = SocketAddr::new(args.listen, args.port);
    let config = Config { address, token, gallery: args.gallery.clone(), limits };
    let server = Server::bind(config, engine)?;
    let stopper = server.stopper();
    interrupts.on_first(move || stopper.stop());
    if !verbosity.quiet {
        if server.resumed() > 0 {
            say(&format!("{} job(s) that waited when the studio was closed go on", server.resumed()));
        }
        say(&format!("the studio is open, with its gallery in '{}'; Ctrl-C closes it", args.gallery.display()));
    }
    if server.address().ip().is_unspecified() {
        say("from other machines, open it with this machine's name or address in place of the one below");
    }
    print(&format!("{}\n", server.url()));
    server.run()?;
    Ok(())
}

/// The devices that clients can choose, each with its name; the first is drawn on by default.
fn listed_devices(
    wanted: &[DeviceChoice],
    dtype: FloatType,
    quiet: bool,
) -> Result<Vec<(DeviceSpec, String)>, CliError> {
    if !wanted.is_empty() {
        // A device that is not there shall be found out now.
        let wanted = models::devices(wanted, dtype, quiet);
        return wanted.into_iter().map(|spec| Ok((spec, spec.open().map(|_| spec.to_string())?))).collect();
    }
    let best = models::devices(&[DeviceChoice::Auto], dtype, quiet);
    let mut usable: Vec<_> = devices().into_iter().filter_map(|(spec, info)| Some((spec, info.ok()?.name))).collect();
    usable.sort_by_key(|(spec, _)| !best.contains(spec));
    Ok(usable)
}
