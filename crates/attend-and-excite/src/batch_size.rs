use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use ae_files::SystemMemory;
use ae_pipeline::Prepared;
use ae_tensor::DeviceSpec;

use crate::LoadedModel;

/// Number of pictures that are drawn together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchSize {
    /// As many as make pictures faster and as fit into the free memory.
    #[default]
    Auto,
    /// So many, or what fits into the free memory where that is less.
    Of(NonZeroUsize),
}

/// Most pictures of a batch: beyond what any device draws at a time, memory would be the first to say so.
const MOST: usize = 256;

/// Pictures that are drawn together unasked...
const UNASKED: usize = 8;
/// ... with latents of so many pixels or fewer, of which one alone leaves a core waiting (docs/performance.md).
const SMALL: usize = 32 * 32;

impl BatchSize {
    const AUTO: &str = "auto";

    /// The number of pictures of a request that each of some models draws together, and what is to be said of it.
    ///
    /// Models on the CPU share its free memory, where the system tells it. That of a GPU is not known here: `Auto` is one picture there, and
    /// another number is taken as it is.
    ///
    /// # Panics
    ///
    /// When there is no model.
    pub fn on(self, models: &[LoadedModel], prepared: &Prepared) -> (usize, Option<String>) {
        let seeds = prepared.seeds().len();
        let on_cpu = models.iter().filter(|model| model.device == DeviceSpec::CPU).count();
        let wanted = match self {
            Self::Of(size) => size.get().min(seeds),
            Self::Auto if on_cpu < models.len() => 1,
            Self::Auto => evenly(seeds, models.len(), unasked(prepared.latent_size())),
        };
        let Some(memory) = SystemMemory::read().filter(|_| on_cpu > 0) else { return (wanted, None) };
        let free = memory.available / on_cpu as u64;
        let needed = |pictures| models[0].pipeline.memory(prepared, pictures);
        let fitting = fitting(wanted, free, needed);
        let is_short = if self == Self::Auto { needed(fitting) > free } else { needed(wanted) > free };
        let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let note = is_short.then(|| {
            let (needed, free) = (gigabytes(needed(wanted)), gigabytes(free));
            let pictures =
                if wanted == 1 { "one picture takes".to_owned() } else { format!("{wanted} pictures together take") };
            format!("{pictures} about {needed} of memory, and {free} are free: {fitting} at a time")
        });
        (fitting, note)
    }
}

/// Pictures, of latents of this size, that are drawn together unasked.
fn unasked([rows, cols]: [usize; 2]) -> usize {
    if rows * cols <= SMALL { UNASKED } else { 1 }
}

/// The size of batches of which none has more than `most` pictures, every model has one, and the last is hardly smaller.
fn evenly(pictures: usize, models: usize, most: usize) -> usize {
    let batches = pictures.div_ceil(most).max(models.min(pictures));
    pictures.div_ceil(batches)
}

/// The most pictures, of `wanted`, that need no more than the free memory; one in any case.
fn fitting(wanted: usize, free: u64, needed: impl Fn(usize) -> u64) -> usize {
    (1..=wanted).rev().find(|pictures| needed(*pictures) <= free).unwrap_or(1)
}

impl FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == Self::AUTO {
            return Ok(Self::Auto);
        }
        let size = text.parse().ok().filter(|size: &NonZeroUsize| size.get() <= MOST);
        size.map(Self::Of).ok_or_else(|| format!("expected auto, or a number from 1 to {MOST}"))
    }
}

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(Self::AUTO),
            Self::Of(size) => size.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_by_a_message() {
        for text in ["auto", "1", "256"] {
            assert_eq!(text.parse::<BatchSize>().unwrap().to_string(), text);
        }
        for wrong in ["0", "257", "18446744073709551615", "-1", "", "x", "Auto"] {
            assert_eq!(wrong.parse::<BatchSize>().unwrap_err(), "expected auto, or a number from 1 to 256");
        }
    }

    #[test]
    fn pictures_are_shared_out_evenly() {
        for (pictures, models, most, expected) in
            [(1, 1, 8, 1), (8, 1, 8, 8), (9, 1, 8, 5), (4, 2, 8, 2), (3, 2, 8, 2), (2, 4, 8, 1), (17, 1, 1, 1)]
        {
            assert_eq!(evenly(pictures, models, most), expected, "{pictures} on {models}");
        }
    }

    #[test]
    fn small_pictures_are_drawn_together_and_large_ones_alone() {
        for (size, expected) in [([32, 32], 8), ([8, 8], 8), ([64, 16], 8), ([33, 32], 1), ([64, 64], 1)] {
            assert_eq!(unasked(size), expected, "{size:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_made_smaller_but_never_nothing() {
        let needed = |pictures| 100 + 10 * pictures as u64;
        assert_eq!([180, 179, 110, 0].map(|free| fitting(8, free, needed)), [8, 7, 1, 1]);
    }
}
