use std::ops::ControlFlow;

use ae_pipeline::{Event, Observer, Picture, Pipeline};
use ae_settings::{FileRef, Overrides, Settings};
use ae_tensor::DeviceSpec;
use image::RgbImage;

use crate::{Error, FoundModel, InputImages, LoadedModel};

/// A model, ready for prompts.
#[derive(Debug)]
pub struct Model(LoadedModel);

impl Model {
    /// The embedded model on the CPU: small sprites, for a first try.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`] in a build without the feature `embedded`.
    pub fn embedded() -> Result<Self, Error> {
        Self::load(&FoundModel::embedded()?, DeviceSpec::CPU)
    }

    /// A model by its path or name, on the CPU; one of the hub is fetched, in a build with the feature `hub`.
    ///
    /// # Errors
    ///
    /// When there is no such model, or it cannot be loaded.
    pub fn open(name: &str) -> Result<Self, Error> {
        #[cfg(feature = "hub")]
        let found = FoundModel::find(name, &ae_hub::FileChoice::default(), &mut ())?;
        #[cfg(not(feature = "hub"))]
        let found = FoundModel::find_local(name)?;
        Self::load(&found, DeviceSpec::CPU)
    }

    /// A model that was found, on a device, in single precision.
    ///
    /// # Errors
    ///
    /// When it cannot be loaded.
    pub fn load(found: &FoundModel, device: DeviceSpec) -> Result<Self, Error> {
        LoadedModel::load(found, &Settings::default(), false, device).map(Self)
    }

    /// The pipeline underneath.
    pub fn pipeline(&self) -> &Pipeline {
        &self.0.pipeline
    }

    /// An image of `prompt`, to be described further.
    pub fn prompt(&self, prompt: impl Into<String>) -> PromptBuilder<'_> {
        let mut overrides = Overrides::default();
        overrides.prompt = Some(prompt.into());
        PromptBuilder { model: self, overrides }
    }
}

/// An image that is described and then drawn.
#[derive(Clone, Debug)]
pub struct PromptBuilder<'a> {
    model: &'a Model,
    overrides: Overrides,
}

impl PromptBuilder<'_> {
    /// The words or phrases of the prompt that must appear; without them the nouns of the prompt.
    #[must_use]
    pub fn subjects<S: Into<String>>(mut self, subjects: impl IntoIterator<Item = S>) -> Self {
        self.overrides.subjects = Some(subjects.into_iter().map(Into::into).collect());
        self
    }

    /// The seed; 42 without it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.overrides.seed = Some(seed);
        self
    }

    /// The image to start from; with a mask, the one of which a part is drawn anew.
    #[must_use]
    pub fn init_image(mut self, file: impl Into<String>) -> Self {
        self.overrides.init_image = Some(FileRef::new(file));
        self
    }

    /// A mask of the initial image: white where that is drawn anew, black where it stays.
    #[must_use]
    pub fn mask(mut self, file: impl Into<String>) -> Self {
        self.overrides.mask = Some(FileRef::new(file));
        self
    }

    /// Any other setting.
    #[must_use]
    pub fn with(mut self, set: impl FnOnce(&mut Overrides)) -> Self {
        set(&mut self.overrides);
        self
    }

    /// Draws the image.
    ///
    /// # Errors
    ///
    /// When a setting is outside its range, a subject is not in the prompt, or drawing fails.
    pub fn draw(self) -> Result<RgbImage, Error> {
        Ok(self.run(false, &mut |_: Event<'_>| ControlFlow::Continue(()))?.image)
    }

    /// As [`draw`](Self::draw), with an observer of every step, its attention maps included; it ends the run by breaking.
    ///
    /// # Errors
    ///
    /// As [`draw`](Self::draw), and when `observe` breaks.
    pub fn draw_with(self, observe: &mut Observer<'_>) -> Result<Picture, Error> {
        self.run(true, observe)
    }

    fn run(self, maps: bool, observe: &mut Observer<'_>) -> Result<Picture, Error> {
        let pipeline = self.model.pipeline();
        let mut overrides = self.overrides;
        let images = InputImages::read(&mut overrides)?;
        let mut request = pipeline.request_with(&overrides)?;
        images.give_to(&mut request);
        request.attention_maps = maps && request.settings.method != ae_settings::Method::ComposableDiffusion;
        let mut output = pipeline.generate(&request, observe)?;
        Ok(output.pictures.remove(0))
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use image::{GrayImage, Luma, Rgb};

    use super::*;

    #[test]
    fn images_that_are_named_are_read_and_what_stays_of_them_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let picture =
            RgbImage::from_fn(64, 64, |x, y| Rgb([u8::try_from(3 * x).unwrap(), u8::try_from(2 * y).unwrap(), 90]));
        picture.save(path("a.png")).unwrap();
        let mask = GrayImage::from_fn(64, 64, |x, _| Luma([if x < 32 { 255 } else { 0 }]));
        mask.save(path("m.png")).unwrap();
        let model = Model::embedded().unwrap();
        let short = |settings: &mut Overrides| settings.steps = Some(1);
        let drawn = model.prompt("a cat").with(short).init_image(path("a.png")).mask(path("m.png")).draw().unwrap();
        let differs = |x: u32| (0..64).any(|y| drawn.get_pixel(x, y) != picture.get_pixel(x, y));
        assert!((32..64).all(|x| !differs(x)) && (0..32).any(differs));
        // By any other setting too.
        let named = |settings: &mut Overrides| settings.init_image = Some(FileRef::new(path("none.png")));
        let error = model.prompt("a cat").with(named).draw().unwrap_err().to_string();
        assert!(error.contains("none.png"), "{error}");
        let error = model.prompt("a cat").mask(path("m.png")).draw().unwrap_err().to_string();
        assert!(error.contains("expected an initial image with it"), "{error}");
    }
}
