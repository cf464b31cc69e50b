use burn::tensor::Device;

/// A device that is in use, and what its driver calls itself.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) device: Device,
    pub(super) driver: Option<String>,
}
