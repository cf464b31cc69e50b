use burn::backend::ExecutionError;
use burn::tensor::Tensor;

/// A device that failed while it computed.
///
/// Devices work ahead of the program, so a failure shows where a result is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError {
    /// The device has no room for what was asked of it.
    #[error(
        "the device ran out of memory ({reason}); try a smaller picture, --dtype f16, --low-memory or another --device"
    )]
    OutOfMemory {
        /// What the driver said.
        reason: String,
    },
    /// Anything else.
    #[error("the device failed ({reason}); `ae self-test` shows whether it can be used")]
    Failed {
        /// What the driver said.
        reason: String,
    },
}

impl ComputeError {
    /// What the driver said.
    pub fn reason(&self) -> &str {
        match self {
            Self::OutOfMemory { reason } | Self::Failed { reason } => reason,
        }
    }
}

/// Copies a tensor to the host, the one place where the program waits for the device.
///
/// # Errors
///
/// When the device failed to compute it.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ComputeError> {
    let data = tensor.try_into_data().map_err(|error| ComputeError::from(&error))?;
    Ok(data.iter::<f32>().collect())
}

impl From<&ExecutionError> for ComputeError {
    fn from(error: &ExecutionError) -> Self {
        let text = error.to_string();
        let reason = reason(&text);
        // The runtimes' own words, of cubecl's `IoError` and `LaunchError` and of wgpu.
        let memory =
            ["out of device memory", "out-of-memory", "out of memory", "can't allocate buffer", "not enough memory"];
        let lower = text.to_lowercase();
        if memory.iter().any(|words| lower.contains(words)) {
            Self::OutOfMemory { reason }
        } else {
            Self::Failed { reason }
        }
    }
}

/// The root cause within an error's report: its last line that is neither a heading nor part of a backtrace.
fn reason(report: &str) -> String {
    /// Characters of it to show.
    const SHOWN: usize = 200;
    let before_backtrace = report.split("acktrace").next().unwrap_or(report);
    let is_frame = |line: &str| line.split_once(':').is_some_and(|(number, _)| number.parse::<usize>().is_ok());
    let heading = |line: &str| line.ends_with("Caused by:") || line == "B" || line == "b";
    let mut lines = before_backtrace.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut last = lines.next().unwrap_or("no reason given");
    for line in lines {
        if is_frame(line) || line.starts_with("at ") {
            break;
        }
        if !heading(line) {
            last = line;
        }
    }
    last.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(reason: &str) -> ComputeError {
        ComputeError::from(&ExecutionError::WithContext { reason: reason.to_owned() })
    }

    #[test]
    fn memory_is_told_apart_and_the_root_cause_shown() {
        let report = "The bytes were never written (failure #1, still claiming 2 buffer(s))\nCaused by:\n  An IO error \
                      happened\nCaused by:\n  out of device memory allocating 4294967296 bytes\n   0: frame\n at x";
        let expected = "out of device memory allocating 4294967296 bytes".to_owned();
        assert_eq!(error(report), ComputeError::OutOfMemory { reason: expected });
        let report = "A launch error happened\nCaused by:\n  the pipeline was refused\nBacktrace:\n   0: frame";
        assert_eq!(error(report), ComputeError::Failed { reason: "the pipeline was refused".to_owned() });
    }

    #[test]
    fn values_come_back_in_single_precision() {
        let device = burn::tensor::Device::flex();
        let tensor = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device).cast(burn::tensor::DType::F16);
        assert_eq!(read(tensor.transpose()).unwrap(), [1.0, 3.0, 2.0, 4.0]);
    }
}
