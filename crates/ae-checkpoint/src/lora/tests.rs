use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;
use crate::ElementType;

/// A file of zeros.
fn checkpoint(tensors: &[(&str, &[usize])], metadata: Option<&str>) -> Checkpoint {
    let zeros = vec![0u8; 4096];
    let view = |shape: &[usize]| {
        let size = shape.iter().product::<usize>() * 4;
        TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..size]).unwrap()
    };
    let metadata = metadata.map(|text| HashMap::from([("lora_adapter_metadata".to_owned(), text.to_owned())]));
    let tensors = tensors.iter().map(|(key, shape)| (*key, view(shape)));
    Checkpoint::from_bytes("x", safetensors::serialize(tensors, metadata).unwrap().into()).unwrap()
}

fn refusal(tensors: &[(&str, &[usize])]) -> String {
    Lora::read(&checkpoint(tensors, None)).unwrap_err().to_string()
}

fn only_layer(down: &str, up: &str) -> LoraLayer {
    let lora = Lora::read(&checkpoint(&[(down, &[2, 3]), (up, &[5, 2])], None)).unwrap();
    assert_eq!(lora.layers.len(), 1);
    lora.layers[0].clone()
}

/// Names of one module by every trainer, with every pair of endings.
#[test]
fn every_format_names_the_same_module() {
    const ENDINGS: [(&str, &str); 7] = [
        (".lora_down.weight", ".lora_up.weight"),
        (".lora_A.weight", ".lora_B.weight"),
        (".lora_A.default.weight", ".lora_B.default.weight"),
        (".lora_A", ".lora_B"),
        ("_lora.down.weight", "_lora.up.weight"),
        (".lora.down.weight", ".lora.up.weight"),
        (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    ];
    let unet = (LoraNetwork::UNet, "down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0");
    let text = (LoraNetwork::TextEncoder, "encoder_layers_3_mlp_fc1");
    let dotted = "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0";
    let names = [
        (unet, format!("lora_unet_{}", unet.1)),
        (unet, format!("lora_unet.{dotted}")),
        (unet, format!("lycoris_{}", unet.1)),
        (unet, format!("lycoris_unet_{}", unet.1)),
        (unet, format!("unet.{dotted}")),
        (unet, dotted.to_owned()),
        (unet, format!("base_model.model.{dotted}")),
        (unet, format!("unet.base_model.model.{dotted}")),
        (unet, format!("diffusion_model.{dotted}")),
        (unet, format!("module.unet.{dotted}")),
        (unet, "unet.down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_out".to_owned()),
        (text, format!("lora_te_text_model_{}", text.1)),
        (text, format!("lora_te1_text_model_{}", text.1)),
        (text, format!("lora_te_{}", text.1)),
        (text, format!("lycoris_te_text_model_{}", text.1)),
        (text, "text_encoder.encoder.layers.3.mlp.fc1".to_owned()),
        (text, "text_encoder.text_model.encoder.layers.3.mlp.fc1".to_owned()),
        (text, "base_model.model.text_model.encoder.layers.3.mlp.fc1".to_owned()),
        (text, "base_model.model.encoder.layers.3.mlp.fc1".to_owned()),
        (text, "text_encoders.clip_l.transformer.text_model.encoder.layers.3.mlp.fc1".to_owned()),
        (text, "cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1".to_owned()),
        (text, "clip_h.transformer.text_model.encoder.layers.3.mlp.fc1".to_owned()),
    ];
    for ((network, module), name) in &names {
        for (down, up) in ENDINGS {
            let layer = only_layer(&format!("{name}{down}"), &format!("{name}{up}"));
            assert_eq!((layer.network, layer.module.as_str()), (*network, *module), "{name}{down}");
        }
    }
    for name in [
        "lora_unet_input_blocks_1_1_proj_in",
        "diffusion_model.input_blocks.1.1.proj_in",
        "model.diffusion_model.input_blocks.1.1.proj_in",
    ] {
        let layer = only_layer(&format!("{name}.lora_down.weight"), &format!("{name}.lora_up.weight"));
        assert_eq!((layer.network, layer.module.as_str()), (LoraNetwork::UNet, "input_blocks_1_1_proj_in"));
        assert_eq!(layer.in_diffusers_names(2).as_deref(), Some("down_blocks_0_attentions_0_proj_in"));
    }
}

#[test]
fn the_oldest_files_name_text_projections_as_the_unets() {
    let prefix = "text_encoder.text_model.encoder.layers.0.self_attn";
    for (old, new) in [("to_q", "q_proj"), ("to_out", "out_proj")] {
        let layer = only_layer(&format!("{prefix}.{old}_lora.down.weight"), &format!("{prefix}.{old}_lora.up.weight"));
        assert_eq!(layer.module, format!("encoder_layers_0_self_attn_{new}"));
    }
}

#[test]
fn adapters_of_other_models_are_named() {
    for (module, named) in [
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1", "a LoRA for Stable Diffusion XL"),
        ("text_encoder_2.text_model.encoder.layers.0.mlp.fc1", "a LoRA for Stable Diffusion XL"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "a LoRA for Flux"),
        ("diffusion_model.single_blocks.0.linear1", "a LoRA for Flux"),
        ("transformer.single_transformer_blocks.0.attn.to_q", "a LoRA for a diffusion transformer"),
        ("lora_transformer_transformer_blocks_0_attn_to_q", "a LoRA for a diffusion transformer"),
        ("lora_unet_joint_blocks_0_x_block_attn_qkv", "a LoRA for Stable Diffusion 3"),
        ("diffusion_model.blocks.0.cross_attn.q", "a LoRA for a video model"),
        ("lora_te3_encoder_block_0", "a LoRA for a diffusion transformer"),
    ] {
        let (down, up) = (format!("{module}.lora_down.weight"), format!("{module}.lora_up.weight"));
        let error = refusal(&[(&down, &[2, 3]), (&up, &[5, 2])]);
        assert!(
            error.contains(named) && error.contains("expected a LoRA for Stable Diffusion 1 or 2"),
            "{module}: {error}"
        );
    }
}

#[test]
fn the_header_of_diffusers_gives_the_scale() {
    let tensors: [(&str, &[usize]); 2] = [("unet.a.lora_A.weight", &[4, 3]), ("unet.a.lora_B.weight", &[5, 4])];
    for (metadata, expected) in [
        (None, 1.0),
        (Some(r#"{"unet.lora_alpha": 8, "unet.r": 4}"#), 2.0),
        (Some(r#"{"unet.lora_alpha": 8, "unet.use_rslora": true}"#), 4.0),
        (Some(r#"{"unet.lora_alpha": 8, "unet.alpha_pattern": {"a": 2}}"#), 0.5),
        (Some(r#"{"unet.lora_alpha": 8, "unet.alpha_pattern": {"unet.a": 2, "b": 3}}"#), 2.0),
        (Some(r#"{"unet.lora_alpha": 8, "unet.init_lora_weights": "gaussian"}"#), 2.0),
        (Some(r#"{"text_encoder.lora_alpha": 8}"#), 1.0),
    ] {
        let scale = Lora::read(&checkpoint(&tensors, metadata)).unwrap().layers[0].scale;
        assert!((scale - expected).abs() < 1e-12, "{metadata:?}: {scale}");
    }
    for start in ["pissa", "pissa_niter_16", "olora", "loftq"] {
        let metadata = format!(r#"{{"unet.init_lora_weights": "{start}"}}"#);
        let error = Lora::read(&checkpoint(&tensors, Some(&metadata))).unwrap_err().to_string();
        assert!(error.contains(&format!("unet.init_lora_weights = {start}")), "{error}");
    }
}

/// PEFT's own files say nothing of alpha: its config beside them does.
#[test]
fn the_config_of_a_peft_folder_gives_the_scale() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = [0u8; 48];
    for (part, shape) in [("lora", ["lora_A.weight", "lora_B.weight"]), ("hada", ["hada_w1_a", "hada_w1_b"])] {
        let view = |shape: [usize; 2]| TensorView::new(Dtype::F32, shape.to_vec(), &zeros).unwrap();
        let mut tensors = vec![
            (format!("base_model.model.mid.{}", shape[0]), view(if part == "lora" { [4, 3] } else { [3, 4] })),
            (format!("base_model.model.mid.{}", shape[1]), view(if part == "lora" { [3, 4] } else { [4, 3] })),
        ];
        let alpha = if part == "lora" { "lora_alpha" } else { "alpha" };
        if part == "hada" {
            tensors.push(("base_model.model.mid.hada_w2_a".to_owned(), view([3, 4])));
            tensors.push(("base_model.model.mid.hada_w2_b".to_owned(), view([4, 3])));
        }
        std::fs::write(folder.path().join("adapter_model.safetensors"), safetensors::serialize(tensors, None).unwrap())
            .unwrap();
        std::fs::write(folder.path().join("adapter_config.json"), format!(r#"{{"r": 4, "{alpha}": 6}}"#)).unwrap();
        let layer = Lora::open(folder.path().join("adapter_model.safetensors")).unwrap().layers.remove(0);
        assert!(layer.module == "mid" && (layer.scale - 1.5).abs() < 1e-12, "{part}: {}", layer.scale);
    }
    // The folder is the file in it.
    let whole = Lora::open(folder.path()).unwrap();
    assert_eq!((whole.layers[0].scale, whole.layers[0].kind(), whole.notes.len()), (1.5, "LoHa", 0));
    let [weights, config] = ["adapter_model.safetensors", "adapter_config.json"].map(|name| folder.path().join(name));
    assert_eq!(Lora::files(folder.path()).unwrap(), LoraFiles { weights, config: Some(config.clone()) });
    std::fs::remove_file(config).unwrap();
    let whole = Lora::open(folder.path()).unwrap();
    assert!(
        (whole.layers[0].scale - 1.0).abs() < 1e-12 && whole.notes[0].contains("without PEFT's adapter_config.json")
    );
    std::fs::write(folder.path().join("adapter_config.json"), "{").unwrap();
    assert!(
        Lora::open(folder.path().join("adapter_model.safetensors"))
            .unwrap_err()
            .to_string()
            .contains("adapter_config.json")
    );
}

/// As PEFT and diffusers write them; of two formats the safetensors.
#[test]
fn a_folder_is_the_adapter_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| std::fs::write(folder.path().join(name), "").unwrap();
    let error = || Lora::open(folder.path()).unwrap_err().to_string();
    assert!(error().contains("has no adapter; expected one of adapter_model.safetensors, "), "{}", error());
    write("pytorch_lora_weights.bin");
    write("pytorch_lora_weights.safetensors");
    // No alpha comes from a config that is not of this file.
    write("adapter_config.json");
    let files = Lora::files(folder.path()).unwrap();
    assert_eq!((files.weights.file_name().unwrap(), files.config), ("pytorch_lora_weights.safetensors".as_ref(), None));
    write("adapter_model.bin");
    assert!(error().contains("has an adapter of PEFT and one of diffusers; expected one of"), "{}", error());
}

#[test]
fn alpha_may_be_a_number_of_any_type() {
    let zeros = [0u8; 32];
    let cases: [(Dtype, &[u8]); 8] = [
        (ElementType::I64, &4i64.to_le_bytes()),
        (ElementType::I32, &4i32.to_le_bytes()),
        (ElementType::I16, &4i16.to_le_bytes()),
        (ElementType::I8, &[4]),
        (ElementType::U8, &[4]),
        (ElementType::F64, &4f64.to_le_bytes()),
        (ElementType::F16, &[0, 0x44]),
        (ElementType::BF16, &[0x80, 0x40]),
    ];
    let factor = |shape: [usize; 2]| TensorView::new(Dtype::F32, shape.to_vec(), &zeros).unwrap();
    for (dtype, bytes) in cases {
        for shape in [vec![], vec![1]] {
            let alpha = TensorView::new(dtype, shape, bytes).unwrap();
            let tensors = [
                ("lora_unet_a.lora_down.weight", factor([2, 4])),
                ("lora_unet_a.lora_up.weight", factor([4, 2])),
                ("lora_unet_a.alpha", alpha),
            ];
            let file = safetensors::serialize(tensors, None).unwrap();
            let lora = Lora::read(&Checkpoint::from_bytes("x", file.into()).unwrap()).unwrap();
            assert!((lora.layers[0].scale - 2.0).abs() < 1e-12, "{dtype}: {}", lora.layers[0].scale);
        }
    }
    let negative = TensorView::new(ElementType::I16, vec![], &[0xfe, 0xff]).unwrap();
    let tensors = [("a.lora_down.weight", factor([2, 4])), ("a.lora_up.weight", factor([4, 2])), ("a.alpha", negative)];
    let file = safetensors::serialize(tensors, None).unwrap();
    let lora = Lora::read(&Checkpoint::from_bytes("x", file.into()).unwrap()).unwrap();
    assert!((lora.layers[0].scale + 1.0).abs() < 1e-12, "{}", lora.layers[0].scale);
}

#[test]
fn what_cannot_be_applied_is_named() {
    let down = ("lora_unet_a.lora_down.weight", [2, 3].as_slice());
    let up = ("lora_unet_a.lora_up.weight", [5, 2].as_slice());
    assert!(refusal(&[down]).contains("lacks one of its two factors"));
    assert!(refusal(&[down, ("lora_unet_a.lora_up.weight", &[5, 3])]).contains("shapes [5, 3] and [2, 3]"));
    assert!(refusal(&[down, up, ("lora_unet_a.alpha", &[2])]).contains("expected one number"));
    assert!(
        refusal(&[down, up, ("lora_unet_a.dora_scale", &[5, 2])])
            .contains("'lora_unet_a.dora_scale' has the shape [5, 2]")
    );
    assert!(refusal(&[down, up, ("lora_unet_b.dora_scale", &[5, 1])]).contains("'lora_unet_b' has a magnitude"));
    assert!(refusal(&[down, up, ("lora_unet_a.lora_mid.weight", &[2, 3, 1, 1])]).contains("[2, 3, 1, 1]"));
    assert!(refusal(&[down, up, ("lora_unet_a.lokr_w1", &[2, 2])]).contains("updates of more than one kind"));
    assert!(refusal(&[("a.hada_w1_a", &[5, 2]), ("a.hada_w1_b", &[2, 3])]).contains("'a' lacks one of its factors"));
    assert!(refusal(&[("a.lokr_w1", &[2, 2]), ("a.lokr_w2_a", &[2, 2])]).contains("'a' lacks one of its factors"));
    assert!(
        refusal(&[("a.lokr_w1", &[2, 2]), ("a.lokr_w2", &[2, 2]), ("a.lokr_w1_a", &[2, 1])])
            .contains("'a.lokr_w1_a' has no place")
    );
    assert!(refusal(&[("emb_params", &[1, 4])]).contains("is a textual inversion embedding; expected a LoRA"));
    assert!(
        refusal(&[("lora_unet_a.oft_blocks", &[2, 3, 3])])
            .contains("is an adapter of a kind that is not supported (OFT")
    );
    for (key, what) in [
        ("lora_unet_a.other", "this tensor"),
        ("lora_unet_b.oft_blocks", "OFT"),
        ("lora_unet_b.on_input", "IA3"),
        ("lora_unet_b.a1.weight", "GLoRA"),
        ("lora_unet_b.bias_values", "a sparse bias"),
        ("unet.a.lora_A.bias", "a bias between the factors"),
        ("unet.a.lora_embedding_A", "LoRA of an embedding"),
        ("unet.a.set_weight", "replacing a weight"),
        ("bundle_emb.toy.clip_g", "this part of an embedding"),
    ] {
        let error = refusal(&[down, up, (key, &[2, 3])]);
        assert!(error.contains(&format!("'{key}': {what}")), "{error}");
    }
}

/// An alpha alone changes nothing, and is said.
#[test]
fn what_has_no_effect_is_noted() {
    let lora = checkpoint(&[("a.lora_down.weight", &[2, 3]), ("a.lora_up.weight", &[5, 2]), ("b.alpha", &[])], None);
    let lora = Lora::read(&lora).unwrap();
    assert_eq!((lora.layers.len(), lora.notes.len()), (1, 1));
    assert!(lora.notes[0].starts_with("'b' in 'x'"), "{}", lora.notes[0]);
}

#[test]
fn bundled_embeddings_come_with_the_layers() {
    let lora = checkpoint(
        &[
            ("a.lora_down.weight", &[2, 3]),
            ("a.lora_up.weight", &[5, 2]),
            ("bundle_emb.<toy>.string_to_param.*", &[2, 4]),
            ("bundle_emb.v1.5 style.clip_l", &[4]),
            ("bundle_emb.plain.emb_params", &[1, 4]),
        ],
        None,
    );
    let lora = Lora::read(&lora).unwrap();
    let embeddings: Vec<_> = lora.embeddings.iter().map(|e| (e.token.as_str(), e.vectors.len())).collect();
    assert_eq!(embeddings, [("<toy>", 2), ("plain", 1), ("v1.5 style", 1)]);
    assert_eq!(lora.layers.len(), 1);
}
