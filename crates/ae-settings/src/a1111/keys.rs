//! The fields that are not options of ours: which change nothing, and why the others cannot be honoured.

use super::unsupported::Unsupported;

/// Fields that say nothing of the pixels: records, places in a batch, texts that the prompt was made of, lists of hashes.
const RECORDS: [&str; 16] = [
    "Version",
    "User",
    "Lora hashes",
    "TI hashes",
    "Hashes",
    "Civitai resources",
    "Civitai metadata",
    "Created Date",
    "Batch size",
    "Batch pos",
    "Template",
    "Negative Template",
    "Wildcard prompt",
    "Wildcard negative prompt",
    "Init image hash",
    "Cache FP16 weight for LoRA",
];

/// Fields with the values at which they change nothing.
const NEUTRAL: [(&str, &[&str]); 28] = [
    ("Conditional mask weight", &["1"]),
    ("Discard penultimate sigma", &["False"]),
    ("Downcast alphas_cumprod", &["False"]),
    ("ENSD", &["0"]),
    ("Eta", &["1"]),
    ("Extra noise", &["0"]),
    ("FP8 weight", &["Disable"]),
    ("Face restoration", &["False", "None"]),
    ("NGMS", &["0"]),
    ("Noise multiplier", &["1"]),
    ("Old prompt editing timelines", &["False"]),
    ("Schedule max sigma", &["0"]),
    ("Schedule min sigma", &["0"]),
    ("Schedule rho", &["0"]),
    ("Seed resize from", &["0x0", "-1x-1"]),
    ("Sigma churn", &["0"]),
    ("Sigma noise", &["1"]),
    ("Sigma tmax", &["0"]),
    ("Sigma tmin", &["0"]),
    ("Skip Early CFG", &["0"]),
    ("Tiling", &["False"]),
    ("Token merging ratio", &["0"]),
    ("Token merging ratio hr", &["0"]),
    ("Use old emphasis implementation", &["False"]),
    ("VAE", &["None", "Automatic"]),
    ("VAE Decoder", &["Full"]),
    ("VAE Encoder", &["Full"]),
    ("Variation seed strength", &["0"]),
];

/// The beginnings of names, and the reason why such a field cannot be honoured.
const REASONS: [(&str, &str); 16] = [
    ("ADetailer", "parts of the picture were drawn anew"),
    ("ControlNet", "another network led the picture"),
    ("ENSD", "the noise between the steps had another seed"),
    ("Eta", "the noise between the steps had another strength"),
    ("Face restoration", "faces were drawn anew by another network"),
    ("First pass size", "there was a second pass at a higher resolution"),
    ("Hires", "there was a second pass at a higher resolution"),
    ("Hypernet", "this kind of network is not known"),
    ("Mask", "a part of the picture was drawn anew, not from what was there"),
    ("Refiner", "a second model drew the last steps"),
    ("Seed resize from", "the noise was made for another size"),
    ("Tiling", "the picture was made to continue at its edges"),
    ("Token merging ratio", "tokens of the picture were merged"),
    ("Used embeddings", "their hashes are not of files; give them by name"),
    ("Variation seed", "the noise was mixed of two seeds"),
    ("VAE", "latents were made or decoded by another network"),
];

/// Judges a field that is not an option of ours.
///
/// `draws_noise` says whether the sampler draws noise between its steps, and `varies` whether a second seed has a share.
pub(super) fn judge(name: &str, value: &str, draws_noise: bool, varies: bool) -> Option<Unsupported> {
    let changes_nothing = RECORDS.contains(&name)
        || NEUTRAL.iter().any(|(field, values)| *field == name && values.iter().any(|neutral| equal(value, neutral)))
        || (name == "ENSD" && !draws_noise)
        || (name == "Variation seed" && !varies);
    if changes_nothing {
        return None;
    }
    let reason = REASONS.iter().find(|(begin, _)| name.starts_with(begin));
    let reason = reason.map_or("this field is not known", |(_, reason)| reason);
    let settled_by: &[&str] = if name == "Used embeddings" { &["embeddings"] } else { &[] };
    Some(Unsupported::new(name, value, reason).settled_by(settled_by))
}

/// Whether two values are the same text in any case, or the same number.
fn equal(value: &str, other: &str) -> bool {
    let same_number = || Some(value.parse::<f64>().ok()?.total_cmp(&other.parse().ok()?).is_eq());
    value.eq_ignore_ascii_case(other) || same_number() == Some(true)
}
