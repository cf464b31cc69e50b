//! The BLIP captioner against transformers (`tests/reference/make_blip_fixtures.py`).

use std::fs;
use std::path::PathBuf;

use ae_tensor::FloatType;
use ae_tests::fixtures;
use ae_vision::{BeamScoring, CaptionOptions, Captioner, GenerationOptions};
use burn::tensor::{Device, Tensor, TensorData, Tolerance};
use image::RgbImage;
use safetensors::SafeTensors;
use serde::Deserialize;

/// As transformers 5 saves a model with tied weights, and as transformers 4 saved one with weights of its own.
const MODELS: [&str; 2] = ["tied", "own"];

/// Whose captions, and the search that finds them.
const SEARCHES: [(&str, BeamScoring); 2] =
    [("captions.json", BeamScoring::Generated), ("captions_before_4.27.json", BeamScoring::WholeSequence)];

/// The captions of all pictures with one set of options.
#[derive(Deserialize)]
struct Case {
    prompt: String,
    num_beams: usize,
    max_length: usize,
    min_length: usize,
    ids: Vec<Vec<u32>>,
    texts: Vec<String>,
}

impl Case {
    /// All cases with their options.
    fn all(model: &str) -> Vec<(Self, CaptionOptions)> {
        let cases = SEARCHES.into_iter().flat_map(|(file, scoring)| {
            let cases: Vec<Self> = serde_json::from_slice(&fs::read(fixture(model).join(file)).unwrap()).unwrap();
            cases.into_iter().map(move |case| {
                let options = case.options(scoring);
                (case, options)
            })
        });
        cases.collect()
    }

    fn options(&self, scoring: BeamScoring) -> CaptionOptions {
        let Self { num_beams, max_length, min_length, .. } = *self;
        let generation = GenerationOptions { num_beams, max_length, min_length, scoring };
        CaptionOptions { prompt: self.prompt.clone(), generation, ..CaptionOptions::default() }
    }
}

/// The tensors of a model's `reference.safetensors`.
struct Reference(Vec<u8>);

impl Reference {
    fn of(model: &str) -> Self {
        Self(fs::read(fixture(model).join("reference.safetensors")).unwrap())
    }

    fn floats(&self, name: &str) -> TensorData {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let values = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        TensorData::new::<f32, _>(values, tensor.shape().to_vec())
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        Tensor::from_data(self.floats(name), &Device::flex())
    }

    fn input_ids(&self) -> Vec<Vec<u32>> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor("input_ids").unwrap();
        let ids: Vec<u32> =
            tensor.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes).try_into().unwrap()).collect();
        ids.chunks(tensor.shape()[1]).map(<[u32]>::to_vec).collect()
    }

    fn pictures(&self) -> Vec<RgbImage> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor("pictures").unwrap();
        let [height, width] = [1, 2].map(|side| tensor.shape()[side]);
        let picture = |pixels: &[u8]| RgbImage::from_raw(width as u32, height as u32, pixels.to_vec()).unwrap();
        tensor.data().chunks(height * width * 3).map(picture).collect()
    }
}

fn fixture(model: &str) -> PathBuf {
    fixtures("blip").join(model)
}

fn captioner(model: &str) -> Captioner {
    Captioner::load(fixture(model), FloatType::F32, &Device::flex()).unwrap()
}

/// Within 1e-5 of the largest value. Embeddings go up to 4.3 and logits to 10.4; on flex the largest differences were 1.9e-6
/// and 8.6e-6, at most 1.1e-6 of the largest.
fn assert_close(actual: &TensorData, expected: &TensorData) {
    let largest = expected.iter::<f32>().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    actual.assert_approx_eq(expected, Tolerance::<f32>::absolute(1e-5 * largest));
}

#[test]
fn image_embeddings_equal_transformers() {
    for model in MODELS {
        let reference = Reference::of(model);
        let embeds = captioner(model).model().image_embeds(reference.tensor("pixel_values"));
        assert_close(&embeds.into_data(), &reference.floats("image_embeds"));
    }
}

#[test]
fn logits_of_a_forced_caption_equal_transformers() {
    for model in MODELS {
        let (reference, captioner) = (Reference::of(model), captioner(model));
        let ids = reference.input_ids();
        let embeds = reference.tensor::<3>("image_embeds").narrow(0, 0, ids.len());
        let logits = captioner.model().logits(embeds, &ids);
        assert_close(&logits.into_data(), &reference.floats("logits"));
    }
}

#[test]
fn generated_ids_equal_transformers() {
    for model in MODELS {
        let (reference, captioner) = (Reference::of(model), captioner(model));
        let embeds = captioner.model().image_embeds(reference.tensor("pixel_values"));
        for (case, CaptionOptions { prompt, generation: options, .. }) in Case::all(model) {
            let prompt = captioner.prompt_ids(&prompt).unwrap();
            let captions = captioner.model().generate(embeds.clone(), &prompt, &options).unwrap();
            assert_eq!(captions, case.ids, "{model}: {options:?}");
            // One by one as together.
            let alone = captioner.model().generate(embeds.clone().narrow(0, 3, 1), &prompt, &options).unwrap();
            assert_eq!(alone, case.ids[3..4], "{model}: {options:?}");
        }
    }
}

#[test]
fn texts_of_pictures_equal_those_of_lavis() {
    for model in MODELS {
        let (pictures, captioner) = (Reference::of(model).pictures(), captioner(model));
        let cases = Case::all(model);
        for (case, options) in &cases {
            let texts = captioner.captions_with(&pictures, options).unwrap();
            assert_eq!(texts, case.texts, "{model}: {options:?}");
        }
        assert_eq!(captioner.captions(&pictures).unwrap(), cases[0].0.texts);
        let of_the_paper = &cases.iter().find(|(_, options)| *options == CaptionOptions::of_the_paper()).unwrap().0;
        assert_eq!(captioner.captions_with(&pictures, &CaptionOptions::of_the_paper()).unwrap(), of_the_paper.texts);
    }
}
