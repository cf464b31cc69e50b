//! The description of the API is that of the server that runs.

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
