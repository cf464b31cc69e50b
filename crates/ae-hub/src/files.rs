use std::collections::BTreeSet;

use crate::{HubError, ModelId};

/// The file that makes a folder a pipeline of diffusers.
pub(crate) const MODEL_INDEX: &str = "model_index.json";
/// What every Stable Diffusion pipeline has besides weights and tokenizer.
const CONFIGS: [&str; 5] =
    [MODEL_INDEX, "scheduler/scheduler_config.json", "text_encoder/config.json", "unet/config.json", "vae/config.json"];
/// Attend-and-Excite's own settings, which some repositories have.
const OPTIONAL_CONFIG: &str = "attend_and_excite.json";
/// Two of these files or one of those make a tokenizer.
const SLOW_TOKENIZER: [&str; 2] = ["tokenizer/vocab.json", "tokenizer/merges.txt"];
const FAST_TOKENIZER: &str = "tokenizer/tokenizer.json";
/// The folders in which the files lie, `""` for the top.
pub(crate) const FOLDERS: [&str; 6] = ["", "scheduler", "tokenizer", "text_encoder", "vae", "unet"];

/// The parts of the pipeline that have weights: their folders, and the names under which diffusers and transformers save these
/// as safetensors and as `.bin`. The smallest first, so that the greatest download begins when the rest is there.
const COMPONENTS: [(&str, &str, &str); 3] = [
    ("text_encoder", "model", "pytorch_model"),
    ("vae", "diffusion_pytorch_model", "diffusion_pytorch_model"),
    ("unet", "diffusion_pytorch_model", "diffusion_pytorch_model"),
];

/// Which of several sets of weights to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileChoice {
    /// Weights saved as float16 (`*.fp16.safetensors`), which are half as large, before those of full precision. When
    /// false they are taken only where there are no others. Within a precision, safetensors come before `.bin`.
    pub prefer_half: bool,
}

impl FileChoice {
    /// The variants and endings under which weights are saved, the wanted ones first.
    fn formats(self) -> [(&'static str, &'static str); 4] {
        let (full, half) = ("", ".fp16");
        if self.prefer_half {
            [(half, "safetensors"), (full, "safetensors"), (half, "bin"), (full, "bin")]
        } else {
            [(full, "safetensors"), (full, "bin"), (half, "safetensors"), (half, "bin")]
        }
    }
}

/// Chooses the files of a pipeline from the names of a repository, or of a snapshot on disk: `model_index.json` first,
/// the greatest last.
///
/// # Errors
///
/// The name of the first file that is missing.
pub(crate) fn select(listing: &BTreeSet<String>, choice: FileChoice) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for config in CONFIGS {
        files.push(listing.get(config).cloned().ok_or(config)?);
    }
    files.extend(listing.get(OPTIONAL_CONFIG).cloned());
    if !listing.contains(FAST_TOKENIZER)
        && let Some(missing) = SLOW_TOKENIZER.iter().find(|name| !listing.contains(**name))
    {
        return Err((*missing).to_owned());
    }
    files.extend(listing.iter().filter(|name| is_tokenizer_file(name)).cloned());
    for component in COMPONENTS {
        files.extend(select_weights(listing, component, choice)?);
    }
    Ok(files)
}

fn is_tokenizer_file(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.strip_prefix("tokenizer/").is_some_and(|file| file.bytes().all(plain))
        && [".json", ".txt"].iter().any(|ending| name.ends_with(ending))
}

/// The first format of which everything is there.
fn select_weights(
    listing: &BTreeSet<String>,
    (folder, safetensors, bin): (&str, &str, &str),
    choice: FileChoice,
) -> Result<Vec<String>, String> {
    let mut missing = None;
    for (variant, ending) in choice.formats() {
        let name = format!("{folder}/{}", if ending == "bin" { bin } else { safetensors });
        let single = format!("{name}{variant}.{ending}");
        if listing.contains(&single) {
            return Ok(vec![single]);
        }
        // diffusers' `_add_variant` puts the variant before the last ending.
        let index = format!("{name}.{ending}.index{variant}.json");
        if listing.contains(&index) {
            match shards(listing, &format!("{name}{variant}"), ending) {
                Ok(shards) => return Ok([vec![index], shards].concat()),
                Err(file) => missing = missing.or(Some(file)),
            }
        }
    }
    Err(missing.unwrap_or_else(|| format!("{folder}/{safetensors}.safetensors")))
}

/// Weights split over several files, `NAME-00001-of-00002.safetensors` and so on, beside an index that says which tensor is
/// where; or the first of them that is missing.
fn shards(listing: &BTreeSet<String>, name: &str, ending: &str) -> Result<Vec<String>, String> {
    let shard = |number: usize, of: &str| format!("{name}-{number:05}-of-{of}.{ending}");
    let start = format!("{name}-");
    let total = listing.range(start.clone()..).next().and_then(|found| {
        let (_, rest) = found.strip_prefix(&start)?.split_once("-of-")?;
        let of = rest.strip_suffix(ending)?.strip_suffix('.').filter(|of| of.len() == 5)?;
        Some((of, of.parse().ok().filter(|count| *count > 0)?))
    });
    let (of, count) = total.ok_or_else(|| shard(1, "*"))?;
    let shards = (1..=count).map(|number| shard(number, of));
    shards.map(|shard| if listing.contains(&shard) { Ok(shard) } else { Err(shard) }).collect()
}

/// Checks the names that a repository lists and chooses from them.
///
/// # Errors
///
/// A name that would leave the cache, a repository that is no pipeline of diffusers, a file that is missing.
pub(crate) fn select_remote(id: &ModelId, names: Vec<String>, choice: FileChoice) -> Result<Vec<String>, HubError> {
    let repo = || id.repo().to_owned();
    if let Some(file) = names.iter().find(|name| !is_safe(name)) {
        return Err(HubError::UnsafeFileName { repo: repo(), file: file.clone() });
    }
    let listing: BTreeSet<String> = names.into_iter().collect();
    if !listing.contains(MODEL_INDEX) {
        let checkpoint = |name: &&String| {
            !name.contains('/') && [".safetensors", ".ckpt"].iter().any(|ending| name.ends_with(ending))
        };
        return Err(HubError::NoModelIndex {
            repo: repo(),
            checkpoints: listing.iter().filter(checkpoint).cloned().collect(),
        });
    }
    select(&listing, choice).map_err(|file| HubError::MissingFile { repo: repo(), file })
}

/// Whether a listed name stays in the folder it is joined to, on every system.
fn is_safe(name: &str) -> bool {
    !name.contains(['\\', '\0', ':']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: FileChoice = FileChoice { prefer_half: false };
    const HALF: FileChoice = FileChoice { prefer_half: true };

    /// A listing with the configurations, the tokenizer, and these weights.
    fn listing(weights: &[&str]) -> BTreeSet<String> {
        let rest = SLOW_TOKENIZER.into_iter().chain(CONFIGS).chain(weights.iter().copied());
        rest.map(str::to_owned).collect()
    }

    const SINGLE: [&str; 3] = [
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
    ];

    fn weights(listing: &BTreeSet<String>, choice: FileChoice) -> Vec<String> {
        let files = select(listing, choice).unwrap();
        files.into_iter().filter(|file| file.contains("model.") || file.contains("model-")).collect()
    }

    #[test]
    fn one_set_of_weights_is_chosen_per_component() {
        let everything = [
            "text_encoder/model.safetensors",
            "text_encoder/model.fp16.safetensors",
            "text_encoder/pytorch_model.bin",
            "text_encoder/flax_model.msgpack",
            "unet/diffusion_pytorch_model.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.non_ema.safetensors",
            "unet/diffusion_pytorch_model.bin",
            "unet/diffusion_pytorch_model.fp16.bin",
            "vae/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.bin",
            "safety_checker/model.safetensors",
            "safety_checker/config.json",
            "feature_extractor/preprocessor_config.json",
            "vae_decoder/model.onnx",
            "unet/openvino_model.xml",
            "v1-4.ckpt",
            "README.md",
        ];
        assert_eq!(weights(&listing(&everything), FULL), SINGLE);
        let half = [
            "text_encoder/model.fp16.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
        ];
        assert_eq!(weights(&listing(&everything), HALF), half);
        let files = select(&listing(&everything), FULL).unwrap();
        assert_eq!(files.len(), CONFIGS.len() + SLOW_TOKENIZER.len() + 3, "{files:?}");
    }

    #[test]
    fn bin_weights_are_a_last_resort() {
        let bins = [
            "text_encoder/pytorch_model.bin",
            "text_encoder/pytorch_model.fp16.bin",
            "vae/diffusion_pytorch_model.bin",
            "unet/diffusion_pytorch_model.bin",
            "unet/diffusion_pytorch_model.fp16.bin",
        ];
        assert_eq!(weights(&listing(&bins), FULL), [bins[0], bins[2], bins[3]]);
        assert_eq!(weights(&listing(&bins), HALF), [bins[1], bins[2], bins[4]]);
    }

    #[test]
    fn half_precision_is_taken_where_there_is_no_other() {
        let halves = [
            "text_encoder/model.fp16.safetensors",
            "vae/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
        ];
        assert_eq!(weights(&listing(&halves), FULL), halves);
    }

    #[test]
    fn shards_come_with_their_index() {
        let index = "unet/diffusion_pytorch_model.safetensors.index.json";
        let parts = [
            "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
            "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
        ];
        let half_index = "unet/diffusion_pytorch_model.safetensors.index.fp16.json";
        let half_part = "unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors";
        let names = [SINGLE[0], SINGLE[1], index, parts[0], parts[1], half_index, half_part];
        assert_eq!(weights(&listing(&names), FULL), [SINGLE[0], SINGLE[1], index, parts[0], parts[1]]);
        assert_eq!(weights(&listing(&names), HALF), [SINGLE[0], SINGLE[1], half_index, half_part]);
        assert_eq!(select(&listing(&names[..4]), FULL), Err(parts[1].to_owned()));
        assert_eq!(
            select(&listing(&names[..3]), FULL),
            Err("unet/diffusion_pytorch_model-00001-of-*.safetensors".to_owned())
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for missing in CONFIGS.into_iter().chain(SLOW_TOKENIZER).chain(SINGLE) {
            let mut names = listing(&SINGLE);
            assert!(names.remove(missing));
            assert_eq!(select(&names, HALF), Err(missing.to_owned()));
        }
    }

    #[test]
    fn a_fast_tokenizer_will_do() {
        let mut names = listing(&SINGLE);
        names.remove("tokenizer/merges.txt");
        names.insert(FAST_TOKENIZER.to_owned());
        assert!(select(&names, FULL).unwrap().contains(&FAST_TOKENIZER.to_owned()));
    }

    #[test]
    fn a_name_that_would_leave_the_cache_is_refused() {
        let id = ModelId::parse("org/name").unwrap();
        for name in ["/etc/passwd", "../x", "unet/../../x", "unet\\x", "C:x", "a//b", "./a", ""] {
            let names = listing(&SINGLE).into_iter().chain([name.to_owned()]).collect();
            let error = select_remote(&id, names, FULL).unwrap_err();
            assert!(matches!(&error, HubError::UnsafeFileName { file, .. } if file == name), "{error}");
        }
    }

    #[test]
    fn a_single_file_repository_is_described() {
        let id = ModelId::parse("org/name").unwrap();
        let names = ["README.md", "model.ckpt", "model.safetensors", "vae/x.safetensors"].map(str::to_owned).to_vec();
        let error = select_remote(&id, names, FULL).unwrap_err().to_string();
        assert!(error.contains("model.ckpt, model.safetensors: download one"), "{error}");
        let error = select_remote(&id, vec!["README.md".to_owned()], FULL).unwrap_err().to_string();
        assert!(error.contains("choose another repository"), "{error}");
    }
}
