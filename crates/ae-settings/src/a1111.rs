//! The `parameters` text of AUTOMATIC1111's program, which many programs and sites read and write.
//!
//! ```text
//! a cat and a dog <lora:sketch:0.8>
//! Negative prompt: blurry
//! Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 3, Size: 512x512, Model hash: 6ce0161689
//! ```
//!
//! [`write()`] makes the text of a picture, [`read`] reads the text of any picture. What that program's keys cannot say stands
//! in a key of its own, [`OWN_KEY`], as JSON.
//!
//! The syntax of its prompts is here too, but for the weights of words, which the tokenizer reads: [`without_comments`],
//! [`take_networks`], [`composed_parts`] and [`prompt_schedule`], in this order.
//!
//! The format is that of `create_infotext` (`modules/processing.py`) and `parse_generation_parameters`
//! (`modules/infotext_utils.py`) of version 1.10.

mod composition;
mod fields;
mod keys;
mod prompt;
mod read;
pub(crate) mod sampler;
mod schedule;
mod unsupported;
mod write;

pub use composition::{PartWeightError, composed_parts};
pub use fields::named_values;
pub use prompt::{Construct, ConstructKind, Networks, constructs, take_networks, without_comments};
pub use read::{Reading, read};
pub use schedule::{ScheduleError, prompt_schedule};
pub use unsupported::{Unsupported, UnsupportedValues};
pub use write::write;

/// The key whose value is a JSON object with the settings that have no key in AUTOMATIC1111's program, such as the method and
/// its subjects.
pub const OWN_KEY: &str = "Attend-and-Excite";

/// The value of `Mask mode` where the black of the mask is drawn anew.
const MASK_INVERTED: &str = "Inpaint not masked";

/// The value of `Inpaint area` where the part around the mask is drawn alone.
const ONLY_MASKED: &str = "Only masked";

/// The beginning of `Version` in the texts of this program. The others imply what AUTOMATIC1111's program does.
const OWN_VERSION: &str = "attend-and-excite-rs";

/// The endings of files with weights, which AUTOMATIC1111's program leaves out of most names.
const ENDINGS: [&str; 4] = [".safetensors", ".ckpt", ".pt", ".bin"];

/// The digits of a SHA-256 in its texts.
const SHORT_HASH: usize = 10;

/// The base name of a file without the ending of weights.
fn stem(name: &str) -> &str {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    ENDINGS.iter().find_map(|ending| base.strip_suffix(ending)).unwrap_or(base)
}
