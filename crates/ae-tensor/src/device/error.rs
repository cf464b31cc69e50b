use super::DeviceSpec;

/// A device that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text is no device.
    #[error("'{text}' is not a device: expected auto, cpu, cuda[:n], rocm[:n], wgpu[:n], vulkan[:n] or metal[:n]")]
    Unknown {
        /// What was written.
        text: String,
    },
    /// The backend is not part of this build.
    #[error(
        "device '{spec}' is not compiled in (this build has: {compiled}); \
         rebuild with the cargo feature '{feature}'"
    )]
    NotCompiled {
        /// What was asked for.
        spec: DeviceSpec,
        /// The cargo feature that brings it.
        feature: &'static str,
        /// The backends of this build.
        compiled: String,
    },
    /// The backend finds no device at all.
    #[error("no {backend} device was found: it takes {needs}", backend = spec.backend().name(), needs = spec.backend().needs())]
    NoDevice {
        /// What was asked for.
        spec: DeviceSpec,
    },
    /// The index is beyond the devices of the machine.
    #[error("device '{spec}' does not exist: {backend} finds {found} device(s), numbered from 0 (see `ae devices`)", backend = spec.backend().name())]
    NoSuchDevice {
        /// What was asked for.
        spec: DeviceSpec,
        /// How many devices that backend sees.
        found: usize,
    },
    /// The device is there but its driver does not bring it up.
    #[error("device '{spec}' cannot be used: {reason}; try another device or a newer driver")]
    Unusable {
        /// What was asked for.
        spec: DeviceSpec,
        /// What the driver said.
        reason: String,
    },
}
