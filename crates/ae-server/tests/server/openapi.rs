//! The description of the API is that of the server that runs.

use serde_json::{Value, json};

use crate::place::Place;

#[test]
fn every_route_of_the_document_is_served() {
    let place = Place::new();
    let document = place.client.get("/api/openapi.json").json();
    assert_eq!(document["info"]["title"], "Attend-and-Excite");
    let paths = document["paths"].as_object().unwrap();
    for path in ["/api/generate", "/api/jobs/{id}/events", "/api/gallery/{id}/run.json", "/sdapi/v1/txt2img"] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, methods) in paths {
        let path = path.replace("{id}", "none");
        for (method, operation) in methods.as_object().unwrap() {
            let answer = place.client.send(&method.to_uppercase(), &path, &[], b"");
            assert_ne!(answer.status, 405, "{method} {path}");
            let is_missing_route = answer.status == 404 && answer.error().starts_with("there is nothing at");
            assert!(!is_missing_route, "{method} {path}");
            assert!(operation["description"].is_string() || operation["summary"].is_string(), "{method} {path}");
        }
    }
}

/// Whoever reads the schema knows all that the server takes, and nothing else.
#[test]
fn the_schema_is_that_of_the_requests() {
    let place = Place::with(|config| config.limits.max_steps = 30);
    let schema = place.client.get("/api/schema").json();
    let document = place.client.get("/api/openapi.json").json();
    let properties = schema["properties"].as_object().unwrap();
    let documented = document["components"]["schemas"]["GenerateRequest"]["properties"].as_object().unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), documented.keys().collect::<Vec<_>>());
    assert_eq!(schema["properties"]["steps"]["maximum"], 30);
    let refuses = |name: &str, value: &Value| {
        let mut body = json!({ "prompt": "paint" });
        body[name] = value.clone();
        let answer = place.client.post("/api/generate", &body);
        assert_eq!(answer.status, 422, "{name}: {value}: {}", answer.text());
        let field = answer.json()["field"].clone();
        assert!(field.as_str().is_some_and(|field| field.starts_with(name)), "{name}: {value}: {}", answer.text());
    };
    for (name, property) in properties {
        let wrong = if property["type"] == "string" { json!([1]) } else { json!("wrong") };
        refuses(name, &wrong);
        for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
            if let Some(bound) = property[bound].as_i64() {
                refuses(name, &json!(bound + beyond));
            }
        }
        if property["enum"].is_array() {
            refuses(name, &json!("no such name"));
        }
        for (member, property) in property["properties"].as_object().into_iter().flatten() {
            if property["x-kind"].is_string() {
                refuses(name, &json!({ member: { "wrong": [] } }));
            }
        }
    }
}

#[test]
fn the_document_names_every_schema_it_uses() {
    let text = ae_server::Server::openapi();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let used = text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
    let mut count = 0;
    for name in used {
        assert!(schemas.contains_key(name), "{name}");
        count += 1;
    }
    assert!(count > 20, "{count} references");
}
