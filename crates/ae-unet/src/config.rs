use ae_checkpoint::{Checkpoint, Family};
use ae_config::{ConfigError, Fields};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Far above any model, far below what could exhaust memory before a weight is read.
const LARGEST: usize = 1 << 16;

/// The part of a diffusers `unet/config.json` that decides the shape of the model.
///
/// Deserialising checks it, as [`from_json`](Self::from_json) does.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Fields")]
#[non_exhaustive]
pub struct UNetConfig {
    /// Rows and columns of the latents the model was trained on.
    pub sample_size: [usize; 2],
    /// Channels of the latents.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Channels of each level, from the finest to the coarsest.
    pub block_out_channels: Vec<usize>,
    /// The block of each level on the way down, from the finest to the coarsest.
    pub down_block_types: Vec<DownBlockType>,
    /// The block between the way down and the way up; distilled models have none.
    pub mid_block_type: Option<MidBlockType>,
    /// The block of each level on the way up, from the coarsest to the finest.
    pub up_block_types: Vec<UpBlockType>,
    /// Resnets of a level's down block; its up block has one more.
    pub layers_per_block: PerLevel,
    /// Number of attention heads: one for all levels (SD 1) or one per level (SD 2). The name is a slip
    /// of diffusers that the checkpoints froze.
    pub attention_head_dim: PerLevel,
    /// Width of the text embeddings.
    pub cross_attention_dim: usize,
    /// Transformer blocks of each transformer.
    pub transformer_layers_per_block: PerLevel,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Epsilon of the resnets' normalisations.
    pub norm_eps: f64,
    /// Linear projections around the transformers (SD 2) instead of 1x1 convolutions (SD 1).
    pub use_linear_projection: bool,
    /// Cosines before sines in the time embedding.
    pub flip_sin_to_cos: bool,
    /// Shift of the time embedding's frequencies.
    pub freq_shift: f64,
    /// Width of the embedding of the guidance scale, for models that were distilled with guidance (LCM; Luo et al. 2023).
    pub time_cond_proj_dim: Option<usize>,
}

/// A block on the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum DownBlockType {
    /// Resnets.
    DownBlock2D,
    /// Resnets, each followed by a transformer.
    CrossAttnDownBlock2D,
}

/// The block in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum MidBlockType {
    /// A transformer between two resnets.
    #[default]
    UNetMidBlock2DCrossAttn,
    /// One resnet.
    UNetMidBlock2D,
}

/// A block on the way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum UpBlockType {
    /// Resnets.
    UpBlock2D,
    /// Resnets, each followed by a transformer.
    CrossAttnUpBlock2D,
}

/// A number for every level, written once or level by level.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum PerLevel {
    /// The same at every level.
    Same(usize),
    /// One per level, from the finest to the coarsest.
    Each(Vec<usize>),
}

impl PerLevel {
    /// The number of a level, counted from the finest.
    ///
    /// # Panics
    ///
    /// When there is none for that level.
    pub fn at(&self, level: usize) -> usize {
        match self {
            Self::Same(value) => *value,
            Self::Each(values) => values[level],
        }
    }

    /// The numbers of all levels, written once where they are the same.
    fn of(values: Vec<usize>) -> Self {
        match values.as_slice() {
            [first, rest @ ..] if rest.iter().all(|value| value == first) => Self::Same(*first),
            _ => Self::Each(values),
        }
    }

    /// Whether there is a number from 1 to `max` for each of so many levels.
    fn is_valid(&self, levels: usize, max: usize) -> bool {
        !matches!(self, Self::Each(values) if values.len() != levels)
            && (0..levels).all(|level| (1..=max).contains(&self.at(level)))
    }
}

/// Options that change the model and have one value in Stable Diffusion 1 and 2, as JSON.
const FIXED: &[(&str, &str)] = &[
    ("_class_name", r#""UNet2DConditionModel""#),
    ("act_fn", r#""silu""#),
    ("addition_embed_type", "null"),
    ("attention_type", r#""default""#),
    ("center_input_sample", "false"),
    ("class_embed_type", "null"),
    ("class_embeddings_concat", "false"),
    ("conv_in_kernel", "3"),
    ("conv_out_kernel", "3"),
    ("cross_attention_norm", "null"),
    ("downsample_padding", "1"),
    ("dual_cross_attention", "false"),
    ("encoder_hid_dim", "null"),
    ("encoder_hid_dim_type", "null"),
    ("mid_block_scale_factor", "1"),
    ("num_attention_heads", "null"),
    ("num_class_embeds", "null"),
    ("only_cross_attention", "false"),
    ("resnet_out_scale_factor", "1.0"),
    ("resnet_skip_time_act", "false"),
    ("resnet_time_scale_shift", r#""default""#),
    ("reverse_transformer_layers_per_block", "null"),
    ("time_embedding_act_fn", "null"),
    ("time_embedding_dim", "null"),
    ("time_embedding_type", r#""positional""#),
    ("timestep_post_act", "null"),
];

/// Arguments of diffusers' class that matter only together with options that are [`FIXED`], or in training.
const WITHOUT_EFFECT: [&str; 6] = [
    "addition_embed_type_num_heads",
    "addition_time_embed_dim",
    "dropout",
    "mid_block_only_cross_attention",
    "projection_class_embeddings_input_dim",
    "upcast_attention",
];

impl UNetConfig {
    /// The fields of a `config.json` that diffusers' class does not know. It ignores them with a warning.
    pub fn ignored(fields: &Fields) -> Vec<String> {
        let options = FIXED.iter().map(|(option, _)| *option);
        fields.unknown(&Self::stable_diffusion_1(), options.chain(WITHOUT_EFFECT))
    }

    /// Reads a diffusers `config.json`; absent fields take diffusers' defaults.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object, describes another model, sets an option that changes the result
    /// and is not supported, or holds sizes that fit no model.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Fields::read("the U-Net's config.json", text)?.try_into()
    }

    /// Reads the sizes off the parameters of a model. Shapes do not tell the number of heads, which is that of the family:
    /// 8 everywhere in Stable Diffusion 1, else one for 64 channels; nor the size of pictures, which is 512 pixels here.
    ///
    /// # Errors
    ///
    /// When a parameter is missing or has a shape of no such model. The error names the parameter.
    pub fn from_weights(weights: &Checkpoint, family: Family) -> Result<Self, ConfigError> {
        const HEAD: usize = 64;
        let channels = weights.block_channels("down_blocks.")?;
        let heads = match family {
            Family::StableDiffusion1 => json!(8),
            _ => channels.iter().map(|channels| (channels / HEAD).max(1)).collect(),
        };
        let types = |blocks: &str, direction: &str| -> Value {
            let attends = |level| weights.has_prefix(&format!("{blocks}.{level}.attentions."));
            let kind = |level| format!("{}{direction}Block2D", if attends(level) { "CrossAttn" } else { "" });
            (0..channels.len()).map(kind).collect()
        };
        let layers = |level| weights.count_from(0, &format!("down_blocks.{level}.resnets."));
        // The first transformer, wherever it is: distilled models have none in the middle.
        let first = |ending: &str| {
            let key = weights.tensors().keys().find(|key| key.ends_with(ending));
            key.cloned().unwrap_or_else(|| format!("mid_block.attentions.0{ending}"))
        };
        let projection = weights.get(&first(".proj_in.weight")).map(|tensor| tensor.shape().len());
        let context = first(".transformer_blocks.0.attn2.to_k.weight");
        let mid = match (weights.has_prefix("mid_block.attentions."), weights.has_prefix("mid_block.")) {
            (true, _) => Some(MidBlockType::UNetMidBlock2DCrossAttn),
            (false, true) => Some(MidBlockType::UNetMidBlock2D),
            (false, false) => None,
        };
        let guidance = weights.get("time_embedding.cond_proj.weight").and_then(|tensor| tensor.shape().get(1).copied());
        let fields = [
            ("in_channels", json!(weights.extent("conv_in.weight", 1)?)),
            ("out_channels", json!(weights.extent("conv_out.weight", 0)?)),
            ("down_block_types", types("down_blocks", "Down")),
            ("up_block_types", types("up_blocks", "Up")),
            ("layers_per_block", json!(PerLevel::of((0..channels.len()).map(layers).collect()))),
            ("mid_block_type", json!(mid)),
            ("time_cond_proj_dim", json!(guidance)),
            ("cross_attention_dim", json!(weights.extent(&context, 1)?)),
            ("attention_head_dim", heads),
            ("use_linear_projection", json!(projection == Some(2))),
            ("block_out_channels", json!(channels)),
        ];
        Fields::new(weights.name(), fields).try_into()
    }

    /// Stable Diffusion 1.1 to 1.5.
    pub fn stable_diffusion_1() -> Self {
        Self::known([("cross_attention_dim", json!(768))])
    }

    /// Stable Diffusion 2.0 and 2.1, trained on 768 pixels; for their base models of 512 pixels set `sample_size` to 64.
    pub fn stable_diffusion_2() -> Self {
        Self::known([
            ("sample_size", json!(96)),
            ("attention_head_dim", json!([5, 10, 20, 20])),
            ("cross_attention_dim", json!(1024)),
            ("use_linear_projection", json!(true)),
        ])
    }

    fn known<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Fields::new("a known model", fields).try_into().expect("a model that exists")
    }

    /// Whether the network is one for inpainting: beside its latents it sees a mask and the latents of an image.
    pub fn is_inpainting(&self) -> bool {
        self.in_channels == Self::inpainting_channels(self.out_channels)
    }

    /// The channels that a network for inpainting sees, of so many of latents: these, those of an image, and the mask.
    pub const fn inpainting_channels(latents: usize) -> usize {
        2 * latents + 1
    }

    /// How many times the latents' sides are halved on the way down.
    pub fn reductions(&self) -> usize {
        self.block_out_channels.len() - 1
    }
}

impl TryFrom<Fields> for UNetConfig {
    type Error = ConfigError;

    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        use {DownBlockType as Down, UpBlockType as Up};
        let block_out_channels: Vec<usize> = fields.checked(
            "block_out_channels",
            vec![320, 640, 1280, 1280],
            format_args!("1 to 16 levels of 1..={LARGEST} channels"),
            |levels: &Vec<_>| {
                (1..=16).contains(&levels.len()) && levels.iter().all(|channels| (1..=LARGEST).contains(channels))
            },
        )?;
        let levels = block_out_channels.len();
        let fields = fields.with_scalars(levels, &["cross_attention_dim", "only_cross_attention"]);
        fields.fixed(FIXED)?;
        let each = |what, max| format!("{what} of 1..={max}, or {levels} of them for the levels of block_out_channels");
        let config = Self {
            sample_size: sample_size(&fields)?,
            in_channels: fields.size("in_channels", 4, LARGEST)?,
            out_channels: fields.size("out_channels", 4, LARGEST)?,
            down_block_types: fields.or("down_block_types", {
                vec![
                    Down::CrossAttnDownBlock2D,
                    Down::CrossAttnDownBlock2D,
                    Down::CrossAttnDownBlock2D,
                    Down::DownBlock2D,
                ]
            })?,
            mid_block_type: fields.or("mid_block_type", Some(MidBlockType::default()))?,
            up_block_types: fields.or("up_block_types", {
                vec![Up::UpBlock2D, Up::CrossAttnUpBlock2D, Up::CrossAttnUpBlock2D, Up::CrossAttnUpBlock2D]
            })?,
            layers_per_block: fields.checked(
                "layers_per_block",
                PerLevel::Same(2),
                each("a number of resnets", 64),
                |layers| layers.is_valid(levels, 64),
            )?,
            attention_head_dim: fields.checked(
                "attention_head_dim",
                PerLevel::Same(8),
                each("a number of heads", LARGEST),
                |heads| heads.is_valid(levels, LARGEST),
            )?,
            cross_attention_dim: fields.size("cross_attention_dim", 1280, LARGEST)?,
            transformer_layers_per_block: fields.checked(
                "transformer_layers_per_block",
                PerLevel::Same(1),
                each("a depth", 64),
                |depths| depths.is_valid(levels, 64),
            )?,
            norm_num_groups: fields.size("norm_num_groups", 32, LARGEST)?,
            norm_eps: fields.epsilon("norm_eps", 1e-5)?,
            use_linear_projection: fields.or("use_linear_projection", false)?,
            flip_sin_to_cos: fields.or("flip_sin_to_cos", true)?,
            freq_shift: fields.checked("freq_shift", 0.0, "a finite number", |shift: &f64| shift.is_finite())?,
            time_cond_proj_dim: fields.checked(
                "time_cond_proj_dim",
                None,
                format_args!("null or 4..={LARGEST}"),
                |width: &Option<usize>| width.is_none_or(|width| (4..=LARGEST).contains(&width)),
            )?,
            block_out_channels,
        };
        let types =
            [("down_block_types", config.down_block_types.len()), ("up_block_types", config.up_block_types.len())];
        for (field, count) in types {
            fields.check(field, count == levels, format_args!("{levels} blocks, as block_out_channels has levels"))?;
        }
        for (level, channels) in config.block_out_channels.iter().enumerate() {
            let heads = config.attention_head_dim.at(level);
            for (field, divisor) in [("norm_num_groups", config.norm_num_groups), ("attention_head_dim", heads)] {
                let divides = channels.is_multiple_of(divisor);
                fields.check(field, divides, format_args!("a divisor of block_out_channels, {channels}"))?;
            }
        }
        let (parameters, layers) = config.cost();
        fields.check_network(parameters, layers)?;
        Ok(config)
    }
}

/// A side, or rows and columns, or null where a model was trained on many sizes: then that of Stable Diffusion 1.
fn sample_size(fields: &Fields) -> Result<[usize; 2], ConfigError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum SampleSize {
        Side(usize),
        Sides([usize; 2]),
    }
    const USUAL: [usize; 2] = [64; 2];
    let sides = |size: &Option<SampleSize>| match size {
        None => USUAL,
        Some(SampleSize::Side(side)) => [*side; 2],
        Some(SampleSize::Sides(sides)) => *sides,
    };
    let is_valid = |size: &Option<SampleSize>| sides(size).iter().all(|side| (1..=LARGEST).contains(side));
    let expected = format!("1..={LARGEST}, two of them (rows, columns) or null");
    Ok(sides(&fields.checked("sample_size", None, expected, is_valid)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stable Diffusion 1.4's config.json: the fields it names have the default values, except for the text width.
    #[test]
    fn stable_diffusion_1_is_the_default_with_768_wide_text() {
        let config =
            UNetConfig::from_json(r#"{"_class_name": "UNet2DConditionModel", "cross_attention_dim": 768}"#).unwrap();
        assert_eq!(config, UNetConfig::stable_diffusion_1());
        let up = config.up_shapes();
        let inputs: Vec<Vec<usize>> =
            up.iter().map(|shape| shape.resnets.iter().map(|resnet| resnet.in_channels).collect()).collect();
        // diffusers: [m.in_channels for b in unet.up_blocks for m in b.resnets]
        assert_eq!(inputs, [[2560, 2560, 2560], [2560, 2560, 1920], [1920, 1280, 960], [960, 640, 640]]);
        assert_eq!(config.reductions(), 3);
    }

    #[test]
    fn what_changes_the_result_and_is_not_supported_is_refused_by_name() {
        for (json, named) in [
            (r#"{"class_embed_type": "timestep"}"#, "class_embed_type"),
            (r#"{"addition_embed_type": "text_time"}"#, "addition_embed_type"),
            (r#"{"_class_name": "SD3Transformer2DModel"}"#, "SD3Transformer2DModel"),
            (r#"{"down_block_types": ["A", "B", "C", "D"]}"#, "\"A\""),
            (r#"{"block_out_channels": []}"#, "block_out_channels"),
            (r#"{"block_out_channels": [320, 640]}"#, "down_block_types"),
            (r#"{"norm_num_groups": 7}"#, "norm_num_groups"),
            (r#"{"norm_num_groups": 0}"#, "norm_num_groups"),
            (r#"{"attention_head_dim": [8, 8, 8, 0]}"#, "attention_head_dim"),
            (r#"{"layers_per_block": 1000000000}"#, "layers_per_block"),
            (r#"{"in_channels": -4}"#, "-4"),
            (r#"{"in_channels": "four"}"#, "four"),
            ("[]", "malformed"),
            ("", "malformed"),
            (
                r#"{"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}"#,
                "mid_block_type is \"UNetMidBlock2DSimpleCrossAttn\"",
            ),
            (r#"{"sample_size": [64, 64, 64]}"#, "sample_size is [64,64,64]"),
            (r#"{"sample_size": [64, 0]}"#, "sample_size is [64,0]"),
            (r#"{"layers_per_block": [2, 2, 2]}"#, "layers_per_block is [2,2,2]"),
            (r#"{"layers_per_block": [2, 2, 2, 0]}"#, "layers_per_block is [2,2,2,0]"),
            (r#"{"cross_attention_dim": [768, 768, 768]}"#, "cross_attention_dim is [768,768,768]"),
            (r#"{"cross_attention_dim": [768, 768, 768, 1024]}"#, "cross_attention_dim is [768,768,768,1024]"),
            (r#"{"cross_attention_dim": null}"#, "cross_attention_dim is null"),
            (r#"{"only_cross_attention": [false, true, false, false]}"#, "only_cross_attention is [false,true,"),
            (r#"{"only_cross_attention": true}"#, "only_cross_attention is true"),
            (r#"{"only_cross_attention": [true, true, true, true]}"#, "only_cross_attention is true"),
            (r#"{"num_attention_heads": [8, 8, 8, 8]}"#, "num_attention_heads is [8,8,8,8]"),
            (r#"{"time_cond_proj_dim": 0}"#, "time_cond_proj_dim is 0"),
            (r#"{"transformer_layers_per_block": [1, 2]}"#, "transformer_layers_per_block is [1,2]"),
            (r#"{"transformer_layers_per_block": [1, 2, 10, 0]}"#, "transformer_layers_per_block is [1,2,10,0]"),
            (r#"{"transformer_layers_per_block": [[1], 1, 1, 1]}"#, "transformer_layers_per_block is [[1],1,1,1]"),
            (r#"{"norm_eps": 0}"#, "norm_eps is 0"),
            (r#"{"freq_shift": NaN}"#, "freq_shift is \"NaN\""),
        ] {
            let error = UNetConfig::from_json(json).unwrap_err().to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    /// `UNet2DConditionModel.from_config` takes each of these.
    #[test]
    fn values_are_scalars_pairs_lists_or_null_as_diffusers_has_them() {
        let usual = UNetConfig::stable_diffusion_1();
        let read =
            |fields: &str| UNetConfig::from_json(&format!(r#"{{"cross_attention_dim": 768, {fields}}}"#)).unwrap();
        for same in [
            r#""sample_size": 64"#,
            r#""sample_size": [64, 64]"#,
            r#""sample_size": null"#,
            r#""cross_attention_dim": [768, 768, 768, 768]"#,
            r#""only_cross_attention": [false, false, false, false]"#,
            r#""mid_block_only_cross_attention": false"#,
            r#""time_cond_proj_dim": null"#,
        ] {
            assert_eq!(read(same), usual, "{same}");
        }
        assert_eq!(read(r#""sample_size": [32, 48]"#).sample_size, [32, 48]);
        for lists in [
            r#""layers_per_block": [2, 2, 2, 2], "transformer_layers_per_block": [1, 1, 1, 1], "attention_head_dim": [8, 8, 8, 8]"#,
            r#""layers_per_block": 2, "transformer_layers_per_block": 1, "attention_head_dim": 8"#,
        ] {
            let config = read(lists);
            assert_eq!(config.attention_sites([64, 64]), usual.attention_sites([64, 64]), "{lists}");
            assert_eq!(config.up_shapes().len(), usual.up_shapes().len());
        }
    }

    /// The config.json of nota-ai/bk-sdm-small (as segmind/small-sd) and of nota-ai/bk-sdm-tiny (as segmind/tiny-sd), and
    /// lists that differ. diffusers: `[m.in_channels for b in unet.up_blocks for m in b.resnets]`.
    #[test]
    fn distilled_models_have_fewer_blocks() {
        let inputs = |json: &str| {
            let config = UNetConfig::from_json(json).unwrap();
            assert!(config.mid_shape().resnets.is_empty() && config.mid_block_type.is_none(), "{json}");
            let sites = config.attention_sites([64, 64]);
            assert!(sites.iter().all(|site| site.place != crate::Place::Mid));
            let up = config.up_shapes();
            up.iter()
                .map(|shape| shape.resnets.iter().map(|resnet| resnet.in_channels).collect())
                .collect::<Vec<Vec<_>>>()
        };
        let small = r#"{"cross_attention_dim": 768, "layers_per_block": 1, "mid_block_type": null}"#;
        assert_eq!(inputs(small), [[2560, 2560], [2560, 1920], [1920, 960], [960, 640]]);
        let tiny = r#"{"cross_attention_dim": 768, "layers_per_block": 1, "mid_block_type": null,
            "block_out_channels": [320, 640, 1280],
            "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]}"#;
        assert_eq!(inputs(tiny), [[2560, 1920], [1920, 960], [960, 640]]);
        let uneven = r#"{"cross_attention_dim": 768, "layers_per_block": [1, 2, 1, 3], "mid_block_type": null}"#;
        assert_eq!(
            inputs(uneven),
            [vec![2560, 2560, 2560, 2560], vec![2560, 1920], vec![1920, 1280, 960], vec![960, 640]]
        );
    }

    #[test]
    fn fields_that_diffusers_does_not_know_are_told() {
        let json = r#"{"_name_or_path": "x", "dropout": 0.0, "act_fn": "silu", "sample_size": 64, "my_note": 3}"#;
        let fields = Fields::read("config.json", json).unwrap();
        assert_eq!(UNetConfig::ignored(&fields), ["my_note"]);
    }

    /// diffusers: `sum(p.numel() for p in unet.parameters())` is 859 520 964, and 865 910 724.
    #[test]
    fn the_cost_is_about_the_number_of_parameters() {
        for (config, parameters) in
            [(UNetConfig::stable_diffusion_1(), 859_520_964.0), (UNetConfig::stable_diffusion_2(), 865_910_724.0)]
        {
            let (found, layers) = config.cost();
            assert!((found / parameters - 1.0_f64).abs() < 0.02, "{found}");
            assert_eq!(layers, 8 + 6 + 2 + 1 + 12 + 9);
        }
    }

    #[test]
    fn a_config_with_every_field_at_its_limit_builds_nothing() {
        let of_levels = |levels: usize, channels: usize, more: &str| {
            let types = |kind: &str| format!("[{}]", vec![format!("\"{kind}\""); levels].join(","));
            let (down, up) = (types("CrossAttnDownBlock2D"), types("CrossAttnUpBlock2D"));
            let channels = format!("[{}]", vec![channels.to_string(); levels].join(","));
            let json = format!(
                r#"{{"block_out_channels": {channels}, "down_block_types": {down}, "up_block_types": {up}, {more}}}"#
            );
            UNetConfig::from_json(&json)
        };
        let deep = r#""layers_per_block": 64, "transformer_layers_per_block": 64, "attention_head_dim": 1"#;
        let wide = r#""cross_attention_dim": 65536, "layers_per_block": 2"#;
        for (levels, channels, more) in [(16, 65536, deep), (16, 32, deep), (4, 65536, wide), (1, 32768, wide)] {
            let start = std::time::Instant::now();
            let error = of_levels(levels, channels, more).unwrap_err().to_string();
            assert!(
                error.contains("is of a network with ") && error.ends_with("expected at most 2e10 in 2048"),
                "{error}"
            );
            assert!(start.elapsed().as_secs() < 2);
        }
        assert!(of_levels(4, 320, r#""transformer_layers_per_block": [1, 2, 10, 10]"#).is_ok());
    }

    #[test]
    fn a_whole_number_written_as_a_float_is_the_same_option() {
        assert!(UNetConfig::from_json(r#"{"mid_block_scale_factor": 1.0, "resnet_out_scale_factor": 1}"#).is_ok());
    }

    #[test]
    fn deserialising_checks_as_reading_does() {
        let error = serde_json::from_str::<UNetConfig>(r#"{"block_out_channels": []}"#).unwrap_err().to_string();
        assert!(error.starts_with("block_out_channels is [] in the config; expected 1 to 16 levels"), "{error}");
        for config in [UNetConfig::stable_diffusion_1(), UNetConfig::stable_diffusion_2()] {
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<UNetConfig>(&text).unwrap(), config);
        }
    }

    /// The config.json of stabilityai/stable-diffusion-2-1.
    #[test]
    fn stable_diffusion_2_has_heads_of_64_channels() {
        let config = UNetConfig::stable_diffusion_2();
        let widths = config.block_out_channels.iter().enumerate();
        assert!(widths.clone().all(|(level, channels)| channels / config.attention_head_dim.at(level) == 64));
        assert_eq!((config.cross_attention_dim, config.sample_size), (1024, [96, 96]));
        assert!(config.use_linear_projection);
    }
}
