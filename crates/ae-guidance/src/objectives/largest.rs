use burn::tensor::{Device, Int, Tensor, TensorData};

/// Places along an axis of a tensor on a device, which may be tracked.
pub(super) fn indices(places: &[usize], device: &Device) -> Tensor<1, Int> {
    let places: Vec<i64> = places.iter().map(|&place| i64::try_from(place).expect("a place on a map")).collect();
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), &device.clone().without_autodiff())
}

/// Some patches of maps.
///
/// # Shapes
/// - maps: `[images, patches]`
/// - output: `[images, places]`
pub(super) fn patches(maps: &Tensor<2>, places: &[usize]) -> Tensor<2> {
    maps.clone().select(1, indices(places, &maps.device()))
}

/// The mean of the `count` largest values of every map, or of all where there are fewer.
///
/// # Shapes
/// - maps: `[images, patches]`
/// - output: `[images]`
pub(super) fn mean_of_largest(maps: Tensor<2>, count: usize) -> Tensor<1> {
    let [images, patches] = maps.dims();
    if count <= 1 {
        return maps.max_dim(1).reshape([images]);
    }
    maps.topk(count.min(patches), 1).mean_dim(1).reshape([images])
}
