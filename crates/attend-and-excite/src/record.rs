use ae_settings::Settings;
use serde_json::Value;

/// Keys and texts for the file of an image: all that draws it again, and what other programs read.
///
/// `subjects` are the words that were guided.
pub fn text_chunks(settings: &Settings, subjects: &[String]) -> Vec<(&'static str, String)> {
    let chunks = [
        ("Software", format!("attend-and-excite-rs {}", settings.version)),
        ("prompt", settings.prompt.clone()),
        ("negative_prompt", settings.negative_prompt.clone()),
        ("subjects", subjects.join(", ")),
        ("seed", settings.seed.to_string()),
        ("model", settings.model.clone().unwrap_or_default()),
        ("settings", Value::Object(settings.to_json()).to_string()),
    ];
    // A text chunk holds no NUL; the settings escape it.
    chunks.into_iter().map(|(key, text)| (key, text.replace('\0', "\u{fffd}"))).collect()
}

/// A call of `ae` as one types it.
pub fn command_line(arguments: impl IntoIterator<Item = String>) -> String {
    let quoted = arguments.into_iter().map(|argument| {
        // NUL cannot be in an argument; nothing else is refused.
        shlex::try_quote(&argument).map_or_else(|_| argument.clone(), std::borrow::Cow::into_owned)
    });
    std::iter::once("ae".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}
