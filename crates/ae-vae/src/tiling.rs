use burn::tensor::{Tensor, TensorData};

use crate::AutoencoderKL;

/// How latents are cut into tiles that are decoded one after the other.
///
/// The names are diffusers' (`AutoencoderKL.enable_vae_tiling`), and so is the default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VaeTiling {
    /// Side of a tile in latents; smaller latents are decoded whole.
    pub tile_latent_min_size: usize,
    /// Share of a tile that overlaps the next, where both are blended; at least 0, below 1.
    pub tile_overlap_factor: f64,
}

impl Default for VaeTiling {
    /// The tiles of Stable Diffusion: 64 latents, 512 pixels.
    fn default() -> Self {
        Self { tile_latent_min_size: 64, tile_overlap_factor: 0.25 }
    }
}

impl AutoencoderKL {
    /// As [`decode`](Self::decode), in overlapping tiles: the memory does not grow with the image.
    ///
    /// Every tile is normalised by itself, so that the image differs a little from the one decoded whole
    /// (diffusers' `tiled_decode`).
    ///
    /// # Shapes
    /// - latents: `[batch, latent_channels, rows, cols]`
    /// - output: `[batch, 3, rows * scale, cols * scale]`
    ///
    /// # Panics
    ///
    /// When the tiles have no side or overlap wholly.
    pub fn decode_tiled(&self, latents: Tensor<4>, tiling: VaeTiling) -> Tensor<4> {
        let VaeTiling { tile_latent_min_size: side, tile_overlap_factor: overlap } = tiling;
        let [_, _, rows, cols] = latents.dims();
        if rows <= side && cols <= side {
            return self.decode(latents);
        }
        let stride = truncated(side as f64 * (1.0 - overlap));
        assert!(stride > 0, "tiles of {side} that overlap by {overlap} do not advance");
        let sample_side = side * self.scale();
        let blend = truncated(sample_side as f64 * overlap);
        let kept = sample_side - blend;

        let mut above: Vec<Tensor<4>> = Vec::new();
        let mut bands = Vec::new();
        for row in (0..rows).step_by(stride) {
            let band = latents.clone().narrow(2, row, side.min(rows - row));
            let mut tiles: Vec<Tensor<4>> = Vec::new();
            for (index, col) in (0..cols).step_by(stride).enumerate() {
                let mut tile = self.decode(band.clone().narrow(3, col, side.min(cols - col)));
                if let Some(above) = above.get(index) {
                    tile = blended(above, tile, 2, blend);
                }
                if let Some(left) = tiles.last() {
                    tile = blended(left, tile, 3, blend);
                }
                tiles.push(tile);
            }
            let kept_of = |tile: &Tensor<4>| {
                let [_, _, height, width] = tile.dims();
                tile.clone().narrow(2, 0, kept.min(height)).narrow(3, 0, kept.min(width))
            };
            bands.push(Tensor::cat(tiles.iter().map(kept_of).collect(), 3));
            above = tiles;
        }
        Tensor::cat(bands, 2)
    }
}

#[expect(clippy::cast_sign_loss, reason = "tiles are not negative")]
fn truncated(value: f64) -> usize {
    value as usize
}

/// The tile with its first `extent` lines along `dim` fading in from the last ones of its neighbour.
fn blended(before: &Tensor<4>, tile: Tensor<4>, dim: usize, extent: usize) -> Tensor<4> {
    let (from, size) = (before.dims()[dim], tile.dims()[dim]);
    let extent = extent.min(from).min(size);
    if extent == 0 {
        return tile;
    }
    let mut shape = [1; 4];
    shape[dim] = extent;
    let weights: Vec<f32> = (0..extent).map(|line| line as f32 / extent as f32).collect();
    let weights = Tensor::<4>::from_data(TensorData::new(weights, shape), &tile.device());
    let old = before.clone().narrow(dim, from - extent, extent);
    let new = tile.clone().narrow(dim, 0, extent);
    let faded = old * (-weights.clone() + 1.0) + new * weights;
    if extent == size {
        return faded;
    }
    Tensor::cat(vec![faded, tile.narrow(dim, extent, size - extent)], dim)
}
