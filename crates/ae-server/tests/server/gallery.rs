//! What was made.

use ae_settings::Method;
use serde_json::{Value, json};

use crate::engine::png;
use crate::place::Place;

#[test]
fn an_entry_has_pictures_run_and_report() {
    let place = Place::new();
    let job = place.client.submit(&json!({ "compare": true }));
    let job = place.client.end(&job["id"]);
    let id = job["pictures"][0].as_str().unwrap();
    let get = |name: &str| place.client.get(&format!("/api/gallery/{id}{name}"));
    let entry = get("").json();
    assert_eq!(
        (&entry["settings"]["prompt"], &entry["plain"], &entry["width"]),
        (&json!("paint"), &json!(true), &json!(1))
    );
    assert_eq!(entry["created"], job["created"]);
    for name in ["/picture.png", "/plain.png"] {
        let picture = get(name);
        assert_eq!((picture.status, picture.header("content-type").as_str()), (200, "image/png"));
        assert!(picture.body.starts_with(b"\x89PNG"));
    }
    let run = get("/run.json").json();
    assert_eq!(run["runs"][1]["picture"], format!("/api/gallery/{id}/plain.png"));
    let report = get("/report.html");
    assert!(report.header("content-disposition").starts_with("attachment"), "{}", report.head);
    assert!(report.text().contains("data:image/png;base64,"));
}

#[test]
fn pages_go_from_the_newest_to_the_oldest() {
    let place = Place::new();
    for _ in 0..3 {
        let job = place.client.submit(&json!({}));
        place.client.end(&job["id"]);
    }
    let all = place.client.gallery();
    let first = place.client.get("/api/gallery?limit=2").json();
    assert_eq!((first["entries"].as_array().unwrap().len(), &first["total"]), (2, &json!(3)));
    let rest = place.client.get(&format!("/api/gallery?limit=2&before={}", all[1].as_str().unwrap())).json();
    assert_eq!((rest["entries"].as_array().unwrap().len(), &rest["entries"][0]["id"]), (1, &all[2]));
}

#[test]
fn a_removed_entry_is_gone() {
    let place = Place::new();
    let job = place.client.submit(&json!({}));
    let id = place.client.end(&job["id"])["pictures"][0].as_str().unwrap().to_owned();
    let path = format!("/api/gallery/{id}");
    assert_eq!(place.client.delete(&path).status, 204);
    assert_eq!(place.client.delete(&path).status, 404);
    assert_eq!(place.client.get(&path).error(), format!("the gallery has no '{id}'"));
    assert_eq!(Place::files(&place.gallery()), [".lock", ".queue", ".trash"]);
}

#[test]
fn a_picture_gives_its_settings_back_as_a_request() {
    let place = Place::new();
    let send = |body: &[u8]| place.client.send("POST", "/api/settings", &[("Content-Type", "image/png")], body);
    let settings = json!({ "version": "0.1.0", "model": "Paint 1", "prompt": "ein Löwe", "seed": 7, "steps": 3, "strength": null,
        "subjects": ["Löwe"], "attend_and_excite": { "smoothing": false, "sigma": null, "scale_factor": 2.0 } });
    let answer = send(&png(&settings.to_string()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let settings = &answer.json()["settings"];
    assert_eq!((&settings["seeds"], &settings["model"], &settings["steps"]), (&json!([7]), &json!("paint"), &json!(3)));
    assert_eq!(settings["attend_and_excite"]["smoothing"], false);
    // They can be asked for as they are.
    let job = place.client.post("/api/generate", settings);
    assert_eq!(job.status, 202, "{}", job.text());

    let foreign = send(&png("{}"));
    assert_eq!((foreign.status, foreign.error().contains("prompt is missing")), (422, true), "{}", foreign.text());
    // Nothing is dropped: what this version does not know is named.
    for (settings, expected) in [
        (json!({ "format": 9, "prompt": "paint", "other": 1 }), "the settings have format 9"),
        (json!({ "format": 2, "prompt": "paint", "other": 1 }), "unknown field `other`"),
        (json!({ "format": 2, "prompt": "paint", "strength": "much" }), "strength is \"much\""),
    ] {
        let refused = send(&png(&settings.to_string()));
        assert_eq!((refused.status, refused.error().contains(expected)), (422, true), "{}", refused.text());
    }
    let broken = send(b"no picture");
    assert_eq!((broken.status, broken.error().contains("not a valid PNG file")), (422, true), "{}", broken.text());
}

#[test]
fn the_gallery_outlives_the_server() {
    let mut place = Place::new();
    let job = place.client.submit(&json!({}));
    place.client.end(&job["id"]);
    let before = place.client.gallery();
    place.stop();
    let gallery = place.gallery();
    std::fs::create_dir(gallery.join(".ae-unfinished-halfhalfhalf")).unwrap();
    let again = Place::with(|config| config.gallery.clone_from(&gallery));
    assert_eq!(again.client.gallery(), before);
    assert!(!gallery.join(".ae-unfinished-halfhalfhalf").exists());
}

/// What a request asks for is in the picture, comes back from it as a request, and asks for the same again.
#[test]
fn a_request_a_picture_and_the_restored_request_say_the_same() {
    let place = Place::new();
    let draw = |request: &Value| {
        let answer = place.client.post("/api/generate", request);
        assert_eq!(answer.status, 202, "{}", answer.text());
        let job = place.client.end(&answer.json()["id"]);
        let id = job["pictures"][0].as_str().unwrap();
        let picture = place.client.get(&format!("/api/gallery/{id}/picture.png")).body;
        let restored = place.client.send("POST", "/api/settings", &[("Content-Type", "image/png")], &picture);
        let settings = place.client.get(&format!("/api/gallery/{id}")).json()["settings"].clone();
        (settings, restored.json()["settings"].clone())
    };
    for method in Method::ALL {
        let mut request = json!({ "prompt": "paint and \"paper\"", "negative_prompt": "grün", "seeds": [7], "method": method,
            "subjects": ["paint#1"], "steps": 3, "guidance_scale": 0.1, "height": 24, "width": 40, "scheduler": "dpmpp-2m",
            "sigmas": "karras", "timestep_spacing": "trailing", "rng": "torch-cuda", "clip_skip": 1, "vae_tiling": true,
            "prompt_syntax": "a1111", "model": "paint" });
        for own in method.own_options() {
            let value = match own {
                "max_iter_to_alter" => json!("12.5%"),
                "thresholds" => json!({ "0%": 0.1, "7": 0.2 }),
                "attention_res" => json!([12, 20]),
                "scale_range" => json!([0.1, 0.3]),
                "smoothing" | "bare_nouns" => json!(false),
                "eot_normalization" => json!("on"),
                "phrases" => json!(["a lot of paint"]),
                "pairs" => json!(["lot:paint"]),
                "boxes" => json!(["paint#1:0,0.25,0.5,1"]),
                "distance" => json!("total-variation"),
                "negatives" => json!("noun"),
                "as_published" => json!(true),
                "top_k" | "box_reach" => json!(2),
                "intensity" | "temperature" | "overlap_gate" | "overlap_target" | "box_share" | "exclusion" => {
                    json!(0.25)
                }
                // As they are; groups say what subjects and pairs say.
                "groups" | "max_refinement_steps" | "scale_factor" | "attention_scale" | "sigma" | "kernel_size" => {
                    continue;
                }
                other => panic!("the test says nothing of {other}"),
            };
            let (group, _) = ae_settings::all_options().find(|(_, option)| option.name == own).unwrap();
            match group {
                Some(group) => request[group][own] = value,
                None => request[own] = value,
            }
        }
        let (settings, restored) = draw(&request);
        for (name, value) in request.as_object().unwrap() {
            let expected = if name == "attend_and_excite" { &settings[name] } else { value };
            assert_eq!(&restored[name], expected, "{method}: {name}");
            for (member, value) in value.as_object().into_iter().flatten() {
                assert_eq!(&restored[name][member], value, "{method}: {name}.{member}");
            }
        }
        let (settings_again, restored_again) = draw(&restored);
        assert_eq!(settings_again, settings, "{method}");
        assert_eq!(restored_again, restored, "{method}");
        // The settings can be posted as they are, too.
        assert_eq!(draw(&settings).0, settings, "{method}");
    }
}

#[test]
fn what_is_not_here_of_a_picture_is_refused_by_its_field() {
    let place = Place::new();
    let settings =
        json!({ "format": 2, "prompt": "paint", "seed": 3, "init_image": { "name": "a.png" }, "strength": 0.5 });
    let picture = png(&settings.to_string());
    let restored = place.client.send("POST", "/api/settings", &[("Content-Type", "image/png")], &picture).json();
    assert_eq!(restored["settings"]["init_image"]["name"], "a.png");
    let refused = place.client.post("/api/generate", &restored["settings"]);
    assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("init_image")), "{}", refused.text());
}
