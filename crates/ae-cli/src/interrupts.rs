use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::CliError;

/// Ctrl-C and SIGTERM: the first asks for an end, the second ends the program.
pub(crate) struct Interrupts {
    seen: Arc<AtomicBool>,
    action: Arc<Mutex<Option<Action>>>,
}

type Action = Box<dyn FnOnce() + Send>;

impl Interrupts {
    pub(crate) fn listen() -> Result<Self, CliError> {
        let interrupts = Self { seen: Arc::default(), action: Arc::default() };
        let (seen, action) = (Arc::clone(&interrupts.seen), Arc::clone(&interrupts.action));
        ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::SeqCst) {
                std::process::exit(1);
            }
            if let Some(action) = lock(&action).take() {
                action();
            }
        })?;
        Ok(interrupts)
    }

    /// Set at the first, for work that looks at it between two steps.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.seen)
    }

    /// What the first does; at once where it has come already.
    pub(crate) fn on_first(&self, action: impl FnOnce() + Send + 'static) {
        let mut place = lock(&self.action);
        if self.seen.load(Ordering::SeqCst) {
            action();
        } else {
            *place = Some(Box::new(action));
        }
    }
}

fn lock(action: &Mutex<Option<Action>>) -> MutexGuard<'_, Option<Action>> {
    action.lock().unwrap_or_else(PoisonError::into_inner)
}
