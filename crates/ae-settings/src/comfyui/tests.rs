use serde_json::json;

use super::graph::INPUTS;
use super::*;

/// ComfyUI's default workflow.
fn workflow() -> Value {
    json!({
        "3": { "class_type": "KSampler", "inputs": { "seed": 156_680_208_700_286_u64, "steps": 20, "cfg": 8.0, "sampler_name": "euler",
            "scheduler": "normal", "denoise": 1.0, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0],
            "latent_image": ["5", 0] }, "_meta": { "title": "KSampler" } },
        "4": { "class_type": "CheckpointLoaderSimple", "inputs": { "ckpt_name": "sd\\v1-5-pruned-emaonly.safetensors" } },
        "5": { "class_type": "EmptyLatentImage", "inputs": { "width": 512, "height": 768, "batch_size": 1 } },
        "6": { "class_type": "CLIPTextEncode", "inputs": { "text": "a cat and a dog", "clip": ["4", 1] } },
        "7": { "class_type": "CLIPTextEncode", "inputs": { "text": "text, watermark", "clip": ["4", 1] } },
        "8": { "class_type": "VAEDecode", "inputs": { "samples": ["3", 0], "vae": ["4", 2] } },
        "9": { "class_type": "SaveImage", "inputs": { "filename_prefix": "ComfyUI", "images": ["8", 0] } },
        "20": { "class_type": "Note", "inputs": {} },
    })
}

/// The workflow with two LoRAs, another last layer, an autoencoder of its own and the advanced sampler.
fn full() -> Value {
    let mut all = workflow();
    all["10"] = json!({ "class_type": "LoraLoader", "inputs": { "model": ["4", 0], "clip": ["4", 1], "lora_name": "ink.safetensors",
        "strength_model": 0.5, "strength_clip": 0.5 } });
    all["11"] = json!({ "class_type": "LoraLoader", "inputs": { "model": ["10", 0], "clip": ["10", 1], "lora_name": "b/sketch.safetensors",
        "strength_model": 1, "strength_clip": 1 } });
    all["12"] = json!({ "class_type": "CLIPSetLastLayer", "inputs": { "clip": ["11", 1], "stop_at_clip_layer": -2 } });
    all["13"] = json!({ "class_type": "VAELoader", "inputs": { "vae_name": "mse.safetensors" } });
    all["14"] = json!({ "class_type": "ModelSamplingDiscrete", "inputs": { "model": ["11", 0], "sampling": "v_prediction", "zsnr": false } });
    all["3"] = json!({ "class_type": "KSamplerAdvanced", "inputs": { "add_noise": "enable", "noise_seed": 5, "steps": 20, "cfg": 8.0,
        "sampler_name": "dpmpp_2m", "scheduler": "karras", "start_at_step": 0, "end_at_step": 10000,
        "return_with_leftover_noise": "disable", "model": ["14", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0] } });
    all["6"]["inputs"]["clip"] = json!(["12", 0]);
    all["7"]["inputs"]["clip"] = json!(["12", 0]);
    all["8"]["inputs"]["vae"] = json!(["13", 0]);
    all
}

fn reading(graph: &Value) -> Reading {
    read(&graph.to_string()).unwrap()
}

fn refused(graph: &Value) -> Vec<String> {
    reading(graph).unsupported.into_iter().map(|value| value.name).collect()
}

#[test]
fn the_default_workflow_is_read() {
    let found = reading(&workflow());
    assert_eq!(found.unsupported, []);
    let expected = json!({
        "method": "stable-diffusion", "prompt": "a cat and a dog", "negative_prompt": "text, watermark",
        "seed": 156_680_208_700_286_u64, "rng": "torch-cpu", "steps": 20, "guidance_scale": 8.0, "height": 768, "width": 512,
        "scheduler": "euler", "timestep_spacing": "linspace", "sigmas": "normal", "vae_tiling": false, "clip_skip": 0,
        "prompt_syntax": "plain", "model": "v1-5-pruned-emaonly.safetensors",
        "model_files": [{ "name": "v1-5-pruned-emaonly.safetensors" }],
    });
    assert_eq!(Value::Object(found.overrides.to_json()), expected);
}

#[test]
fn loras_layers_autoencoders_and_the_advanced_sampler_are_read() {
    let found = reading(&full());
    assert_eq!(found.unsupported, []);
    let read = Value::Object(found.overrides.to_json());
    let loras =
        json!([{ "name": "ink.safetensors", "strength": 0.5 }, { "name": "sketch.safetensors", "strength": 1.0 }]);
    for (name, expected) in [
        ("loras", loras),
        ("clip_skip", json!(1)),
        ("vae", json!({ "name": "mse.safetensors" })),
        ("prediction_type", json!("v_prediction")),
        ("seed", json!(5)),
        ("scheduler", json!("dpmpp-2m")),
        ("sigmas", json!("karras")),
        ("timestep_spacing", json!("linspace")),
    ] {
        assert_eq!(read[name], expected, "{name}");
    }
}

/// The value of each input that is no link, changed: the settings are others, or it is named.
#[test]
fn every_input_of_every_known_node_is_read_or_named() {
    let mut graphs = vec![workflow(), full()];
    let mut of_lora = full();
    of_lora["10"] = json!({ "class_type": "LoraLoaderModelOnly", "inputs": { "model": ["4", 0], "lora_name": "ink.safetensors", "strength_model": 0.5 } });
    of_lora["11"]["inputs"]["clip"] = json!(["4", 1]);
    graphs.push(of_lora);
    let mut of_image = workflow();
    of_image["5"] = json!({ "class_type": "VAEEncode", "inputs": { "pixels": ["15", 0], "vae": ["4", 2] } });
    of_image["3"]["inputs"]["denoise"] = json!(0.6);
    graphs.push(of_image);
    let mut walked = std::collections::BTreeSet::new();
    for graph in &graphs {
        let before = reading(graph);
        for (id, node) in graph.as_object().unwrap() {
            let class = node["class_type"].as_str().unwrap();
            let Some((_, inputs)) = INPUTS.iter().find(|(known, _)| *known == class) else { continue };
            for input in *inputs {
                let value = node["inputs"].get(*input).unwrap_or_else(|| panic!("{class} {input} stands in no graph"));
                walked.insert((class.to_owned(), *input));
                // Of an image nothing is read but that there is one.
                if class == "VAEEncode" {
                    continue;
                }
                for other in [json!(3), json!("other"), json!(true), json!([1]), json!(["99", 0]), json!({})] {
                    let mut changed = graph.clone();
                    changed[id]["inputs"][*input] = other.clone();
                    let same_number = value.is_number() && value.as_f64() == other.as_f64();
                    // `end_at_step` of 3 of 20 is named, any above the steps is the same.
                    assert!(same_number || reading(&changed) != before, "{class} {input}: {other} instead of {value}");
                }
                let mut without = graph.clone();
                without[id]["inputs"].as_object_mut().unwrap().remove(*input);
                assert_ne!(reading(&without), before, "{class} without {input}");
            }
            let mut more = graph.clone();
            more[id]["inputs"]["something_new"] = json!(1);
            assert_eq!(refused(&more).len(), before.unsupported.len() + 1, "{class}: {:?}", refused(&more));
        }
    }
    let all: usize = INPUTS.iter().map(|(_, inputs)| inputs.len()).sum();
    assert_eq!(walked.len(), all);
}

#[test]
fn nodes_that_change_the_picture_are_named_and_passed_if_ignored() {
    let between = |class: &str, input: &str, from: (&str, &str)| {
        let mut graph = workflow();
        let link = graph[from.0]["inputs"][from.1].clone();
        graph["30"] = json!({ "class_type": class, "inputs": { input: link } });
        graph[from.0]["inputs"][from.1] = json!(["30", 0]);
        graph
    };
    for (class, input, from) in [
        ("FreeU_V2", "model", ("3", "model")),
        ("RescaleCFG", "model", ("3", "model")),
        ("ControlNetApplyAdvanced", "positive", ("3", "positive")),
        ("ControlNetApply", "conditioning", ("3", "positive")),
        ("ConditioningSetArea", "conditioning", ("3", "negative")),
        ("LatentUpscale", "samples", ("3", "latent_image")),
        ("ImageUpscaleWithModel", "image", ("9", "images")),
        ("SomeClipPatch", "clip", ("6", "clip")),
        ("SomeVaePatch", "vae", ("8", "vae")),
    ] {
        let graph = between(class, input, from);
        let mut found = refused(&graph);
        // Another encoder for one of the two texts.
        found.retain(|name| name != "CLIPTextEncode clip");
        assert_eq!(found, [class], "{class}");
        let settled = reading(&graph).settle(&Overrides::default(), &[class, "CLIPTextEncode clip"]).unwrap();
        assert_eq!(settled, reading(&workflow()).overrides, "{class}");
    }
}

#[test]
fn schedules_and_samplers_are_comfyuis() {
    let with = |sampler: &str, schedule: &str, steps: usize| {
        let mut graph = workflow();
        graph["3"]["inputs"]["sampler_name"] = json!(sampler);
        graph["3"]["inputs"]["scheduler"] = json!(schedule);
        graph["3"]["inputs"]["steps"] = json!(steps);
        graph
    };
    for (sampler, schedule, steps, expected) in [
        ("euler", "normal", 30, json!(["euler", "linspace", "normal"])),
        ("euler", "karras", 30, json!(["euler", "linspace", "karras"])),
        ("heun", "exponential", 30, json!(["heun", "linspace", "exponential"])),
        ("lms", "simple", 20, json!(["lms", "trailing", "normal"])),
        ("dpmpp_2m", "ddim_uniform", 20, json!(["dpmpp-2m", "leading", "normal"])),
        ("ddim", "normal", 20, json!(["euler", "linspace", "normal"])),
    ] {
        let found = reading(&with(sampler, schedule, steps));
        assert_eq!(found.unsupported, [], "{sampler} {schedule}");
        let found = found.overrides;
        assert_eq!(json!([found.scheduler, found.timestep_spacing, found.sigmas]), expected, "{sampler} {schedule}");
    }
    for (sampler, schedule, steps) in [
        ("euler", "simple", 30),
        ("euler", "ddim_uniform", 30),
        ("euler", "sgm_uniform", 20),
        ("euler", "beta", 20),
        ("euler", "kl_optimal", 20),
        ("euler_ancestral", "normal", 20),
        ("ddpm", "normal", 20),
        ("dpmpp_2m_sde", "normal", 20),
        ("dpmpp_sde", "normal", 20),
        ("uni_pc", "normal", 20),
        ("lcm", "normal", 20),
        ("dpm_2", "normal", 20),
        ("heunpp2", "normal", 20),
        ("euler_cfg_pp", "normal", 20),
        ("nonesuch", "normal", 20),
    ] {
        assert_eq!(refused(&with(sampler, schedule, steps)).len(), 1, "{sampler} {schedule}");
    }
}

#[test]
fn texts_keep_their_brackets_and_name_their_inversions() {
    let with = |prompt: &str| {
        let mut graph = workflow();
        graph["6"]["inputs"]["text"] = json!(prompt);
        reading(&graph)
    };
    let plain = with("a \\(cat\\) [x], embedding:easy.pt, embedding:a/b");
    assert_eq!(plain.unsupported, []);
    assert_eq!(plain.overrides.prompt.as_deref(), Some("a (cat) [x], easy, b"));
    let names: Vec<_> =
        plain.overrides.embeddings.unwrap().into_iter().map(|found| (found.name, found.token)).collect();
    assert_eq!(names, [("easy.pt".to_owned(), Some("easy".to_owned())), ("b".to_owned(), Some("b".to_owned()))]);
    let weighted = with("a (cat:1.2) [x] AND a dog");
    assert_eq!(weighted.unsupported[0].name, "Prompt weights");
    let found = weighted.settle(&Overrides::default(), &["prompt weights"]).unwrap();
    assert_eq!(
        (found.prompt.as_deref(), found.prompt_syntax),
        (Some("a (cat:1.2) \\[x\\] and a dog"), Some(PromptSyntax::A1111))
    );
    assert_eq!(with("embedding:").overrides.prompt.as_deref(), Some("embedding:"));
}

#[test]
fn values_may_stand_in_nodes_of_their_own() {
    let mut graph = workflow();
    graph["6"]["inputs"]["text"] = json!(["40", 0]);
    graph["40"] = json!({ "class_type": "PrimitiveStringMultiline", "inputs": { "value": "a frog" } });
    let found = reading(&graph);
    assert_eq!((found.unsupported.len(), found.overrides.prompt.as_deref()), (0, Some("a frog")));
    graph["40"]["class_type"] = json!("SomeTextNode");
    let found = reading(&graph);
    assert!(found.unsupported[0].reason.contains("comes from SomeTextNode"), "{:?}", found.unsupported);
    let given = Overrides { prompt: Some("a dog".to_owned()), ..Overrides::default() };
    assert!(found.settle(&given, &[""; 0]).is_ok());
}

#[test]
fn an_initial_image_is_asked_for_and_its_steps_are_all_taken() {
    let mut graph = workflow();
    graph["5"] = json!({ "class_type": "VAEEncode", "inputs": { "pixels": ["15", 0], "vae": ["4", 2] } });
    for (denoise, steps) in [(0.6, 20_u32), (0.87, 20), (0.05, 7), (1.0, 20)] {
        graph["3"]["inputs"]["denoise"] = json!(denoise);
        graph["3"]["inputs"]["steps"] = json!(steps);
        let found = reading(&graph);
        assert_eq!(refused(&graph), ["VAEEncode"]);
        let (all, strength) = (found.overrides.steps.unwrap() as f64, found.overrides.strength.unwrap());
        assert!(((all * strength).floor() - f64::from(steps)).abs() < 0.1, "{denoise}");
        assert!((f64::from(steps) / all - denoise).abs() < 0.05, "{denoise}");
    }
    graph["5"] =
        json!({ "class_type": "EmptyLatentImage", "inputs": { "width": 512, "height": 512, "batch_size": 4 } });
    graph["3"]["inputs"]["denoise"] = json!(0.5);
    assert_eq!(refused(&graph), ["KSampler denoise", "EmptyLatentImage batch_size"]);
}

#[test]
fn loras_of_two_strengths_are_named() {
    let mut graph = full();
    graph["10"]["inputs"]["strength_clip"] = json!(0.2);
    assert_eq!(refused(&graph), ["LoraLoader"]);
    // It is on the way of the text alone.
    let mut graph = full();
    graph["11"]["inputs"]["model"] = json!(["4", 0]);
    assert_eq!(refused(&graph), ["LoraLoader"]);
    let mut graph = full();
    graph["7"]["inputs"]["clip"] = json!(["4", 1]);
    assert_eq!(refused(&graph), ["CLIPTextEncode clip"]);
}

#[test]
fn several_saved_pictures_are_named() {
    let mut graph = workflow();
    graph["19"] = json!({ "class_type": "SaveImage", "inputs": { "images": ["8", 0] } });
    let found = reading(&graph);
    assert_eq!((found.unsupported[0].name.as_str(), found.unsupported[0].value.as_str()), ("SaveImage", "9, 19"));
    assert_eq!(found.overrides, reading(&workflow()).overrides);
    graph.as_object_mut().unwrap().retain(|id, _| id != "9" && id != "19");
    assert_eq!(refused(&graph), ["graph"]);
}

#[test]
fn numbers_that_json_lacks_are_passed_over() {
    let text = workflow().to_string().replacen("\"inputs\":{", "\"is_changed\":[NaN],\"inputs\":{", 2);
    let text = text.replace("a cat and a dog", "a NaN, \\\"Infinity\\\" and \\\\");
    let found = read(&text).unwrap();
    assert_eq!(found.overrides.prompt.as_deref(), Some("a NaN, \"Infinity\" and \\"));
    assert_eq!(without_nan(r#"[NaN, -Infinity, Infinity, "NaN\"NaN", 1]"#), r#"[null, null, null, "NaN\"NaN", 1]"#);
}

#[test]
fn what_is_no_graph_is_none_and_what_is_broken_is_named() {
    for text in [
        "a cat",
        "",
        "[]",
        "{}",
        "{\"a\": 1}",
        "{\"1\": {\"class_type\": 3}}",
        &"[".repeat(100_000),
        &"{\"a\":".repeat(100_000),
    ] {
        assert!(read(text).is_none());
    }
    // Every link, in turn, to nothing, to itself and in a circle; every node, in turn, broken.
    let graph = full();
    for (id, node) in graph.as_object().unwrap() {
        for broken in
            [json!(null), json!([]), json!({ "class_type": 3 }), json!({ "class_type": "KSampler", "inputs": 3 })]
        {
            let mut changed = graph.clone();
            changed[id] = broken;
            let found = reading(&changed);
            assert!(id == "20" || !found.unsupported.is_empty(), "{id}");
        }
        for input in node["inputs"].as_object().unwrap().keys() {
            for target in [json!([id, 0]), json!(["9", 0]), json!(["3", 0]), json!(["nowhere", 0]), json!([[], 0])] {
                let mut changed = graph.clone();
                changed[id]["inputs"][input] = target.clone();
                let used = graph[id]["inputs"][input] != target && input != "filename_prefix";
                assert!(!used || !reading(&changed).unsupported.is_empty(), "{id} {input} {target}");
            }
        }
    }
    let mut circle = full();
    circle["10"]["inputs"]["model"] = json!(["11", 0]);
    circle["10"]["inputs"]["clip"] = json!(["11", 1]);
    assert!(refused(&circle).contains(&"graph".to_owned()));
    // A long chain ends soon.
    let mut long = workflow();
    for index in 100..50_000 {
        long[index.to_string()] = json!({ "class_type": "X", "inputs": { "model": [(index + 1).to_string(), 0] } });
    }
    long["3"]["inputs"]["model"] = json!(["100", 0]);
    let start = std::time::Instant::now();
    assert!((1..2000).contains(&reading(&long).unsupported.len()));
    assert!(start.elapsed().as_secs() < 10);
}
