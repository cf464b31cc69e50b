//! A config of arbitrary text, and the fields that every network asks for.
#![no_main]

use ae_config::Fields;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(fields) = Fields::read("config.json", text) else { return };
    let _ = fields.size("hidden_size", 1, 9);
    let _ = fields.epsilon("norm_eps", 1e-5);
    let _ = fields.or("sizes", vec![1_usize]);
    let _ = fields.fixed(&[("act_fn", "1.0")]);
    let _ = fields.only(&["a"]);
    let _ = fields.part("text_config").map(|part| part.size("a", 1, 2).map_err(|error| error.to_string()));
});
