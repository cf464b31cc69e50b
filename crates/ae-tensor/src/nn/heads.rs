use burn::tensor::Tensor;

/// Splits the channels into attention heads.
///
/// # Shapes
/// - input: `[batch, sequence, heads * head_dim]`
/// - output: `[batch, heads, sequence, head_dim]`
pub fn split_heads(hidden_states: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, sequence, channels] = hidden_states.dims();
    hidden_states.reshape([batch, sequence, heads, channels / heads]).swap_dims(1, 2)
}

/// The inverse of [`split_heads`].
///
/// # Shapes
/// - input: `[batch, heads, sequence, head_dim]`
/// - output: `[batch, sequence, heads * head_dim]`
pub fn merge_heads(hidden_states: Tensor<4>) -> Tensor<3> {
    let [batch, heads, sequence, head_dim] = hidden_states.dims();
    hidden_states.swap_dims(1, 2).reshape([batch, sequence, heads * head_dim])
}
