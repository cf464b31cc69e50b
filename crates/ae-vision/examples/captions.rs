//! Prints a caption of each picture, with the options of the paper's metric.
//!
//! ```text
//! cargo run --release -p ae-vision --example captions -- blip-image-captioning-base PICTURE ...
//! ```

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::env;
use std::error::Error;
use std::time::Instant;

use ae_tensor::{DeviceSpec, FloatType};
use ae_vision::Captioner;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [folder, pictures @ ..] = arguments.as_slice() else {
        return Err("usage: captions FOLDER PICTURE ...".into());
    };
    let start = Instant::now();
    let captioner = Captioner::load(folder, FloatType::F32, &"cpu".parse::<DeviceSpec>()?.open()?)?;
    println!("loaded in {:.1} s", start.elapsed().as_secs_f64());

    for path in pictures {
        let picture = image::open(path)?.into_rgb8();
        let start = Instant::now();
        let captions = captioner.captions(&[picture])?;
        println!("{path}: {} ({:.1} s)", captions.concat(), start.elapsed().as_secs_f64());
    }
    Ok(())
}
