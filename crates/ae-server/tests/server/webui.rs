//! Clients of AUTOMATIC1111's program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::place::Place;

#[test]
fn txt2img_waits_for_its_pictures() {
    let place = Place::new();
    let request = json!({ "prompt": "paint", "negative_prompt": "", "seed": 5, "steps": 3, "cfg_scale": 7, "width": 64,
        "height": 64, "batch_size": 2, "n_iter": 1, "sampler_name": "DPM++ 2M", "scheduler": "Karras", "send_images": true, "save_images": false,
        "alwayson_scripts": { "attend_and_excite": { "args": [{ "subjects": ["paint"], "scale_factor": 3.0 }] } } });
    let answer = place.client.post("/sdapi/v1/txt2img", &request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let images = answer["images"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    assert!(STANDARD.decode(images[0].as_str().unwrap()).unwrap().starts_with(b"\x89PNG"));
    let info: serde_json::Value = serde_json::from_str(answer["info"].as_str().unwrap()).unwrap();
    assert_eq!(info["all_seeds"], json!([5, 6]));
    let parameters = &answer["parameters"];
    assert_eq!((&parameters["method"], &parameters["scheduler"]), (&json!("attend-and-excite"), &json!("dpmpp-2m")));
    assert_eq!((&parameters["sigmas"], &parameters["guidance_scale"]), (&json!("karras"), &json!(7.0)));
    assert_eq!(parameters["attend_and_excite"]["scale_factor"], 3.0);
    assert_eq!(place.client.gallery().len(), 2);
}

#[test]
fn without_the_script_sampling_is_plain() {
    let place = Place::new();
    let answer = place.client.post("/sdapi/v1/txt2img", &json!({ "prompt": "paint", "seed": -1 }));
    assert_eq!(answer.json()["parameters"]["method"], "stable-diffusion", "{}", answer.text());
}

#[test]
fn what_cannot_be_done_is_refused() {
    let place = Place::new();
    for (request, expected) in [
        (json!({ "prompt": "paint", "enable_hr": true }), "enable_hr is not available"),
        (
            json!({ "prompt": "paint", "sampler_name": "DPM++ SDE" }),
            "there is no sampler `DPM++ SDE`: its noise comes from a Brownian tree",
        ),
        (json!({ "prompt": "paint", "scheduler": "Beta" }), "there is no scheduler 'beta'"),
        (
            json!({ "prompt": "paint", "script_name": "attend_and_excite", "script_args": [{ "sigmma": 1 }] }),
            "unknown field `attend_and_excite.sigmma`",
        ),
        (json!({ "prompt": "paint", "batch_size": 100 }), "batch_size x n_iter is 100"),
        (json!({ "prompt": "paint", "seed": -7 }), "seed is -7"),
        (
            json!({ "prompt": "paint", "override_settings": { "sd_model_checkpoint": "sdxl" } }),
            "there is no model 'sdxl'",
        ),
        (json!({ "prompt": "paint", "width": 100_000 }), "width is 100000"),
    ] {
        let answer = place.client.post("/sdapi/v1/txt2img", &request);
        assert_eq!(answer.status, 422, "{request}");
        assert!(answer.error().starts_with(expected), "{}", answer.error());
    }
    let failed = place.client.post("/sdapi/v1/txt2img", &json!({ "prompt": "fail" }));
    assert_eq!((failed.status, failed.error().as_str()), (500, "cannot read '…/paint.json': the paint is dry"));
}

#[test]
fn progress_interrupt_and_lists() {
    let place = Place::new();
    let idle = place.client.get("/sdapi/v1/progress").json();
    assert_eq!(idle["progress"], 0.0);
    let job = place.client.submit(&json!({ "steps": 250 }));
    place.client.wait(&job["id"], |job| job["step"].as_u64() > Some(20));
    let progress = place.client.get("/sdapi/v1/progress").json();
    assert!((0.05..1.0).contains(&progress["progress"].as_f64().unwrap()), "{progress}");
    assert_eq!(place.client.send("POST", "/sdapi/v1/interrupt", &[], b"").status, 200);
    assert_eq!(place.client.end(&job["id"])["state"], "cancelled");
    assert_eq!(place.client.get("/sdapi/v1/sd-models").json()[0]["title"], "paint");
    assert_eq!(place.client.get("/sdapi/v1/samplers").json()[0]["name"], "PLMS");
    assert_eq!(place.client.get("/sdapi/v1/options").json()["sd_model_checkpoint"], "paint");
}
