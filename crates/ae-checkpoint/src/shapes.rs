//! Sizes of a model, read off the shapes of its parameters.

use ae_config::ConfigError;

use crate::Checkpoint;

impl Checkpoint {
    /// The extent of a tensor along one of its dimensions.
    ///
    /// # Errors
    ///
    /// When there is no such tensor, or it has fewer dimensions.
    pub fn extent(&self, key: &str, dimension: usize) -> Result<usize, ConfigError> {
        let shape = self.get(key).map(crate::StoredTensor::shape);
        shape.and_then(|shape| shape.get(dimension).copied()).ok_or_else(|| {
            let found = shape.map_or_else(|| "missing".to_owned(), |shape| format!("of shape {shape:?}"));
            ConfigError::new(self.name(), key, found, format_args!("a tensor of more than {dimension} dimensions"))
        })
    }

    /// How many numbers, counted from `first`, stand behind `prefix` with a dot behind them: with
    /// `down_blocks.0.` to `down_blocks.3.` there are four behind `down_blocks.` from 0.
    pub fn count_from(&self, first: usize, prefix: &str) -> usize {
        let numbers = first..first.saturating_add(self.tensors().len());
        numbers.take_while(|number| self.has_prefix(&format!("{prefix}{number}."))).count()
    }

    /// The channels of diffusers' blocks behind `prefix`, such as `down_blocks.`: the output of each one's first resnet.
    ///
    /// # Errors
    ///
    /// When there is no block, or one without a resnet.
    pub fn block_channels(&self, prefix: &str) -> Result<Vec<usize>, ConfigError> {
        let channels = |block| self.extent(&format!("{prefix}{block}.resnets.0.conv1.weight"), 0);
        (0..self.count_from(0, prefix).max(1)).map(channels).collect()
    }
}
