use burn::tensor::Tensor;

/// The aggregated attention A_t: the mean over all heads of all given layers (paper, section 3).
///
/// # Shapes
/// - layers: one or more of `[batch, heads, rows * cols, tokens]`
/// - output: `[batch, rows, cols, tokens]`
///
/// # Panics
///
/// Without a layer, or when the layers' patches are not `rows * cols`.
pub fn aggregate_attention(layers: Vec<Tensor<4>>, [rows, cols]: [usize; 2]) -> Tensor<4> {
    let probs =
        if let [_] = &layers[..] { layers.into_iter().next().expect("one layer") } else { Tensor::cat(layers, 1) };
    let [batch, _, _, tokens] = probs.dims();
    probs.mean_dim(1).reshape([batch, rows, cols, tokens])
}
