//! Memory of pictures that are drawn together: alone in its process, whose peak it reads.

use std::ops::ControlFlow;

use ae_pipeline::{ModelSource, Pipeline};
use ae_tensor::FloatType;
use ae_tests::{peak_memory, sprites};
use burn::tensor::Device;

/// The estimate decides how large a batch may be: below what is taken, a process would be killed; far above, memory would lie idle.
#[test]
fn a_picture_of_a_batch_takes_what_is_estimated_or_a_little_less() {
    const FEW: usize = 4;
    const MANY: usize = 24;
    let pipeline = Pipeline::load(&ModelSource::folder(sprites()), FloatType::F32, &Device::flex()).unwrap();
    let mut request = pipeline.request("a cat and a frog");
    request.settings.steps = 1;
    request.settings.attend_and_excite.max_refinement_steps = 1;
    // The first run also prepares weights for every later one.
    let [few, many] = [FEW, MANY].map(|pictures| {
        request.seeds = (0..pictures as u64).collect();
        let prepared = pipeline.prepare(&request).unwrap();
        pipeline.draw(&prepared, &mut |_| ControlFlow::Continue(())).unwrap();
        (peak_memory(), pipeline.memory(&prepared, pictures))
    });
    let (Some(measured_few), Some(measured_many)) = (few.0, many.0) else { return };
    let measured = (measured_many - measured_few) as f64;
    let estimated = (many.1 - few.1) as f64;
    assert!(measured <= estimated && estimated <= 2.0 * measured, "{measured} measured, {estimated} estimated");
}
