//! Files of other kinds: each is named as what it is, nothing in them runs.

use std::path::PathBuf;

use ae_checkpoint::{Embedding, Lora};
use ae_pipeline::{LoadOptions, LoraRef, ModelSource, Pipeline};
use ae_tests::{fixtures, sprites};
use burn::tensor::Device;

fn foreign(file: &str) -> PathBuf {
    fixtures("formats/foreign").join(file)
}

fn refusal(file: &str) -> String {
    let loaded = Pipeline::load(&ModelSource::path(foreign(file)), LoadOptions::default(), &Device::flex());
    loaded.err().unwrap_or_else(|| panic!("{file} was loaded")).to_string()
}

#[test]
fn every_foreign_file_is_named_as_what_it_is() {
    let cases = [
        ("sdxl.safetensors", "is a Stable Diffusion XL checkpoint"),
        ("flux.safetensors", "is a Flux checkpoint"),
        ("sd3.safetensors", "is a Stable Diffusion 3 checkpoint"),
        ("lora-kohya.safetensors", "is a LoRA; expected a Stable Diffusion 1 or 2 checkpoint; give it as a LoRA"),
        ("lora-diffusers.safetensors", "is a LoRA"),
        ("controlnet.safetensors", "is a ControlNet"),
        ("controlnet-diffusers.safetensors", "is a ControlNet"),
        ("vae.safetensors", "is an autoencoder (VAE) alone"),
        ("embedding.safetensors", "is a textual inversion embedding"),
        ("git-lfs-pointer.safetensors", "is a Git LFS pointer"),
        ("page.safetensors", "is a web page"),
        ("truncated.ckpt", "is not a whole PyTorch file"),
        ("objects.ckpt", "is no checkpoint of a known kind"),
        ("sdxl", "is a Stable Diffusion XL model"),
    ];
    for (file, named) in cases {
        let error = refusal(file);
        assert!(error.contains(named), "{file}: {error}");
        assert!(error.contains(file), "{file} is not named: {error}");
    }
    let listed = std::fs::read_dir(fixtures("formats/foreign")).unwrap().count();
    assert_eq!(listed, cases.len() + 1, "every foreign file but the malicious one is in the list");
}

/// The pickle asks for `posix.system("touch executed")`.
#[test]
fn a_malicious_pickle_is_data() {
    let folder = tempfile::tempdir().unwrap();
    let before = std::env::current_dir().unwrap();
    let marks = [before.join("executed"), folder.path().join("executed"), foreign("executed")];
    let error = refusal("malicious.ckpt");
    assert!(error.contains("malicious.ckpt' holds an object that cannot be read as data: posix.system"), "{error}");
    assert!(marks.iter().all(|mark| !mark.exists()), "the pickle was executed");
    assert!(Lora::open(foreign("malicious.ckpt")).is_err());
    assert!(Embedding::open(foreign("malicious.ckpt"), None).is_err());
}

#[test]
fn a_lora_of_another_model_is_refused() {
    let lora = |path: PathBuf| {
        let mut options = LoadOptions::default();
        options.loras = vec![LoraRef::new(path.to_string_lossy(), 1.0)];
        options
    };
    let source = ModelSource::folder(sprites());
    let load = |path| Pipeline::load(&source, lora(path), &Device::flex()).unwrap_err().to_string();
    let error = load(fixtures("convenience/lora/kohya.safetensors"));
    assert!(error.contains("kohya.safetensors' does not fit: "), "{error}");
    let error = load(foreign("vae.safetensors"));
    assert!(error.contains("is an autoencoder (VAE) alone; expected a LoRA"), "{error}");
}
