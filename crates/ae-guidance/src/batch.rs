//! Some images of a batch.

use burn::tensor::{Int, Tensor, TensorData};

/// Every image of a batch.
pub(crate) fn all(images: usize) -> Vec<usize> {
    (0..images).collect()
}

/// The entries of some images, in their order.
pub(crate) fn select(batch: &Tensor<4>, images: &[usize]) -> Tensor<4> {
    if images.len() == batch.dims()[0] {
        return batch.clone();
    }
    let index = |&image: &usize| i64::try_from(image).expect("a batch of images");
    let indices: Vec<i64> = images.iter().map(index).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [images.len()]), &batch.device());
    batch.clone().select(0, indices)
}

/// A batch with other entries for some images.
pub(crate) fn replace(batch: Tensor<4>, images: &[usize], entries: Tensor<4>) -> Tensor<4> {
    let [count, channels, rows, cols] = batch.dims();
    if images.len() == count {
        return entries;
    }
    images.iter().enumerate().fold(batch, |batch, (entry, &image)| {
        let entry = entries.clone().narrow(0, entry, 1);
        batch.slice_assign([image..image + 1, 0..channels, 0..rows, 0..cols], entry)
    })
}

/// Latents one step down the gradient (paper, equation 2), or as they are where it is zero.
pub(crate) fn shifted(latents: Tensor<4>, gradient: Option<&Tensor<4>>, step_size: f64) -> Tensor<4> {
    match gradient {
        Some(gradient) => latents - gradient.clone() * step_size,
        None => latents,
    }
}
