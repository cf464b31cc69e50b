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
        "the device ran out of memory ({reason}); try a smaller image, half precision, networks loaded only while they work, or another device"
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
        /// The runtimes' own words: cubecl's `IoError` and `LaunchError`, wgpu's errors.
        const MEMORY: [&str; 5] =
            ["out of device memory", "out-of-memory", "out of memory", "can't allocate buffer", "not enough memory"];
        let report = error.to_string();
        let speaks_of_memory = |line: &&str| MEMORY.iter().any(|words| line.to_lowercase().contains(words));
        match causes(&report).find(speaks_of_memory) {
            Some(line) => Self::OutOfMemory { reason: shortened(line) },
            None => Self::Failed { reason: causes(&report).last().map_or("no reason given".to_owned(), shortened) },
        }
    }
}

/// The lines of an error's report that tell of a cause, the root cause last: without headings and the backtrace.
fn causes(report: &str) -> impl Iterator<Item = &str> {
    let lines = report.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "Caused by:");
    lines.take_while(|line| !line.to_lowercase().contains("backtrace") && !is_frame(line))
}

/// A line of a backtrace, as `12: module::function`.
fn is_frame(line: &str) -> bool {
    line.split_once(':').is_some_and(|(number, _)| number.parse::<usize>().is_ok())
}

fn shortened(line: &str) -> String {
    line.chars().take(200).collect()
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
        let report = "An IO error happened\nCaused by:\n  can't allocate buffer of size: 9\n  No backtrace";
        let expected = "can't allocate buffer of size: 9".to_owned();
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
