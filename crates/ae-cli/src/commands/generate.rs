use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ae_figures::FigureError;
use ae_pipeline::{InitImage, Method, Picture, Pipeline, PipelineError, Request, SubjectChoice, prompt_parts};
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};
use indicatif::MultiProgress;

use crate::args::{GenerateArgs, MethodName, Whose};
use crate::drawing::{Drawn, Order, Plain, draw};
use crate::error::CliError;
use crate::explanation::{command_line, explanation};
use crate::interrupts::Interrupts;
use crate::model;
use crate::output::{Files, Record, grid, print_path, say, side_by_side, warn_of_truncation, write_figures};
use crate::painter::Painter;
use crate::recording::Previews;
use crate::requests::{attend_and_excite, request};

/// A grid shows the first pictures of a long run: all of them would not fit into memory, nor on a screen.
const MOST_IN_GRID: usize = 256;

/// Draws with and without guidance, and everything that explains the difference.
pub(crate) fn explain(mut args: GenerateArgs) -> Result<(), CliError> {
    if args.method == MethodName::StableDiffusion {
        let reason = "`explain` compares a method with plain sampling: use `generate --maps` for plain sampling alone";
        return Err(CliError::Usage(reason.to_owned()));
    }
    args.compare = true;
    args.maps = args.maps.or(Some(Whose::Subjects));
    args.animation = true;
    args.report = true;
    generate(&args)
}

/// Draws every seed of every prompt.
pub(crate) fn generate(args: &GenerateArgs) -> Result<(), CliError> {
    let prompts = model::prompts(&args.prompts)?;
    let phrases = model::phrases(args)?;
    let init_image = args.init_image.as_deref().map(read_picture).transpose()?;
    let interrupted = Interrupts::listen()?.flag();
    let (model, embeddings) = (args.prompts.model.as_deref(), &args.prompts.embedding);
    let painters = Painter::load_all(model, embeddings, &args.devices, &args.load, args.quiet, &interrupted)?;
    let pipeline = &painters[0].pipeline;

    let several = prompts.len() > 1;
    let mut drawing = Drawing { args, painters: &painters, pipeline, interrupted, finished: 0 };
    for ((prompt, choice), phrases) in prompts.into_iter().zip(phrases) {
        let method = match args.method {
            MethodName::StableDiffusion => Method::StableDiffusion,
            MethodName::AttendAndExcite => attend_and_excite(&args.guidance, pipeline, choice.clone()),
            MethodName::StructureDiffusion => Method::StructureDiffusion { phrases },
            MethodName::ComposableDiffusion => Method::ComposableDiffusion,
        };
        let request = Request {
            prompt_weighting: args.prompts.prompt_weighting,
            attention_maps: args.shows_steps(),
            init_image: init_image.clone().map(|image| InitImage { image, strength: args.strength }),
            ..request(&args.sampling, pipeline, prompt, method)
        };
        drawing.prompt(&request, &choice).map_err(|error| match error {
            CliError::Pipeline(_) if several => CliError::Prompt { prompt: prompt.to_owned(), error: Box::new(error) },
            other => other,
        })?;
    }
    Ok(())
}

/// Reads a picture, turned as its camera says.
fn read_picture(path: &Path) -> Result<RgbImage, CliError> {
    let read = || {
        let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image.into_rgb8())
    };
    read().map_err(|source| CliError::Picture { path: path.to_owned(), source })
}

/// Whether a prompt looks like one with weights.
fn has_weights(prompt: &str) -> bool {
    let number = |text: &str| text.split(')').next().is_some_and(|number| number.trim().parse::<f32>().is_ok());
    prompt.contains('(') && prompt.split(':').skip(1).any(number) || prompt.contains("((")
}

struct Drawing<'a> {
    args: &'a GenerateArgs,
    painters: &'a [Painter],
    /// Of the first device; all are of one model.
    pipeline: &'a Pipeline,
    interrupted: Arc<AtomicBool>,
    finished: usize,
}

impl Drawing<'_> {
    /// Draws the seeds of one prompt, each written as soon as it is there.
    fn prompt(&mut self, request: &Request, choice: &SubjectChoice) -> Result<(), CliError> {
        let files = Files::new(&self.args.output, &request.prompt);
        if self.args.maps.is_some() || self.args.animation {
            self.check_maps(request, choice)?;
        }
        self.announce(request)?;
        let (args, painters, interrupted) = (self.args, self.painters, Arc::clone(&self.interrupted));
        let GenerateArgs { compare, quiet, verbose, .. } = *args;
        let (seeds, bars) = (&args.seeds.0, &MultiProgress::new());
        let batch_size = args.devices.batch_size.get();
        let record = args.shows_steps().then(|| self.previews(request));
        let interrupted = &*interrupted;
        let order = Order { request, seeds, batch_size, compare, record, quiet, verbose, interrupted, bars };
        // By their place among the seeds: several devices finish them in any order.
        let (mut pictures, mut comparisons) = (BTreeMap::new(), BTreeMap::new());
        let drawn = draw(painters, &order, |Drawn { index, picture, steps, plain }| {
            let seed = picture.seed;
            self.write(&files, &seed.to_string(), &picture.image, request, &picture)?;
            if args.trace {
                let record = Record::new(self.pipeline, request, &picture);
                print_path(&files.write(&format!("{seed}.json"), record.trace_json().as_bytes())?);
            }
            if let Some(Plain { request: plain_request, picture: plain, .. }) = &plain {
                self.write(&files, &format!("{seed}-plain"), &plain.image, plain_request, plain)?;
                let both = side_by_side(&plain.image, &picture.image);
                self.write(&files, &format!("{seed}-compare"), &both, request, &picture)?;
                comparisons.insert(index, both);
            }
            if args.shows_steps() {
                let guided = (&picture, steps);
                let plain = plain.map(|Plain { picture, steps, .. }| (picture, steps));
                let command = command_line(std::env::args().skip(1));
                let explanation = explanation(self.pipeline, request, choice, guided, plain, command)?;
                write_figures(args, &files, &explanation)?;
            }
            pictures.insert(index, picture.image);
            for grid in [&mut pictures, &mut comparisons] {
                grid.retain(|index, _| *index < MOST_IN_GRID);
            }
            Ok(())
        });
        drawn.map_err(|error| match error {
            CliError::Pipeline(PipelineError::Interrupted) => CliError::Interrupted { finished: self.finished },
            error => error,
        })?;
        for (pictures, suffix) in [(pictures, ""), (comparisons, "-compare")] {
            if pictures.len() > 1 {
                let pictures: Vec<_> = pictures.into_values().collect();
                let path = files.write_grid(suffix, &grid(&pictures), &Record::of_grid(self.pipeline, request))?;
                print_path(&path);
            }
        }
        Ok(())
    }

    /// At which steps the latents are decoded, if anything shows them.
    fn previews(&self, request: &Request) -> Previews {
        /// Longest side in pixels of pictures that take no time to decode.
        const SMALL: usize = 256;
        let [height, width] = self.pipeline.default_size();
        let longest = request.height.unwrap_or(height).max(request.width.unwrap_or(width));
        let usual = if longest <= SMALL { 1 } else { 5 };
        Previews::Every(self.args.preview_every.map_or(usual, NonZeroUsize::get))
    }

    /// That there is something whose attention can be shown, before anything is drawn.
    fn check_maps(&self, request: &Request, choice: &SubjectChoice) -> Result<(), CliError> {
        let prompt = self.pipeline.tokenize_for(request, &request.prompt)?.prompt;
        match self.args.maps {
            Some(Whose::All) if prompt.end() > 1 => Ok(()),
            Some(Whose::All) => Err(FigureError::NoToken.into()),
            // What guidance cannot find it names itself.
            _ if request.method != Method::StableDiffusion || choice.resolve(&prompt).is_ok() => Ok(()),
            _ => Err(FigureError::NoSubject.into()),
        }
    }

    /// Says what will be drawn; the subjects aloud where nobody named them.
    fn announce(&self, request: &Request) -> Result<(), CliError> {
        if self.args.quiet {
            return Ok(());
        }
        let prompt = self.pipeline.tokenize_for(request, &request.prompt)?.prompt;
        warn_of_truncation(&prompt);
        if !request.prompt_weighting && has_weights(&request.prompt) {
            say("note: brackets are read as text; --prompt-weighting gives their words weight");
        }
        let quoted = |texts: Vec<String>| texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(", ");
        match &request.method {
            Method::StableDiffusion | Method::Guided { .. } => {}
            Method::StructureDiffusion { phrases } => {
                let phrases: Vec<_> = phrases.resolve(&prompt)?.into_iter().map(|phrase| phrase.text).collect();
                let phrases =
                    if phrases.is_empty() { "none, as by plain sampling".to_owned() } else { quoted(phrases) };
                say(&format!("phrases: {phrases}"));
            }
            Method::ComposableDiffusion => {
                let parts = prompt_parts(&request.prompt)?.into_iter().map(|part| part.text).collect();
                say(&format!("parts: {}", quoted(parts)));
            }
            Method::AttendAndExcite { subjects: choice, .. } => {
                let subjects = choice.resolve(&prompt)?;
                let names: Vec<_> = subjects
                    .iter()
                    .map(|subject| {
                        let positions: Vec<_> = subject.positions.iter().map(usize::to_string).collect();
                        format!("{} ({})", subject.text, positions.join("+"))
                    })
                    .collect();
                let hint = if *choice == SubjectChoice::Auto {
                    ", chosen from the prompt; --subjects names others"
                } else {
                    ""
                };
                say(&format!("subjects: {}{hint}", names.join(", ")));
            }
        }
        if self.args.verbose {
            say(&format!("settings: {}", Record::of_grid(self.pipeline, request).settings_json()));
        }
        Ok(())
    }

    fn write(
        &mut self,
        files: &Files,
        name: &str,
        image: &RgbImage,
        request: &Request,
        picture: &Picture,
    ) -> Result<(), CliError> {
        let path = files.write_picture(name, image, &Record::new(self.pipeline, request, picture))?;
        self.finished += 1;
        print_path(&path);
        Ok(())
    }
}
