use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ae_figures::{FigureError, Step};
use ae_files::folder_name;
use ae_pipeline::{Event, InitialLatents, Picture, PipelineError, Prepared, Processor, TensorRecorder};
use ae_settings::{Method, Overrides, Settings};
use attend_and_excite::{
    ContactSheet, InputImages, JobProgress, LoadedModel, Previews, Redraw, announcement, command_line, draw_and_record,
    explanation, with_prompt_networks, work_through, write_png,
};
use image::RgbImage;
use serde_json::Value;

use crate::Verbosity;
use crate::args::{FolderArgs, GenerateArgs, Whose};
use crate::commands::remote;
use crate::error::CliError;
use crate::interrupts::Interrupts;
use crate::models;
use crate::output::{Files, Progress, keep_failure, preview, print_path, say, trace_json, try_places, write_figures};

/// A grid shows the first pictures of a long run: all of them would not fit into memory, nor on a screen.
pub(super) const MOST_IN_GRID: usize = 256;

/// Draws with and without guidance, and everything that explains the difference.
pub(crate) fn explain(mut args: GenerateArgs, verbosity: Verbosity) -> Result<(), CliError> {
    if args.settings.given.method == Some(Method::StableDiffusion) {
        let reason = "`explain` compares a method with plain sampling: use `generate --maps` for plain sampling alone";
        return Err(CliError::Usage(reason.to_owned()));
    }
    args.compare = true;
    args.maps = args.maps.or(Some(Whose::Subjects));
    args.animation = true;
    args.report = true;
    generate(&args, verbosity)
}

/// Draws every seed of every prompt.
pub(crate) fn generate(args: &GenerateArgs, verbosity: Verbosity) -> Result<(), CliError> {
    let mut prompts = args.prompts.settings(&args.words).map_err(CliError::Usage)?;
    let mut given = args.settings.given.clone();
    if let Some(picture) = args.from.as_ref().filter(|_| args.host.is_none()) {
        let FolderArgs { model_dir, lora_dir, embedding_dir, vae_dir } = &args.folders;
        let folders = [model_dir, lora_dir, embedding_dir, vae_dir].map(Clone::clone);
        // A picture is drawn as it was, whatever the user has set since.
        given = Redraw { folders, ignored: args.ignore.clone() }.settings(picture, &args.settings.said)?;
    }
    if args.from.is_some() && prompts.is_empty() {
        prompts.push(Overrides::default());
    }
    if prompts.is_empty() {
        let reason = "nothing to draw: give a prompt (`ae generate \"a cat and a dog\"`), or a picture with --from";
        return Err(CliError::Usage(reason.to_owned()));
    }
    if args.preview && !stderr().is_terminal() {
        say("note: --preview shows nothing: standard error is no terminal");
    }
    let several_seeds = args.seeds.as_ref().is_some_and(|seeds| seeds.0.len() > 1);
    if args.is_piped() {
        let more = several_seeds || prompts.len() > 1 || args.compare || args.trace || args.shows_steps();
        if more || stdout().is_terminal() {
            let reason = "--output - writes one picture into a pipe or file: give one prompt and one seed, and no option that writes more";
            return Err(CliError::Usage(reason.to_owned()));
        }
    }
    if args.save_tensors.is_some() && (several_seeds || prompts.len() > 1) {
        let reason = "--save-tensors writes one file: give one prompt and one seed";
        return Err(CliError::Usage(reason.to_owned()));
    }
    if args.host.is_some() {
        return remote::generate(args, &prompts, verbosity);
    }
    let images = InputImages::read(&mut given)?;
    let latents = args.latents.as_deref().map(InitialLatents::open).transpose()?;
    let with_networks = |own: &Overrides| {
        with_prompt_networks(&given.clone().over(own), &args.folders.lora_dir, &args.folders.embedding_dir)
    };
    let prompts = prompts.iter().map(with_networks).collect::<Result<Vec<_>, _>>()?;
    let pictures = prompts.iter().filter(|_| !args.is_piped());
    let names: BTreeSet<_> = pictures.map(|own| own.prompt.clone().unwrap_or_default()).collect();
    let folders: Vec<_> = names.iter().map(|prompt| args.output.join(folder_name(prompt))).collect();
    try_places("--output", folders.iter().map(PathBuf::as_path))?;
    try_places("--save-tensors", args.save_tensors.as_deref().and_then(Path::parent))?;
    let interrupted = Interrupts::listen()?.flag();
    let mut models = models::load(&prompts[0], &args.devices, verbosity.quiet, &interrupted)?;
    let several = prompts.len() > 1;
    let pictures = prompts.len() * args.seeds.as_ref().map_or(1, |seeds| seeds.0.len());
    let progress = Progress::new(verbosity, JobProgress::new(pictures, args.compare, models.len()));
    let mut finished = 0;
    for own in prompts {
        let (loras, embeddings) =
            (own.loras.as_deref().unwrap_or_default(), own.embeddings.as_deref().unwrap_or_default());
        models = models::with_additions(models, loras, embeddings, verbosity.quiet)?;
        let interrupted = Arc::clone(&interrupted);
        let mut drawing = Drawing { args, verbosity, models: &models, interrupted, progress: &progress, finished };
        drawing.prompt(&own, images.clone(), latents.clone()).map_err(|error| match error {
            CliError::Draw(attend_and_excite::Error::Pipeline(_)) if several => {
                CliError::Prompt { prompt: own.prompt.clone().unwrap_or_default(), error: Box::new(error) }
            }
            other => other,
        })?;
        finished = drawing.finished;
    }
    progress.finish();
    Ok(())
}

struct Drawing<'a> {
    args: &'a GenerateArgs,
    verbosity: Verbosity,
    /// All are of one model.
    models: &'a [LoadedModel],
    interrupted: Arc<AtomicBool>,
    /// Of all prompts.
    progress: &'a Progress,
    finished: usize,
}

/// The pictures of one seed.
struct Drawn {
    /// Its place among the seeds.
    index: usize,
    settings: Settings,
    picture: Picture,
    steps: Vec<Step>,
    /// The plain picture, if it was asked for.
    plain: Option<(Settings, Picture, Vec<Step>)>,
}

impl Drawing<'_> {
    /// Draws the seeds of one prompt, each written as soon as it is there.
    fn prompt(
        &mut self,
        given: &Overrides,
        images: InputImages,
        latents: Option<InitialLatents>,
    ) -> Result<(), CliError> {
        let (args, models) = (self.args, self.models);
        let mut request = models[0].pipeline.request_with(given)?;
        request.seeds = args.seeds.as_ref().map_or_else(|| vec![request.settings.seed], |seeds| seeds.0.clone());
        images.give_to(&mut request);
        request.latents = latents;
        request.attention_maps = args.shows_steps();
        let prepared = models[0].pipeline.prepare(&request)?;
        self.check_maps(&prepared)?;
        let named = given.subjects.is_some() || given.token_indices.is_some();
        self.progress.suspend(|| self.announce(&prepared, named));

        let files = Files::new(&args.output, &request.settings.prompt);
        let (batch_size, note) = args.devices.batch_size.on(models, &prepared);
        if let Some(note) = note {
            self.progress.suspend(|| say(&format!("note: {note}")));
        }
        let batches: Vec<_> = prepared.seeds().chunks(batch_size).enumerate().collect();
        let (interrupted, progress) = (Arc::clone(&self.interrupted), self.progress);
        let previews = args.shows_steps().then(|| self.previews(&prepared));
        let work = |model: &LoadedModel, (batch, seeds): &(usize, &[u64]), stop: &AtomicBool| {
            let prepared = prepared.clone().with_seeds(seeds);
            let draw = |prepared: &Prepared, processor: &mut Processor<'_>, tensors: Option<&TensorRecorder>| {
                let place = if models.len() > 1 { format!(" on {}", model.device) } else { String::new() };
                let settings = prepared.settings();
                let is_plain = args.compare && settings.method == Method::StableDiffusion;
                let mut shown = progress.begin(settings, seeds, is_plain, &place);
                draw_and_record(&model.pipeline, prepared, previews, processor, &mut |event: &Event<'_>, _| {
                    shown.show(event);
                    tensors.inspect(|tensors| tensors.observe(event));
                    let ends = interrupted.load(Ordering::SeqCst) || stop.load(Ordering::SeqCst);
                    if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
            };
            let pictures = match &args.save_tensors {
                None => draw(&prepared, &mut (), None)?,
                Some(path) => {
                    let tensors = TensorRecorder::new(&model.pipeline, &prepared, &args.save_attention)?;
                    let pictures = draw(&prepared, &mut *tensors.processor(), Some(&tensors))?;
                    tensors.save(path)?;
                    pictures
                }
            };
            let plain_prepared = prepared.clone().plain();
            let plain = if args.compare { draw(&plain_prepared, &mut (), None)? } else { Vec::new() };
            let mut plain = plain.into_iter();
            let drawn = pictures.into_iter().enumerate().map(|(place, (picture, steps))| Drawn {
                index: batch * batch_size + place,
                settings: model.settings(&prepared, picture.seed),
                plain: plain.next().map(|(plain, steps)| (model.settings(&plain_prepared, plain.seed), plain, steps)),
                picture,
                steps,
            });
            Ok::<_, CliError>(drawn.collect::<Vec<_>>())
        };
        // By their place among the seeds: several devices finish them in any order.
        let mut sheet = BTreeMap::new();
        let mut finished = self.finished;
        let mut receive = |drawn: Vec<Drawn>| {
            for drawn in drawn {
                let (index, seed) = (drawn.index, drawn.picture.seed);
                let pictures = progress.suspend(|| {
                    let pictures = write(args, &files, (&models[0], &prepared), drawn)?;
                    if let Some(picture) = pictures.last().filter(|_| args.preview && stderr().is_terminal()) {
                        preview::show(picture);
                    }
                    Ok::<_, CliError>(pictures)
                })?;
                finished += if args.compare { 3 } else { 1 };
                sheet.insert(index, (seed, pictures));
                sheet.retain(|index, _| *index < MOST_IN_GRID);
            }
            Ok(())
        };
        let result = work_through(models, &batches, work, &mut receive);
        self.finished = finished;
        result.map_err(|error| match error {
            CliError::Draw(attend_and_excite::Error::Pipeline(PipelineError::Interrupted)) => {
                CliError::Interrupted { finished }
            }
            error => error,
        })?;
        if sheet.len() > 1 {
            let settings = models[0].settings(&prepared, prepared.settings().seed);
            progress.suspend(|| write_grids(args, &files, &settings, &sheet.values().collect::<Vec<_>>()))?;
        }
        Ok(())
    }

    /// At which steps the latents are decoded, if anything shows them.
    fn previews(&self, prepared: &Prepared) -> Previews {
        /// Longest side in pixels of pictures that take no time to decode.
        const SMALL: usize = 256;
        let Settings { height, width, .. } = prepared.settings();
        let usual = if height.max(width) <= &Some(SMALL) { 1 } else { 5 };
        Previews::Every(self.args.preview_every.map_or(usual, NonZeroUsize::get))
    }

    /// That there is something whose attention can be shown, before anything is drawn.
    fn check_maps(&self, prepared: &Prepared) -> Result<(), CliError> {
        match self.args.maps {
            Some(Whose::All) if prepared.prompt().end() <= 1 => Err(FigureError::NoToken.into()),
            None if !self.args.animation => Ok(()),
            Some(Whose::All) => Ok(()),
            _ if prepared.subjects().is_empty() => Err(FigureError::NoSubject.into()),
            _ => Ok(()),
        }
    }

    /// Says what will be drawn; the subjects aloud where nobody named them.
    fn announce(&self, prepared: &Prepared, named: bool) {
        if self.verbosity.quiet {
            return;
        }
        for line in announcement(prepared, named) {
            say(&line);
        }
        if self.verbosity.verbose {
            let settings = self.models[0].settings(prepared, prepared.settings().seed);
            say(&format!("settings: {}", Value::Object(settings.to_json())));
        }
    }
}

/// The methods of a seed's pictures, in their order: plain sampling is what the other is compared with.
fn methods(args: &GenerateArgs, settings: &Settings) -> Vec<Method> {
    args.compare.then_some(Method::StableDiffusion).into_iter().chain([settings.method]).collect()
}

/// The plain picture of a seed and the other beside each other.
pub(super) fn side_by_side(args: &GenerateArgs, settings: &Settings, seed: u64, pictures: [&RgbImage; 2]) -> RgbImage {
    let seeds = vec![(seed, pictures.to_vec())];
    ContactSheet { prompt: &settings.prompt, methods: &methods(args, settings), seeds, labels: !args.no_labels }.draw()
}

/// Writes the pictures of several seeds on one sheet, and with the plain ones on another. `seeds` has the pictures of each, the plain
/// one first if there is one.
pub(super) fn write_grids(
    args: &GenerateArgs,
    files: &Files,
    settings: &Settings,
    seeds: &[&(u64, Vec<RgbImage>)],
) -> Result<(), CliError> {
    let methods = methods(args, settings);
    let sheets = [(&methods[methods.len() - 1..], ""), (&methods[..], "-compare")];
    for (methods, suffix) in sheets.into_iter().take(methods.len()) {
        let of = |all: &[RgbImage]| all.len() - methods.len();
        let seeds = seeds.iter().map(|(seed, all)| (*seed, all[of(all)..].iter().collect())).collect();
        let drawn = ContactSheet { prompt: &settings.prompt, methods, seeds, labels: !args.no_labels }.draw();
        print_path(&files.write_grid(suffix, &drawn, settings)?);
    }
    Ok(())
}

/// Writes everything of one seed; returns its pictures, the plain one first if there is one.
fn write(
    args: &GenerateArgs,
    files: &Files,
    (model, prepared): (&LoadedModel, &Prepared),
    drawn: Drawn,
) -> Result<Vec<RgbImage>, CliError> {
    let Drawn { settings, picture, steps, plain, .. } = drawn;
    let seed = picture.seed;
    if args.is_piped() {
        let mut file = Vec::new();
        let written = write_png(&mut file, &picture.image, &settings, &picture.trace.subjects);
        keep_failure(written.and_then(|()| stdout().write_all(&file)));
    } else {
        print_path(&files.write_picture(&seed.to_string(), &picture.image, &settings, &picture)?);
    }
    if args.trace {
        print_path(&files.write(&format!("{seed}.json"), trace_json(&settings, &picture.trace).as_bytes())?);
    }
    let mut pictures = Vec::new();
    if let Some((plain_settings, plain, _)) = &plain {
        print_path(&files.write_picture(&format!("{seed}-plain"), &plain.image, plain_settings, plain)?);
        let beside = side_by_side(args, &settings, seed, [&plain.image, &picture.image]);
        print_path(&files.write_picture(&format!("{seed}-compare"), &beside, &settings, &picture)?);
        pictures.push(plain.image.clone());
    }
    if args.shows_steps() {
        let plain = plain.map(|(_, picture, steps)| (picture, steps));
        let command = command_line(std::env::args().skip(1));
        let explanation = explanation(model, prepared, &settings, (&picture, steps), plain, command)?;
        write_figures(args, files, &explanation)?;
    }
    pictures.push(picture.image);
    Ok(pictures)
}
