//! Clients of AUTOMATIC1111's program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::place::Place;

const TXT2IMG: &str = "/sdapi/v1/txt2img";
const IMG2IMG: &str = "/sdapi/v1/img2img";

/// A picture of 8 x 8 pixels in base64.
fn picture() -> String {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 8, 8);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&[9; 192]).unwrap();
    STANDARD.encode(file)
}

/// What a request draws, as ours, with what is said beside it.
fn drawn(place: &Place, path: &str, request: &Value) -> (Value, Value) {
    let answer = place.client.post(path, request);
    assert_eq!(answer.status, 200, "{request}: {}", answer.text());
    let answer = answer.json();
    (answer["parameters"].clone(), serde_json::from_str(answer["info"].as_str().unwrap()).unwrap())
}

#[test]
fn txt2img_waits_for_its_pictures() {
    let place = Place::new();
    let request = json!({ "prompt": "paint", "negative_prompt": "", "seed": 5, "steps": 3, "cfg_scale": 7, "width": 64,
        "height": 64, "batch_size": 2, "n_iter": 1, "sampler_name": "DPM++ 2M", "scheduler": "Karras", "send_images": true, "save_images": false,
        "alwayson_scripts": { "attend_and_excite": { "args": [{ "subjects": ["paint"], "scale_factor": 3.0 }] } } });
    let answer = place.client.post(TXT2IMG, &request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let images = answer["images"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    assert!(STANDARD.decode(images[0].as_str().unwrap()).unwrap().starts_with(b"\x89PNG"));
    let info: Value = serde_json::from_str(answer["info"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&info["all_seeds"], &info["steps"], &info["sampler_name"]),
        (&json!([5, 6]), &json!(3), &json!("DPM++ 2M"))
    );
    assert_eq!((&info["notes"], &info["clip_skip"]), (&json!(["nothing of it has an effect"]), &json!(1)));
    let parameters = &answer["parameters"];
    assert_eq!((&parameters["method"], &parameters["scheduler"]), (&json!("attend-and-excite"), &json!("dpmpp-2m")));
    assert_eq!((&parameters["sigmas"], &parameters["guidance_scale"]), (&json!("karras"), &json!(7.0)));
    assert_eq!(
        (&parameters["attend_and_excite"]["scale_factor"], &parameters["prompt_syntax"]),
        (&json!(3.0), &json!("a1111"))
    );
    assert_eq!(place.client.gallery().len(), 2);
}

#[test]
fn without_the_script_sampling_is_plain() {
    let place = Place::new();
    let (parameters, info) = drawn(&place, TXT2IMG, &json!({ "prompt": "paint", "seed": -1, "clip_skip": 2 }));
    assert_eq!(parameters["method"], "stable-diffusion");
    assert_eq!(info["notes"][0], "clip_skip is not known here and was ignored");
}

/// Every field of a kind of request is honoured, changes nothing whatever it says, or is refused by its name.
fn walk(path: &str, list: &str, base: &Value) {
    let place = Place::new();
    let drawn_by = |more: &Value| {
        let mut request = base.clone();
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = place.client.post(path, &request);
        match answer.status {
            200 => {
                let answer = answer.json();
                let info: Value = serde_json::from_str(answer["info"].as_str().unwrap()).unwrap();
                let count = answer["images"].as_array().unwrap().len();
                let known = !info["notes"].to_string().contains("is not known here");
                assert!(known, "{more}: {}", info["notes"]);
                Ok((answer["parameters"].clone(), count))
            }
            422 => Err((answer.json()["field"].as_str().unwrap_or_default().to_owned(), answer.error())),
            status => panic!("{more}: {status} {}", answer.text()),
        }
    };
    let plain = drawn_by(&json!({})).unwrap();
    let mut seen = [0; 3];
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let parts: Vec<_> = line.splitn(3, ' ').collect();
        let [name, fate, values] = parts[..] else { panic!("{line}") };
        let values: Vec<Value> = serde_json::from_str(values).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(!values.is_empty(), "{line}");
        if base.get(name).is_none() {
            assert_eq!(drawn_by(&json!({ name: null })).as_ref(), Ok(&plain), "{name} as null");
        }
        for value in values {
            let found = drawn_by(&json!({ name: value }));
            match fate {
                "honoured" => assert!(found.as_ref().is_ok_and(|found| *found != plain), "{name} {value}: {found:?}"),
                "harmless" => assert_eq!(found.as_ref(), Ok(&plain), "{name} {value}"),
                "refused" => {
                    let (field, message) = found.expect_err(&format!("{name} {value}"));
                    assert!(field.starts_with(name) && message.len() > 10, "{name} {value}: {field}: {message}");
                }
                other => panic!("{other}"),
            }
        }
        seen[["honoured", "harmless", "refused"].iter().position(|known| *known == fate).unwrap()] += 1;
    }
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}

#[test]
fn every_field_of_txt2img_is_honoured_harmless_or_refused() {
    let base = json!({ "prompt": "paint", "seed": 5, "steps": 2, "sampler_name": "DDIM" });
    let list = [include_str!("webui/common.txt"), include_str!("webui/txt2img.txt")].concat();
    walk(TXT2IMG, &list, &base);
}

#[test]
fn every_field_of_img2img_is_honoured_harmless_or_refused() {
    let base = json!({ "prompt": "paint", "seed": 5, "steps": 2, "sampler_name": "DDIM", "init_images": [picture()], "mask": picture(),
        "inpainting_fill": 1 });
    let list = [include_str!("webui/common.txt"), include_str!("webui/img2img.txt")].concat();
    walk(IMG2IMG, &list, &base);
}

#[test]
fn img2img_draws_from_a_picture_and_a_mask() {
    let place = Place::new();
    let request = json!({ "prompt": "paint", "seed": 1, "steps": 2, "init_images": [format!("data:image/png;base64,{}", picture())],
        "denoising_strength": 0.5, "mask": picture(), "mask_blur": 3, "inpaint_full_res": 1, "inpaint_full_res_padding": 16.0,
        "inpainting_mask_invert": 1, "resize_mode": 2 });
    let (parameters, info) = drawn(&place, IMG2IMG, &request);
    assert_eq!((&parameters["strength"], &parameters["mask_blur"]), (&json!(0.5), &json!(3.0)));
    assert_eq!((&parameters["mask_padding"], &parameters["mask_invert"]), (&json!(16), &json!(true)));
    assert_eq!(parameters["init_image"]["sha256"], parameters["mask"]["sha256"]);
    assert!(info["notes"][0].as_str().unwrap().starts_with("inpainting_fill is 1 here"), "{info}");
    // The program's own values where nothing is said.
    let (parameters, _) = drawn(
        &place,
        IMG2IMG,
        &json!({ "prompt": "paint", "steps": 2, "init_images": [picture()], "mask": picture() }),
    );
    assert_eq!(
        (&parameters["strength"], &parameters["mask_blur"], &parameters["mask_padding"]),
        (&json!(0.75), &json!(4.0), &json!(0))
    );
    for (more, field) in [
        (json!({ "init_images": [] }), "init_images"),
        (json!({ "init_images": [picture(), picture()] }), "init_images"),
        (json!({ "init_images": ["http://example.org/a.png"] }), "init_images"),
        (json!({ "init_images": [STANDARD.encode("no picture")] }), "init_images"),
        (json!({ "resize_mode": 1, "width": 64, "height": 64 }), "resize_mode"),
    ] {
        let mut request = json!({ "prompt": "paint", "init_images": [picture()] });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = place.client.post(IMG2IMG, &request);
        assert_eq!((answer.status, answer.json()["field"].as_str()), (422, Some(field)), "{more}: {}", answer.text());
    }
}

#[test]
fn options_hold_until_they_are_set_again() {
    let place = Place::new();
    let mut options = place.client.get("/sdapi/v1/options").json();
    assert_eq!((&options["sd_model_checkpoint"], &options["CLIP_stop_at_last_layers"]), (&json!("paint"), &json!(1)));
    // What open-webui does: everything back, with another model.
    options["sd_model_checkpoint"] = json!("Paint 1.safetensors");
    let answer = place.client.post("/sdapi/v1/options", &options);
    assert_eq!((answer.status, answer.text().as_str()), (200, "null"));
    let skip =
        json!({ "CLIP_stop_at_last_layers": 2.0, "randn_source": "NV", "samples_format": "png", "save_to_dirs": true });
    assert_eq!(place.client.post("/sdapi/v1/options", &skip).status, 200);
    let (parameters, info) = drawn(&place, TXT2IMG, &json!({ "prompt": "paint", "steps": 2 }));
    assert_eq!(
        (&parameters["clip_skip"], &parameters["rng"], &parameters["model"]),
        (&json!(1), &json!("torch-cuda"), &json!("paint"))
    );
    assert_eq!(info["clip_skip"], 2);
    let own = json!({ "prompt": "paint", "steps": 2, "override_settings": { "CLIP_stop_at_last_layers": 3, "pad_cond_uncond": true } });
    let (parameters, _) = drawn(&place, TXT2IMG, &own);
    assert_eq!((&parameters["clip_skip"], &parameters["long_prompts"]), (&json!(2), &json!("padded")));
    assert_eq!(place.client.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"], 2);
    let kept = json!({ "prompt": "paint", "steps": 2, "override_settings": { "CLIP_stop_at_last_layers": 1 },
        "override_settings_restore_afterwards": false });
    drawn(&place, TXT2IMG, &kept);
    assert_eq!(place.client.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"], 1);
    for (options, field) in [
        (json!({ "sd_model_checkpoint": "sdxl" }), "sd_model_checkpoint"),
        (json!({ "samples_format": "jpg" }), "samples_format"),
        (json!({ "randn_source": "dice" }), "randn_source"),
        (json!({ "no_such_option": 1 }), "no_such_option"),
        (json!({ "CLIP_stop_at_last_layers": 0 }), "CLIP_stop_at_last_layers"),
    ] {
        let answer = place.client.post("/sdapi/v1/options", &options);
        assert_eq!((answer.status, answer.json()["field"].as_str()), (422, Some(field)), "{}", answer.text());
        let answer = place.client.post(TXT2IMG, &json!({ "prompt": "paint", "override_settings": options }));
        assert_eq!(answer.json()["field"], format!("override_settings.{field}"), "{}", answer.text());
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    let place = Place::new();
    for (request, expected) in [
        (json!({ "enable_hr": true }), "enable_hr is true: there is no second pass"),
        (
            json!({ "sampler_name": "DPM++ SDE" }),
            "there is no sampler `DPM++ SDE`: its noise comes from a Brownian tree",
        ),
        (json!({ "scheduler": "Beta" }), "there is no scheduler 'beta'"),
        (
            json!({ "script_name": "attend_and_excite", "script_args": [{ "sigmma": 1 }] }),
            "unknown field `attend_and_excite.sigmma`",
        ),
        (json!({ "batch_size": 100 }), "batch_size x n_iter is 100"),
        (json!({ "seed": -7 }), "seed is -7"),
        (json!({ "override_settings": { "sd_model_checkpoint": "sdxl" } }), "there is no model 'sdxl'"),
        (json!({ "width": 100_000 }), "width is 100000"),
        (json!({ "cfg_scale": "much" }), "cfg_scale is \"much\": expected a number"),
        (json!({ "steps": 2.5 }), "steps is 2.5: expected a whole number"),
        (json!({ "prompt": "refuse" }), "this prompt is refused"),
    ] {
        let mut body = json!({ "prompt": "paint" });
        body.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        let answer = place.client.post(TXT2IMG, &body);
        assert_eq!(answer.status, 422, "{request}: {}", answer.text());
        assert!(answer.error().starts_with(expected), "{}", answer.error());
    }
    let failed = place.client.post(TXT2IMG, &json!({ "prompt": "fail" }));
    assert_eq!((failed.status, failed.error().as_str()), (500, "cannot read '…/paint.json': the paint is dry"));
    for name in ["interrogate", "extra-single-image", "extra-batch-images"] {
        let answer = place.client.post(&format!("/sdapi/v1/{name}"), &json!({ "image": "" }));
        assert!(answer.status == 422 && answer.error().contains(name), "{}", answer.text());
    }
}

#[test]
fn progress_interrupt_and_skip() {
    let place = Place::new();
    let idle = place.client.get("/sdapi/v1/progress").json();
    assert_eq!((&idle["progress"], &idle["state"]["job_count"]), (&json!(0.0), &json!(0)));
    let job = place.client.submit(&json!({ "steps": 250 }));
    place.client.wait(&job["id"], |job| job["step"].as_u64() > Some(20));
    let progress = place.client.get("/sdapi/v1/progress").json();
    assert!((0.05..1.0).contains(&progress["progress"].as_f64().unwrap()), "{progress}");
    assert!(progress["eta_relative"].as_f64().unwrap() > 0.0, "{progress}");
    let shown = STANDARD.decode(progress["current_image"].as_str().unwrap()).unwrap();
    assert!(shown.starts_with(&[0xff, 0xd8]), "no JPEG file");
    let without = place.client.get("/sdapi/v1/progress?skip_current_image=true").json();
    assert_eq!(without["current_image"], Value::Null);
    assert_eq!(place.client.send("POST", "/sdapi/v1/interrupt", &[], b"").status, 200);
    assert_eq!(place.client.end(&job["id"])["state"], "cancelled");

    let job = place.client.submit(&json!({ "steps": 250, "seeds": [1, 2] }));
    place.client.wait(&job["id"], |job| job["step"].as_u64() > Some(5));
    assert_eq!(place.client.send("POST", "/sdapi/v1/skip", &[], b"").text(), "null");
    let job = place.client.end(&job["id"]);
    assert_eq!((&job["state"], job["pictures"].as_array().unwrap().len()), (&json!("done"), 1), "{job}");
    assert!(job["pictures"][0].as_str().unwrap().ends_with("-001"), "{job}");
}

#[test]
fn every_list_answers() {
    let place = Place::new();
    let get = |name: &str| {
        let answer = place.client.get(&format!("/sdapi/v1/{name}"));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.json()
    };
    assert_eq!(get("sd-models")[0]["title"], "paint");
    assert_eq!(get("samplers")[0]["name"], "PLMS");
    assert_eq!(get("schedulers")[0]["name"], "automatic");
    assert_eq!(get("upscalers")[0]["name"], "None");
    assert_eq!(get("scripts")["txt2img"], json!(["attend_and_excite"]));
    assert_eq!(get("script-info")[1]["is_img2img"], true);
    assert!(get("embeddings")["loaded"]["toy"].is_object());
    assert_eq!(get("loras"), json!([{ "name": "ink", "alias": "ink", "path": "ink.safetensors", "metadata": {} }]));
    assert_eq!(get("sd-vae"), json!([{ "model_name": "ft", "filename": "ft" }]));
    assert!(get("memory")["ram"].is_object() && get("cmd-flags")["api"] == true);
    for name in
        ["latent-upscale-modes", "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles", "extensions"]
    {
        assert!(get(name).is_array(), "{name}");
    }
    for name in ["refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings"] {
        assert_eq!(place.client.send("POST", &format!("/sdapi/v1/{name}"), &[], b"").text(), "null");
    }
    // Every name that a list has can be chosen.
    for sampler in get("samplers").as_array().unwrap() {
        drawn(&place, TXT2IMG, &json!({ "prompt": "paint", "steps": 1, "sampler_name": sampler["name"] }));
    }
    for scheduler in get("schedulers").as_array().unwrap() {
        drawn(
            &place,
            TXT2IMG,
            &json!({ "prompt": "paint", "steps": 1, "sampler_name": "DPM++ 2M", "scheduler": scheduler["label"] }),
        );
    }
}

#[test]
fn a_picture_says_how_it_was_made() {
    let place = Place::new();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    let text = "a cat\nNegative prompt: blurry\nSteps: 20, Sampler: DDIM, CFG scale: 7, Seed: 3, Size: 64x64";
    encoder.add_text_chunk("parameters".to_owned(), text.to_owned()).unwrap();
    encoder.add_text_chunk("other".to_owned(), "x".to_owned()).unwrap();
    encoder.write_header().unwrap().write_image_data(&[1, 2, 3]).unwrap();
    let said = place.client.post("/sdapi/v1/png-info", &json!({ "image": STANDARD.encode(file) })).json();
    assert_eq!((said["info"].as_str(), &said["items"]), (Some(text), &json!({ "other": "x" })));
    assert_eq!((&said["parameters"]["Prompt"], &said["parameters"]["Seed"]), (&json!("a cat"), &json!("3")));
    let none = place.client.post("/sdapi/v1/png-info", &json!({ "image": picture() })).json();
    assert_eq!((&none["info"], &none["parameters"]), (&json!(""), &json!({})));
    let refused = place.client.post("/sdapi/v1/png-info", &json!({ "image": STANDARD.encode("GIF89a") }));
    assert!(refused.status == 422 && refused.error().starts_with("image is no whole PNG file"), "{}", refused.text());
    // The same text draws it again, under what the request says itself.
    let (parameters, info) = drawn(&place, TXT2IMG, &json!({ "infotext": text, "steps": 2, "send_images": false }));
    assert_eq!(
        (&parameters["prompt"], &parameters["steps"], &parameters["scheduler"]),
        (&json!("a cat"), &json!(2), &json!("ddim"))
    );
    assert_eq!(info["all_seeds"], json!([3]));
}
