//! Settings of arbitrary text: ours as JSON, and those of other programs.
#![no_main]

use ae_settings::{Overrides, a1111, comfyui, invokeai, novelai};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = a1111::read(text);
    let _ = (comfyui::read(text), invokeai::read(text), invokeai::read_old(text), novelai::read(text, text, text));
    let Ok(value) = serde_json::from_str(text) else { return };
    let Ok(overrides) = Overrides::from_json(&value) else { return };
    // What was read is written and read again.
    let again = Overrides::from_json(&serde_json::Value::Object(overrides.to_json()));
    assert_eq!(again.as_ref(), Ok(&overrides));
});
