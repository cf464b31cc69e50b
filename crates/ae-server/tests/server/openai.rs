//! Clients of OpenAI's images.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::place::Place;

const IMAGES: &str = "/v1/images/generations";
const TOKEN: &str = "not-to-be-guessed-0123";

#[test]
fn pictures_come_as_base64_or_as_addresses() {
    let place = Place::new();
    let body = json!({ "model": "paint", "prompt": "paint", "n": 2, "size": "64x64", "response_format": "b64_json", "user": "x", "seed": 5 });
    let answer = place.client.post(IMAGES, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let data = answer["data"].as_array().unwrap();
    assert_eq!((data.len(), &data[1]["seed"], data[0].get("url")), (2, &json!(6), None));
    assert!(STANDARD.decode(data[0]["b64_json"].as_str().unwrap()).unwrap().starts_with(b"\x89PNG"));
    assert!(answer["created"].as_u64() > Some(1_600_000_000));

    let answer = place.client.post(IMAGES, &json!({ "prompt": "paint", "response_format": "url", "steps": 2 })).json();
    let own = format!("http://{}", place.client.0);
    let address = answer["data"][0]["url"].as_str().unwrap().strip_prefix(&own).unwrap();
    assert!(place.client.get(address).body.starts_with(b"\x89PNG"));
    assert_eq!(place.client.get("/v1/models").json()["data"][0]["id"], "paint");
}

#[test]
fn errors_have_its_shape() {
    let place = Place::new();
    for (body, status, param, code) in [
        (json!({ "prompt": "paint", "model": "dall-e-3" }), 404, Some("model"), Some("model_not_found")),
        (json!({ "prompt": "paint", "size": "large" }), 400, Some("size"), None),
        (json!({ "prompt": "paint", "quality": "hd" }), 400, Some("quality"), None),
        (json!({ "prompt": "paint", "n": 100 }), 400, Some("n"), None),
        (json!({ "prompt": "paint", "width": 100_000 }), 400, Some("width"), None),
        (json!({}), 400, Some("prompt"), None),
    ] {
        let answer = place.client.post(IMAGES, &body);
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!((error["param"].as_str(), error["code"].as_str()), (param, code), "{}", answer.text());
        assert!(error["message"].as_str().unwrap().len() > 10 && error["type"] == "invalid_request_error");
    }
    let failed = place.client.post(IMAGES, &json!({ "prompt": "fail" }));
    assert_eq!((failed.status, failed.json()["error"]["type"].as_str()), (500, Some("server_error")));
    // What is refused before it is understood too.
    for answer in
        [place.client.get("/v1/nothing"), place.client.get(IMAGES), place.client.send("POST", IMAGES, &[], b"x")]
    {
        assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
    }
    assert!(place.client.get("/api/nothing").json()["error"].is_string());
}

#[test]
fn the_token_is_a_bearer_or_a_password() {
    let place = Place::with(|config| config.token = Some(TOKEN.to_owned()));
    let get =
        |path: &str, authorization: &str| place.client.send("GET", path, &[("Authorization", authorization)], b"");
    let refused = get("/v1/models", "Bearer wrong");
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (401, Some("invalid_api_key")));
    assert_eq!(get("/v1/models", &format!("Bearer {TOKEN}")).status, 200);
    // As clients of AUTOMATIC1111's program log in.
    for (user, status) in [
        (format!("me:{TOKEN}"), 200),
        (format!(":{TOKEN}"), 200),
        (TOKEN.to_owned(), 401),
        (format!("{TOKEN}:me"), 401),
    ] {
        let answer = get("/sdapi/v1/options", &format!("Basic {}", STANDARD.encode(&user)));
        assert_eq!(answer.status, status, "{user}");
    }
}

/// Where no subject is found and nobody named one, the prompt is drawn plainly, and that is said.
#[test]
fn a_prompt_without_a_noun_is_drawn_plainly() {
    let place = Place::new();
    let answer = place.client.post(IMAGES, &json!({ "prompt": "nounless", "steps": 2 })).json();
    assert!(answer["notes"][0].as_str().unwrap().starts_with("drawn plainly: "), "{answer}");
    let named = place.client.post(IMAGES, &json!({ "prompt": "nounless", "subjects": ["cat"] }));
    assert_eq!((named.status, named.json()["error"]["param"].as_str()), (400, Some("subjects")));
}
