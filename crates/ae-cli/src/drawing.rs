//! Drawing the seeds of a prompt on one device or several.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use ae_figures::Step;
use ae_pipeline::{Event, Method, Picture, PipelineError, Request};
use indicatif::MultiProgress;

use crate::error::CliError;
use crate::output::Progress;
use crate::painter::Painter;
use crate::recording::{Previews, Recorder};

/// What shall be drawn.
pub(crate) struct Order<'a> {
    pub(crate) request: &'a Request,
    pub(crate) seeds: &'a [u64],
    /// Pictures drawn together.
    pub(crate) batch_size: usize,
    /// Also the plain picture of every seed.
    pub(crate) compare: bool,
    /// Keep the steps for figures.
    pub(crate) record: Option<Previews>,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    /// Set when the user wants to stop.
    pub(crate) interrupted: &'a AtomicBool,
    /// Where the bars of the devices stand together.
    pub(crate) bars: &'a MultiProgress,
}

/// The pictures of one seed.
pub(crate) struct Drawn {
    /// Its place among the seeds.
    pub(crate) index: usize,
    pub(crate) picture: Picture,
    /// Every step; none unless they are kept.
    pub(crate) steps: Vec<Step>,
    /// Without guidance, if it was asked for.
    pub(crate) plain: Option<Plain>,
}

/// The plain picture of a seed.
pub(crate) struct Plain {
    pub(crate) request: Request,
    pub(crate) picture: Picture,
    /// Every step; none unless they are kept.
    pub(crate) steps: Vec<Step>,
}

/// Draws every seed once, on whichever device is free, and hands over each as soon as it is there.
///
/// The first error, of drawing or of `receive`, ends the others.
pub(crate) fn draw(
    painters: &[Painter],
    order: &Order<'_>,
    mut receive: impl FnMut(Drawn) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for painter in painters {
            let several = painters.len() > 1;
            let worker = Worker { painter, order, next: &next, stop: &stop, several, sender: sender.clone() };
            let started = thread::Builder::new().stack_size(Painter::STACK).spawn_scoped(scope, move || worker.work());
            if let Err(error) = started {
                stop.store(true, Ordering::SeqCst);
                return Err(CliError::Thread(error));
            }
        }
        drop(sender);
        let result = collect(&receiver, &mut receive);
        stop.store(true, Ordering::SeqCst);
        result
    })
}

fn collect(
    receiver: &Receiver<Result<Drawn, PipelineError>>,
    receive: &mut impl FnMut(Drawn) -> Result<(), CliError>,
) -> Result<(), CliError> {
    for drawn in receiver {
        receive(drawn?)?;
    }
    Ok(())
}

/// A device at work.
struct Worker<'a> {
    painter: &'a Painter,
    order: &'a Order<'a>,
    /// The next batch that nobody draws yet.
    next: &'a AtomicUsize,
    /// Set when another has failed.
    stop: &'a AtomicBool,
    several: bool,
    sender: Sender<Result<Drawn, PipelineError>>,
}

impl Worker<'_> {
    fn work(&self) {
        loop {
            let batch = self.next.fetch_add(1, Ordering::SeqCst);
            let Some(seeds) = self.order.seeds.chunks(self.order.batch_size).nth(batch) else { break };
            // Nobody listens any more where another has failed.
            let sent = match self.draw(batch * self.order.batch_size, seeds) {
                Ok(drawn) => drawn.into_iter().all(|drawn| self.sender.send(Ok(drawn)).is_ok()),
                Err(error) => {
                    let _ = self.sender.send(Err(error));
                    false
                }
            };
            if !sent {
                break;
            }
        }
    }

    /// The pictures of seeds of which the first has the place `first`.
    fn draw(&self, first: usize, seeds: &[u64]) -> Result<Vec<Drawn>, PipelineError> {
        let request = Request { seeds: seeds.to_vec(), ..self.order.request.clone() };
        let pictures = self.pictures(&request)?;
        let mut plain = Vec::new();
        if self.order.compare {
            let request = Request { method: Method::StableDiffusion, ..request };
            let pictures = self.pictures(&request)?;
            plain.extend(pictures.into_iter().map(|(picture, steps)| Plain {
                request: request.clone(),
                picture,
                steps,
            }));
        }
        let mut plain = plain.into_iter();
        let drawn = |(index, (picture, steps))| Drawn { index: first + index, picture, steps, plain: plain.next() };
        Ok(pictures.into_iter().enumerate().map(drawn).collect())
    }

    /// The pictures, each with its steps if they are kept.
    fn pictures(&self, request: &Request) -> Result<Vec<(Picture, Vec<Step>)>, PipelineError> {
        let Order { quiet, verbose, interrupted, bars, .. } = *self.order;
        let place = if self.several { format!(" on {}", self.painter.device) } else { String::new() };
        let mut progress = Progress::new(quiet, verbose, &request.seeds, &place, bars);
        let record = |previews| Recorder::new(&self.painter.pipeline, request, previews);
        let mut recorder = self.order.record.map(record).transpose()?;
        let mut observe = |event: Event<'_>| {
            progress.show(&event);
            if let Some(recorder) = &mut recorder {
                recorder.observe(&event)?;
            }
            let ends = interrupted.load(Ordering::SeqCst) || self.stop.load(Ordering::SeqCst);
            if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let output = self.painter.pipeline.generate(request, &mut observe);
        progress.finish();
        let steps = recorder.map_or(Ok(Vec::new()), Recorder::finish)?;
        let mut steps = steps.into_iter();
        Ok(output?.pictures.into_iter().map(|picture| (picture, steps.next().unwrap_or_default())).collect())
    }
}
