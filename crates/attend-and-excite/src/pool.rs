use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use crate::{Error, LoadedModel};

/// Works through units on every model at once: each unit once, by whichever model is free. `receive` gets every result as soon as
/// it is there, in any order.
///
/// The first error, of `work` or of `receive`, ends the others: `work` gets a flag that is set then, and must look at it.
///
/// # Errors
///
/// The first error, or a thread that cannot be started.
pub fn work_through<U: Sync, R: Send, E: Send + From<Error>>(
    models: &[LoadedModel],
    units: &[U],
    work: impl Fn(&LoadedModel, &U, &AtomicBool) -> Result<R, E> + Sync,
    mut receive: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for model in models {
            let (sender, next, stop, work) = (sender.clone(), &next, &stop, &work);
            let work_on = move || {
                while let Some(unit) = units.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let result = work(model, unit, stop);
                    // Nobody listens any more where another has failed.
                    if result.is_err() | sender.send(result).is_err() {
                        break;
                    }
                }
            };
            let started = thread::Builder::new().stack_size(LoadedModel::STACK).spawn_scoped(scope, work_on);
            if let Err(error) = started {
                stop.store(true, Ordering::SeqCst);
                return Err(Error::Thread(error).into());
            }
        }
        drop(sender);
        let result = receiver.iter().try_for_each(|result| receive(result?));
        stop.store(true, Ordering::SeqCst);
        result
    })
}
