use burn::tensor::Tensor;

/// The least sum of a map that counts as attention: what is smaller is as nothing, so that no gradient is infinite.
pub(super) const LEAST: f64 = 1e-12;

/// Maps `[images, words, patches]` that sum to one. A map of zeros stays as it is.
pub(super) fn distributions(maps: Tensor<3>) -> Tensor<3> {
    maps.clone() / maps.sum_dim(2).clamp_min(LEAST)
}

/// Maps `[images, words, patches]` of length one. A map of zeros stays as it is.
pub(super) fn directions(maps: Tensor<3>) -> Tensor<3> {
    // Before the root, whose gradient at zero is infinite.
    let length = (maps.clone() * maps.clone()).sum_dim(2).clamp_min(LEAST * LEAST).sqrt();
    maps / length
}
