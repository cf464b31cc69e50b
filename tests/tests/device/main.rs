//! A GPU against the CPU: `cargo xtask test --device wgpu`. The stages and runs of `parity` run there too.

use ae_pipeline::{Method, ModelSource, Pipeline, Stages};
use ae_tensor::{Backend, BurnFloat, DeviceSpec, Difference, Extent, FloatType, check_operations};
use ae_tests::{device, device_spec, model, relative_difference};

/// The guard against drivers and kernels that are wrong in silence, above all in gradients.
#[test]
fn operations_and_their_gradients_are_those_of_the_cpu() {
    const BOUND: f32 = 1e-3;
    assert_ne!(device_spec().backend(), Backend::Cpu, "set AE_TEST_DEVICE");
    let mut wrong = Vec::new();
    for check in check_operations(&device(), &DeviceSpec::CPU.open().unwrap(), Extent::Full) {
        match check.difference {
            Ok(Difference { value, gradient }) if value < BOUND && gradient < BOUND => {}
            other => wrong.push(format!("{}: {other:?}", check.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn stages(source: &ModelSource, dtype: FloatType, spec: DeviceSpec) -> Stages {
    let pipeline = Pipeline::load(source, dtype, &spec.open().unwrap()).unwrap();
    let request = pipeline.request("a cat and a dog");
    assert_eq!(request.settings.method, Method::AttendAndExcite);
    pipeline.stages(&request).unwrap()
}

/// Relative in norm: embeddings and noise prediction, and the gradient, which half precision reaches through the whole
/// network twice.
#[expect(clippy::print_stderr, reason = "why nothing was compared")]
fn compare(dtype: FloatType, bound: f64, gradient_bound: f64) {
    if !dtype.is_supported_by(&device()) {
        eprintln!("{} does not compute in {dtype}", device_spec());
        return;
    }
    let source = ModelSource::folder(model("sd2"));
    let (actual, expected) = (stages(&source, dtype, device_spec()), stages(&source, FloatType::F32, DeviceSpec::CPU));
    let differences = [
        relative_difference(&actual.text_embeddings, &expected.text_embeddings),
        relative_difference(&actual.noise_prediction, &expected.noise_prediction),
        relative_difference(&actual.gradient, &expected.gradient),
    ];
    let holds = differences[0] < bound && differences[1] < bound && differences[2] < gradient_bound;
    assert!(holds, "{dtype}: embeddings, noise, gradient {differences:?}");
}

#[test]
fn half_precision_stays_near_single_precision() {
    compare(FloatType::F16, 6e-2, 1e-1);
}

#[test]
fn bfloat16_stays_near_single_precision() {
    compare(FloatType::BF16, 1e-1, 3e-1);
}
