//! Drawing the seeds of a prompt on one device or several.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use ae_pipeline::{Event, Method, Picture, Pipeline, PipelineError, Request};
use ae_tensor::DeviceSpec;
use indicatif::MultiProgress;

use crate::error::CliError;
use crate::output::Progress;

/// A model on a device.
pub(crate) struct Painter {
    pub(crate) device: DeviceSpec,
    pub(crate) pipeline: Pipeline,
}

/// What shall be drawn.
pub(crate) struct Order<'a> {
    pub(crate) request: &'a Request,
    pub(crate) seeds: &'a [u64],
    /// Also the plain picture of every seed.
    pub(crate) compare: bool,
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
    /// Without guidance, if it was asked for.
    pub(crate) plain: Option<(Request, Picture)>,
}

/// Draws every seed once, on whichever device is free, and hands over each as soon as it is there.
///
/// The first error, of drawing or of `receive`, ends the others.
pub(crate) fn draw(
    painters: &[Painter],
    order: &Order<'_>,
    mut receive: impl FnMut(Drawn) -> Result<(), CliError>,
) -> Result<(), CliError> {
    /// As the main thread has; the graphs of a backward pass are deep.
    const STACK: usize = 8 << 20;
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for painter in painters {
            let several = painters.len() > 1;
            let worker = Worker { painter, order, next: &next, stop: &stop, several, sender: sender.clone() };
            let started = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || worker.work());
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
    /// The next seed that nobody draws yet.
    next: &'a AtomicUsize,
    /// Set when another has failed.
    stop: &'a AtomicBool,
    several: bool,
    sender: Sender<Result<Drawn, PipelineError>>,
}

impl Worker<'_> {
    fn work(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::SeqCst);
            let Some(&seed) = self.order.seeds.get(index) else { break };
            let drawn = self.draw(index, seed);
            let failed = drawn.is_err();
            // Nobody listens any more where another has failed.
            if self.sender.send(drawn).is_err() || failed {
                break;
            }
        }
    }

    fn draw(&self, index: usize, seed: u64) -> Result<Drawn, PipelineError> {
        let request = Request { seeds: vec![seed], ..self.order.request.clone() };
        let picture = self.picture(&request)?;
        let mut plain = None;
        if self.order.compare {
            let request = Request { method: Method::StableDiffusion, ..request };
            let picture = self.picture(&request)?;
            plain = Some((request, picture));
        }
        Ok(Drawn { index, picture, plain })
    }

    fn picture(&self, request: &Request) -> Result<Picture, PipelineError> {
        let Order { quiet, verbose, interrupted, bars, .. } = *self.order;
        let place = if self.several { format!(" on {}", self.painter.device) } else { String::new() };
        let name = format!("seed {}{place}", request.seeds[0]);
        let mut progress = Progress::new(quiet, verbose, name, bars);
        let mut observe = |event: Event<'_>| {
            progress.show(&event);
            let ends = interrupted.load(Ordering::SeqCst) || self.stop.load(Ordering::SeqCst);
            if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let output = self.painter.pipeline.generate(request, &mut observe);
        progress.finish();
        Ok(output?.pictures.remove(0))
    }
}
