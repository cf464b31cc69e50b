use std::fmt;

/// The part of the U-Net an attention layer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `down_blocks`
    Down,
    /// `mid_block`
    Mid,
    /// `up_blocks`
    Up,
}

/// What the queries attend to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttentionKind {
    /// Patches to patches (`attn1`).
    SelfAttention,
    /// Patches to text tokens (`attn2`).
    Cross,
}

/// One attention layer in one pass of the U-Net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttentionSite {
    /// Down, mid or up.
    pub place: Place,
    /// Index of the block within its place (`down_blocks.1` is 1; 0 for the mid block).
    pub block: usize,
    /// Index of the transformer within the block (`attentions.N`).
    pub layer: usize,
    /// Index within the transformer (`transformer_blocks.N`; always 0 in SD 1 and SD 2).
    pub depth: usize,
    /// Self- or cross-attention.
    pub kind: AttentionKind,
    /// Number of heads.
    pub heads: usize,
    /// Rows and columns of the map; the queries are its patches, row by row.
    pub resolution: [usize; 2],
}

impl AttentionSite {
    /// diffusers' module path, e.g. `up_blocks.1.attentions.0.transformer_blocks.0.attn2`.
    pub fn path(&self) -> String {
        let block = match self.place {
            Place::Down => format!("down_blocks.{}", self.block),
            Place::Mid => "mid_block".to_owned(),
            Place::Up => format!("up_blocks.{}", self.block),
        };
        let attention = match self.kind {
            AttentionKind::SelfAttention => "attn1",
            AttentionKind::Cross => "attn2",
        };
        format!("{block}.attentions.{}.transformer_blocks.{}.{attention}", self.layer, self.depth)
    }
}

impl fmt::Display for AttentionSite {
    /// The path and the resolution, e.g. `up_blocks.1.attentions.0.transformer_blocks.0.attn2 (16x16)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rows, cols] = self.resolution;
        write!(f, "{} ({rows}x{cols})", self.path())
    }
}
