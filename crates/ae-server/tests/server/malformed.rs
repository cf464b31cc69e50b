//! What a server must not be made to do: every request here gets an answer in the 400s with a message, and the server goes on.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Answer, read};
use crate::place::Place;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Counts the refusals and checks each.
struct Refusals {
    place: Place,
    count: usize,
}

impl Refusals {
    fn expect(&mut self, what: &str, answer: &Answer) {
        assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        assert!(answer.error().len() > 10, "{what}: {}", answer.text());
        assert!(!answer.error().contains("panicked"), "{what}: {}", answer.error());
        self.count += 1;
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let answer = self.place.client.send(method, path, headers, body);
        let body = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        self.expect(&format!("{method} {path} {body}"), &answer);
    }

    fn json(&mut self, path: &str, body: &Value) {
        self.send("POST", path, &[JSON], body.to_string().as_bytes());
    }
}

#[test]
fn two_hundred_malformed_requests_are_answered() {
    let mut refusals = Refusals { place: Place::new(), count: 0 };
    values_of_the_wrong_type(&mut refusals);
    values_out_of_range(&mut refusals);
    bodies_that_are_no_json(&mut refusals);
    paths_that_lead_elsewhere(&mut refusals);
    methods_that_do_not_fit(&mut refusals);
    bodies_that_are_huge_or_slow(&mut refusals);
    pictures_that_are_none(&mut refusals);
    assert!(refusals.count >= 200, "only {} requests", refusals.count);
    // It still draws, and nothing of the above was accepted.
    let client = refusals.place.client;
    assert_eq!(client.get("/api/jobs").json()["jobs"], json!([]));
    let job = client.submit(&json!({}));
    assert_eq!(client.end(&job["id"])["state"], "done");
}

fn values_of_the_wrong_type(refusals: &mut Refusals) {
    let fields = [
        "prompt",
        "negative_prompt",
        "subjects",
        "token_indices",
        "seeds",
        "model",
        "device",
        "method",
        "compare",
        "steps",
        "guidance_scale",
        "height",
        "width",
        "scheduler",
        "rng",
        "prompt_weighting",
        "prompt_syntax",
        "long_prompts",
        "clip_skip",
        "attend_and_excite",
    ];
    for field in fields {
        for value in [json!({ "a": 1 }), json!([[]]), json!(-1.5e300), json!("\u{0}")] {
            let is_text =
                ["prompt", "negative_prompt", "model", "device", "method", "scheduler", "rng"].contains(&field);
            let is_number = field == "guidance_scale";
            if is_text && value.is_string() || is_number && value.is_number() {
                continue;
            }
            let mut body = json!({ "prompt": "paint" });
            body[field] = value;
            refusals.json("/api/generate", &body);
        }
    }
    for body in [json!({}), json!([]), json!(null), json!(1), json!("paint"), json!({ "promt": "x" })] {
        refusals.json("/api/generate", &body);
        refusals.json("/api/tokens", &body);
    }
    let guidance = [
        "max_iter_to_alter",
        "thresholds",
        "max_refinement_steps",
        "scale_factor",
        "scale_range",
        "attention_scale",
        "attention_res",
        "smoothing",
        "sigma",
        "kernel_size",
        "eot_normalization",
        "unknown",
    ];
    for field in guidance {
        for value in [json!([1, 2, 3, "x"]), json!({ "x": "y" })] {
            let mut options = json!({});
            options[field] = value;
            refusals.json("/api/generate", &json!({ "prompt": "paint", "attend_and_excite": options }));
        }
    }
}

fn values_out_of_range(refusals: &mut Refusals) {
    for (field, value) in [
        ("width", json!(0)),
        ("width", json!(1025)),
        ("width", json!(18_446_744_073_709_551_615_u64)),
        ("height", json!(0)),
        ("height", json!(99_999_999)),
        ("steps", json!(0)),
        ("steps", json!(251)),
        ("steps", json!(-1)),
        ("seeds", json!([-1])),
        ("seeds", json!([1.5])),
        ("seeds", json!([1e30])),
        ("seeds", json!(vec![0; 17])),
        ("seeds", json!(vec![0; 10_000])),
        ("subjects", json!(vec!["a"; 78])),
        ("token_indices", json!(vec![1; 78])),
        ("token_indices", json!([-1])),
        ("prompt", json!("x".repeat(5001))),
        ("negative_prompt", json!("x".repeat(100_000))),
        ("attend_and_excite", json!({ "max_refinement_steps": 1_000_000 })),
        ("clip_skip", json!(-1)),
    ] {
        let mut body = json!({ "prompt": "paint" });
        body[field] = value;
        refusals.json("/api/generate", &body);
    }
    refusals.json("/api/generate", &json!({ "prompt": "paint", "subjects": ["a"], "token_indices": [1] }));
    refusals.json("/api/tokens", &json!({ "prompt": "x".repeat(5001) }));
    refusals.json("/sdapi/v1/txt2img", &json!({ "prompt": "paint", "steps": 100_000 }));
    refusals.json("/sdapi/v1/txt2img", &json!({ "prompt": "paint", "batch_size": 0 }));
    refusals.json("/sdapi/v1/txt2img", &json!({ "prompt": "paint", "n_iter": usize::MAX, "batch_size": usize::MAX }));
}

fn bodies_that_are_no_json(refusals: &mut Refusals) {
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe\x00",
        b"{\"prompt\": \"a\"} trailing",
        b"{'prompt': 1}",
        b"\0",
        b"{\"prompt\": NaN}",
        deep.as_bytes(),
    ];
    for path in ["/api/generate", "/api/tokens", "/sdapi/v1/txt2img"] {
        for body in bodies {
            refusals.send("POST", path, &[JSON], body);
        }
        for kind in ["", "text/plain", "application/x-www-form-urlencoded", "image/png", "application/jsonx"] {
            refusals.send("POST", path, &[("Content-Type", kind)], b"{\"prompt\": \"paint\"}");
        }
    }
}

fn paths_that_lead_elsewhere(refusals: &mut Refusals) {
    let names = [
        "..",
        "../..",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "....//",
        "..%5c..",
        ".lock",
        "%00",
        "a%0ab",
        "C:",
        "~",
        "1700000000000-000000-000",
        "1700000000000-000000-000%2f..",
        "%ff",
    ];
    for name in names {
        for path in [
            format!("/api/gallery/{name}"),
            format!("/api/gallery/{name}/picture.png"),
            format!("/assets/{name}"),
            format!("/api/jobs/{name}"),
        ] {
            refusals.send("GET", &path, &[], b"");
        }
        refusals.send("DELETE", &format!("/api/gallery/{name}"), &[], b"");
        refusals.send("DELETE", &format!("/api/jobs/{name}"), &[], b"");
    }
    for path in [
        "/etc/passwd",
        "/../etc/passwd",
        "/api",
        "/api/",
        "/api/nothing",
        "//",
        "/assets/",
        "/index.html",
        "/%00",
        "/api/gallery?limit=-1",
        "/api/gallery?limit=x",
        "/api/gallery?unknown=1",
    ] {
        refusals.send("GET", path, &[], b"");
    }
}

fn methods_that_do_not_fit(refusals: &mut Refusals) {
    for (path, methods) in [
        ("/api/generate", &["GET", "PUT", "DELETE", "PATCH"][..]),
        ("/api/tokens", &["GET", "DELETE"]),
        ("/api/info", &["POST", "DELETE", "PUT"]),
        ("/api/gallery", &["POST", "DELETE"]),
        ("/api/settings", &["GET", "PUT"]),
        ("/sdapi/v1/txt2img", &["GET", "PUT"]),
        ("/", &["POST", "DELETE", "BREW"]),
        ("/assets/app.js", &["POST"]),
    ] {
        for method in methods {
            refusals.send(method, path, &[JSON], b"{}");
        }
    }
}

fn bodies_that_are_huge_or_slow(refusals: &mut Refusals) {
    let client = refusals.place.client;
    let huge = format!("{{\"prompt\": \"{}\"}}", "x".repeat(2 << 20));
    for path in ["/api/generate", "/api/tokens", "/sdapi/v1/txt2img"] {
        refusals.send("POST", path, &[JSON], huge.as_bytes());
        // A length that is only claimed: the answer must not wait for the rest.
        for (name, sent) in [("slow", "{\"prompt\""), ("nothing", "")] {
            let mut stream = client.connect();
            write!(stream, "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{sent}", client.0)
                .unwrap();
            std::thread::sleep(Duration::from_millis(50));
            let answer = read(&mut stream).unwrap();
            assert_eq!(answer.status, 408, "{}", answer.text());
            refusals.expect(&format!("{path} {name}"), &answer);
        }
    }
    let head = "POST /api/generate HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked";
    let chunks = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(40);
    let endless = format!("{head}\r\nHost: {}\r\n\r\n{chunks}", client.0);
    refusals.expect("endless chunks", &client.raw(endless.as_bytes()).unwrap());
}

fn pictures_that_are_none(refusals: &mut Refusals) {
    let whole = crate::engine::png(&json!({ "prompt": "paint" }).to_string());
    let png = [("Content-Type", "image/png")];
    for end in [0, 1, 8, 20, 33, 50] {
        refusals.send("POST", "/api/settings", &png, &whole[..end]);
    }
    refusals.send("POST", "/api/settings", &png, &crate::engine::png("not json"));
    refusals.send("POST", "/api/settings", &png, &crate::engine::png("[1, 2]"));
    refusals.send("POST", "/api/settings", &png, &vec![0x89; 1 << 20]);
    refusals.send("POST", "/api/settings", &[JSON], &whole);
}
