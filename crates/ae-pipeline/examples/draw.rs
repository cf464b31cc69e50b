//! Draws a prompt with and without guidance, and prints how the loss of the most neglected subject
//! fell.
//!
//! ```sh
//! cargo run --release -p ae-pipeline --example draw -- "a lion and a red car" 7 MODEL
//! ```
//!
//! Without a model folder it is the embedded model. The pictures are written to the folder for
//! temporary files.
#![expect(clippy::print_stdout, reason = "an example's result")]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use ae_pipeline::{Event, Method, ModelSource, Pipeline};
use ae_tensor::{DeviceSpec, FloatType};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let prompt = arguments.next().unwrap_or_else(|| "a lion and a red car".to_owned());
    let seed = arguments.next().map_or(Ok(7), |seed| seed.parse())?;
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/sprites");
    let model = arguments.next().map_or(embedded, Into::into);

    let pipeline = Pipeline::load(&ModelSource::folder(model), FloatType::F32, &DeviceSpec::CPU.open()?)?;
    let guided = pipeline.request(prompt).with(|request| request.seeds = vec![seed]);
    let plain = guided.clone().with(|request| request.settings.method = Method::StableDiffusion);
    for request in [guided, plain] {
        let output = pipeline.generate(&request, &mut |event| {
            if let Event::Evaluated { step, losses, .. } = event {
                let most_neglected = losses.largest_term().map_or("none", |term| &term.name);
                println!("step {step}: loss {:.3}, most neglected: {most_neglected}", losses.loss);
            }
            ControlFlow::Continue(())
        })?;
        let path = std::env::temp_dir().join(format!("{}-{seed}.png", request.settings.method.name()));
        output.pictures[0].image.save(&path)?;
        println!("{}", path.display());
    }
    Ok(())
}
