//! Puts a subject into a box: patches outside of it do not attend to its token.
//!
//! ```sh
//! cargo run --release -p ae-pipeline --example box_mask -- FOLDER "a cat" cat 64,64,128,128 7
//! ```
//!
//! The box is left, top, right and bottom in pixels. The picture in the folder (by default that for temporary files) shows
//! plain sampling and the same seed with the mask, each with the box. The model is the embedded one.
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::convert::Infallible;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ae_pipeline::{AttentionKind, AttentionProcessor, AttentionSite, Method, ModelSource, Pipeline, SubjectChoice};
use ae_tensor::{DeviceSpec, FloatType};
use burn::tensor::{Tensor, TensorData};
use image::{Rgb, RgbImage, imageops};

/// Takes the attention to some tokens away outside of a box; the other tokens share it in proportion.
struct BoxMask {
    /// Left, top, right, bottom as shares of the picture.
    bounds: [f64; 4],
    tokens: Vec<usize>,
}

impl BoxMask {
    /// For every patch and token, 1 where it may attend and 0 where not, `[1, 1, rows * cols, tokens]`.
    fn mask(&self, [rows, cols]: [usize; 2], tokens: usize) -> TensorData {
        let [left, top, right, bottom] = self.bounds;
        let mut mask = Vec::with_capacity(rows * cols * tokens);
        for patch in 0..rows * cols {
            let center = |index: usize, count: usize| (index as f64 + 0.5) / count as f64;
            let (x, y) = (center(patch % cols, cols), center(patch / cols, rows));
            let is_inside = (left..right).contains(&x) && (top..bottom).contains(&y);
            mask.extend((0..tokens).map(|token| f32::from(is_inside || !self.tokens.contains(&token))));
        }
        TensorData::new(mask, [1, 1, rows * cols, tokens])
    }
}

impl AttentionProcessor for BoxMask {
    type Break = Infallible;

    fn wants(&self, site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross
    }

    fn process(&mut self, site: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
        let [batch, _, _, tokens] = probs.dims();
        let mask = Tensor::from_data(self.mask(site.resolution, tokens), &probs.device());
        // The first half of the batch has the negative prompt, whose tokens are others.
        let [without, with] = [0, batch / 2].map(|start| probs.clone().narrow(0, start, batch / 2));
        let masked = with * mask;
        ControlFlow::Continue(Tensor::cat(vec![without, masked.clone() / masked.sum_dim(3)], 0))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let prompt = arguments.next().unwrap_or_else(|| "a cat".to_owned());
    let subject = arguments.next().unwrap_or_else(|| "cat".to_owned());
    let bounds = arguments.next().unwrap_or_else(|| "64,64,128,128".to_owned());
    let bounds = bounds.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    let bounds: [u32; 4] = bounds.try_into().map_err(|_| "expected a box as left,top,right,bottom")?;
    let seed = arguments.next().map_or(Ok(7), |seed| seed.parse())?;

    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites");
    let pipeline = Pipeline::load(&ModelSource::folder(model), FloatType::F32, &DeviceSpec::CPU.open()?)?;
    let mut request = pipeline.request(&prompt);
    request.seeds = vec![seed];
    request.settings.method = Method::StableDiffusion;
    let tokens = pipeline.tokenize(&prompt)?;
    let subjects = SubjectChoice::Words(vec![subject]).resolve(&tokens)?;
    // The end token and the padding speak of the whole prompt, thus of the subject too.
    let positions = subjects.into_iter().flat_map(|subject| subject.positions);
    let positions = positions.chain(tokens.end()..tokens.tokens().len()).collect();

    let [height, width] = pipeline.default_size().map(|side| side as f64);
    let shares = [0, 1, 2, 3].map(|side| f64::from(bounds[side]) / [width, height][side % 2]);
    let mut mask = BoxMask { bounds: shares, tokens: positions };
    let go_on = &mut |_: ae_pipeline::Event<'_>| ControlFlow::Continue(());
    let plain = pipeline.generate(&request, go_on)?;
    let masked = pipeline.generate_with(&request, &mut mask, go_on)?;

    let (each, high) = plain.pictures[0].image.dimensions();
    let mut row = RgbImage::new(2 * each, high);
    for (index, output) in [plain, masked].into_iter().enumerate() {
        let picture = framed(output.pictures[0].image.clone(), bounds);
        imageops::replace(&mut row, &picture, i64::from(each) * i64::from(u8::from(index > 0)), 0);
    }
    let path = folder.join("box-mask.png");
    row.save(&path)?;
    println!("{}", path.display());
    Ok(())
}

/// The picture with the outline of a box.
fn framed(mut picture: RgbImage, [left, top, right, bottom]: [u32; 4]) -> RgbImage {
    let (width, height) = picture.dimensions();
    let (right, bottom) = (right.min(width).saturating_sub(1), bottom.min(height).saturating_sub(1));
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let is_inside = (left..=right).contains(&x) && (top..=bottom).contains(&y);
        if is_inside && (x == left || x == right || y == top || y == bottom) {
            *pixel = Rgb([220, 30, 30]);
        }
    }
    picture
}
