use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{HubError, Progress, Waiting};

/// How often a listener is asked during a wait.
const TICK: Duration = Duration::from_millis(100);

/// How much trouble is borne before it is reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Tries in a row, the first one included.
    pub(crate) tries: u32,
    /// The wait before the second try; it doubles with every further one.
    pub(crate) first_wait: Duration,
    /// The longest wait that a server may ask for.
    pub(crate) longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 5, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(90) }
    }
}

/// When a failed request is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    Soon,
    /// Not before the server's `Retry-After`.
    After(Duration),
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: HubError,
    pub(crate) retry: Retry,
    /// Enough arrived before the failure that the tries count anew.
    pub(crate) progressed: bool,
}

impl Failure {
    pub(crate) fn new(error: HubError, retry: Retry) -> Self {
        Self { error, retry, progressed: false }
    }
}

impl From<HubError> for Failure {
    /// A failure that another try would not mend.
    fn from(error: HubError) -> Self {
        Self::new(error, Retry::Never)
    }
}

/// Makes a request until it succeeds, is pointless, or patience runs out.
pub(crate) fn with_retries<T>(
    patience: Patience,
    progress: &mut dyn Progress,
    mut attempt: impl FnMut(&mut dyn Progress) -> Result<T, Failure>,
) -> Result<T, HubError> {
    let mut failed = 0;
    loop {
        let failure = match attempt(progress) {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        failed = if failure.progressed { 1 } else { failed + 1 };
        let wait = match failure.retry {
            Retry::Never => return Err(failure.error),
            Retry::After(wait) if wait > patience.longest_wait => return Err(failure.error),
            Retry::After(wait) => wait,
            Retry::Soon => patience.first_wait * 2_u32.saturating_pow(failed - 1),
        };
        if failed >= patience.tries {
            return Err(failure.error);
        }
        pause(wait, Waiting::Retry { cause: &failure.error, wait }, progress)?;
    }
}

/// Makes a request in a thread of its own, which is left to itself when the listener ends the fetch before there is an answer.
pub(crate) fn ask<T: Send + 'static>(
    progress: &mut dyn Progress,
    request: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        // Nobody may wait any more.
        let _ = sender.send(request());
    });
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if progress.waiting(Waiting::Answer).is_break() => {
                return Err(HubError::Cancelled.into());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Ok(()) => unreachable!("the thread sends before it ends"),
                Err(panic) => std::panic::resume_unwind(panic),
            },
        }
    }
}

/// Sleeps while the listener may still end the fetch.
pub(crate) fn pause(wait: Duration, waiting: Waiting<'_>, progress: &mut dyn Progress) -> Result<(), HubError> {
    let end = Instant::now() + wait;
    loop {
        if progress.waiting(waiting).is_break() {
            return Err(HubError::Cancelled);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(TICK));
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    const QUICK: Patience =
        Patience { tries: 3, first_wait: Duration::from_millis(1), longest_wait: Duration::from_secs(1) };

    fn failure(retry: Retry) -> Failure {
        Failure::new(HubError::Server { host: "hub".to_owned(), status: 500 }, retry)
    }

    #[test]
    fn a_failure_is_tried_again_as_often_as_patience_allows() {
        let mut tries = 0;
        let result = with_retries::<()>(QUICK, &mut (), |_| {
            tries += 1;
            Err(failure(Retry::Soon))
        });
        assert!(result.is_err());
        assert_eq!(tries, 3);
    }

    #[test]
    fn tries_count_anew_after_progress() {
        let mut tries = 0;
        let result = with_retries(QUICK, &mut (), |_| {
            tries += 1;
            if tries < 10 { Err(Failure { progressed: true, ..failure(Retry::Soon) }) } else { Ok(tries) }
        });
        assert_eq!(result.unwrap(), 10);
    }

    #[test]
    fn a_wait_beyond_patience_is_an_error_at_once() {
        let mut tries = 0;
        let result = with_retries::<()>(QUICK, &mut (), |_| {
            tries += 1;
            Err(failure(Retry::After(Duration::from_hours(1))))
        });
        assert!(result.is_err());
        assert_eq!(tries, 1);
    }

    struct Impatient;
    impl Progress for Impatient {
        fn waiting(&mut self, _: Waiting<'_>) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }

    #[test]
    fn a_listener_can_end_a_request_that_is_not_answered() {
        let start = Instant::now();
        let never = || -> Result<(), Failure> {
            thread::sleep(Duration::from_secs(20));
            Ok(())
        };
        assert!(matches!(ask(&mut Impatient, never), Err(Failure { error: HubError::Cancelled, .. })));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(matches!(ask(&mut Impatient, || Ok(3)), Ok(3)));
    }

    #[test]
    fn a_listener_can_end_a_wait() {
        let result = with_retries::<()>(QUICK, &mut Impatient, |_| Err(failure(Retry::After(Duration::from_secs(1)))));
        assert!(matches!(result, Err(HubError::Cancelled)));
    }
}
