//! Scores pictures against a prompt as the paper does.
//!
//! ```sh
//! cargo run --release -p ae-vision --example scores -- clip-vit-base-patch16 "a cat and a dog" outputs/*.png
//! ```

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::env;
use std::error::Error;
use std::time::Instant;

use ae_tensor::{DeviceSpec, FloatType};
use ae_vision::{ClipModel, ClipScorer};
use image::RgbImage;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, prompt, paths @ ..] = &*arguments else {
        return Err("usage: scores CLIP_FOLDER PROMPT PICTURE...".into());
    };
    let device = "cpu".parse::<DeviceSpec>()?.open()?;
    let scorer = ClipScorer::new(ClipModel::load(folder, FloatType::F32, &device)?);

    let images: Vec<RgbImage> =
        paths.iter().map(|path| Ok(image::open(path)?.to_rgb8())).collect::<Result<_, image::ImageError>>()?;
    let start = Instant::now();
    let features = scorer.image_features(&images)?;
    println!("{} pictures in {:.1?}", features.len(), start.elapsed());

    let start = Instant::now();
    let full = scorer.full_prompt(&features, prompt)?;
    let smallest = scorer.minimum_object(&features, prompt)?;
    println!("the prompt in {:.1?}", start.elapsed());
    for (index, (path, full)) in paths.iter().zip(full).enumerate() {
        match &smallest {
            Some(smallest) => println!("{path}: full prompt {full:.4}, minimum object {:.4}", smallest[index]),
            None => println!("{path}: full prompt {full:.4}"),
        }
    }
    Ok(())
}
