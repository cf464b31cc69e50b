use std::path::Path;

use ae_checkpoint::{Checkpoint, ElementType, OpenError};
use burn::tensor::{Device, Tensor, TensorData};

use crate::PipelineError;

/// The name of the initial latents in a file of tensors.
pub(crate) const NAME: &str = "latents.initial";

/// Latents that a run starts from instead of the noise of its seeds, as diffusers' argument `latents`.
///
/// They have unit variance: the run multiplies them by the sampler's first noise level. The steps of a sampler that draws noise
/// draw what they draw without them, so that the initial latents of a run, given to it again, draw its pictures again.
#[derive(Clone, Debug, PartialEq)]
pub struct InitialLatents {
    shape: [usize; 4],
    values: Vec<f32>,
}

/// Initial latents that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitialLatentsError {
    /// The file is none of tensors.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file has other tensors.
    #[error("'{file}' has no tensor '{NAME}'; it has {found}")]
    Missing {
        /// The file.
        file: String,
        /// The names it has, shortened.
        found: String,
    },
    /// The tensor is no batch of latents.
    #[error("the initial latents are {found}; expected {expected}")]
    Unfit {
        /// Their type, shape or value.
        found: String,
        /// What they must be.
        expected: &'static str,
    },
}

impl InitialLatents {
    /// Latents of values in row-major order.
    ///
    /// # Shapes
    /// - shape: `[pictures, channels, rows, cols]`
    ///
    /// # Errors
    ///
    /// When the number of values is not that of the shape, or a value is NaN or infinite.
    pub fn new(shape: [usize; 4], values: Vec<f32>) -> Result<Self, InitialLatentsError> {
        let unfit = |found, expected| Err(InitialLatentsError::Unfit { found, expected });
        if shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side)) != Some(values.len()) {
            return unfit(format!("{} values in the shape {shape:?}", values.len()), "as many as the shape says");
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return unfit(format!("not finite (they hold {value})"), "finite numbers");
        }
        Ok(Self { shape, values })
    }

    /// Reads the tensor `latents.initial` of a safetensors or PyTorch file, such as
    /// [`TensorRecorder::save`](crate::TensorRecorder::save) writes.
    ///
    /// Half precision is widened; a type that single precision does not hold is refused.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, has no such tensor, or the tensor is of another type or rank, or not finite.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, InitialLatentsError> {
        let file = Checkpoint::open(path)?;
        let Some(tensor) = file.get(NAME) else {
            let names: Vec<_> = file.tensors().keys().take(5).map(String::as_str).collect();
            let more = if file.tensors().len() > names.len() { ", ..." } else { "" };
            let found = format!("{}{more}", names.join(", "));
            return Err(InitialLatentsError::Missing { file: file.name().to_owned(), found });
        };
        let unfit = |found, expected| InitialLatentsError::Unfit { found, expected };
        if !matches!(tensor.element(), ElementType::F32 | ElementType::F16 | ElementType::BF16) {
            return Err(unfit(format!("of type {}", tensor.element()), "float32, float16 or bfloat16"));
        }
        let shape = <[usize; 4]>::try_from(tensor.shape())
            .map_err(|_| unfit(format!("of shape {:?}", tensor.shape()), "pictures, channels, rows, columns"))?;
        let values = tensor.to_f32().map_err(|error| unfit(error.to_string(), "floating-point numbers"))?;
        Self::new(shape, values)
    }

    /// Pictures, channels, rows and columns.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Rows and columns.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.shape[2], self.shape[3]]
    }

    /// Checks that they are those of a run.
    pub(crate) fn check(&self, expected: [usize; 4]) -> Result<(), PipelineError> {
        if self.shape == expected {
            return Ok(());
        }
        let (value, pictures) = (format!("of shape {:?}", self.shape), expected[0]);
        let expected = format!("{expected:?} (latents for {pictures} seeds, channels, rows, columns)");
        Err(PipelineError::Option { option: "latents", value, expected })
    }

    pub(crate) fn tensor(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.values.clone(), self.shape), device)
    }
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    /// Writes one tensor and reads the initial latents of the file.
    fn opened(name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Result<InitialLatents, InitialLatentsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latents.safetensors");
        let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        safetensors::serialize_to_file([(name, view)], None, &path).unwrap();
        InitialLatents::open(path)
    }

    #[test]
    fn single_and_half_precision_are_read() {
        let values = [1.0f32, -2.5, 0.25, 3.0];
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let latents = opened(NAME, Dtype::F32, &[1, 2, 1, 2], &bytes).unwrap();
        assert_eq!(latents, InitialLatents::new([1, 2, 1, 2], values.to_vec()).unwrap());
        // 1.0 and -2.0
        let halves = opened(NAME, Dtype::F16, &[1, 1, 1, 2], &[0, 0x3c, 0, 0xc0]).unwrap();
        assert_eq!(halves.values, [1.0, -2.0]);
    }

    #[test]
    fn other_names_types_shapes_and_values_are_refused() {
        let refusal =
            |name, dtype, shape: &[usize], bytes: &[u8]| opened(name, dtype, shape, bytes).unwrap_err().to_string();
        let error = refusal("latents", Dtype::F32, &[1, 1, 1, 1], &[0; 4]);
        assert!(error.ends_with("has no tensor 'latents.initial'; it has latents"), "{error}");
        let error = refusal(NAME, Dtype::F64, &[1, 1, 1, 1], &[0; 8]);
        assert_eq!(error, "the initial latents are of type F64; expected float32, float16 or bfloat16");
        let error = refusal(NAME, Dtype::F32, &[1, 1, 1], &[0; 4]);
        assert_eq!(error, "the initial latents are of shape [1, 1, 1]; expected pictures, channels, rows, columns");
        let error = refusal(NAME, Dtype::F32, &[1, 1, 1, 1], &f32::NAN.to_le_bytes());
        assert_eq!(error, "the initial latents are not finite (they hold NaN); expected finite numbers");
        let error = InitialLatents::new([1, 4, usize::MAX, 2], vec![0.0; 8]).unwrap_err().to_string();
        assert!(error.ends_with("expected as many as the shape says"), "{error}");
        let error = InitialLatents::open("nowhere.safetensors").unwrap_err();
        assert!(matches!(error, InitialLatentsError::Open(_)), "{error}");
    }
}
