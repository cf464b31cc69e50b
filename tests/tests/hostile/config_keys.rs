//! Every field that the programs of the configs know (`tests/reference/make_config_keys_fixtures.py`), with other values than the usual one:
//! each changes what is made of the config, or is refused by name, or stands below with the reason why it changes nothing.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ae_checkpoint::{Checkpoint, Lora};
use ae_clip::ClipTextModelConfig;
use ae_scheduler::{SchedulerConfig, SchedulerKind};
use ae_unet::UNetConfig;
use ae_vae::VaeConfig;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;

/// Fields that may ask for noise levels from which a sampler cannot go on; the error speaks of the levels.
const SCHEDULE: [&str; 2] = ["lower_order_final", "rescale_betas_zero_snr"];

/// The fields of a class with their defaults.
fn class(name: &str) -> Fields {
    let all: BTreeMap<String, Fields> =
        serde_json::from_str(include_str!("../../fixtures/config_keys.json")).expect("the fixture");
    all[name].clone()
}

/// Values that a field of this default may have as well, or that a damaged file may hold.
fn others(field: &str, default: &Value) -> Vec<Value> {
    let words: &[&str] = match field {
        "beta_schedule" => &["linear", "scaled_linear", "squaredcos_cap_v2"],
        "prediction_type" => &["v_prediction", "sample"],
        "timestep_spacing" => &["leading", "linspace", "trailing"],
        "final_sigmas_type" => &["sigma_min"],
        "variance_type" => &["fixed_large", "learned"],
        "algorithm_type" => &["dpmsolver", "sde-dpmsolver"],
        "solver_type" => &["heun", "bh1"],
        "hidden_act" => &["gelu", "gelu_new"],
        "mid_block_type" => &["UNetMidBlock2D", "UNetMidBlock2DSimpleCrossAttn"],
        "init_lora_weights" => &["pissa", "olora"],
        "bias" => &["all", "lora_only"],
        _ => &[],
    };
    let mut values: Vec<Value> = words.iter().map(|word| json!(word)).collect();
    values.push(json!("another"));
    values.extend(match default {
        Value::Bool(value) => vec![json!(!value)],
        // It is squared, and acts on the tenth digit where it is large.
        Value::Number(_) if field == "timestep_scaling" => vec![json!(0.001)],
        Value::Number(number) if number.is_f64() => vec![json!(number.as_f64().unwrap() * 0.9 + 1e-5)],
        Value::Number(number) => vec![json!(number.as_u64().unwrap() * 2 + 1)],
        Value::Array(values) if !values.is_empty() => {
            let mut values = values.clone();
            values[0] = values[0].as_u64().map_or(json!("another"), |number| json!(2 * number));
            vec![Value::Array(values)]
        }
        _ => vec![json!(7), json!(0.5), json!(true), json!([0.5]), json!({"a": 1})],
    });
    values.retain(|value| value != default);
    values
}

/// Walks the fields of a class, and returns what is wrong. `without_effect` has those that may change nothing, with the reason.
fn walk<T: PartialEq + Debug>(
    class: &str,
    base: &Fields,
    fields: &Fields,
    without_effect: &[(&str, &str)],
    read: impl Fn(&Fields) -> Result<T, String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let usual = read(base).unwrap_or_else(|error| panic!("{class}: {error}"));
    for (field, default) in fields {
        let mut silent = Vec::new();
        for value in others(field, default) {
            if base.get(field) == Some(&value) {
                continue;
            }
            let mut changed = base.clone();
            changed.insert(field.clone(), value.clone());
            match read(&changed) {
                Ok(made) if made != usual => {}
                Ok(_) => silent.push(value),
                Err(error) if error.contains(field.as_str()) => {}
                Err(error) if SCHEDULE.contains(&field.as_str()) && error.contains("the noise schedule has") => {}
                Err(error) => problems.push(format!("{class}.{field} = {value} is refused without its name: {error}")),
            }
        }
        let reason = without_effect.iter().find(|(name, _)| name == field);
        if !silent.is_empty() && reason.is_none() {
            problems.push(format!("{class}.{field} = {silent:?} is passed over in silence"));
        }
    }
    let unknown = without_effect.iter().filter(|(field, _)| !fields.contains_key(*field));
    problems.extend(unknown.map(|(field, _)| format!("{class} has no {field}")));
    problems
}

#[test]
fn no_field_of_a_unet_is_passed_over() {
    const TRAINING: &str = "of training";
    const FIXED: &str = "means something only with an option that is refused";
    let fields = class("UNet2DConditionModel");
    let problems = walk(
        "UNet2DConditionModel",
        &fields,
        &fields,
        &[
            ("addition_embed_type_num_heads", FIXED),
            ("addition_time_embed_dim", FIXED),
            ("dropout", TRAINING),
            ("mid_block_only_cross_attention", FIXED),
            ("projection_class_embeddings_input_dim", FIXED),
            ("upcast_attention", "queries times keys are always formed in single precision"),
        ],
        |fields| UNetConfig::from_json(&Value::from(fields.clone()).to_string()).map_err(|error| error.to_string()),
    );
    assert_eq!(problems, [""; 0]);
}

#[test]
fn no_field_of_an_autoencoder_is_passed_over() {
    const OTHERS: &str = "the pipelines of Stable Diffusion 1 and 2 do not read it";
    let fields = class("AutoencoderKL");
    let problems = walk(
        "AutoencoderKL",
        &fields,
        &fields,
        &[
            ("down_block_types", "the weights tell"),
            ("force_upcast", OTHERS),
            ("latents_mean", OTHERS),
            ("latents_std", OTHERS),
            ("sample_size", OTHERS),
            ("shift_factor", OTHERS),
            ("up_block_types", "the weights tell"),
        ],
        |fields| VaeConfig::from_json(&Value::from(fields.clone()).to_string()).map_err(|error| error.to_string()),
    );
    assert_eq!(problems, [""; 0]);
}

#[test]
fn no_field_of_a_text_encoder_is_passed_over() {
    const POOLED: &str = "of the pooled embedding, which these models do not use";
    const TRAINING: &str = "of training";
    const OUTPUT: &str = "of what the Python call returns";
    let fields = class("CLIPTextConfig");
    let problems = walk(
        "CLIPTextConfig",
        &fields,
        &fields,
        &[
            ("architectures", OUTPUT),
            ("attention_dropout", TRAINING),
            ("bos_token_id", "the tokenizer has its own"),
            ("chunk_size_feed_forward", "computes the same in parts"),
            ("dtype", "the weights tell"),
            ("eos_token_id", POOLED),
            ("id2label", OUTPUT),
            ("initializer_factor", TRAINING),
            ("initializer_range", TRAINING),
            ("is_encoder_decoder", OUTPUT),
            ("label2id", OUTPUT),
            ("output_hidden_states", OUTPUT),
            ("pad_token_id", "the tokenizer has its own"),
            ("problem_type", TRAINING),
            ("projection_dim", POOLED),
            ("return_dict", OUTPUT),
            ("transformers_version", OUTPUT),
        ],
        |fields| {
            ClipTextModelConfig::from_json(&Value::from(fields.clone()).to_string()).map_err(|error| error.to_string())
        },
    );
    assert_eq!(problems, [""; 0]);
}

/// Nothing that the programs know is called unknown, and nothing else is passed over.
#[test]
fn only_fields_that_no_program_knows_are_noted_as_ignored() {
    let classes: BTreeMap<String, Fields> =
        serde_json::from_str(include_str!("../../fixtures/config_keys.json")).expect("the fixture");
    for (class, mut fields) in classes {
        let ignored = match class.as_str() {
            "UNet2DConditionModel" => UNetConfig::ignored,
            "AutoencoderKL" => VaeConfig::ignored,
            "CLIPTextConfig" => ClipTextModelConfig::ignored,
            "LoraConfig" => continue,
            _ => SchedulerConfig::ignored,
        };
        fields.extend([("_note".to_owned(), Value::Null), ("another".to_owned(), Value::Null)]);
        let fields = ae_config::Fields::read(class.as_str(), &Value::from(fields).to_string()).expect("an object");
        assert_eq!(ignored(&fields), ["another"], "{class}");
    }
}

/// What a sampler makes of a model that is a formula: its timesteps, and the latents of every step.
fn run(fields: &Fields, kind: SchedulerKind) -> Result<(Vec<f64>, Vec<f32>), String> {
    let config =
        SchedulerConfig::from_json(&Value::from(fields.clone()).to_string()).map_err(|error| error.to_string())?;
    let mut scheduler = config.build(kind, 10).map_err(|error| error.to_string())?;
    let values = |seed: f32| -> Tensor<4> {
        let values: Vec<f32> = (0..16).map(|index| ((index as f32 + seed) * 1.7).sin() * 1.3).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, 4, 4]), &Device::flex())
    };
    let mut sample = values(0.0) * scheduler.init_noise_sigma();
    let timesteps = scheduler.timesteps().to_vec();
    let mut seen = Vec::new();
    for step in 0..timesteps.len() {
        let mut model = |input: Tensor<4>, timestep: f64| input * (0.3 * (timestep / 90.0).cos()) + values(5.0);
        let mut draws = 0.0;
        sample = scheduler.advance(step, sample, &mut model, &mut || {
            draws += 1.0;
            values(11.0 * draws + step as f32)
        });
        seen.extend(sample.to_data().try_to_vec::<f32>().expect("floats"));
    }
    Ok((timesteps, seen))
}

#[test]
fn no_field_of_a_scheduler_is_passed_over() {
    /// Fields that act only where another one has this value.
    const TOGETHER: &[(&str, &str, &str)] = &[
        ("clip_sample_range", "clip_sample", "true"),
        ("sigma_min", "use_karras_sigmas", "true"),
        ("sigma_max", "use_karras_sigmas", "true"),
        ("steps_offset", "timestep_spacing", r#""leading""#),
        ("lower_order_final", "final_sigmas_type", r#""sigma_min""#),
        ("euler_at_final", "final_sigmas_type", r#""sigma_min""#),
        ("euler_at_final", "lower_order_final", "false"),
    ];
    /// Fields that do nothing in diffusers.
    const NOTHING: &[(&str, &str, &str)] = &[
        ("DPMSolverMultistepScheduler", "solver_type", "the names of other solvers mean the usual one"),
        ("DPMSolverMultistepScheduler", "variance_type", "of learned ones alone"),
        ("UniPCMultistepScheduler", "solver_type", "the names of other solvers mean the usual one"),
        ("LCMScheduler", "set_alpha_to_one", "the last step takes what the model predicts"),
        ("LCMScheduler", "steps_offset", "the timesteps are those of the distillation"),
        ("LCMScheduler", "timestep_spacing", "the timesteps are those of the distillation"),
        ("TCDScheduler", "clip_sample", "its step never asks"),
        ("TCDScheduler", "clip_sample_range", "its step never asks"),
        ("TCDScheduler", "dynamic_thresholding_ratio", "its step never asks"),
        ("TCDScheduler", "sample_max_value", "its step never asks"),
        ("TCDScheduler", "set_alpha_to_one", "its steps end at the timestep 0"),
        ("TCDScheduler", "steps_offset", "the timesteps are those of the distillation"),
        ("TCDScheduler", "thresholding", "its step never asks"),
        ("TCDScheduler", "timestep_scaling", "its step never asks"),
        ("TCDScheduler", "timestep_spacing", "the timesteps are those of the distillation"),
    ];
    /// Fields that act only with an option that is refused.
    const REFUSED: &[(&str, &str)] = &[
        ("dynamic_thresholding_ratio", "thresholding"),
        ("sample_max_value", "thresholding"),
        ("flow_shift", "use_flow_sigmas"),
        ("time_shift_type", "use_dynamic_shifting"),
        ("shift_terminal", "use_dynamic_shifting"),
    ];
    let classes = [
        "PNDMScheduler",
        "DDIMScheduler",
        "DDPMScheduler",
        "EulerDiscreteScheduler",
        "EulerAncestralDiscreteScheduler",
        "HeunDiscreteScheduler",
        "LMSDiscreteScheduler",
        "KDPM2DiscreteScheduler",
        "KDPM2AncestralDiscreteScheduler",
        "DPMSolverMultistepScheduler",
        "UniPCMultistepScheduler",
        "LCMScheduler",
        "TCDScheduler",
    ];
    let mut problems = Vec::new();
    for name in classes {
        let kind = SchedulerKind::ALL.iter().copied().find(|kind| kind.class_name() == name).expect("a sampler");
        let fields = class(name);
        let known = [("_class_name", json!(name)), ("skip_prk_steps", json!(true)), ("clip_sample", json!(false))];
        let usual = known.map(|(field, value)| (field.to_owned(), value));
        let usual: Fields =
            usual.into_iter().filter(|(field, _)| field == "_class_name" || fields.contains_key(field)).collect();
        let nothing: Vec<(&str, &str)> =
            NOTHING.iter().filter_map(|(class, field, reason)| (*class == name).then_some((*field, *reason))).collect();
        for (field, default) in &fields {
            let nothing: Vec<_> = nothing.iter().copied().filter(|(known, _)| known == field).collect();
            if let Some((_, parent)) = REFUSED.iter().find(|(child, _)| child == field && nothing.is_empty()) {
                let mut with = usual.clone();
                with.insert((*parent).to_owned(), json!(true));
                if !run(&with, kind).is_err_and(|error| error.contains(parent)) {
                    problems.push(format!("{name}.{parent} = true is not refused, and {field} does nothing"));
                }
                continue;
            }
            let mut base = usual.clone();
            for (_, parent, value) in TOGETHER.iter().filter(|(child, ..)| child == field) {
                base.insert((*parent).to_owned(), serde_json::from_str(value).expect("JSON"));
            }
            let is_parent_refused =
                |error: String| TOGETHER.iter().any(|(child, parent, _)| child == field && error.contains(parent));
            if run(&base, kind).is_err_and(is_parent_refused) {
                continue;
            }
            let own = Fields::from_iter([(field.clone(), default.clone())]);
            problems.extend(walk(name, &base, &own, &nothing, |fields| run(fields, kind)));
        }
    }
    assert_eq!(problems, [""; 0]);
}

/// A LoRA of one layer with PEFT's config in its header.
fn adapter(fields: &Fields) -> Result<Vec<f64>, String> {
    let prefixed: Fields = fields.iter().map(|(field, value)| (format!("unet.{field}"), value.clone())).collect();
    let layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
    let header = json!({
        "__metadata__": {"lora_adapter_metadata": Value::from(prefixed).to_string()},
        format!("{layer}.lora_A.weight"): {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        format!("{layer}.lora_B.weight"): {"dtype": "F32", "shape": [2, 2], "data_offsets": [16, 32]},
    });
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend([0x3c; 32]);
    let checkpoint = Checkpoint::from_bytes("lora.safetensors", bytes.into()).map_err(|error| error.to_string())?;
    let lora = Lora::read(&checkpoint).map_err(|error| error.to_string())?;
    Ok(lora.layers.iter().map(|layer| layer.scale).collect())
}

#[test]
fn no_field_of_an_adapter_is_passed_over() {
    const TENSORS: &str = "the tensors of the file tell";
    const TRAINING: &str = "of training";
    const NAMES: &str = "says where the adapter comes from";
    let fields = class("LoraConfig");
    let mut base = fields.clone();
    base.insert("r".to_owned(), json!(2));
    // A pattern that is of the layer.
    let pattern = [base.clone(), Fields::from_iter([("alpha_pattern".to_owned(), json!({"to_q": 3.0}))])];
    let patterned = adapter(&pattern.into_iter().flatten().collect()).expect("an adapter");
    assert_ne!(adapter(&base).expect("an adapter"), patterned);
    let problems = walk(
        "LoraConfig",
        &base,
        &fields,
        &[
            ("alpha_pattern", "these values are patterns of other layers; tried above"),
            ("auto_mapping", NAMES),
            ("base_model_name_or_path", NAMES),
            ("bias", TENSORS),
            ("corda_config", TRAINING),
            ("ensure_weight_tying", TRAINING),
            ("eva_config", TRAINING),
            ("exclude_modules", TENSORS),
            ("fan_in_fan_out", "of layers that these models do not have"),
            ("inference_mode", TRAINING),
            ("init_lora_weights", "the ways of starting that change the base are refused"),
            ("layers_pattern", TENSORS),
            ("layers_to_transform", TENSORS),
            ("loftq_config", TRAINING),
            ("lora_alpha", "where it is no number, PEFT fails"),
            ("lora_bias", TENSORS),
            ("lora_dropout", TRAINING),
            ("lora_ga_config", TRAINING),
            ("megatron_config", TRAINING),
            ("megatron_core", TRAINING),
            ("modules_to_save", TENSORS),
            ("peft_type", TENSORS),
            ("peft_version", NAMES),
            ("qalora_group_size", "with use_qalora, which is refused"),
            ("r", TENSORS),
            ("rank_pattern", TENSORS),
            ("revision", NAMES),
            ("runtime_config", TRAINING),
            ("target_modules", TENSORS),
            ("target_parameters", TENSORS),
            ("task_type", TRAINING),
            ("trainable_token_indices", TENSORS),
            ("use_dora", TENSORS),
            ("use_rslora", "where it is no truth value, PEFT fails"),
            ("velora_config", TRAINING),
        ],
        adapter,
    );
    assert_eq!(problems, [""; 0]);
}
