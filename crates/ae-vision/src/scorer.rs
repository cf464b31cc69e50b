use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use image::RgbImage;

use crate::clip::{ClipError, ClipModel, Features, dot, normalized};
use crate::templates::in_templates;

/// The paper's scores: how well pictures, or captions of them, fit a prompt, as cosines of CLIP's features.
///
/// The arithmetic is that of the official scripts `metrics/compute_clip_similarity.py` and
/// `metrics/blip_captioning_and_clip_similarity.py`, which use ViT-B/16, on a GPU in half precision. A prompt stands
/// in 80 templates ([`IMAGENET_TEMPLATES`](crate::IMAGENET_TEMPLATES)); the features of each sentence are normalised,
/// and so is their mean.
///
/// The features of pictures are computed once, by [`Self::image_features`], and serve every score; those of a prompt
/// are computed when they are first needed and kept.
#[derive(Debug)]
pub struct ClipScorer {
    clip: ClipModel,
    prompts: Mutex<HashMap<String, Arc<[f32]>>>,
}

impl ClipScorer {
    /// Scores with a model.
    pub fn new(clip: ClipModel) -> Self {
        Self { clip, prompts: Mutex::default() }
    }

    /// The model.
    pub fn clip(&self) -> &ClipModel {
        &self.clip
    }

    /// The features of pictures, see [`ClipModel::image_features`].
    ///
    /// # Errors
    ///
    /// Those of [`ClipModel::image_features`].
    pub fn image_features(&self, images: &[RgbImage]) -> Result<Features, ClipError> {
        self.clip.image_features(images)
    }

    /// Full-prompt similarity: the cosine between each picture and the whole prompt.
    ///
    /// # Errors
    ///
    /// Features of another model, and those of [`ClipModel::text_features`].
    pub fn full_prompt(&self, images: &Features, prompt: &str) -> Result<Vec<f32>, ClipError> {
        self.cosines(images, prompt)
    }

    /// Minimum-object similarity: of the cosines between each picture and the parts of the prompt, the smallest.
    ///
    /// A prompt is parted at every ` and `, or if it has none at every ` with `. One that cannot be parted has no such
    /// score: the official script skips it, here it is `None`. Of a prompt with three parts or more the script compares
    /// the first two; here all of them count. The prompts of the paper have two.
    ///
    /// # Errors
    ///
    /// Features of another model, and those of [`ClipModel::text_features`].
    pub fn minimum_object(&self, images: &Features, prompt: &str) -> Result<Option<Vec<f32>>, ClipError> {
        let Some(parts) = parts(prompt) else { return Ok(None) };
        let mut smallest = vec![f32::INFINITY; images.len()];
        for part in parts {
            for (smallest, cosine) in smallest.iter_mut().zip(self.cosines(images, part)?) {
                *smallest = smallest.min(cosine);
            }
        }
        Ok(Some(smallest))
    }

    /// Text-text similarity: the cosine between the prompt, in the templates, and a caption as it is.
    ///
    /// # Errors
    ///
    /// Those of [`ClipModel::text_features`].
    pub fn text_text(&self, prompt: &str, caption: &str) -> Result<f32, ClipError> {
        Ok(self.text_texts(prompt, &[caption])?[0])
    }

    /// [`Self::text_text`] of several captions of pictures of one prompt.
    ///
    /// # Errors
    ///
    /// Those of [`ClipModel::text_features`].
    pub fn text_texts(&self, prompt: &str, captions: &[impl AsRef<str>]) -> Result<Vec<f32>, ClipError> {
        self.cosines(&self.clip.text_features(captions)?, prompt)
    }

    /// The features of a prompt: the mean over the templates, of length 1.
    ///
    /// # Errors
    ///
    /// Those of [`ClipModel::text_features`].
    pub fn prompt_features(&self, prompt: &str) -> Result<Arc<[f32]>, ClipError> {
        // A panic elsewhere leaves a map of whole entries.
        let prompts = || self.prompts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(features) = prompts().get(prompt) {
            return Ok(Arc::clone(features));
        }
        let sentences = self.clip.text_features(&in_templates(prompt))?.normalized();
        let mut sum = vec![0.0; sentences.width()];
        for sentence in sentences.iter() {
            sum.iter_mut().zip(sentence).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let mean: Vec<f32> = sum.into_iter().map(|sum: f64| (sum / sentences.len() as f64) as f32).collect();
        let features: Arc<[f32]> = normalized(&mean).into();
        prompts().insert(prompt.to_owned(), Arc::clone(&features));
        Ok(features)
    }

    fn cosines(&self, features: &Features, prompt: &str) -> Result<Vec<f32>, ClipError> {
        let prompt = self.prompt_features(prompt)?;
        let (found, expected) = (features.width(), prompt.len());
        if found != expected {
            return Err(ClipError::Width { found, expected });
        }
        Ok(features.normalized().iter().map(|vector| dot(vector, &prompt) as f32).collect())
    }
}

/// What a prompt speaks of, if it speaks of several things.
fn parts(prompt: &str) -> Option<Vec<&str>> {
    let parted = |by| Some(prompt.split(by).collect::<Vec<_>>()).filter(|parts| parts.len() > 1);
    parted(" and ").or_else(|| parted(" with "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_parted_at_and_or_else_at_with() {
        assert_eq!(parts("a cat and a dog"), Some(vec!["a cat", "a dog"]));
        assert_eq!(parts("a cat with a red bow"), Some(vec!["a cat", "a red bow"]));
        assert_eq!(parts("a cat with a bow and a dog"), Some(vec!["a cat with a bow", "a dog"]));
        assert_eq!(parts("a cat and a dog and a bird"), Some(vec!["a cat", "a dog", "a bird"]));
        assert_eq!(parts("a sandy beach"), None);
        assert_eq!(parts(""), None);
    }
}
