use ae_tensor::nn::mean_over_heads;
use burn::tensor::Tensor;

/// Attention layers whose probabilities an objective reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MapSet {
    /// Cross- or self-attention.
    pub kind: MapKind,
    /// Which layers of this kind.
    pub layers: Layers,
}

/// What the patches attend to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// Text tokens.
    Cross,
    /// Patches.
    SelfAttention,
}

/// A choice of attention layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Every layer whose maps have these rows and columns.
    Resolution([usize; 2]),
    /// Those whose diffusers path is one of these, in which `*` stands for any characters: `up_blocks.1.*`,
    /// `up_blocks.0.attentions.0.transformer_blocks.3.attn2`. Their maps must be of one resolution.
    Named(Vec<String>),
}

impl MapSet {
    /// Cross- or self-attention of some layers.
    pub fn new(kind: MapKind, layers: Layers) -> Self {
        Self { kind, layers }
    }

    /// Every cross-attention layer of a resolution (rows, cols).
    pub fn cross(resolution: [usize; 2]) -> Self {
        Self::new(MapKind::Cross, Layers::Resolution(resolution))
    }

    /// Every self-attention layer of a resolution (rows, cols).
    pub fn self_attention(resolution: [usize; 2]) -> Self {
        Self::new(MapKind::SelfAttention, Layers::Resolution(resolution))
    }
}

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
    let mean = mean_over_heads(layers);
    let [batch, _, tokens] = mean.dims();
    mean.reshape([batch, rows, cols, tokens])
}
