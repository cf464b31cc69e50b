//! Whether the results of a device can be trusted.

use std::ops::ControlFlow;
use std::time::Instant;

use ae_pipeline::{ModelSource, Pipeline, Request, Stages};
use ae_settings::{FloatType, StepIndex, Thresholds};
use ae_tensor::{DeviceInfo, DeviceSpec, Difference, Extent, check_operations};
use burn::tensor::Device;
use image::RgbImage;

use crate::Error;
use crate::trust::Verdicts;

/// What is drawn: both subjects are guided, and the first losses are neither 0 nor 1. The embedded model decides here by more than
/// half precision rounds which patch attends most to a subject; between two that are as good, the gradient could be that of either.
const PROMPT: &str = "a lion and a red car";
const SEED: u64 = 9;
/// Enough to go through every part, few enough for a minute on two cores that play a GPU.
const STEPS: usize = 3;
const GUIDED_STEPS: usize = 1;

/// What the CPU computes in single precision.
#[derive(Debug)]
pub struct Reference {
    stages: Stages,
    picture: RgbImage,
}

impl Reference {
    /// Computes it with a model.
    ///
    /// # Errors
    ///
    /// When the model cannot be loaded or drawn with.
    pub fn compute(source: &ModelSource) -> Result<Self, Error> {
        let pipeline = Pipeline::load(source, FloatType::F32, &DeviceSpec::CPU.open()?)?;
        let request = request(&pipeline);
        let picture = draw(&pipeline, &request)?;
        Ok(Self { stages: pipeline.stages(&request)?, picture })
    }
}

/// A short guided run. No refinement: how often it repeats hangs on the last digit of a loss.
fn request(pipeline: &Pipeline) -> Request {
    let mut request = pipeline.request(PROMPT);
    request.seeds = vec![SEED];
    request.settings.steps = STEPS;
    request.settings.attend_and_excite.thresholds = Thresholds::none();
    request.settings.attend_and_excite.max_iter_to_alter = StepIndex::Steps(GUIDED_STEPS);
    request
}

fn draw(pipeline: &Pipeline, request: &Request) -> Result<RgbImage, Error> {
    let mut output = pipeline.generate(request, &mut |_| ControlFlow::Continue(()))?;
    Ok(output.pictures.remove(0).image)
}

/// The largest differences that rounding explains.
struct Bounds {
    /// Of an operation, as a share of its largest element; operations are compared in single precision.
    operation: f32,
    /// Of a stage, relative in norm.
    stage: f64,
    gradient: f64,
    /// Of the picture: the largest difference of a value in single precision, the mean one in half precision.
    picture: f64,
}

impl Bounds {
    /// Measured against single precision: f16 up to 3e-3 in a stage on the CPU and 1.5e-2 on lavapipe, which also adds
    /// in half precision, and 0.1 and 0.7 of 255 on average in the picture; bf16 2e-2 and 0.6 of 255 on the CPU.
    fn of(dtype: FloatType) -> Self {
        let operation = 1e-3;
        match dtype {
            FloatType::F16 => Self { operation, stage: 6e-2, gradient: 1e-1, picture: 3.0 },
            FloatType::BF16 | FloatType::Q8 => Self { operation, stage: 1e-1, gradient: 3e-1, picture: 6.0 },
            FloatType::F32 => Self { operation, stage: 1e-3, gradient: 1e-3, picture: 4.0 },
        }
    }
}

/// Compares the operations on a device that tell most with the CPU, in single precision; `print` gets every line. Returns what is wrong
/// first, or nothing.
///
/// The outcome is kept in the user's cache, where [`chosen_devices`](crate::chosen_devices) looks. While the test runs the device
/// counts as wrong: a driver may end the program.
///
/// # Errors
///
/// When the device is not there.
pub fn quick_test(spec: DeviceSpec, print: &mut dyn FnMut(&str)) -> Result<Option<String>, Error> {
    let info = DeviceInfo::of(spec)?;
    Verdicts::from_env().keep(&info, Some(UNFINISHED));
    let mut report = Report::begin(&info, FloatType::F32, print);
    report.operations(spec, Extent::Quick)?;
    Ok(report.end(&info))
}

/// Compares a device with the CPU, operation by operation and stage by stage; `print` gets every line as soon as it is known. Returns
/// what is wrong first: the first that is not within the bounds that rounding explains.
///
/// The outcome in single precision is kept as that of [`quick_test`].
///
/// # Errors
///
/// When the device is not there.
pub fn test_device(
    spec: DeviceSpec,
    dtype: FloatType,
    source: &ModelSource,
    reference: &Reference,
    print: &mut dyn FnMut(&str),
) -> Result<Option<String>, Error> {
    let info = DeviceInfo::of(spec)?;
    let mut report = Report::begin(&info, dtype, print);
    report.operations(spec, Extent::Full)?;
    if let Err(error) = report.drawing(&spec.open()?, source, reference) {
        report.line("drawing", &error.to_string(), false);
    }
    Ok(report.end(&info))
}

const UNFINISHED: &str = "its test did not end: it was interrupted, or the driver ended the program";

struct Report<'a> {
    dtype: FloatType,
    bounds: Bounds,
    wrong: Option<String>,
    print: &'a mut dyn FnMut(&str),
    start: Instant,
    /// When the last line was printed.
    line: Instant,
}

impl<'a> Report<'a> {
    fn begin(info: &DeviceInfo, dtype: FloatType, print: &'a mut dyn FnMut(&str)) -> Self {
        let driver = info.driver.as_ref().map(|driver| format!(" ({driver})")).unwrap_or_default();
        print(&format!("{}: {}{driver}, {dtype}\n", info.spec, info.name));
        let now = Instant::now();
        Self { dtype, bounds: Bounds::of(dtype), wrong: None, print, start: now, line: now }
    }

    fn operations(&mut self, spec: DeviceSpec, extent: Extent) -> Result<(), Error> {
        let bound = self.bounds.operation;
        for check in check_operations(&spec.open()?, &DeviceSpec::CPU.open()?, extent) {
            match check.difference {
                Ok(Difference { value, gradient }) => {
                    let is_right = value <= bound && gradient <= bound;
                    self.line(check.name, &format!("{value:8.1e} {gradient:8.1e}"), is_right);
                }
                Err(error) => self.line(check.name, &error.to_string(), false),
            }
        }
        Ok(())
    }

    /// The stages of a step, and a picture.
    fn drawing(&mut self, device: &Device, source: &ModelSource, reference: &Reference) -> Result<(), Error> {
        let pipeline = Pipeline::load(source, self.dtype, device)?;
        let request = request(&pipeline);
        let (stages, expected) = (pipeline.stages(&request)?, &reference.stages);
        let (stage, gradient) = (self.bounds.stage, self.bounds.gradient);
        for (name, actual, expected, bound) in [
            ("text embeddings", &stages.text_embeddings, &expected.text_embeddings, stage),
            ("noise prediction", &stages.noise_prediction, &expected.noise_prediction, stage),
            ("guidance losses", &stages.losses, &expected.losses, gradient),
            ("guidance gradient", &stages.gradient, &expected.gradient, gradient),
        ] {
            let difference = relative_difference(actual, expected);
            self.line(name, &format!("{difference:8.1e}"), difference <= bound);
        }
        let (largest, mean) = picture_difference(&draw(&pipeline, &request)?, &reference.picture);
        let decisive = if self.dtype == FloatType::F32 { f64::from(largest) } else { mean };
        let text = format!("{largest}/255 at most, {mean:.2}/255 on average");
        self.line("guided picture", &text, decisive <= self.bounds.picture);
        Ok(())
    }

    /// What was compared, and how long it took since the line before.
    fn line(&mut self, name: &str, text: &str, is_right: bool) {
        let took = self.line.elapsed().as_secs_f64();
        (self.print)(&format!("  {name:<32} {text}  {}  {took:.1} s\n", if is_right { "ok" } else { "WRONG" }));
        self.line = Instant::now();
        if !is_right {
            self.wrong.get_or_insert_with(|| format!("'{name}' is wrong on it ({})", text.trim()));
        }
    }

    fn end(self, info: &DeviceInfo) -> Option<String> {
        if self.dtype == FloatType::F32 {
            Verdicts::from_env().keep(info, self.wrong.as_deref());
        }
        let can = if self.wrong.is_none() { "can be trusted" } else { "cannot be trusted; see docs/gpu.md" };
        let seconds = self.start.elapsed().as_secs_f64();
        (self.print)(&format!("{}: results on this device {can} ({seconds:.0} s)\n", info.spec));
        self.wrong
    }
}

/// The norm of the difference as a share of the norm expected; infinite where a value is no number.
fn relative_difference(actual: &[f32], expected: &[f32]) -> f64 {
    if actual.len() != expected.len() || actual.iter().any(|value| !value.is_finite()) {
        return f64::INFINITY;
    }
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let difference = norm(&mut actual.iter().zip(expected).map(|(a, e)| a - e));
    difference / norm(&mut expected.iter().copied()).max(f64::MIN_POSITIVE)
}

/// The largest and the mean difference of two pictures of one size, in 255ths.
fn picture_difference(actual: &RgbImage, expected: &RgbImage) -> (u8, f64) {
    let differences = || actual.as_raw().iter().zip(expected.as_raw()).map(|(a, e)| a.abs_diff(*e));
    let sum: f64 = differences().map(f64::from).sum();
    (differences().max().unwrap_or(0), sum / expected.as_raw().len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_or_missing_is_infinitely_different() {
        assert!(relative_difference(&[1.0, f32::NAN], &[1.0, 1.0]).is_infinite());
        assert!(relative_difference(&[], &[1.0]).is_infinite());
        assert!((relative_difference(&[3.0, 4.5], &[3.0, 4.0]) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn pictures_differ_by_their_largest_and_mean_difference() {
        let picture = |bytes: [u8; 3]| RgbImage::from_raw(1, 1, bytes.to_vec()).unwrap();
        let (largest, mean) = picture_difference(&picture([0, 10, 255]), &picture([0, 4, 252]));
        assert_eq!((largest, mean), (6, 3.0));
    }
}
