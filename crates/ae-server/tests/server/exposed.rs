//! Attacks on a server that others can reach, each for its kind.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Answer, read};
use crate::engine::png;
use crate::place::Place;

const TOKEN: &str = "0123456789abcdef-token";

/// Tries until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(15), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn with_token() -> Place {
    Place::with(|config| {
        config.token = Some(TOKEN.to_owned());
        config.limits.max_connections = 20;
        config.limits.head_ms = 60_000;
    })
}

/// A request of the owner's.
fn owner(place: &Place, path: &str) -> Answer {
    place.client.send("GET", path, &[("Authorization", &format!("Bearer {TOKEN}"))], b"")
}

/// The end of a connection that the server closes.
fn expect_end(mut stream: TcpStream) {
    // Reset or ended: both are closed. One that stays open runs out of time.
    let end = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert!(matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)), "{end:?}");
}

fn assert_limit(answer: &Answer, status: u16, limit: &str) {
    assert_eq!((answer.status, &answer.json()["limit"]), (status, &json!(limit)), "{}", answer.text());
    assert!(answer.error().contains(&format!("({limit})")), "{}", answer.error());
}

#[test]
fn strangers_do_not_lock_the_owner_out() {
    let place = with_token();
    // What the owner has open stays open.
    let mut watching = place.client.connect();
    write!(watching, "GET /api/info HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n").unwrap();
    assert_eq!(read(&mut watching).unwrap().status, 200);
    // Some never ask, some ask without a token and never read.
    let strangers: Vec<_> = (0..100)
        .map(|number| {
            let mut stream = place.client.connect();
            if number % 2 == 0 {
                write!(stream, "GET /api/inf").unwrap();
            }
            stream
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(owner(&place, "/api/info").status, 200);
    }
    write!(watching, "GET /api/info HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n").unwrap();
    assert_eq!(read(&mut watching).unwrap().status, 200);
    let metrics = owner(&place, "/metrics").text();
    let open = metrics.lines().find_map(|line| line.strip_prefix("ae_connections ")).unwrap();
    assert!(open.parse::<usize>().unwrap() <= 20, "{open}");
    drop(strangers);
}

#[test]
fn who_is_refused_has_no_further_request() {
    let place = with_token();
    let mut stream = place.client.connect();
    write!(stream, "GET /api/info HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let answer = read(&mut stream).unwrap();
    assert_eq!((answer.status, answer.header("connection").as_str()), (401, "close"));
    expect_end(stream);
    let open = Place::new();
    let mut stream = open.client.connect();
    write!(stream, "GET /api/info HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap();
    assert_eq!(read(&mut stream).unwrap().status, 403);
    expect_end(stream);
}

/// Answers are asked for again and again, and none is read.
#[test]
fn who_does_not_read_is_cut_off() {
    let place = Place::with(|config| {
        config.limits.write_ms = 200;
        config.limits.head_ms = 60_000;
    });
    let mut stream = place.client.connect();
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let request = format!("GET /api/openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n", place.client.0);
    while stream.write_all(request.as_bytes()).is_ok() {}
    until("the connection is open", || place.client.get("/metrics").text().contains("\nae_connections 1\n"));
}

#[test]
fn an_address_has_a_part_of_the_connections() {
    let place = Place::with(|config| config.limits.max_connections_per_address = 4);
    let job = place.client.submit(&json!({ "steps": 250 }));
    let mut listeners: Vec<_> = (0..4).map(|_| place.client.events(&job["id"])).collect();
    for events in &mut listeners {
        assert_eq!(events.next().unwrap().0, "job");
    }
    let mut stream = place.client.connect();
    let answer = read(&mut stream).unwrap();
    assert_limit(&answer, 503, "max_connections_per_address");
}

#[test]
fn all_bodies_share_the_memory() {
    let place = Place::with(|config| {
        config.limits.max_bodies = 100_000;
        config.limits.body_ms = 60_000;
    });
    let image = [("Content-Type", "image/png")];
    let send = |length| place.client.send("POST", "/api/settings", &image, &vec![0; length]);
    let head = format!("POST /api/settings HTTP/1.1\r\nHost: {}\r\nContent-Type: image/png", place.client.0);
    let begin = || {
        let mut slow = place.client.connect();
        write!(slow, "{head}\r\nContent-Length: 90001\r\n\r\n").unwrap();
        slow.write_all(&vec![0; 90_000]).unwrap();
        slow
    };
    let mut slow = begin();
    until("both fit", || {
        // Where the first part of the slow body came after the other one, the slow one was refused: it begins anew.
        let refused = send(20_000).status == 503;
        if !refused {
            slow = begin();
        }
        refused
    });
    assert_limit(&send(20_000), 503, "max_bodies");
    assert_eq!(send(5_000).status, 422);
    drop(slow);
    until("the memory is not given back", || send(20_000).status == 422);
    // JSON grows when it is read.
    let body = json!({ "prompt": "a", "phrases": "x".repeat(10_000) });
    assert_limit(&place.client.post("/api/generate", &body), 503, "max_bodies");
}

#[test]
fn bodies_have_a_limit_that_is_named() {
    let place = Place::new();
    let huge = json!({ "prompt": "x".repeat(2 << 20) });
    assert_limit(&place.client.post("/api/generate", &huge), 413, "max_body");
    // Only claimed: it is not waited for.
    let head = format!("POST /api/settings HTTP/1.1\r\nHost: {}\r\nContent-Type: image/png", place.client.0);
    let answer = place.client.raw(format!("{head}\r\nContent-Length: 99999999999\r\n\r\n").as_bytes()).unwrap();
    assert_limit(&answer, 413, "max_picture");
}

/// A subject that plain sampling does not read, in jobs that are remembered.
#[test]
fn what_is_remembered_is_small() {
    let place = Place::with(|config| config.limits.max_remembered = 3);
    let subject = json!({ "prompt": "paint", "method": "stable-diffusion", "subjects": ["x".repeat(900_000)] });
    assert_limit(&place.client.post("/api/generate", &subject), 422, "max_prompt");
    let running = place.client.submit(&json!({ "steps": 250 }));
    place.client.wait(&running["id"], |job| job["state"] == "running");
    let long = "y".repeat(5000);
    let large = json!({ "negative_prompt": long, "subjects": vec![long.clone(); 77] });
    let jobs: Vec<_> = (0..5).map(|_| place.client.submit(&large)).collect();
    let list = || place.client.get("/api/jobs").body.len();
    assert!(list() < 50_000, "{} bytes", list());
    // One that waits is whole.
    assert_eq!(place.client.job(&jobs[4]["id"])["request"]["negative_prompt"], long);
    for job in &jobs {
        place.client.delete(&format!("/api/jobs/{}", job["id"].as_str().unwrap()));
    }
    assert!(list() < 50_000, "{} bytes", list());
    let ended = place.client.job(&jobs[4]["id"]);
    let negative = ended["request"]["negative_prompt"].as_str().unwrap();
    assert!(negative.ends_with('…') && negative.len() < 300, "{negative}");
    assert_eq!(ended["request"]["subjects"].as_array().unwrap().len(), 16);
    // The oldest are forgotten.
    assert_eq!(place.client.job(&jobs[1]["id"])["error"].as_str().map(|_| ()), Some(()));
}

#[test]
fn names_in_errors_are_cut() {
    let place = Place::new();
    let name = "n\u{1b}[2J".repeat(80_000);
    for (path, body) in [
        ("/api/generate", json!({ "prompt": "a", name.clone(): 1 })),
        ("/api/generate", json!({ "prompt": "a", "attend_and_excite": { name.clone(): 1 } })),
        ("/api/generate", json!({ "prompt": "a", "scheduler": name[..4000] })),
        ("/api/tokens", json!({ "prompt": "a", name.clone(): 1 })),
        ("/sdapi/v1/txt2img", json!({ "prompt": "a", "sampler_name": name.clone() })),
        ("/sdapi/v1/txt2img", json!({ "prompt": "a", "script_name": name.clone() })),
    ] {
        let answer = place.client.post(path, &body);
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        assert!(answer.body.len() < 8000, "{path}: {} bytes", answer.body.len());
        assert!(!answer.error().contains('\u{1b}'), "{path}");
    }
}

#[test]
fn errors_name_the_limits_of_the_server() {
    let place = Place::new();
    for (field, value, limit) in
        [("width", 9000, "max_side"), ("height", 1_000_000, "max_side"), ("steps", 1_000_001, "max_steps")]
    {
        let answer = place.client.post("/api/generate", &json!({ "prompt": "a", field: value }));
        assert_limit(&answer, 422, limit);
        assert_eq!(answer.json()["field"], field);
    }
    let info = place.client.get("/api/info").json();
    for limit in ae_server::Limits::ALL {
        assert!(info["limits"][limit.name].is_u64(), "{}", limit.name);
    }
}

#[test]
fn a_text_that_unpacks_to_much_is_refused() {
    let place = Place::with(|config| config.limits.max_unpacked = 10_000);
    let send = |text: &str| place.client.send("POST", "/api/settings", &[("Content-Type", "image/png")], &png(text));
    let settings = json!({ "prompt": "paint", "seed": 1, "negative_prompt": "x".repeat(4000) });
    assert_eq!(send(&settings.to_string()).status, 200);
    let large = json!({ "prompt": "paint", "seed": 1, "negative_prompt": "x".repeat(11_000) });
    let refused = send(&large.to_string());
    assert!(refused.status == 422 && refused.error().contains("too large"), "{}", refused.text());
    // In the gallery it is an entry that is named and not shown.
    let job = place.client.submit(&json!({}));
    let id = place.client.end(&job["id"])["pictures"][0].as_str().unwrap().to_owned();
    std::fs::write(place.gallery().join(&id).join("picture.png"), png(&large.to_string())).unwrap();
    let list = place.client.get("/api/gallery").json();
    assert_eq!((&list["entries"], &list["damaged"][0]["id"]), (&json!([]), &json!(id)));
}

#[test]
fn a_client_has_a_part_of_the_queue() {
    let place = Place::with(|config| {
        config.token = Some(TOKEN.to_owned());
        config.limits.max_queue_per_client = 1;
    });
    // A proxy on this machine says whose request it passes on; what a client says of itself stands before that.
    let send = |forwarded: &str| {
        let body = json!({ "prompt": "paint", "steps": 250 }).to_string();
        let bearer = format!("Bearer {TOKEN}");
        let headers =
            [("Content-Type", "application/json"), ("Authorization", bearer.as_str()), ("X-Forwarded-For", forwarded)];
        place.client.send("POST", "/api/generate", &headers, body.as_bytes())
    };
    let running = send("10.0.0.1").json()["id"].clone();
    until("it is drawn", || {
        owner(&place, &format!("/api/jobs/{}", running.as_str().unwrap())).json()["state"] == "running"
    });
    assert_eq!(send("10.0.0.1").status, 202);
    assert_limit(&send("10.0.0.1"), 429, "max_queue_per_client");
    assert_limit(&send("10.9.9.9, 10.0.0.1"), 429, "max_queue_per_client");
    assert_eq!(send("10.0.0.2").status, 202);
}

#[test]
fn a_full_gallery_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), vec![0; 1 << 20]).unwrap();
    let place = Place::with(|config| {
        config.gallery = folder.path().to_owned();
        config.limits.max_gallery_mib = 1;
    });
    assert_limit(&place.client.post("/api/generate", &json!({ "prompt": "paint" })), 503, "max_gallery_mib");
    std::fs::remove_file(folder.path().join("large")).unwrap();
    place.client.submit(&json!({}));
}

#[test]
fn answers_have_no_paths_of_the_machine() {
    let place = Place::new();
    let job = place.client.submit(&json!({ "prompt": "fail" }));
    let error = place.client.end(&job["id"])["error"].clone();
    assert_eq!(error, "cannot read '…/paint.json': the paint is dry");
    let gallery = place.gallery();
    std::fs::remove_dir_all(&gallery).unwrap();
    std::fs::write(&gallery, "a file").unwrap();
    let parent = gallery.parent().unwrap().to_str().unwrap();
    let list = place.client.get("/api/gallery");
    assert_eq!(list.status, 500, "{}", list.text());
    let refused = place.client.post("/api/generate", &json!({ "prompt": "paint" }));
    for answer in [list, refused] {
        assert!(answer.status >= 500 && !answer.text().contains(parent), "{}", answer.text());
    }
}

#[cfg(unix)]
#[test]
fn a_damaged_entry_is_named_and_links_are_not_followed() {
    let place = Place::new();
    let ids: Vec<_> = (0..4)
        .map(|_| {
            let job = place.client.submit(&json!({ "compare": true }));
            place.client.end(&job["id"])["pictures"][0].as_str().unwrap().to_owned()
        })
        .collect();
    let entry = |number: usize| place.gallery().join(&ids[number]);
    std::fs::write(entry(0).join("run.json"), "[]").unwrap();
    std::fs::write(entry(1).join("picture.png"), "no picture").unwrap();
    let secret = place.gallery().parent().unwrap().join("secret.png");
    std::fs::write(&secret, png("{\"prompt\": \"secret\"}")).unwrap();
    for (number, name) in [(2, "picture.png"), (2, "plain.png"), (2, "run.json")] {
        std::fs::remove_file(entry(number).join(name)).unwrap();
        std::os::unix::fs::symlink(&secret, entry(number).join(name)).unwrap();
    }
    // The folder itself, too.
    let elsewhere = place.gallery().parent().unwrap().join("elsewhere");
    std::fs::rename(entry(3), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, entry(3)).unwrap();

    let list = place.client.get("/api/gallery").json();
    assert_eq!(list["entries"].as_array().unwrap().len(), 1);
    let mut damaged: Vec<_> =
        list["damaged"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
    damaged.sort();
    assert_eq!(damaged, ids[1..]);
    for id in &ids[2..] {
        for name in ["picture.png", "plain.png", "run.json", "report.html"] {
            let answer = place.client.get(&format!("/api/gallery/{id}/{name}"));
            assert_eq!(answer.status, 404, "{id}/{name}: {}", answer.text());
        }
    }
    for name in ["run.json", "report.html"] {
        let answer = place.client.get(&format!("/api/gallery/{}/{name}", ids[0]));
        assert!(answer.status < 500, "{name}: {}", answer.text());
    }
    // It goes on, and what is damaged can be removed.
    assert_eq!(place.client.delete(&format!("/api/gallery/{}", ids[1])).status, 204);
    assert_eq!(place.client.delete(&format!("/api/gallery/{}", ids[3])).status, 204);
    assert!(elsewhere.join("picture.png").exists());
}

#[test]
fn what_lies_in_the_gallery_keeps_no_server_from_its_start() {
    let folder = tempfile::tempdir().unwrap();
    for name in [".ae-unfinished-123456789012", ".ae-foreign", ".queue"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let place = Place::with(|config| config.gallery = folder.path().to_owned());
    assert_eq!(place.client.get("/api/gallery").status, 200);
    // Where the queue cannot be kept, no job is taken.
    let refused = place.client.post("/api/generate", &json!({ "prompt": "paint" }));
    assert!(
        refused.status == 500 && refused.error().starts_with("the job cannot be kept on the disk"),
        "{}",
        refused.text()
    );
}

#[test]
fn refusals_are_as_careful_as_answers() {
    let place = with_token();
    let opened = place.client.get(&format!("/?token={TOKEN}"));
    let cross = place.client.send(
        "POST",
        "/api/generate",
        &[("Authorization", &format!("Bearer {TOKEN}")), ("Origin", "http://evil.example")],
        b"",
    );
    for (answer, status) in
        [(place.client.get("/"), 401), (cross, 403), (opened, 303), (owner(&place, "/nothing"), 404)]
    {
        assert_eq!(answer.status, status);
        assert!(answer.header("content-security-policy").starts_with("default-src 'self'"), "{status}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{status}");
        }
    }
    // Cookies go to every port of a host: each server has its own.
    let cookie = place.client.get(&format!("/?token={TOKEN}")).header("set-cookie");
    assert!(cookie.starts_with(&format!("ae_token_{}=", place.client.0.port())), "{cookie}");
}
