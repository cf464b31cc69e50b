//! Attention processors in a run, and the raw tensors that come out of it and go in again.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::Path;

use ae_pipeline::{
    AttentionKind, AttentionProcessor, AttentionSite, Event, InitialLatents, ModelSource, Output, Pipeline,
    PipelineError, Request, SaveError, SchedulerKind, TensorRecorder, Thresholds, observe_attention,
};
use ae_tensor::FloatType;
use ae_tests::{Case, Tensors, assert_close, device, largest_difference, model, tolerances};
use burn::tensor::Tensor;
use safetensors::SafeTensors;

/// Latents of 24x40; cross-attention of 6x10 in five layers of four heads.
fn case() -> (Case, Pipeline) {
    let case = Case::read("sd1-ddim-10-landscape");
    let pipeline = Pipeline::load(&ModelSource::folder(model(&case.model)), FloatType::F32, &device()).unwrap();
    (case, pipeline)
}

fn plain(case: &Case, pipeline: &Pipeline, num_inference_steps: usize) -> Request {
    case.request(pipeline, false).with(|request| request.settings.steps = num_inference_steps)
}

/// Draws a request up to the end of the step of index `last`, and writes its tensors.
fn record(
    pipeline: &Pipeline,
    request: &Request,
    layers: &[&str],
    last: usize,
    path: &Path,
) -> Result<Output, PipelineError> {
    let layers: Vec<_> = layers.iter().map(|layer| layer.parse().unwrap()).collect();
    let prepared = pipeline.prepare(request)?;
    let recorder = TensorRecorder::new(pipeline, &prepared, &layers)?;
    let output = pipeline.draw_with(&prepared, &mut *recorder.processor(), &mut |event| {
        recorder.observe(&event);
        let is_last = matches!(event, Event::Denoised { step, .. } if step == last);
        if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    recorder.save(path).unwrap();
    output
}

/// The names and the metadata of a file.
fn header(path: &Path) -> (BTreeSet<String>, HashMap<String, String>) {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    (header.tensors().into_keys().collect(), header.metadata().clone().unwrap())
}

fn close(case: &Case, stage: &str, actual: &[f32]) {
    let tolerances = tolerances();
    assert_close(stage, actual, &case.values(stage), tolerances.relative, tolerances.absolute);
}

#[test]
fn recorded_latents_and_gradient_are_the_references() {
    let ((case, pipeline), folder) = (case(), tempfile::tempdir().unwrap());
    let path = folder.path().join("new/run.safetensors");
    let mut request = case.request(&pipeline, true);
    request.settings.attend_and_excite.thresholds = Thresholds::none();
    assert!(matches!(record(&pipeline, &request, &[], 0, &path), Err(PipelineError::Interrupted)));

    let (names, metadata) = header(&path);
    assert_eq!(names.iter().collect::<Vec<_>>(), ["gradient.step.000", "latents.initial", "latents.step.000"]);
    assert_eq!(metadata["prompt"], case.arguments.prompt);
    assert_eq!(metadata["negative_prompt"], "");
    assert_eq!(metadata["seeds"], format!("[{}]", case.arguments.seed));
    assert_eq!(metadata["timesteps"], "[901.0]");
    assert_eq!(metadata["init_noise_sigma"], "1");
    assert_eq!(metadata["axes.gradient"], "picture, channel, row, column");
    assert!(
        metadata["tokens"].starts_with(r#"["<|startoftext|>","a","lion","with","a","crown","<|end"#),
        "{metadata:?}"
    );
    let tensors = Tensors::read(&path);
    close(&case, "initial_latents", &tensors.values("latents.initial").0);
    close(&case, "gradient", &tensors.values("gradient.step.000").0);
    assert_eq!(tensors.values("latents.step.000").1, [1, 4, 24, 40]);
}

#[test]
fn recorded_attention_is_the_references() {
    let ((case, pipeline), folder) = (case(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.safetensors");
    let request = case.request(&pipeline, false);
    let layers = ["down_blocks.*.attn2", "up*attn2", "mid_block.*.attn1#1", "mid_block.*.attn1#3,1"];
    assert!(matches!(record(&pipeline, &request, &layers, 0, &path), Err(PipelineError::Interrupted)));

    let (names, metadata) = header(&path);
    let attention: Vec<_> = names.iter().filter_map(|name| name.strip_prefix("attention.step.000.")).collect();
    assert_eq!((names.len(), attention.len()), (18, 16), "{names:?}");
    assert_eq!(metadata["axes.attention"], "text and picture, head, query, key");
    let mid = "mid_block.attentions.0.transformer_blocks.0.attn1";
    assert!(metadata["heads"].contains(&format!(r#""{mid}":[1,3]"#)), "{}", metadata["heads"]);
    let tensors = Tensors::read(&path);
    assert_eq!(tensors.values(&format!("attention.step.000.{mid}")).1, [2, 2, 15, 15]);

    // The mean over heads and layers of the half with the prompt.
    let mut mean = vec![0.0; 60 * 77];
    let layers: Vec<_> = attention.iter().map(|layer| tensors.values(&format!("attention.step.000.{layer}"))).collect();
    let layers: Vec<_> = layers.into_iter().filter(|(_, shape)| *shape == [2, 4, 60, 77]).collect();
    assert_eq!(layers.len(), 5);
    for (values, _) in layers {
        for head in values.chunks(mean.len()).skip(4) {
            mean.iter_mut().zip(head).for_each(|(mean, value)| *mean += value / 20.0);
        }
    }
    close(&case, "attention_maps", &mean);
}

/// Also with a sampler that draws noise at every step, and with a factor of the first latents.
#[test]
fn recorded_initial_latents_draw_the_same_pictures() {
    let ((case, pipeline), folder) = (case(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.safetensors");
    for scheduler in [SchedulerKind::EulerAncestral, SchedulerKind::Ddim] {
        let mut request = plain(&case, &pipeline, 3);
        request.settings.scheduler = Some(scheduler);
        request.seeds = vec![3, 4];
        let output = record(&pipeline, &request, &[], 3, &path).unwrap();
        let last: Vec<f32> =
            output.pictures.iter().flat_map(|p| p.latents.to_data().try_into_vec_as().unwrap()).collect();
        assert_eq!(Tensors::read(&path).values("latents.step.002"), (last, vec![2, 4, 24, 40]));

        let latents = InitialLatents::open(&path).unwrap();
        assert_eq!(latents.shape(), [2, 4, 24, 40]);
        // The sizes are those of the latents; without noise at the steps the seeds do not matter.
        let seeds = if scheduler == SchedulerKind::Ddim { vec![5, 6] } else { vec![3, 4] };
        let mut given = request.clone();
        (given.latents, given.seeds) = (Some(latents), seeds);
        (given.settings.height, given.settings.width) = (None, None);
        let again = pipeline.generate(&given, &mut |_| ControlFlow::Continue(())).unwrap();
        for (picture, expected) in again.pictures.iter().zip(&output.pictures) {
            assert_eq!(picture.image, expected.image, "{scheduler:?}");
        }
        let other = pipeline.generate(&given.with(|given| given.latents = None), &mut |_| ControlFlow::Continue(()));
        assert_ne!(other.unwrap().pictures[0].image, output.pictures[0].image);
    }
}

/// Takes the attention to a token away, and counts the passes.
struct Without(usize, Vec<f64>);

impl AttentionProcessor for Without {
    type Break = Infallible;

    fn begin(&mut self, timestep: f64) {
        self.1.push(timestep);
    }

    fn wants(&self, site: &AttentionSite) -> bool {
        site.kind == AttentionKind::Cross
    }

    fn process(&mut self, _: &AttentionSite, probs: Tensor<4>) -> ControlFlow<Infallible, Tensor<4>> {
        let [batch, heads, patches, _] = probs.dims();
        let nothing = Tensor::zeros([batch, heads, patches, 1], &probs.device());
        ControlFlow::Continue(probs.slice_assign([0..batch, 0..heads, 0..patches, self.0..self.0 + 1], nothing))
    }
}

#[test]
fn a_processor_works_in_every_noise_prediction_and_maps_show_its_result() {
    let (case, pipeline) = case();
    let request = plain(&case, &pipeline, 2).with(|request| request.attention_maps = true);
    let draw = |processor: &mut ae_pipeline::Processor<'_>| {
        let mut shares = Vec::new();
        let output = pipeline.generate_with(&request, processor, &mut |event| {
            if let Event::Denoised { attention, .. } = event {
                shares.push(attention[0].map(2).iter().sum::<f32>());
            }
            ControlFlow::Continue(())
        });
        (output.unwrap().pictures.remove(0), shares)
    };
    let (expected, shares) = draw(&mut ());
    assert!(shares.iter().all(|&share| share > 0.0), "{shares:?}");

    let mut sites = 0;
    let (observed, _) = draw(&mut observe_attention(|_| true, |_, _| sites += 1));
    assert!(largest_difference(&observed.image, &expected.image) <= 1);
    assert_eq!(sites, 2 * 32);

    let mut without = Without(2, Vec::new());
    let (changed, shares) = draw(&mut without);
    assert_eq!(without.1, [501.0, 1.0]);
    assert_eq!(shares, [0.0, 0.0]);
    let difference: f32 = (changed.latents - expected.latents).abs().max().into_scalar();
    assert!(difference > 1e-2, "{difference}");
}

#[test]
fn choices_that_mean_nothing_are_refused_by_name() {
    let (case, pipeline) = case();
    let prepared = pipeline.prepare(&plain(&case, &pipeline, 2)).unwrap();
    let refusal = |layer: &str| {
        TensorRecorder::new(&pipeline, &prepared, &[layer.parse().unwrap()]).expect_err("an error").to_string()
    };
    let error = refusal("attn2");
    assert!(error.starts_with("the U-Net has no attention layer 'attn2'; it has down_blocks.0.att"), "{error}");
    let error = refusal("mid_block.*.attn2#4");
    assert!(error.ends_with(".attn2' has 4 heads, counted from 0: there is no head 4"), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing_behind() {
    let ((case, pipeline), folder) = (case(), tempfile::tempdir().unwrap());
    let prepared = pipeline.prepare(&plain(&case, &pipeline, 2)).unwrap();
    let recorder = TensorRecorder::new(&pipeline, &prepared, &[]).unwrap();
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    assert!(matches!(recorder.save(&taken), Err(SaveError::Write { .. })));
    assert!(matches!(recorder.save(folder.path().join("..")), Err(SaveError::Write { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
