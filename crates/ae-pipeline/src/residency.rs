use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use ae_checkpoint::Checkpoint;
use ae_tensor::check_files;
use burn::tensor::Device;

use crate::LoadError;

type Load<T> = dyn Fn() -> Result<T, LoadError> + Send + Sync;

/// A network that stays on its device, or is there only while it works. Clones share its weights.
///
/// Of one that stays the pages of mapped files go back to the system when it has worked: while one network works, the others need no
/// memory, and they find their weights in the system's cache again.
#[derive(Clone)]
pub(crate) enum Residency<T> {
    Resident { network: T, weights: Checkpoint },
    WhileNeeded { load: Arc<Load<T>>, device: Device },
}

impl<T> Residency<T> {
    /// Loads the network now and keeps it, or with `low_memory` at each use.
    pub(crate) fn new(
        low_memory: bool,
        device: &Device,
        weights: &Checkpoint,
        load: impl Fn() -> Result<T, LoadError> + Send + Sync + 'static,
    ) -> Result<Self, LoadError> {
        if low_memory {
            return Ok(Self::WhileNeeded { load: Arc::new(load), device: device.clone() });
        }
        load().map(|network| Self::of(network, weights))
    }

    /// A network that was loaded from these weights.
    pub(crate) fn of(network: T, weights: &Checkpoint) -> Self {
        weights.give_back_pages();
        Self::Resident { network, weights: weights.clone() }
    }

    /// The network, if it stays on its device.
    pub(crate) fn resident(&self) -> Option<&T> {
        match self {
            Self::Resident { network, .. } => Some(network),
            Self::WhileNeeded { .. } => None,
        }
    }

    /// The network, on its device until the value is dropped; an error where its mapped file was cut since it was loaded.
    pub(crate) fn get(&self) -> Result<Present<'_, T>, LoadError> {
        match self {
            Self::Resident { network, weights } => {
                check_files(weights)?;
                Ok(Present::Resident { network, _pages: Pages(weights) })
            }
            Self::WhileNeeded { load, device } => Ok(Present::Borrowed { network: load()?, _cleanup: Cleanup(device) }),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Residency<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resident { network, .. } => f.debug_tuple("Resident").field(network).finish(),
            Self::WhileNeeded { device, .. } => f.debug_tuple("WhileNeeded").field(device).finish(),
        }
    }
}

/// A network while it is on its device.
pub(crate) enum Present<'a, T> {
    Resident {
        network: &'a T,
        _pages: Pages<'a>,
    },
    /// Loaded for this use. The network goes first, as the fields are dropped in their order.
    Borrowed {
        network: T,
        _cleanup: Cleanup<'a>,
    },
}

/// A device that gives memory back when this is dropped: a GPU's runtime keeps the pages for itself otherwise.
pub(crate) struct Cleanup<'a>(&'a Device);

/// Weights whose pages go back to the system when this is dropped.
pub(crate) struct Pages<'a>(&'a Checkpoint);

impl Drop for Pages<'_> {
    fn drop(&mut self) {
        self.0.give_back_pages();
    }
}

impl<T> Deref for Present<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Resident { network, .. } => network,
            Self::Borrowed { network, .. } => network,
        }
    }
}

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        self.0.memory_cleanup();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_resident_is_loaded_once_and_another_at_each_use() {
        for (low_memory, before, after) in [(false, 1, 1), (true, 0, 2)] {
            let loads = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&loads);
            let load = move || {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok("network")
            };
            let residency = Residency::new(low_memory, &Device::flex(), &Checkpoint::default(), load).unwrap();
            assert_eq!(loads.load(Ordering::SeqCst), before);
            for _ in 0..2 {
                assert_eq!(*residency.get().unwrap(), "network");
            }
            assert_eq!(loads.load(Ordering::SeqCst), after);
        }
    }
}
