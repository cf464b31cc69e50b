//! Whole guided pictures of single files: the same weights in each, under the tokenizer that such a file is drawn with.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use ae_checkpoint::{Checkpoint, StoredTensor};
use ae_pipeline::{Destination, Event, ModelSource, Pipeline, StepIndex, Thresholds, convert};
use ae_tensor::FloatType;
use ae_tests::fixtures;
use burn::tensor::Device;
use image::RgbImage;
use safetensors::Dtype;

/// Token ids of CLIP.
const VOCABULARY: usize = 49_408;

/// A small model whose text encoder has a row for every token of CLIP, those of the fixture over and over.
fn model(file: &str) -> BTreeMap<String, StoredTensor> {
    let checkpoint = Checkpoint::open(fixtures("formats").join(file)).unwrap();
    let mut tensors = checkpoint.tensors().clone();
    let name = tensors.keys().find(|name| name.ends_with("token_embedding.weight")).unwrap().clone();
    let few = tensors[&name].clone();
    let shape = vec![VOCABULARY, few.shape()[1]];
    let (element, row) = (few.element(), few.bytes().len() / few.shape()[0]);
    let all = move || -> Vec<u8> { few.bytes().iter().copied().cycle().take(VOCABULARY * row).collect() };
    tensors.insert(name, StoredTensor::computed(element, shape, all));
    tensors
}

fn write(path: &Path, tensors: BTreeMap<String, StoredTensor>) {
    Checkpoint::of("a model", tensors).write(path).unwrap();
}

/// A guided picture.
fn picture(path: &Path) -> RgbImage {
    let pipeline = Pipeline::load(&ModelSource::path(path), FloatType::F32, &Device::flex())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut request = pipeline.request("a cat and a dog");
    request.seeds = vec![5];
    request.settings.steps = 3;
    (request.settings.height, request.settings.width) = (Some(128), Some(128));
    let guidance = &mut request.settings.attend_and_excite;
    (guidance.max_iter_to_alter, guidance.thresholds) = (StepIndex::Steps(2), Thresholds::none());
    guidance.attention_res = Some([4, 4]);
    let mut evaluations = 0;
    let mut observe = |event: Event<'_>| {
        evaluations += usize::from(matches!(event, Event::Evaluated { .. }));
        ControlFlow::Continue(())
    };
    let image = pipeline.generate(&request, &mut observe).unwrap().pictures.remove(0).image;
    assert!(evaluations >= 2, "{}: guided {evaluations} times", path.display());
    image
}

/// As `ae convert` writes it, which diffusers reads (`tests/reference/check_converted.py`).
fn picture_of_folder(file: &Path) -> RgbImage {
    let folder = file.with_extension("");
    let destination = Destination::new(&folder, false).unwrap();
    convert(&ModelSource::path(file), FloatType::F32, &destination, &Device::flex()).unwrap();
    picture(&folder)
}

/// The file format of ggml, version 3: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Matrices in half precision and the
/// rest in single, as stable-diffusion.cpp writes them.
fn write_gguf(path: &Path, tensors: &BTreeMap<String, StoredTensor>) {
    const ALIGNMENT: usize = 32;
    let text = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u64).to_le_bytes());
        file.extend(text.bytes());
    };
    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend(1u64.to_le_bytes());
    text(&mut file, "general.architecture");
    file.extend(8u32.to_le_bytes());
    text(&mut file, "sd1");
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let is_half = tensor.element() == Dtype::F16 && tensor.shape().len() > 1;
        text(&mut file, name);
        file.extend(u32::try_from(tensor.shape().len()).unwrap().to_le_bytes());
        // Its extents begin with the innermost.
        tensor.shape().iter().rev().for_each(|side| file.extend((*side as u64).to_le_bytes()));
        file.extend(u32::from(is_half).to_le_bytes());
        file.extend((data.len() as u64).to_le_bytes());
        if is_half {
            data.extend(tensor.bytes().iter());
        } else {
            data.extend(tensor.to_f32().unwrap().into_iter().flat_map(f32::to_le_bytes));
        }
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
    }
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    file.extend(data);
    fs::write(path, file).unwrap();
}

#[test]
fn a_gguf_file_draws_the_picture_of_its_folder() {
    let place = tempfile::tempdir().unwrap();
    let (single, gguf) = (place.path().join("sd1.safetensors"), place.path().join("other.gguf"));
    let tensors = model("sd1/single.safetensors");
    // Nothing reads the buffer of positions, whose type no such file has.
    write_gguf(&gguf, &tensors.clone().into_iter().filter(|(_, tensor)| tensor.is_float()).collect());
    write(&single, tensors);
    let expected = picture_of_folder(&single);
    assert!(picture(&gguf) == expected);
    assert!(picture(&single) == expected);
}

/// As SD-Turbo's own file has it.
#[test]
fn a_stable_diffusion_2_in_the_layout_of_sgm_draws_the_picture_of_its_folder() {
    let place = tempfile::tempdir().unwrap();
    let (single, sgm) = (place.path().join("sd2.safetensors"), place.path().join("sgm.safetensors"));
    let tensors = model("sd2/single-f16.ckpt");
    let rename = |(name, tensor): (&String, &StoredTensor)| {
        (name.replace("cond_stage_model.model.", "conditioner.embedders.0.model."), tensor.clone())
    };
    write(&sgm, tensors.iter().map(rename).collect());
    write(&single, tensors);
    let expected = picture_of_folder(&single);
    assert!(picture(&sgm) == expected);
    assert!(picture(&single) == expected);
}
