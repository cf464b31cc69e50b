//! What a tensor is to its module, by the end of its name.

/// What a tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// `[rank, input, ..]`, the first to be applied.
    Down,
    /// `[output, rank, ..]`
    Up,
    /// Between the two.
    Mid,
    /// Added to the bias with the product.
    UpBias,
    Alpha,
    /// In place of alpha over rank.
    Scale,
    /// The norms of the merged weight.
    Magnitude,
    /// A whole update of the weight.
    Difference,
    BiasDifference,
    /// LoHa's two products `a * b`, with the cores `t` of convolutions.
    HadaW1A,
    HadaW1B,
    HadaT1,
    HadaW2A,
    HadaW2B,
    HadaT2,
    /// LoKr's two matrices, each whole or a product.
    LokrW1,
    LokrW1A,
    LokrW1B,
    LokrW2,
    LokrW2A,
    LokrW2B,
    LokrT2,
}

/// The endings of the formats: kohya's, PEFT's, diffusers' before PEFT (three of them), LyCORIS'.
const ENDINGS: &[(&str, Role)] = &[
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_mid.weight", Role::Mid),
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".lora_B.bias", Role::UpBias),
    (".lora_A", Role::Down),
    (".lora_B", Role::Up),
    // With the adapter's name, as a whole model of PEFT has them.
    (".lora_A.default.weight", Role::Down),
    (".lora_B.default.weight", Role::Up),
    (".lora_B.default.bias", Role::UpBias),
    (".lora_magnitude_vector", Role::Magnitude),
    (".lora_magnitude_vector.weight", Role::Magnitude),
    (".lora_magnitude_vector.default.weight", Role::Magnitude),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    (".alpha", Role::Alpha),
    (".scale", Role::Scale),
    (".dora_scale", Role::Magnitude),
    (".diff", Role::Difference),
    (".diff_b", Role::BiasDifference),
    (".w_norm", Role::Difference),
    (".b_norm", Role::BiasDifference),
    (".hada_w1_a", Role::HadaW1A),
    (".hada_w1_b", Role::HadaW1B),
    (".hada_t1", Role::HadaT1),
    (".hada_w2_a", Role::HadaW2A),
    (".hada_w2_b", Role::HadaW2B),
    (".hada_t2", Role::HadaT2),
    (".lokr_w1", Role::LokrW1),
    (".lokr_w1_a", Role::LokrW1A),
    (".lokr_w1_b", Role::LokrW1B),
    (".lokr_w2", Role::LokrW2),
    (".lokr_w2_a", Role::LokrW2A),
    (".lokr_w2_b", Role::LokrW2B),
    (".lokr_t2", Role::LokrT2),
];

/// Signs of what is not applied.
const UNSUPPORTED: &[(&str, &str)] = &[
    (".oft_", "OFT or BOFT"),
    (".on_input", "IA3"),
    (".ia3_l", "IA3"),
    (".a1.", "GLoRA"),
    (".a2.", "GLoRA"),
    (".b1.", "GLoRA"),
    (".b2.", "GLoRA"),
    (".lora_embedding_", "LoRA of an embedding"),
    (".lora_A.bias", "a bias between the factors"),
    (".lora_down.bias", "a bias between the factors"),
    (".bias_indices", "a sparse bias"),
    (".bias_values", "a sparse bias"),
    (".bias_size", "a sparse bias"),
    (".set_weight", "replacing a weight"),
    (".reshape_weight", "changing the shape of a weight"),
    ("bundle_emb.", "this part of an embedding"),
];

/// Module and role of a tensor, or what it is a sign of.
pub(super) fn split(key: &str) -> Result<(&str, Role), &'static str> {
    match ENDINGS.iter().find_map(|(ending, role)| Some((key.strip_suffix(ending)?, *role))) {
        Some((module, role)) if !module.is_empty() => Ok((module, role)),
        _ => Err(unsupported(key).unwrap_or("this tensor")),
    }
}

/// Whether a tensor is part of an update of a weight, by its name.
pub(crate) fn is_update(key: &str) -> bool {
    split(key).is_ok_and(|(_, role)| !matches!(role, Role::Alpha | Role::Scale | Role::Magnitude))
}

/// Whether a tensor is part of an adapter of another kind, by its name.
pub(crate) fn is_other_adapter(key: &str) -> bool {
    [".oft_", ".on_input", ".ia3_l"].iter().any(|sign| key.contains(sign))
        || key.starts_with("lora_") && key.contains('.')
}

fn unsupported(key: &str) -> Option<&'static str> {
    UNSUPPORTED.iter().find(|(sign, _)| key.contains(sign)).map(|(_, what)| *what)
}
