//! Models that are downloaded, and what can be chosen beside them.

use serde_json::{Value, json};

use crate::client::Client;
use crate::place::Place;

fn download(client: Client, model: &str) -> Value {
    let answer = client.send("POST", &format!("/api/models/{model}/download"), &[], b"");
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()
}

/// What is told of a download up to its end.
fn told(client: Client, model: &str) -> Vec<Value> {
    client
        .events_at(&format!("/api/models/{model}/download"))
        .map(|(name, data)| (assert_eq!(name, "download"), data).1)
        .collect()
}

#[test]
fn a_model_is_downloaded_with_progress() {
    let place = Place::new();
    let models = place.client.get("/api/models").json()["models"].clone();
    let of = |id: &str| models.as_array().unwrap().iter().find(|model| model["id"] == id).unwrap().clone();
    assert_eq!(
        (&of("paint")["remote"], &of("far")["remote"], &of("far")["bytes"]),
        (&json!(false), &json!(true), &json!(100))
    );
    assert_eq!(of("far")["download"], Value::Null);
    let begun = download(place.client, "far");
    assert_eq!((&begun["state"], &begun["total"]), (&json!("running"), &json!(100)));
    let told = told(place.client, "far");
    let last = told.last().unwrap();
    assert_eq!((&last["state"], &last["bytes"], &last["error"]), (&json!("done"), &json!(100), &Value::Null));
    let bytes: Vec<_> = told.iter().map(|view| view["bytes"].as_u64().unwrap()).collect();
    assert!(bytes.is_sorted(), "{bytes:?}");
    let models = place.client.get("/api/models").json()["models"].clone();
    assert_eq!(models[1]["download"]["state"], "done");
}

#[test]
fn a_download_is_ended_and_begins_again() {
    let mut place = Place::new();
    download(place.client, "endless");
    // Who asks twice gets the one that runs.
    download(place.client, "endless");
    let answer = place.client.delete("/api/models/endless/download");
    assert_eq!(answer.status, 200);
    assert_eq!(told(place.client, "endless").last().unwrap()["state"], "cancelled");
    assert_eq!(download(place.client, "endless")["state"], "running");
    place.stop();
}

#[test]
fn what_fails_is_said_and_what_is_not_known_is_never_tried() {
    let place = Place::new();
    download(place.client, "broken");
    let last = told(place.client, "broken").pop().unwrap();
    assert_eq!((&last["state"], &last["error"]), (&json!("failed"), &json!("the lorry broke down")));
    let refused = |method: &str, model: &str| {
        let answer = place.client.send(method, &format!("/api/models/{model}/download"), &[], b"");
        (answer.status, answer.error())
    };
    assert_eq!(refused("POST", "paint"), (422, "the model 'paint' is on this machine already".to_owned()));
    for model in ["org%2Fname", "..%2F..%2Fetc", "none"] {
        assert_eq!(refused("POST", model).0, 404, "{model}");
        assert_eq!(refused("GET", model).0, 404, "{model}");
        assert_eq!(refused("DELETE", model).0, 404, "{model}");
    }
}

#[test]
fn what_can_be_chosen_beside_a_model_is_listed() {
    let place = Place::new();
    let adapters = place.client.get("/api/adapters").json();
    let file = |name: &str| json!([{ "name": name, "bytes": 7, "usual": false }]);
    assert_eq!(adapters, json!({ "loras": file("ink.safetensors"), "embeddings": file("toy.pt"), "vaes": file("ft") }));
    let many = json!({ "prompt": "paint", "loras": vec![json!({ "name": "ink.safetensors" }); 17] });
    let refused = place.client.post("/api/generate", &many);
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (422, "loras is 17 items long: expected at most 16 (max_adapters)")
    );
    // So it is where a prompt names them.
    let prompt = format!("paint {}", "<lora:ink:0>".repeat(16));
    let many = json!({ "prompt": prompt, "prompt_syntax": "a1111", "loras": [{ "name": "ink.safetensors" }] });
    let refused = place.client.post("/api/generate", &many);
    assert_eq!((refused.status, &refused.json()["limit"]), (422, &json!("max_adapters")), "{}", refused.text());
    assert!(refused.error().starts_with("prompt names 16 LoRAs, 17 with those of the request"), "{}", refused.text());
}
