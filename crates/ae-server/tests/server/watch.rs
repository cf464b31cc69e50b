//! What watches over a server.

use serde_json::json;

use crate::place::Place;

#[test]
fn health_needs_no_token_and_metrics_do() {
    let token = "0123456789abcdef-token";
    let place = Place::with(|config| config.token = Some(token.to_owned()));
    let health = place.client.send("GET", "/healthz", &[("Host", "pod.cluster.local")], b"");
    assert_eq!((health.status, health.text().as_str()), (200, "ok\n"));
    assert_eq!(place.client.get("/metrics").status, 401);
    let bearer = format!("Bearer {token}");
    let metrics = place.client.send("GET", "/metrics", &[("Authorization", &bearer)], b"");
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"), "{}", metrics.head);
}

#[test]
fn metrics_count_what_happened() {
    let place = Place::with(|config| config.limits.max_queue = 1);
    let done = place.client.submit(&json!({ "seeds": [1, 2] }));
    place.client.end(&done["id"]);
    let failed = place.client.submit(&json!({ "prompt": "fail" }));
    place.client.end(&failed["id"]);
    let running = place.client.submit(&json!({ "steps": 250 }));
    place.client.wait(&running["id"], |job| job["state"] == "running");
    place.client.submit(&json!({}));
    assert_eq!(place.client.post("/api/generate", &json!({ "prompt": "paint" })).status, 429);
    let text = place.client.get("/metrics").text();
    for line in [
        "ae_jobs_total{state=\"done\"} 1",
        "ae_jobs_total{state=\"failed\"} 1",
        "ae_pictures_total 2",
        "ae_picture_seconds_count 2",
        "ae_limits_reached_total{limit=\"max_queue\"} 1",
        "ae_requests_total{status=\"429\"} 1",
        "ae_queue_waiting_jobs 1",
        "ae_queue_drawn_jobs 1",
    ] {
        assert!(text.lines().any(|found| found == line), "'{line}' is not in:\n{text}");
    }
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
        line.parse::<u64>().unwrap()
    };
    assert!(value("ae_gallery_bytes") > 100);
    assert_eq!(value("ae_resident_memory_bytes") > 1 << 20, cfg!(target_os = "linux"));
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn every_answer_has_an_id() {
    let place = Place::new();
    let ids = [place.client.get("/api/info"), place.client.get("/nothing")].map(|answer| answer.header("x-request-id"));
    assert!(ids[0].len() == 8 && ids[0] != ids[1], "{ids:?}");
}
