use ae_clip::WeightedPrompt;
use ae_settings::{Method, Settings};
use ae_unet::{ConditioningText, UNet2DConditionModel};
use burn::tensor::Tensor;

use crate::composition::{PromptPart, prompt_parts};
use crate::phrases::{Phrase, PhraseChoice};
use crate::{Pipeline, PipelineError};

/// The texts of a request, before they are encoded.
#[derive(Clone, Debug)]
pub(crate) struct PromptTexts {
    /// The whole prompt.
    pub(crate) prompt: WeightedPrompt,
    /// What the image must not show.
    pub(crate) negative: WeightedPrompt,
    /// What the noise is predicted for.
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The prompt.
    Prompt,
    /// The prompt, with values that are also those of its phrases.
    Phrases(Vec<Phrase>),
    /// Each part of the prompt, and its weight.
    Parts(Vec<(WeightedPrompt, f64)>),
}

impl PromptTexts {
    /// Reads the prompt of a request as its method does.
    pub(crate) fn new(pipeline: &Pipeline, settings: &Settings, attention_maps: bool) -> Result<Self, PipelineError> {
        let weighting = settings.prompt_weighting;
        let prompt = pipeline.tokenize_with(&settings.prompt, weighting)?;
        let kind = match settings.method {
            Method::StructureDiffusion => {
                let choice = settings.phrases.clone().map_or(PhraseChoice::Auto, PhraseChoice::Phrases);
                Kind::Phrases(choice.resolve(&prompt.prompt)?)
            }
            Method::ComposableDiffusion if attention_maps => return Err(PipelineError::MapsOfParts),
            Method::ComposableDiffusion => {
                let parts = prompt_parts(&settings.prompt)?.into_iter();
                let parts = parts.map(|part| Ok((pipeline.tokenize_with(&part.text, weighting)?, part.weight)));
                Kind::Parts(parts.collect::<Result<_, PipelineError>>()?)
            }
            _ => Kind::Prompt,
        };
        let negative = pipeline.tokenize_with(&settings.negative_prompt, weighting)?;
        Ok(Self { prompt, negative, kind })
    }

    /// The prompt alone, as plain sampling reads it.
    pub(crate) fn whole(self) -> Self {
        Self { kind: Kind::Prompt, ..self }
    }

    /// The phrases that are encoded by themselves, if the method has any.
    pub(crate) fn phrases(&self) -> Option<&[Phrase]> {
        match &self.kind {
            Kind::Phrases(phrases) => Some(phrases),
            Kind::Prompt | Kind::Parts(_) => None,
        }
    }

    /// The parts that the noise is predicted for, if the method has any.
    pub(crate) fn parts(&self) -> Option<Vec<PromptPart>> {
        let Kind::Parts(parts) = &self.kind else { return None };
        let part = |(text, weight): &(WeightedPrompt, f64)| PromptPart {
            text: text.prompt.text().to_owned(),
            weight: *weight,
        };
        Some(parts.iter().map(part).collect())
    }

    /// Encodes them, with the negative prompt.
    pub(crate) fn encode(&self, pipeline: &Pipeline, settings: &Settings) -> Result<Conditioning, PipelineError> {
        let guided = |texts: &[&WeightedPrompt], weights| {
            let texts: Vec<_> =
                std::iter::once(&self.negative).chain(texts.iter().copied()).map(Encodable::of).collect();
            let keys = pipeline.encode_texts(&texts, settings)?;
            let takes_scale = pipeline.unet_config.time_cond_proj_dim.is_some();
            Ok(Conditioning { values: keys.clone(), keys, weights, takes_scale })
        };
        match &self.kind {
            Kind::Prompt => guided(&[&self.prompt], vec![1.0]),
            Kind::Parts(parts) => {
                let (texts, weights): (Vec<_>, Vec<_>) = parts.iter().map(|(text, weight)| (text, *weight)).unzip();
                guided(&texts, weights)
            }
            Kind::Phrases(phrases) => {
                let mut conditioning = guided(&[&self.prompt], vec![1.0])?;
                let values = self.structured(pipeline, settings, phrases, &conditioning.keys)?;
                conditioning.values = values;
                Ok(conditioning)
            }
        }
    }

    /// The embeddings of negative prompt and prompt, the latter as the mean over itself and its phrases: each phrase is encoded
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
        keys: &Tensor<3>,
    ) -> Result<Tensor<3>, PipelineError> {
        if phrases.is_empty() {
            return Ok(keys.clone());
        }
        let empty = Encodable::of(&pipeline.tokenize_with("", settings.prompt_weighting)?);
        let alone: Vec<_> = phrases.iter().map(|phrase| empty.with(&self.prompt, phrase)).collect();
        let alone = pipeline.encode_texts(&alone, settings)?;
        let [_, _, width] = keys.dims();
        let prompt = keys.clone().narrow(0, 1, 1);
        let mut sum = prompt.clone();
        for (index, Phrase { positions, .. }) in phrases.iter().enumerate() {
            let (start, length) = (*positions.start(), positions.end() - positions.start() + 1);
            let rows = alone.clone().slice([index..index + 1, 1..1 + length, 0..width]);
            sum = sum + prompt.clone().slice_assign([0..1, start..start + length, 0..width], rows);
        }
        let mean = sum / (phrases.len() + 1) as f64;
        Ok(Tensor::cat(vec![keys.clone().narrow(0, 0, 1), mean], 0))
    }
}

/// A text as the text encoder takes it.
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

/// The texts that the noise is predicted for, as embeddings: first the negative prompt, then what guides.
pub(crate) struct Conditioning {
    /// What patches look for, `[texts, tokens, width]`.
    pub(crate) keys: Tensor<3>,
    /// What they find there, of the same shape.
    values: Tensor<3>,
    /// How much each text after the first counts, in units of the guidance scale.
    weights: Vec<f64>,
    /// Whether the model was distilled with guidance: it takes the scale as a condition, and predicts what guidance would
    /// make of two predictions.
    takes_scale: bool,
}

impl Conditioning {
    /// As the U-Net reads it at every step: keys and values of every layer.
    pub(crate) fn read(&self, unet: &UNet2DConditionModel, scale: f64) -> ConditioningText {
        unet.read_text_with_values(&self.keys, &self.values).with_guidance_scale(scale)
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
        Conditioning { keys: texts.clone(), values: texts, weights: weights.to_vec(), takes_scale }
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
