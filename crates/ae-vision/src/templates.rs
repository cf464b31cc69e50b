//! The sentences that a prompt is put into for its CLIP features.

/// The 80 templates with which OpenAI classifies the pictures of ImageNet: `imagenet_templates` of the notebook
/// `Prompt_Engineering_for_ImageNet.ipynb` in [openai/CLIP](https://github.com/openai/CLIP) (MIT licence). `{}` is the
/// place of the prompt.
pub const IMAGENET_TEMPLATES: [&str; 80] = [
    "a bad photo of a {}.",
    "a photo of many {}.",
    "a sculpture of a {}.",
    "a photo of the hard to see {}.",
    "a low resolution photo of the {}.",
    "a rendering of a {}.",
    "graffiti of a {}.",
    "a bad photo of the {}.",
    "a cropped photo of the {}.",
    "a tattoo of a {}.",
    "the embroidered {}.",
    "a photo of a hard to see {}.",
    "a bright photo of a {}.",
    "a photo of a clean {}.",
    "a photo of a dirty {}.",
    "a dark photo of the {}.",
    "a drawing of a {}.",
    "a photo of my {}.",
    "the plastic {}.",
    "a photo of the cool {}.",
    "a close-up photo of a {}.",
    "a black and white photo of the {}.",
    "a painting of the {}.",
    "a painting of a {}.",
    "a pixelated photo of the {}.",
    "a sculpture of the {}.",
    "a bright photo of the {}.",
    "a cropped photo of a {}.",
    "a plastic {}.",
    "a photo of the dirty {}.",
    "a jpeg corrupted photo of a {}.",
    "a blurry photo of the {}.",
    "a photo of the {}.",
    "a good photo of the {}.",
    "a rendering of the {}.",
    "a {} in a video game.",
    "a photo of one {}.",
    "a doodle of a {}.",
    "a close-up photo of the {}.",
    "a photo of a {}.",
    "the origami {}.",
    "the {} in a video game.",
    "a sketch of a {}.",
    "a doodle of the {}.",
    "a origami {}.",
    "a low resolution photo of a {}.",
    "the toy {}.",
    "a rendition of the {}.",
    "a photo of the clean {}.",
    "a photo of a large {}.",
    "a rendition of a {}.",
    "a photo of a nice {}.",
    "a photo of a weird {}.",
    "a blurry photo of a {}.",
    "a cartoon {}.",
    "art of a {}.",
    "a sketch of the {}.",
    "a embroidered {}.",
    "a pixelated photo of a {}.",
    "itap of the {}.",
    "a jpeg corrupted photo of the {}.",
    "a good photo of a {}.",
    "a plushie {}.",
    "a photo of the nice {}.",
    "a photo of the small {}.",
    "a photo of the weird {}.",
    "the cartoon {}.",
    "art of the {}.",
    "a drawing of the {}.",
    "a photo of the large {}.",
    "a black and white photo of a {}.",
    "the plushie {}.",
    "a dark photo of a {}.",
    "itap of a {}.",
    "graffiti of the {}.",
    "a toy {}.",
    "itap of my {}.",
    "a photo of a cool {}.",
    "a photo of a small {}.",
    "a tattoo of the {}.",
];

/// A prompt in every template, with the doubled articles mended as in `get_embedding_for_prompt` of the official
/// `metrics/imagenet_utils.py`: every `a a` becomes `a`, then every `the a` becomes `a`. So `a photo of a {}.` with
/// `a cat` is `a photo of a cat.`, and with `apple` it is `a photo of apple.`.
pub(crate) fn in_templates(prompt: &str) -> Vec<String> {
    let fill = |template: &&str| template.replace("{}", prompt).replace("a a", "a").replace("the a", "a");
    IMAGENET_TEMPLATES.iter().map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_has_one_place() {
        assert!(IMAGENET_TEMPLATES.iter().all(|template| template.matches("{}").count() == 1));
    }

    /// ```python
    /// texts = [template.format(prompt) for template in imagenet_templates]
    /// texts = [t.replace('a a', 'a') for t in texts]; [t.replace('the a', 'a') for t in texts]
    /// ```
    #[test]
    fn doubled_articles_are_mended() {
        let texts = in_templates("a cat and a dog");
        assert_eq!(texts[0], "a bad photo of a cat and a dog.");
        assert_eq!(texts[4], "a low resolution photo of a cat and a dog.");
        assert_eq!(texts[10], "the embroidered a cat and a dog.");
        assert_eq!(in_templates("an apple")[1], "a photo of many an apple.");
        assert_eq!(in_templates("an apple")[0], "a bad photo of an apple.");
        assert_eq!(in_templates("apple")[0], "a bad photo of apple.");
        assert_eq!(in_templates("apple")[7], "a bad photo of apple.");
        assert_eq!(in_templates("{}")[0], "a bad photo of a {}.");
    }
}
