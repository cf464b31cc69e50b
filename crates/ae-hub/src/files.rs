use std::collections::BTreeSet;

use crate::model_id::{Place, is_single_file};
use crate::{HubError, ModelId};

/// The file that makes a folder a pipeline of diffusers.
pub(crate) const MODEL_INDEX: &str = "model_index.json";
/// What every Stable Diffusion pipeline has besides weights and tokenizer.
const CONFIGS: [&str; 5] =
    [MODEL_INDEX, "scheduler/scheduler_config.json", "text_encoder/config.json", "unet/config.json", "vae/config.json"];
/// Attend-and-Excite's own settings, and the words that a model of few things knows: some repositories have them.
const OPTIONAL_CONFIGS: [&str; 2] = ["attend_and_excite.json", "vocabulary.json"];
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileChoice {
    /// Weights saved as float16 (`*.fp16.safetensors`), which are half as large, before those of full precision. When
    /// false they are taken only where there are no others. Within a precision, safetensors come before `.bin`.
    pub prefer_half: bool,
    /// Before both: weights that carry this name before their ending, as diffusers' `variant` (`*.non_ema.safetensors`). A part
    /// without any has its others, but at least one part must have them.
    pub variant: Option<String>,
}

impl FileChoice {
    /// The variants and endings under which weights are saved, the wanted ones first.
    fn formats(&self) -> Vec<(String, &'static str)> {
        let both = |variant: &str| [(variant.to_owned(), "safetensors"), (variant.to_owned(), "bin")];
        let ([full, full_bin], [half, half_bin]) = (both(""), both(".fp16"));
        let usual = if self.prefer_half { [half, full, half_bin, full_bin] } else { [full, full_bin, half, half_bin] };
        let named = self.variant.iter().flat_map(|variant| both(&format!(".{variant}")));
        named.chain(usual).collect()
    }

    /// Whether some of the files are of the wanted variant, or none is wanted.
    pub(crate) fn is_met_by(&self, files: &[String]) -> bool {
        self.variant.as_ref().is_none_or(|variant| {
            let (before, behind) = (format!(".{variant}."), format!(".{variant}-"));
            files.iter().any(|file| file.contains(&before) || file.contains(&behind))
        })
    }
}

/// Chooses the files of a pipeline from the names of a repository, or of a snapshot on disk: `model_index.json` first,
/// the greatest last.
///
/// # Errors
///
/// The name of the first file that is missing.
pub(crate) fn select(listing: &BTreeSet<String>, choice: &FileChoice) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for config in CONFIGS {
        files.push(listing.get(config).cloned().ok_or(config)?);
    }
    files.extend(OPTIONAL_CONFIGS.iter().filter_map(|name| listing.get(*name).cloned()));
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
    choice: &FileChoice,
) -> Result<Vec<String>, String> {
    let mut missing = None;
    for (variant, ending) in choice.formats() {
        let name = format!("{folder}/{}", if ending == "bin" { bin } else { safetensors });
        let single = format!("{name}{variant}.{ending}");
        if listing.contains(&single) {
            return Ok(vec![single]);
        }
        // Its place in the name has changed over the versions of diffusers.
        let indices = [
            format!("{name}.{ending}.index{variant}.json"),
            format!("{name}{variant}.{ending}.index.json"),
            format!("{name}.{ending}{variant}.index.json"),
        ];
        if let Some(index) = indices.into_iter().find(|index| listing.contains(index)) {
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
pub(crate) fn select_remote(id: &ModelId, names: Vec<String>, choice: &FileChoice) -> Result<Vec<String>, HubError> {
    let repo = || id.repo().to_owned();
    if let Some(file) = names.iter().find(|name| !is_safe(name)) {
        return Err(HubError::UnsafeFileName { repo: repo(), file: file.clone() });
    }
    let listing: BTreeSet<String> = names.into_iter().collect();
    let no_place = |place: String, found: Vec<String>| HubError::NoPlace { repo: repo(), place, found };
    match &id.place {
        Place::Root => select_pipeline(id, &listing, choice),
        Place::Folder(folder) => {
            let start = format!("{folder}/");
            let inside = listing.iter().filter_map(|name| name.strip_prefix(&start)).map(str::to_owned);
            let inside: BTreeSet<String> = inside.collect();
            if inside.is_empty() {
                return Err(no_place(format!("folder {folder}"), folders(&listing)));
            }
            Ok(select_pipeline(id, &inside, choice)?.into_iter().map(|name| start.clone() + &name).collect())
        }
        Place::File(file) if !listing.contains(file) => {
            let files = listing.into_iter().filter(|name| is_single_file(name)).collect();
            Err(no_place(format!("file {file}"), files))
        }
        // The config of the original repository, which programs look for beside the file.
        Place::File(file) => {
            Ok(yaml_of(file).into_iter().filter(|yaml| listing.contains(yaml)).chain([file.clone()]).collect())
        }
    }
}

/// The files of a pipeline from the names of its folder.
fn select_pipeline(id: &ModelId, listing: &BTreeSet<String>, choice: &FileChoice) -> Result<Vec<String>, HubError> {
    let repo = id.repo().to_owned();
    if !listing.contains(MODEL_INDEX) {
        let checkpoints = listing.iter().filter(|name| !name.contains('/') && is_single_file(name));
        return Err(HubError::NoModelIndex { repo, checkpoints: checkpoints.cloned().collect() });
    }
    let files = select(listing, choice).map_err(|file| HubError::MissingFile { repo: repo.clone(), file })?;
    match &choice.variant {
        Some(variant) if !choice.is_met_by(&files) => {
            let found = listing.iter().filter(|name| name.contains('/') && is_single_file(name)).cloned().collect();
            Err(HubError::NoVariant { repo, variant: variant.clone(), found })
        }
        _ => Ok(files),
    }
}

/// The folders of a repository that are pipelines.
fn folders(listing: &BTreeSet<String>) -> Vec<String> {
    let pipelines = listing.iter().filter_map(|name| name.strip_suffix(MODEL_INDEX)?.strip_suffix('/'));
    pipelines.map(|folder| format!("the folder {folder}")).collect()
}

/// The YAML file that belongs to a checkpoint.
fn yaml_of(file: &str) -> Option<String> {
    Some(format!("{}.yaml", file.rsplit_once('.')?.0))
}

/// Whether a listed name stays in the folder it is joined to, on every system.
pub(crate) fn is_safe(name: &str) -> bool {
    !name.contains(['\\', '\0', ':']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &FileChoice = &FileChoice { prefer_half: false, variant: None };
    const HALF: &FileChoice = &FileChoice { prefer_half: true, variant: None };

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

    fn weights(listing: &BTreeSet<String>, choice: &FileChoice) -> Vec<String> {
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

    fn variant(name: &str, prefer_half: bool) -> FileChoice {
        FileChoice { prefer_half, variant: Some(name.to_owned()) }
    }

    #[test]
    fn a_variant_is_taken_where_there_is_one_and_comes_before_precision() {
        let non_ema = "unet/diffusion_pytorch_model.non_ema.safetensors";
        let half = "vae/diffusion_pytorch_model.fp16.safetensors";
        let names = listing(&[SINGLE[0], SINGLE[1], SINGLE[2], non_ema, half]);
        assert_eq!(weights(&names, &variant("non_ema", false)), [SINGLE[0], SINGLE[1], non_ema]);
        assert_eq!(weights(&names, &variant("non_ema", true)), [SINGLE[0], half, non_ema]);
        assert_eq!(weights(&names, &variant("fp16", false)), [SINGLE[0], half, SINGLE[2]]);
        let bin = listing(&[SINGLE[0], SINGLE[1], SINGLE[2], "unet/diffusion_pytorch_model.ema.bin"]);
        assert_eq!(weights(&bin, &variant("ema", false))[2], "unet/diffusion_pytorch_model.ema.bin");
    }

    #[test]
    fn a_variant_that_no_part_has_is_refused() {
        let id = ModelId::parse("org/name").unwrap();
        let names = || listing(&SINGLE).into_iter().collect();
        let error = select_remote(&id, names(), &variant("bf16", false)).unwrap_err();
        assert!(matches!(&error, HubError::NoVariant { variant, .. } if variant == "bf16"), "{error}");
        assert!(error.to_string().contains(SINGLE[2]), "{error}");
        // A part of the name is no variant.
        assert!(select_remote(&id, names(), &variant("model", false)).is_err());
    }

    #[test]
    fn the_index_of_a_variant_may_have_either_name() {
        for index in ["safetensors.index.fp16.json", "fp16.safetensors.index.json", "safetensors.fp16.index.json"] {
            let index = format!("unet/diffusion_pytorch_model.{index}");
            let part = "unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors";
            let names = listing(&[SINGLE[0], SINGLE[1], &index, part]);
            assert_eq!(weights(&names, HALF)[2..], [index.as_str(), part]);
        }
    }

    #[test]
    fn a_folder_of_a_repository_is_a_pipeline_of_its_own() {
        let names: Vec<String> = listing(&SINGLE).iter().map(|name| format!("sub/dir/{name}")).collect();
        let select = |name: &str| select_remote(&ModelId::parse(name).unwrap(), names.clone(), FULL);
        let files = select("org/name:sub/dir").unwrap();
        assert_eq!(files.len(), names.len());
        assert_eq!(files[0], "sub/dir/model_index.json");
        let error = select("org/name:other").unwrap_err().to_string();
        assert_eq!(error, "the model 'org/name' has no folder other; it has the folder sub/dir");
        assert!(matches!(select("org/name:sub"), Err(HubError::NoModelIndex { .. })));
        assert!(matches!(select("org/name"), Err(HubError::NoModelIndex { .. })));
    }

    #[test]
    fn a_file_of_a_repository_comes_with_its_yaml() {
        let names = ["a/x.ckpt", "a/x.yaml", "a/x.safetensors.yaml", "y.safetensors", "README.md"].map(str::to_owned);
        let select = |name: &str| select_remote(&ModelId::parse(name).unwrap(), names.to_vec(), FULL);
        assert_eq!(select("org/name/a/x.ckpt").unwrap(), ["a/x.yaml", "a/x.ckpt"]);
        assert_eq!(select("org/name/y.safetensors").unwrap(), ["y.safetensors"]);
        let error = select("org/name/x.ckpt").unwrap_err().to_string();
        assert_eq!(error, "the model 'org/name' has no file x.ckpt; it has a/x.ckpt, y.safetensors");
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
        assert!(error.contains("model.ckpt, model.safetensors: name one of them, as 'org/name/model.ckpt'"), "{error}");
        let error = select_remote(&id, vec!["README.md".to_owned()], FULL).unwrap_err().to_string();
        assert!(error.contains("choose another repository"), "{error}");
    }
}
