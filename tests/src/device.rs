use ae_tensor::{Backend, DeviceSpec};
use burn::tensor::Device;

/// Names the device that the parity tests run on; without it they run on the CPU.
const VARIABLE: &str = "AE_TEST_DEVICE";

/// The device under test, as a person writes it.
///
/// # Panics
///
/// When the variable names no device.
pub fn device_spec() -> DeviceSpec {
    let text = std::env::var(VARIABLE).unwrap_or_else(|_| "cpu".to_owned());
    text.parse().unwrap_or_else(|error| panic!("{VARIABLE}: {error}"))
}

/// The device under test.
///
/// # Panics
///
/// When it cannot be opened.
pub fn device() -> Device {
    device_spec().open().unwrap_or_else(|error| panic!("{VARIABLE}: {error}"))
}

/// How near the device under test must come to the reference.
#[derive(Clone, Copy, Debug)]
pub struct Tolerances {
    /// Of an element, and of the whole in norm.
    pub relative: f32,
    /// Of an element.
    pub absolute: f32,
    /// Of a picture, in 255ths.
    pub picture: u8,
}

/// The tolerances of the device under test: a GPU orders its sums differently, and its functions have other digits.
pub fn tolerances() -> Tolerances {
    match device_spec().backend() {
        Backend::Cpu => Tolerances { relative: 1e-4, absolute: 1e-5, picture: 2 },
        _ => Tolerances { relative: 1e-3, absolute: 1e-4, picture: 4 },
    }
}
