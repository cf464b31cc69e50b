use std::io::{IsTerminal as _, Write as _, stderr, stdout};

use ae_settings::{Overrides, Settings};
use ae_tensor::DeviceChoice;
use attend_and_excite::BatchSize;
use attend_and_excite::remote::{RemoteError, RemoteEvent, RemoteOptions, RemoteStudio};
use image::RgbImage;

use super::generate::{MOST_IN_GRID, side_by_side, write_grids};
use crate::Verbosity;
use crate::args::{FolderArgs, GenerateArgs};
use crate::error::CliError;
use crate::interrupts::Interrupts;
use crate::output::{Files, RemoteProgress, keep_failure, preview, print_path, say};

/// Draws every seed of every prompt on the studio of `--host`.
pub(crate) fn generate(args: &GenerateArgs, prompts: &[Overrides], verbosity: Verbosity) -> Result<(), CliError> {
    let host = args.host.as_deref().unwrap_or_default();
    let device = refuse(args)?;
    let options = RemoteOptions { compare: args.compare, device, low_memory: args.devices.low_memory };
    let token = std::env::var("AE_TOKEN").ok().filter(|token| !token.is_empty());
    let studio = RemoteStudio::connect(host, token.as_deref())?;
    let mut given = args.settings.given.clone();
    if let Some(picture) = &args.from {
        // A picture is drawn as it was, whatever the user has set since.
        given = studio.settings_of(picture)?.over(&args.settings.said);
    }
    studio.adapt(&mut given)?;
    let interrupts = Interrupts::listen()?;
    let interrupted = interrupts.flag();
    let mut finished = 0;
    for own in prompts {
        let own = given.clone().over(own);
        let seeds = args
            .seeds
            .as_ref()
            .map_or_else(|| vec![own.seed.unwrap_or(Settings::default().seed)], |seeds| seeds.0.clone());
        let files = Files::new(&args.output, own.prompt.as_deref().unwrap_or_default());
        let (mut sheet, mut settings) = (Vec::new(), None);
        for seeds in seeds.chunks(studio.most_seeds()) {
            let job = studio.submit(&own, seeds, &options)?;
            let cancelled = job.clone();
            interrupts.on_first(move || drop(cancelled.cancel()));
            let mut progress = RemoteProgress::new(verbosity);
            let followed = job.follow(&mut |event| {
                if let RemoteEvent::Picture { entry, seed } = event {
                    let drawn = progress.suspend(|| write(args, &studio, &files, entry, seed))?;
                    finished += if args.compare { 3 } else { 1 };
                    if sheet.len() < MOST_IN_GRID {
                        sheet.push((seed, drawn.pictures));
                    }
                    settings = Some(drawn.settings);
                } else {
                    progress.show(&event);
                }
                Ok::<_, CliError>(())
            });
            progress.finish();
            let is_over = interrupted.load(std::sync::atomic::Ordering::SeqCst);
            followed.map_err(|error| match error {
                CliError::Remote(RemoteError::Cancelled { .. }) if is_over => CliError::Interrupted { finished },
                error => error,
            })?;
        }
        if let Some(settings) = settings.filter(|_| sheet.len() > 1) {
            write_grids(args, &files, &settings, &sheet.iter().collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// Refuses what is made here, of a run that is not; returns the device that is named.
fn refuse(args: &GenerateArgs) -> Result<Option<String>, CliError> {
    let refused = [
        ("--save-tensors", args.save_tensors.is_some()),
        ("--latents", args.latents.is_some()),
        ("--maps", args.maps.is_some()),
        ("--animation", args.animation),
        ("--trace", args.trace),
        ("--preview-every", args.preview_every.is_some()),
        ("--ignore", !args.ignore.is_empty()),
    ];
    if let Some((option, _)) = refused.iter().find(|(_, is_given)| *is_given) {
        let reason = format!(
            "{option} needs the run on this machine: leave out --host, or {option} (--report has maps and losses)"
        );
        return Err(CliError::Usage(reason));
    }
    let FolderArgs { model_dir, lora_dir, embedding_dir, vae_dir } = &args.folders;
    let has_folders = [model_dir, lora_dir, embedding_dir, vae_dir].iter().any(|folders| !folders.is_empty());
    if has_folders {
        say(
            "note: --model-dir, --lora-dir, --embedding-dir and --vae-dir have no effect with --host: the studio has folders of its own",
        );
    }
    if matches!(args.devices.batch_size, BatchSize::Of(pictures) if pictures.get() > 1) {
        say("note: --batch-size has no effect with --host: a studio draws one picture at a time");
    }
    match &args.devices.device[..] {
        [] | [DeviceChoice::Auto] => Ok(None),
        [device] => Ok(Some(device.to_string())),
        _ => Err(CliError::Usage("--host draws on one device of the studio: name one with --device".to_owned())),
    }
}

/// What a studio has drawn of one seed.
struct Drawn {
    /// The plain picture, if there is one, and the other.
    pictures: Vec<RgbImage>,
    settings: Settings,
}

/// Writes everything of one seed, as the studio has it.
fn write(args: &GenerateArgs, studio: &RemoteStudio, files: &Files, entry: &str, seed: u64) -> Result<Drawn, CliError> {
    let picture = studio.picture(entry, "picture.png")?;
    if args.is_piped() {
        keep_failure(stdout().write_all(&picture.file));
    } else {
        print_path(&files.write(&format!("{seed}.png"), &picture.file)?);
    }
    if args.preview && stderr().is_terminal() {
        preview::show(&picture.image);
    }
    let mut pictures = Vec::new();
    if args.compare {
        let plain = studio.picture(entry, "plain.png")?;
        print_path(&files.write(&format!("{seed}-plain.png"), &plain.file)?);
        let beside = side_by_side(args, &picture.settings, seed, [&plain.image, &picture.image]);
        print_path(&files.write_sheet(&format!("{seed}-compare"), &beside, &picture.settings)?);
        pictures.push(plain.image);
    }
    if args.report {
        print_path(&files.write(&format!("{seed}.html"), &studio.file(entry, "report.html")?)?);
    }
    pictures.push(picture.image);
    Ok(Drawn { pictures, settings: picture.settings })
}
