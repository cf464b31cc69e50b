use std::io::{self, Write};

use ae_files::png_chunks;
use ae_pipeline::Subject;
use ae_settings::{Settings, a1111};
use image::RgbImage;
use serde_json::Value;

/// Writes an image as a PNG file with all that draws it again, and the parameters that other programs read.
///
/// `subjects` are those that were guided.
///
/// # Errors
///
/// What `out` says.
pub fn write_png(out: impl Write, image: &RgbImage, settings: &Settings, subjects: &[Subject]) -> io::Result<()> {
    let subjects: Vec<_> = subjects.iter().map(|subject| subject.text.as_str()).collect();
    let chunks = [
        ("Software", format!("attend-and-excite-rs {}", settings.version)),
        ("prompt", settings.prompt.clone()),
        ("negative_prompt", settings.negative_prompt.clone()),
        ("subjects", subjects.join(", ")),
        ("seed", settings.seed.to_string()),
        ("model", settings.model.clone().unwrap_or_default()),
        ("settings", Value::Object(settings.to_json()).to_string()),
        ("parameters", a1111::write(settings)),
    ];
    png_chunks::write(out, image.dimensions().into(), image.as_raw(), &chunks)
}

/// A call of `ae` as one types it, without `--output`: where one's own pictures lie is nobody else's, and changes none.
pub fn command_line(arguments: impl IntoIterator<Item = String>) -> String {
    let mut is_folder = false;
    let arguments = arguments.into_iter().filter(|argument| {
        let is_value = std::mem::replace(&mut is_folder, argument == "--output");
        !is_value && !is_folder && !argument.starts_with("--output=")
    });
    let quoted = arguments.map(|argument| {
        // NUL cannot be in an argument; nothing else is refused.
        shlex::try_quote(&argument).map_or_else(|_| argument.clone(), std::borrow::Cow::into_owned)
    });
    std::iter::once("ae".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_quoted_and_without_the_folder() {
        let line = |arguments: &[&str]| command_line(arguments.iter().map(|argument| (*argument).to_owned()));
        assert_eq!(line(&["generate", "--prompt", "a cat"]), "ae generate --prompt 'a cat'");
        let with_folder = ["generate", "--output", "/home/me/secret", "--seeds", "7", "--output=b c", "--report"];
        assert_eq!(line(&with_folder), "ae generate --seeds 7 --report");
        assert_eq!(line(&["generate", "--output"]), "ae generate");
    }
}
