//! Model folders that are not what they should be.

use std::borrow::Cow;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ae_pipeline::{LoadError, ModelSource, Pipeline};
use ae_tensor::{CheckpointError, FloatType, NoiseKind, NoiseSource};
use ae_tests::model;
use burn::tensor::Device;
use safetensors::tensor::{Dtype, SafeTensors, View};
use tempfile::TempDir;

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// A copy of a small model, to be damaged.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        fn copy(from: &Path, to: &Path) {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                let target = to.join(entry.file_name());
                if entry.path().is_dir() {
                    copy(&entry.path(), &target);
                } else {
                    fs::copy(entry.path(), target).unwrap();
                }
            }
        }
        let folder = TempDir::new().unwrap();
        copy(&model("sd1"), folder.path());
        Self(folder)
    }

    fn file(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn edit(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.file(path)).unwrap();
        change(&mut bytes);
        fs::write(self.file(path), bytes).unwrap();
    }

    fn edit_text(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        fs::write(self.file(path), text.replacen(from, to, 1)).unwrap();
    }

    /// Rewrites the tensors of a checkpoint.
    fn edit_tensors(&self, path: &str, change: impl FnOnce(&mut Vec<(String, Owned)>)) {
        self.edit(path, |bytes| {
            let tensors = SafeTensors::deserialize(bytes).unwrap();
            let owned = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
                (name, Owned { dtype: view.dtype(), shape: view.shape().to_vec(), data: view.data().to_vec() })
            };
            let mut tensors: Vec<_> = tensors.tensors().into_iter().map(owned).collect();
            change(&mut tensors);
            *bytes = safetensors::serialize(tensors, None).unwrap();
        });
    }

    fn load(&self) -> Result<Pipeline, LoadError> {
        Pipeline::load(&ModelSource::folder(self.0.path()), FloatType::F32, &Device::flex())
    }

    /// The error of loading, which must name each of `parts`.
    fn error(&self, parts: &[&str]) -> LoadError {
        let error = self.load().expect_err("the damage is found");
        let message = error.to_string();
        for part in parts {
            assert!(message.contains(part), "'{part}' is not in: {message}");
        }
        assert!(message.lines().count() <= 2 && message.len() < 600, "{message}");
        error
    }
}

#[derive(Clone)]
struct Owned {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for Owned {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }
    fn data_len(&self) -> usize {
        self.data.len()
    }
}

#[test]
fn an_undamaged_copy_loads() {
    Copy::new().load().unwrap();
}

#[test]
fn every_missing_file_is_named() {
    for path in [
        "unet/config.json",
        UNET,
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "scheduler/scheduler_config.json",
    ] {
        let copy = Copy::new();
        fs::remove_file(copy.file(path)).unwrap();
        assert!(matches!(copy.error(&[path]), LoadError::MissingFile { .. }), "{path}");
    }
    let copy = Copy::new();
    fs::remove_dir_all(copy.file("tokenizer")).unwrap();
    copy.error(&["tokenizer/vocab.json"]);
}

#[test]
fn weights_that_are_a_folder_or_empty_are_named() {
    let copy = Copy::new();
    fs::remove_file(copy.file(UNET)).unwrap();
    fs::create_dir(copy.file(UNET)).unwrap();
    copy.error(&[UNET, "directory"]);
    fs::remove_dir(copy.file(UNET)).unwrap();
    fs::write(copy.file(UNET), "").unwrap();
    copy.error(&[UNET, "empty"]);
}

#[test]
fn truncated_weights_are_named_wherever_they_end() {
    let whole = fs::metadata(model("sd1").join(UNET)).unwrap().len();
    for length in [1, 7, 8, 100, 20_000, whole / 2, whole - 1] {
        let copy = Copy::new();
        copy.edit(UNET, |bytes| bytes.truncate(usize::try_from(length).unwrap()));
        copy.error(&[UNET, "truncated"]);
    }
}

#[test]
fn a_header_that_claims_an_absurd_size_is_refused() {
    for claimed in [u64::MAX, 1 << 62, 200_000_000] {
        let copy = Copy::new();
        copy.edit(UNET, |bytes| bytes[..8].copy_from_slice(&claimed.to_le_bytes()));
        copy.error(&[UNET]);
    }
}

/// A flipped bit in the header is an error or another name; one in the data is another number. Neither
/// is a panic.
#[test]
fn flipped_bits_never_panic() {
    let length = fs::metadata(model("sd1").join(UNET)).unwrap().len() as f32;
    let mut noise = NoiseSource::new(NoiseKind::TorchCpu, 1);
    let mut errors = 0;
    for draw in noise.standard_normal(60).chunks(2) {
        let copy = Copy::new();
        copy.edit(UNET, |bytes| {
            // Half of them in the header, which is about a fiftieth of the file.
            let reach = if draw[1] > 0.0 { length } else { 40_000.0 };
            #[expect(clippy::cast_sign_loss, reason = "a magnitude")]
            let at = (draw[0].abs().fract() * reach) as usize;
            bytes[at] ^= 1 << (at % 8);
        });
        match copy.load() {
            Ok(_) => {}
            Err(error) => {
                errors += 1;
                assert!(error.to_string().contains(UNET), "{error}");
            }
        }
    }
    assert!(errors > 5, "{errors} of 30 were found");
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let name = "mid_block.resnets.0.conv1.weight";
    let copy = Copy::new();
    copy.edit_tensors(UNET, |tensors| tensors.retain(|(key, _)| key != name));
    copy.error(&[UNET, "1 missing", name]);

    let copy = Copy::new();
    copy.edit_tensors(UNET, |tensors| {
        let tensor = tensors.iter_mut().find(|(key, _)| key == name).unwrap();
        tensor.1.shape.swap(0, 3);
    });
    copy.error(&[UNET, "1 misshapen", name, "expected"]);

    let copy = Copy::new();
    copy.edit_tensors(UNET, |tensors| {
        let extra = tensors[0].1.clone();
        tensors.push(("lora.up.weight".to_owned(), extra));
    });
    copy.error(&[UNET, "1 unexpected", "lora.up.weight"]);

    let copy = Copy::new();
    copy.edit_tensors(UNET, |tensors| {
        let tensor = tensors.iter_mut().find(|(key, _)| key == name).unwrap();
        tensor.1.dtype = Dtype::I16;
    });
    copy.error(&[UNET, name]);
}

#[test]
fn values_that_are_not_finite_are_named() {
    let name = "down_blocks.0.attentions.0.proj_in.weight";
    for bits in [0x7e00_u16, 0x7c00, 0xfc00] {
        let copy = Copy::new();
        copy.edit_tensors(UNET, |tensors| {
            let tensor = tensors.iter_mut().find(|(key, _)| key == name).unwrap();
            assert_eq!(tensor.1.dtype, Dtype::F16);
            tensor.1.data[2..4].copy_from_slice(&bits.to_le_bytes());
        });
        let error = copy.error(&[UNET, "not finite", name]);
        assert!(matches!(error, LoadError::Weights(CheckpointError::NotFinite { .. })));
    }
}

#[test]
fn another_models_weights_are_refused() {
    let copy = Copy::new();
    fs::copy(copy.file("vae/diffusion_pytorch_model.safetensors"), copy.file(UNET)).unwrap();
    copy.error(&[UNET, "missing", "unexpected"]);
}

#[test]
fn wrong_configs_are_named() {
    let broken = [
        ("unet/config.json", "\"cross_attention_dim\": 32", "\"cross_attention_dim\": 64", "cross_attention_dim is 64"),
        ("unet/config.json", "\"layers_per_block\": 2", "\"layers_per_block\": 1", "unexpected"),
        ("unet/config.json", "\"UNet2DConditionModel\"", "\"FluxTransformer2DModel\"", "FluxTransformer2DModel"),
        ("unet/config.json", "{", "", "unet/config.json"),
        ("vae/config.json", "\"latent_channels\": 4", "\"latent_channels\": 16", "latent_channels is 16"),
        ("vae/config.json", "\"AutoencoderKL\"", "\"VQModel\"", "VQModel"),
        ("text_encoder/config.json", "\"hidden_size\": 32", "\"hidden_size\": \"32\"", "text_encoder/config.json"),
        ("text_encoder/config.json", "\"quick_gelu\"", "\"relu\"", "relu"),
        ("scheduler/scheduler_config.json", "\"scaled_linear\"", "\"cosine\"", "cosine"),
    ];
    for (path, from, to, named) in broken {
        let copy = Copy::new();
        copy.edit_text(path, from, to);
        copy.error(&[named]);
    }
    for (text, named) in [
        ("{\"attention_scale\": \"high\"}", "attend_and_excite.json"),
        ("{\"attention_scal\": 15}", "attention_scal"),
        ("{\"attention_reduction\": 0}", "attention_reduction"),
    ] {
        let copy = Copy::new();
        fs::write(copy.file("attend_and_excite.json"), text).unwrap();
        copy.error(&[named]);
    }
    for (bytes, named) in [(&[0xff, 0xff][..], "UTF-8"), (&[0xff, 0xfe, 0x00], "UTF-16"), (&[0xff, 0xfe], "malformed")]
    {
        let copy = Copy::new();
        fs::write(copy.file("unet/config.json"), bytes).unwrap();
        copy.error(&["unet/config.json", named]);
    }
}

/// The pages of a mapped file that is cut are no longer there: to read them would end the process.
#[test]
fn a_file_that_is_cut_after_it_was_loaded_is_named() {
    for part in ["text_encoder/model.safetensors", UNET, "vae/diffusion_pytorch_model.safetensors"] {
        let copy = Copy::new();
        let pipeline = Pipeline::load(&ModelSource::folder(copy.0.path()), FloatType::F32, &Device::flex()).unwrap();
        let mut request = pipeline.request("a cat and a dog");
        request.settings.steps = 2;
        let file = fs::OpenOptions::new().write(true).open(copy.file(part)).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        let error = pipeline.generate(&request, &mut |_| ControlFlow::Continue(())).err().unwrap().to_string();
        assert!(error.contains(part) && error.contains("bytes when it was opened"), "{error}");
    }
}
