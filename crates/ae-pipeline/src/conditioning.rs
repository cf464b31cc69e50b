use ae_clip::{TokenizedPrompt, WeightedPrompt};
use ae_settings::{LongPrompts, Method, Settings};
use ae_unet::{ConditioningText, UNet2DConditionModel};
use burn::tensor::Tensor;

use crate::composition::PromptPart;
use crate::phrases::{Phrase, PhraseChoice};
use crate::read_prompt::{ReadPart, read_negative_prompt, read_prompt};
use crate::{Pipeline, PipelineError};

/// The texts of a request, before they are encoded.
#[derive(Clone, Debug)]
pub(crate) struct PromptTexts {
    /// The prompt as plain sampling reads it, in its parts.
    pub(crate) prompt: Vec<ReadPart>,
    /// What the image must not show.
    pub(crate) negative: ReadPart,
    /// The parts for Composable Diffusion.
    composed: Option<Vec<ReadPart>>,
    /// The phrases whose values are also the prompt's, for StructureDiffusion.
    phrases: Option<Vec<Phrase>>,
}

impl PromptTexts {
    /// Reads the prompts of a request as its method does, for so many evaluations of the model.
    pub(crate) fn new(
        pipeline: &Pipeline,
        settings: &Settings,
        evaluations: usize,
        attention_maps: bool,
    ) -> Result<Self, PipelineError> {
        let tokenizer = &pipeline.text_encoder().tokenizer;
        let mut plain = settings.clone();
        plain.method = Method::StableDiffusion;
        let prompt = read_prompt(tokenizer, &plain, evaluations)?;
        let negative = read_negative_prompt(tokenizer, settings, evaluations)?;
        let is_composed = settings.method == Method::ComposableDiffusion;
        let composed = is_composed.then(|| read_prompt(tokenizer, settings, evaluations)).transpose()?;
        let phrases = (settings.method == Method::StructureDiffusion).then(|| {
            let [ReadPart { texts, .. }] = &prompt[..] else { return Err(only_one_text(settings, "parts")) };
            let [text] = &texts[..] else { return Err(only_one_text(settings, "texts, from step to step")) };
            if text.prompt.chunk_ends().len() > 1 {
                return Err(only_one_text(settings, "chunks"));
            }
            settings.phrases.clone().map_or(PhraseChoice::Auto, PhraseChoice::Phrases).resolve(&text.prompt)
        });
        let phrases = phrases.transpose()?;
        let texts = Self { prompt, negative, composed, phrases };
        if attention_maps {
            match texts.drawn() {
                [ReadPart { texts, .. }] if texts.len() == 1 && !is_composed => {}
                [ReadPart { texts, .. }] if texts.len() > 1 => return Err(PipelineError::MapsOfSchedule),
                _ => return Err(PipelineError::MapsOfParts),
            }
        }
        Ok(texts)
    }

    /// The prompt alone, as plain sampling reads it.
    pub(crate) fn whole(self) -> Self {
        Self { composed: None, phrases: None, ..self }
    }

    /// The parts that the noise is predicted for.
    pub(crate) fn drawn(&self) -> &[ReadPart] {
        self.composed.as_deref().unwrap_or(&self.prompt)
    }

    /// The texts of the first part, without their weights.
    pub(crate) fn first_part(&self) -> Vec<&TokenizedPrompt> {
        self.prompt[0].tokenized()
    }

    /// The phrases that are encoded by themselves, if the method has any.
    pub(crate) fn phrases(&self) -> Option<&[Phrase]> {
        self.phrases.as_deref()
    }

    /// The parts that the noise is predicted for, if there is more than one, or the only one has a weight. Of those that change the
    /// first text is told.
    pub(crate) fn parts(&self) -> Option<Vec<PromptPart>> {
        let parts = self.drawn();
        #[expect(clippy::float_cmp, reason = "the weight of a part without one")]
        let is_plain = self.composed.is_none() && parts.len() == 1 && parts[0].weight == 1.0;
        let part =
            |part: &ReadPart| PromptPart { text: part.first().prompt.text().trim().to_owned(), weight: part.weight };
        (!is_plain).then(|| parts.iter().map(part).collect())
    }

    /// Which texts the negative prompt and the parts have at an evaluation of the model.
    pub(crate) fn at(&self, evaluation: usize) -> Vec<usize> {
        std::iter::once(&self.negative).chain(self.drawn()).map(|part| part.at(evaluation)).collect()
    }

    /// Encodes all texts, those of the negative prompt first.
    pub(crate) fn encode(&self, pipeline: &Pipeline, settings: &Settings) -> Result<EncodedTexts, PipelineError> {
        let mut rows = Rows::default();
        let sides: Vec<_> = std::iter::once(&self.negative).chain(self.drawn()).collect();
        let lengths: Vec<_> = sides.iter().map(|side| side.first().prompt.chunks().len()).collect();
        for side in &sides {
            rows.add(&side.texts, &side.counts());
        }
        let padded = settings.way_with_long_prompts() == LongPrompts::Padded;
        let needs_empty = padded && lengths[1..].iter().any(|length| *length != lengths[0]);
        if needs_empty {
            rows.add(&[pipeline.tokenize_with("", false)?], &[1]);
        }
        let mut encoded = rows.encode(pipeline, settings)?.into_iter();
        let texts: Vec<Vec<_>> = sides.iter().map(|side| encoded.by_ref().take(side.texts.len()).collect()).collect();
        let empty = encoded.next();
        let values = match &self.phrases {
            Some(phrases) if !phrases.is_empty() => Some(self.structured(pipeline, settings, phrases, &texts[1][0])?),
            _ => None,
        };
        Ok(EncodedTexts {
            texts,
            values,
            empty,
            weights: self.drawn().iter().map(|part| part.weight).collect(),
            takes_scale: pipeline.unet_config.time_cond_proj_dim.is_some(),
        })
    }

    /// The embeddings of the prompt as the mean over itself and its phrases: each phrase is encoded
    /// alone, and its tokens take their places among those of the prompt (Feng et al. 2022, section 3.1).
    ///
    /// The paper forms values of each of these and takes the mean of what the attention finds. Since the attention is the same
    /// for all and values are linear in the text, that is the attention to the mean.
    ///
    /// An [`AttentionProcessor`](ae_unet::AttentionProcessor) would not make this simpler: it changes probabilities, which stay
    /// as they are here, and every layer that it wants loses fused attention.
    fn structured(
        &self,
        pipeline: &Pipeline,
        settings: &Settings,
        phrases: &[Phrase],
        prompt: &Tensor<3>,
    ) -> Result<Tensor<3>, PipelineError> {
        let text = self.prompt[0].first();
        let empty = Encodable::of(&pipeline.tokenize_with("", false)?);
        let alone: Vec<_> = phrases.iter().map(|phrase| empty.with(text, phrase)).collect();
        let alone = pipeline.encode_texts(&alone, None, settings)?;
        let [_, _, width] = prompt.dims();
        let mut sum = prompt.clone();
        for (index, Phrase { positions, .. }) in phrases.iter().enumerate() {
            let (start, length) = (*positions.start(), positions.end() - positions.start() + 1);
            let rows = alone.clone().slice([index..index + 1, 1..1 + length, 0..width]);
            sum = sum + prompt.clone().slice_assign([0..1, start..start + length, 0..width], rows);
        }
        Ok(sum / (phrases.len() + 1) as f64)
    }
}

/// Why a method does not draw a prompt of several parts, texts or chunks.
fn only_one_text(settings: &Settings, several: &str) -> PipelineError {
    let expected = format!("another, or a prompt of one text of 75 tokens; this one has several {several}");
    PipelineError::Option { option: "method", value: settings.method.name().to_owned(), expected }
}

/// A text, or a chunk of one, as the text encoder takes it.
pub(crate) struct Encodable {
    pub(crate) ids: Vec<u32>,
    /// One for every id.
    pub(crate) weights: Vec<f32>,
}

impl Encodable {
    fn of(text: &WeightedPrompt) -> Self {
        Self { ids: text.prompt.ids(), weights: text.weights.clone() }
    }

    /// This empty text with a phrase in it, by the tokens that the phrase has in its prompt.
    fn with(&self, text: &WeightedPrompt, phrase: &Phrase) -> Self {
        fn insert<T: Copy>(empty: &[T], phrase: &[T]) -> Vec<T> {
            let (start, rest) = empty.split_at(1);
            start.iter().chain(phrase).chain(rest).take(empty.len()).copied().collect()
        }
        let positions = phrase.positions.clone();
        let ids = text.prompt.ids();
        Self {
            ids: insert(&self.ids, &ids[positions.clone()]),
            weights: insert(&self.weights, &text.weights[positions]),
        }
    }
}

/// The chunks of texts, one after the other.
#[derive(Default)]
struct Rows {
    chunks: Vec<Encodable>,
    /// Whose mean each has when weights are applied, and how often it counts: AUTOMATIC1111's program encodes the texts of a schedule
    /// together, chunk by chunk.
    groups: Vec<(usize, usize)>,
    /// The number of chunks of every text.
    lengths: Vec<usize>,
}

impl Rows {
    /// Adds the texts of a schedule, each as often as it counts.
    fn add(&mut self, texts: &[WeightedPrompt], counts: &[usize]) {
        let first = self.groups.iter().map(|(group, _)| group + 1).max().unwrap_or_default();
        for (text, count) in texts.iter().zip(counts) {
            let ids = text.prompt.ids();
            for (index, chunk) in text.prompt.chunks().enumerate() {
                let (ids, weights) = (ids[chunk.clone()].to_vec(), text.weights[chunk].to_vec());
                self.chunks.push(Encodable { ids, weights });
                self.groups.push((first + index, *count));
            }
            self.lengths.push(text.prompt.chunks().len());
        }
    }

    /// The embeddings of every text, `[1, tokens, width]`.
    fn encode(&self, pipeline: &Pipeline, settings: &Settings) -> Result<Vec<Tensor<3>>, PipelineError> {
        let is_shared =
            |(group, _): &(usize, usize)| self.groups.iter().filter(|(other, _)| other == group).count() > 1;
        let groups = self.groups.iter().any(is_shared).then_some(self.groups.as_slice());
        let encoded = pipeline.encode_texts(&self.chunks, groups, settings)?;
        let mut start = 0;
        let text = |length: &usize| {
            let [_, tokens, width] = encoded.dims();
            let text = encoded.clone().narrow(0, start, *length).reshape([1, length * tokens, width]);
            start += length;
            text
        };
        Ok(self.lengths.iter().map(text).collect())
    }
}

/// The texts of a request as embeddings, each `[1, tokens, width]`.
pub(crate) struct EncodedTexts {
    /// Those of the negative prompt, then those of every part.
    texts: Vec<Vec<Tensor<3>>>,
    /// What patches find in the only text of the prompt, where it is not what they look for.
    values: Option<Tensor<3>>,
    /// An empty chunk, where shorter texts are padded by it.
    empty: Option<Tensor<3>>,
    weights: Vec<f64>,
    takes_scale: bool,
}

/// The most tokens of a context in which a shorter one is repeated to the length of another.
const LONGEST_CONTEXT: usize = 128 * 77;

impl EncodedTexts {
    /// What the noise is predicted for where the negative prompt and the parts have these texts.
    ///
    /// All get one length. Parts repeat their last embedding, as in AUTOMATIC1111's program. Where the prompt and the negative prompt are
    /// of different lengths, that program predicts for each by itself; so that this is one pass, both are repeated up to their least
    /// common multiple, which changes nothing in what attention finds.
    ///
    /// # Errors
    ///
    /// When both are so long that this takes too much.
    pub(crate) fn at(&self, state: &[usize]) -> Result<Conditioning, PipelineError> {
        let text = |side: usize| self.texts[side][state[side]].clone();
        let tokens = |text: &Tensor<3>| text.dims()[1];
        let mut parts: Vec<_> = (1..self.texts.len()).map(text).collect();
        let longest = parts.iter().map(tokens).max().unwrap_or_default();
        for part in &mut parts {
            let missing = longest - tokens(part);
            if missing > 0 {
                let last = part.clone().narrow(1, tokens(part) - 1, 1).repeat_dim(1, missing);
                *part = Tensor::cat(vec![part.clone(), last], 1);
            }
        }
        let negative = text(0);
        let common = least_common_multiple(tokens(&negative), longest);
        if common > LONGEST_CONTEXT && self.empty.is_none() {
            return Err(PipelineError::Lengths { prompt: longest, negative: tokens(&negative) });
        }
        let length = if self.empty.is_some() { longest.max(tokens(&negative)) } else { common };
        let lengthen = |text: &Tensor<3>| match &self.empty {
            Some(empty) => {
                let missing = (length - tokens(text)) / tokens(empty);
                let padding = std::iter::repeat_n(empty.clone(), missing);
                if missing == 0 {
                    text.clone()
                } else {
                    Tensor::cat(std::iter::once(text.clone()).chain(padding).collect(), 1)
                }
            }
            None if length == tokens(text) => text.clone(),
            None => text.clone().repeat_dim(1, length / tokens(text)),
        };
        let all =
            |prompt: &[Tensor<3>]| Tensor::cat(std::iter::once(&negative).chain(prompt).map(lengthen).collect(), 0);
        let keys = all(&parts);
        let values = self.values.as_ref().map_or_else(|| keys.clone(), |values| all(std::slice::from_ref(values)));
        let prompt = (length != longest).then(|| {
            let keys = parts[0].clone();
            (keys.clone(), self.values.clone().unwrap_or(keys))
        });
        Ok(Conditioning { keys, values, prompt, weights: self.weights.clone(), takes_scale: self.takes_scale })
    }
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a / divisor * b
}

/// The texts that the noise is predicted for, as embeddings: first the negative prompt, then what guides.
pub(crate) struct Conditioning {
    /// What patches look for, `[texts, tokens, width]`.
    pub(crate) keys: Tensor<3>,
    /// What they find there, of the same shape.
    values: Tensor<3>,
    /// Keys and values of the prompt alone, where its length in the others is not its own.
    prompt: Option<(Tensor<3>, Tensor<3>)>,
    /// How much each text after the first counts, in units of the guidance scale.
    weights: Vec<f64>,
    /// Whether the model was distilled with guidance: it takes the scale as a condition, and predicts what guidance would
    /// make of two predictions.
    takes_scale: bool,
}

impl Conditioning {
    /// As the U-Net reads it at every step, keys and values of every layer: the prompt alone, and all texts.
    pub(crate) fn read(&self, unet: &UNet2DConditionModel, scale: f64) -> [ConditioningText; 2] {
        let read = |keys, values| unet.read_text_with_values(keys, values).with_guidance_scale(scale);
        let every = read(&self.keys, &self.values);
        let prompt = match &self.prompt {
            Some((keys, values)) => read(keys, values),
            None => every.narrow(1, 1),
        };
        [prompt, every]
    }

    /// Whether the prediction for the only guiding text is all there is at a guidance scale.
    pub(crate) fn is_single(&self, scale: f64) -> bool {
        (scale <= 1.0 || self.takes_scale) && self.weights == [1.0]
    }

    /// Classifier-free guidance (Ho and Salimans 2022) by one text, and its sum over several (Liu et al. 2022, equation 11):
    /// e_0 + sum of w_i (e_i - e_0), where w_i is the weight times the guidance scale. Then [`rescale_noise_cfg`] by what the same
    /// texts say at a scale of 1.
    ///
    /// # Shapes
    /// - predicted: `[texts * pictures, channels, rows, cols]`, text by text
    /// - output: `[pictures, channels, rows, cols]`
    pub(crate) fn combine(&self, predicted: Tensor<4>, pictures: usize, scale: f64, rescale: f64) -> Tensor<4> {
        if self.is_single(scale) {
            return predicted;
        }
        let scale = if self.takes_scale { 1.0 } else { scale };
        let text = |index: usize| predicted.clone().narrow(0, index * pictures, pictures);
        let unconditional = text(0);
        let at = |scale: f64| {
            let guided = self.weights.iter().enumerate().map(|(index, weight)| {
                let difference = text(index + 1) - unconditional.clone();
                difference * (weight * scale)
            });
            guided.fold(unconditional.clone(), |sum, part| sum + part)
        };
        if rescale > 0.0 { rescale_noise_cfg(at(scale), at(1.0), rescale) } else { at(scale) }
    }
}

/// Takes back the contrast that guidance adds, by the share `rescale`: diffusers' function of this name (Lin et al. 2023, section
/// 3.4), picture by picture.
fn rescale_noise_cfg(guided: Tensor<4>, text: Tensor<4>, rescale: f64) -> Tensor<4> {
    let deviation = |prediction: Tensor<4>| -> Tensor<4> {
        let [pictures, ..] = prediction.dims();
        prediction.flatten::<2>(1, 3).var(1).sqrt().reshape([pictures, 1, 1, 1])
    };
    let factor = deviation(text) / deviation(guided.clone());
    guided * (factor * rescale + (1.0 - rescale))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor<const N: usize>(values: [f32; N]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), [N / 4, 1, 2, 2]), &Device::flex())
    }

    fn conditioning(weights: &[f64], takes_scale: bool) -> Conditioning {
        let texts = Tensor::zeros([weights.len() + 1, 1, 1], &Device::flex());
        Conditioning { keys: texts.clone(), values: texts, prompt: None, weights: weights.to_vec(), takes_scale }
    }

    // u = torch.tensor([0.5, -1, 2, 0.25, 1, 0, -0.5, 3]).reshape(2, 1, 2, 2)
    // t = torch.tensor([1, -0.5, 1, 0.75, 0, 2, -1, 1]).reshape(2, 1, 2, 2)
    // rescale_noise_cfg(u + 7.5 * (t - u), t, guidance_rescale)
    #[test]
    fn guidance_is_rescaled_as_by_diffusers() {
        let predicted = tensor([0.5, -1.0, 2.0, 0.25, 1.0, 0.0, -0.5, 3.0, 1.0, -0.5, 1.0, 0.75, 0.0, 2.0, -1.0, 1.0]);
        for (rescale, expected) in [
            (0.0, [4.25, 2.75, -5.5, 4.0, -6.5, 15.0, -4.25, -12.0]),
            (
                0.7,
                [
                    1.736_388_7,
                    1.123_545_6,
                    -2.247_091_3,
                    1.634_248_1,
                    -2.449_851,
                    5.653_502_5,
                    -1.601_825_7,
                    -4.522_802,
                ],
            ),
        ] {
            let guided = conditioning(&[1.0], false).combine(predicted.clone(), 2, 7.5, rescale);
            let guided: Vec<f32> = guided.to_data().try_into_vec_as().unwrap();
            for (guided, expected) in guided.iter().zip(expected) {
                assert!((guided - expected).abs() < 1e-5, "{rescale}: {guided} {expected}");
            }
        }
    }

    fn texts(texts: &[Vec<Vec<f32>>], empty: Option<f32>) -> EncodedTexts {
        let tensor = |values: &Vec<f32>| {
            Tensor::from_data(TensorData::new(values.clone(), [1, values.len(), 1]), &Device::flex())
        };
        EncodedTexts {
            weights: vec![1.0; texts.len() - 1],
            texts: texts.iter().map(|side| side.iter().map(tensor).collect()).collect(),
            values: None,
            empty: empty.map(|value| tensor(&vec![value])),
            takes_scale: false,
        }
    }

    fn rows(tensor: &Tensor<3>) -> Vec<Vec<f32>> {
        let values: Vec<f32> = tensor.to_data().iter::<f32>().collect();
        values.chunks(tensor.dims()[1]).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn texts_of_several_lengths_get_one_length() {
        let sides = || vec![vec![vec![9.0], vec![8.0]], vec![vec![1.0, 2.0]], vec![vec![3.0], vec![4.0]]];
        let at = |texts: &EncodedTexts, state: [usize; 3]| texts.at(&state).unwrap();
        let repeated = at(&texts(&sides(), None), [1, 0, 1]);
        assert_eq!(rows(&repeated.keys), [[8.0, 8.0], [1.0, 2.0], [4.0, 4.0]]);
        assert!(repeated.prompt.is_none());
        let padded = at(&texts(&sides(), Some(0.0)), [0, 0, 0]);
        assert_eq!(rows(&padded.keys), [[9.0, 0.0], [1.0, 2.0], [3.0, 3.0]]);
        // The negative prompt is the longer one: guidance looks at the prompt as it is.
        let long = texts(&[vec![vec![9.0, 8.0, 7.0]], vec![vec![1.0, 2.0]]], None).at(&[0, 0]).unwrap();
        assert_eq!(rows(&long.keys), [[9.0, 8.0, 7.0, 9.0, 8.0, 7.0], [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]]);
        assert_eq!(rows(&long.prompt.unwrap().0), [[1.0, 2.0]]);
        let long = texts(&[vec![vec![9.0; 3]], vec![vec![1.0]]], Some(0.5)).at(&[0, 0]).unwrap();
        assert_eq!(rows(&long.keys), [[9.0; 3], [1.0, 0.5, 0.5]]);
        let apart = texts(&[vec![vec![0.0; 77 * 31]], vec![vec![1.0; 77 * 32]]], None).at(&[0, 0]);
        let error = apart.err().unwrap().to_string();
        assert!(error.starts_with("the prompt has 2464 tokens and the negative prompt 2387"), "{error}");
    }

    #[test]
    fn without_guidance_nothing_is_rescaled() {
        let predicted = tensor([1.0, 2.0, 3.0, 4.0]);
        let combined = conditioning(&[1.0], false).combine(predicted.clone(), 1, 1.0, 0.7);
        assert_eq!(combined.to_data(), predicted.to_data());
    }

    /// `do_classifier_free_guidance` of diffusers' pipelines: `guidance_scale > 1 and unet.config.time_cond_proj_dim is None`.
    #[test]
    fn a_model_distilled_with_guidance_is_not_guided_again() {
        for (scale, takes_scale, single) in
            [(7.5, false, false), (1.0, false, true), (7.5, true, true), (1.0, true, true)]
        {
            assert_eq!(conditioning(&[1.0], takes_scale).is_single(scale), single, "{scale} {takes_scale}");
        }
        let predicted =
            |values: &[f32]| Tensor::<1>::from_floats(values, &Device::flex()).reshape([values.len(), 1, 1, 1]);
        let combined = |conditioning: &Conditioning, values: &[f32]| {
            let combined = conditioning.combine(predicted(values), 1, 3.0, 0.0);
            combined.into_data().iter::<f32>().collect::<Vec<_>>()
        };
        assert_eq!(combined(&conditioning(&[1.0], true), &[5.0]), [5.0]);
        assert_eq!(combined(&conditioning(&[1.0], false), &[1.0, 2.0]), [4.0]);
        // Parts add up as they are predicted: the scale is in each prediction.
        assert_eq!(combined(&conditioning(&[1.0, 0.5], true), &[1.0, 2.0, 5.0]), [4.0]);
        assert_eq!(combined(&conditioning(&[1.0, 0.5], false), &[1.0, 2.0, 5.0]), [10.0]);
    }
}
