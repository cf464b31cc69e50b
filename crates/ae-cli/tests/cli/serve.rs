//! The studio with the embedded model: what it draws, and what is left of it when it ends.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::Place;

use crate::client::Client;
use crate::crowd::{Dice, fifty_clients, median, pictures, who_are_slow, who_never_read};

/// A studio that runs in a folder.
pub(crate) struct Studio {
    process: Child,
    pub(crate) client: Client,
    pub(crate) url: String,
}

impl Studio {
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let args = [&["serve", "--port", "0", "--gallery", "gallery"], args].concat();
        let log = std::fs::File::create(place.path().join("log")).unwrap();
        let mut process = place.command(&args).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        let address = url.trim_start_matches("http://").split('/').next().unwrap();
        let address: SocketAddr = address.parse().unwrap_or_else(|error| panic!("{error}: '{url}'"));
        let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
        Self { process, client: Client::new(address), url }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Ends it by a signal; its exit code, none where it was killed.
    fn end(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Memory in bytes that the process has in use.
    #[cfg(target_os = "linux")]
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn names(values: &[Value]) -> BTreeSet<String> {
    values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// Every entry that is listed has a whole picture and a whole run, and nothing else lies in the folder.
fn assert_gallery_is_whole(studio: &Studio, folder: &Path) -> BTreeSet<String> {
    let listed = names(&studio.client.gallery());
    for id in &listed {
        let picture = studio.client.get(&format!("/api/gallery/{id}/picture.png"));
        image::load_from_memory(&picture.body).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(studio.client.get(&format!("/api/gallery/{id}/run.json")).json()["runs"].is_array());
    }
    let mut found: BTreeSet<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // Beside the pictures: the lock, and the jobs that wait.
    found.retain(|name| !name.starts_with('.'));
    assert_eq!(listed, found);
    found
}

#[test]
fn a_picture_of_the_studio_is_that_of_its_command() {
    let place = Place::new();
    let studio = Studio::start(&place, &[]);
    let models = studio.client.get("/api/models").json();
    assert_eq!((&models["models"][0]["id"], &models["models"][0]["loaded"]), (&json!("embedded"), &json!(true)));
    let tokens = studio.client.post("/api/tokens", &json!({ "prompt": "a cat and a zebra and a cat" })).json();
    let subjects: Vec<_> =
        tokens["words"].as_array().unwrap().iter().filter(|word| word["automatic"] == true).collect();
    assert_eq!((&subjects[2]["subject"], &subjects[1]["positions"]), (&json!("cat#2"), &json!([5, 6, 7, 8])));

    let request = json!({ "prompt": "a cat and a frog", "subjects": ["frog"], "seeds": [3], "steps": 6, "compare": true,
        "negative_prompt": "grün", "scheduler": "ddim", "attend_and_excite": { "smoothing": false, "thresholds": { "1": 0.9 } } });
    let job = studio.client.post("/api/generate", &request);
    assert_eq!(job.status, 202, "{}", job.text());
    let job = studio.client.end(&job.json()["id"]);
    assert_eq!(job["state"], "done", "{job}");
    let id = job["pictures"][0].as_str().unwrap();
    let get = |name: &str| studio.client.get(&format!("/api/gallery/{id}/{name}"));
    let run = get("run.json").json();
    assert_eq!((&run["subjects"][0]["text"], run["runs"].as_array().unwrap().len()), (&json!("frog"), 2));
    let steps = run["runs"][0]["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["maps"]["tokens"]), (6, &json!([1, 2, 3, 4, 5])));

    // The command that the run names draws the same picture, and its settings can be asked for again.
    let words = shlex::split(run["command"].as_str().unwrap()).unwrap();
    let outcome = place.run(&words[1..].iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let file = |name: &str| std::fs::read(place.path().join("outputs/a cat and a frog").join(name)).unwrap();
    let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().into_rgb8();
    for (shown, drawn) in [("picture.png", "3.png"), ("plain.png", "3-plain.png")] {
        let (shown, drawn) = (pixels(&get(shown).body), pixels(&file(drawn)));
        // Where attention is looked at its sums are in another order.
        let difference = shown.iter().zip(drawn.iter()).map(|(one, other)| one.abs_diff(*other)).max();
        assert!(shown.dimensions() == drawn.dimensions() && difference <= Some(1), "{difference:?}");
    }
    for picture in [get("picture.png").body, file("3.png")] {
        let restored = studio.client.send("POST", "/api/settings", &[("Content-Type", "image/png")], &picture).json();
        let settings = &restored["settings"];
        for key in ["prompt", "subjects", "seeds", "steps", "negative_prompt", "scheduler"] {
            assert_eq!(settings[key], request[key], "{key}");
        }
        assert_eq!(settings["model"], "embedded");
        assert_eq!(settings["attend_and_excite"]["smoothing"], false);
        assert_eq!(settings["attend_and_excite"]["thresholds"], json!({ "1": 0.9 }));
    }
}

#[test]
fn what_cannot_be_drawn_is_refused_before_it_waits() {
    let place = Place::new();
    let studio = Studio::start(&place, &[]);
    for (request, expected) in [
        (json!({ "prompt": "a cat", "subjects": ["dog"] }), "'dog' is not in the prompt"),
        (json!({ "prompt": "a cat", "token_indices": [40] }), "token index 40 is padding"),
        (json!({ "prompt": "the red" }), "the prompt 'the red' has no word"),
        (json!({ "prompt": "a cat", "model": "../../etc" }), "there is no model '../../etc'"),
        (json!({ "prompt": "a cat", "device": "tpu" }), "there is no device 'tpu'"),
        (json!({ "prompt": "a cat", "scheduler": "runge" }), "scheduler is \"runge\""),
        (json!({ "prompt": "a cat", "method": "magic" }), "method is \"magic\""),
        (json!({ "prompt": "a cat", "attend_and_excite": { "sigma": 0.0 } }), "attend_and_excite.sigma is 0"),
        (json!({ "prompt": "a cat", "width": 101 }), "width is 101"),
        (json!({ "prompt": "a cat", "dtype": "f16" }), "dtype is \"f16\": the studio was started with \"f32\""),
        (json!({ "prompt": "a cat", "loras": [{ "name": "a.safetensors" }] }), "there is no LoRA 'a.safetensors' here"),
        (
            json!({ "prompt": "a cat", "init_image": { "name": "a.png" } }),
            "init_image names the image 'a.png' without its SHA-256",
        ),
        (json!({ "prompt": "a cat", "mask": { "name": "a.png" } }), "mask names the image 'a.png' without its SHA-256"),
        (json!({ "prompt": "a cat", "mask_blur": 4 }), "mask_blur is 4: expected a mask with it"),
    ] {
        let answer = studio.client.post("/api/generate", &request);
        assert_eq!(answer.status, 422, "{request}: {}", answer.text());
        assert!(answer.error().starts_with(expected), "{}", answer.error());
    }
}

/// Nothing that was accepted is lost: what was finished stays as it is, the rest is drawn after the restart.
#[test]
fn a_killed_studio_goes_on_where_it_was() {
    let place = Place::new();
    let folder = place.path().join("gallery");
    let (mut accepted, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..3 {
        let studio = Studio::start(&place, &[]);
        assert!(assert_gallery_is_whole(&studio, &folder).is_superset(&seen));
        for seed in 0..4 {
            let job = studio.client.submit(&json!({ "prompt": "a cat", "seeds": [seed, seed + 10], "steps": 2 }));
            let id = job["id"].as_str().unwrap().to_owned();
            accepted.extend([format!("{id}-000"), format!("{id}-001")]);
        }
        // Somewhere in the middle, at another place each time.
        std::thread::sleep(Duration::from_millis(150 + 130 * round));
        let jobs = studio.client.get("/api/jobs").json();
        let finished =
            jobs["jobs"].as_array().unwrap().iter().flat_map(|job| job["pictures"].as_array().unwrap().clone());
        seen.extend(names(&finished.collect::<Vec<_>>()));
        assert_eq!(studio.end("-KILL"), None);
    }
    let drawn = |id: &String| std::fs::metadata(folder.join(id).join("picture.png")).unwrap().modified().unwrap();
    let before: Vec<_> = seen.iter().map(drawn).collect();
    let studio = Studio::start(&place, &[]);
    let is_open = |job: &Value| ["queued", "running"].contains(&job["state"].as_str().unwrap());
    while studio.client.get("/api/jobs").json()["jobs"].as_array().unwrap().iter().any(is_open) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(assert_gallery_is_whole(&studio, &folder), accepted);
    assert_eq!(seen.iter().map(drawn).collect::<Vec<_>>(), before);
}

#[test]
fn a_signal_ends_the_step_and_keeps_the_queue() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new();
        let studio = Studio::start(&place, &[]);
        let first = studio.client.submit(&json!({ "prompt": "a cat", "steps": 1 }));
        studio.client.end(&first["id"]);
        // One step of it takes far longer than the test.
        let running = studio.client.submit(&json!({ "prompt": "a cat", "steps": 2, "width": 1024, "height": 1024 }));
        let waiting = studio.client.submit(&json!({ "prompt": "a frog", "steps": 1 }));
        studio.client.wait(&running["id"], |job| job["run"].is_object());
        let start = Instant::now();
        assert_eq!(studio.end(signal), Some(0));
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let again = Studio::start(&place, &[]);
        let log = std::fs::read_to_string(place.path().join("log")).unwrap();
        assert!(log.contains("2 job(s) that waited when the studio was closed go on"), "{log}");
        assert_eq!(assert_gallery_is_whole(&again, &place.path().join("gallery")).len(), 1);
        // The one that was drawn comes first; it is ended in the middle of a step.
        again.client.wait(&running["id"], |job| job["run"].is_object());
        assert_eq!(again.client.job(&waiting["id"])["state"], "queued");
        let start = Instant::now();
        again.client.delete(&format!("/api/jobs/{}", running["id"].as_str().unwrap()));
        let ended = again.client.end(&running["id"]);
        assert_eq!((&ended["state"], &ended["step"]), (&json!("cancelled"), &json!(0)));
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(again.client.end(&waiting["id"])["state"], "done");
    }
}

#[test]
fn the_log_names_requests_by_their_ids() {
    let place = Place::new();
    let studio = Studio::start(&place, &["--verbose", "--limit", "max_queue=7", "--limit", "max_picture=1M"]);
    let info = studio.client.get("/api/info").json();
    assert_eq!((&info["limits"]["max_queue"], &info["limits"]["max_picture"]), (&json!(7), &json!(1 << 20)));
    let missing = studio.client.get("/nothing/%1b%5b2J");
    let id = missing.header("x-request-id");
    let job = studio.client.submit(&json!({ "prompt": "a cat", "steps": 1 }));
    studio.client.end(&job["id"]);
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    let line = log.lines().find(|line| line.contains(&format!("id=\"{id}\""))).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("status=404") && line.contains("GET /nothing/"), "{line}");
    assert!(log.contains(&format!("a job ended job={}", job["id"])), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    for (limit, expected) in
        [("max_quue=1", "there is no limit 'max_quue'"), ("max_queue=few", "the limit max_queue is 'few'")]
    {
        let outcome = place.run(&["serve", "--port", "0", "--gallery", "other", "--limit", limit]);
        assert!(outcome.code == Some(2) && outcome.stderr.contains(expected), "{outcome}");
    }
}

/// What a client reads names the model by its folder's name, not where it lies.
#[test]
fn answers_have_no_path_of_the_model() {
    let place = Place::new();
    let folder = place.path().join("models of ann");
    std::fs::create_dir(&folder).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(ae_tests::sprites(), folder.join("small")).unwrap();
    let model = folder.join("small");
    let studio = Studio::start(&place, &["--model", model.to_str().unwrap()]);
    let job = studio.client.submit(&json!({ "prompt": "a cat", "steps": 1 }));
    let job = studio.client.end(&job["id"]);
    let entry = format!("/api/gallery/{}", job["pictures"][0].as_str().unwrap());
    for path in [
        "/api/models",
        "/api/devices",
        "/api/jobs",
        &entry,
        &format!("{entry}/run.json"),
        &format!("{entry}/report.html"),
    ] {
        let answer = studio.client.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("models of ann"), "{path}");
    }
    let run = studio.client.get(&format!("{entry}/run.json")).json();
    assert!(run["command"].as_str().unwrap().contains("--model small"), "{}", run["command"]);
}

#[test]
fn the_studio_says_why_it_does_not_open() {
    let place = Place::new();
    let studio = Studio::start(&place, &[]);
    let port = studio.client.0.port().to_string();
    let fails = |args: &[&str]| {
        let outcome = place.run(&[&["serve"], args].concat());
        assert_eq!(outcome.code, Some(1), "{outcome}");
        outcome.stderr
    };
    let taken = fails(&["--port", &port, "--gallery", "other"]);
    assert!(taken.starts_with(&format!("error: cannot listen on 127.0.0.1:{port}")), "{taken}");
    assert!(fails(&["--port", "0", "--gallery", "gallery"]).contains("in use by another server"));
    assert!(fails(&["--port", "0", "--token", "short", "--gallery", "other"]).contains("at least 16 characters"));
    std::fs::write(place.path().join("file"), "").unwrap();
    assert!(fails(&["--port", "0", "--gallery", "file"]).contains("cannot write to 'file': not a directory"));
    assert!(fails(&["--port", "0", "--device", "cuda:0"]).contains("cuda"));
}

#[test]
fn another_address_has_a_token() {
    let place = Place::new();
    let studio = Studio::start(&place, &["--listen", "0.0.0.0"]);
    let token = studio.url.split_once("?token=").unwrap().1;
    assert_eq!(token.len(), 32);
    assert_eq!(studio.client.get("/api/info").status, 401);
    let bearer = format!("Bearer {token}");
    assert_eq!(studio.client.send("GET", "/api/info", &[("Authorization", &bearer)], b"").status, 200);
}

/// Two minutes of fifty clients, of twenty that never read and two hundred that are slow, then a kill at work: answers stay quick, memory is
/// given back, every accepted job comes to an end, and the gallery has exactly the finished ones.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "two minutes of load; .ci/run does it"]
#[expect(clippy::print_stderr, reason = "what was measured")]
fn fifty_clients_for_two_minutes() {
    const MOST_GROWTH: u64 = 200 << 20;
    const MOST_KEPT: u64 = 50 << 20;
    let place = Place::new();
    let studio = Studio::start(&place, &[]);
    let drawing = json!({ "prompt": "a cat and a frog", "seeds": [1], "steps": 10, "compare": true });
    let mut first = vec![studio.client.end(&studio.client.submit(&drawing)["id"])];
    let request = |dice: &mut Dice| {
        json!({ "prompt": "a cat and a frog", "seeds": [dice.roll(99)], "steps": 1 + dice.roll(4),
            "compare": dice.roll(3) == 0, "attend_and_excite": { "thresholds": {} } })
    };
    // One client, while pictures are drawn.
    let mut quiet = Vec::new();
    for seed in 0..20 {
        let start = Instant::now();
        let job = studio.client.submit(&json!({ "prompt": "a cat and a frog", "seeds": [seed], "steps": 2 }));
        quiet.push(start.elapsed());
        first.push(studio.client.end(&job["id"]));
    }
    let (before, peak, is_over) = (studio.memory(), AtomicU64::new(0), AtomicBool::new(false));
    let crowd = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                peak.fetch_max(studio.memory(), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        scope.spawn(|| who_never_read(studio.client, 20, &is_over));
        scope.spawn(|| who_are_slow(studio.client, 200, &is_over));
        let crowd = fifty_clients(studio.client, Duration::from_mins(2), request);
        is_over.store(true, Ordering::SeqCst);
        crowd
    });
    let jobs = crowd.ended(studio.client);
    let folder = place.path().join("gallery");
    let kept = assert_gallery_is_whole(&studio, &folder);
    let (accepted, refused, peak, after) = (jobs.len(), crowd.refused, peak.into_inner(), studio.memory());
    let (quiet, busy) = (median(quiet), median(crowd.answers.clone()));
    eprintln!(
        "{accepted} jobs accepted, {refused} refused, {} pictures; {} MB before, {} MB at most, {} MB after; \
         the median answer took {quiet:?} alone and {busy:?} in the crowd",
        kept.len(),
        before >> 20,
        peak >> 20,
        after >> 20
    );
    assert!(peak < before + MOST_GROWTH, "memory grew from {before} to {peak} bytes");
    assert!(after < before + MOST_KEPT, "of {before} bytes of memory {after} became");
    assert!(busy < 2 * quiet, "answers took {busy:?} in place of {quiet:?}");
    for job in jobs.iter().chain(&crowd.ends) {
        assert!(["done", "cancelled"].contains(&job["state"].as_str().unwrap()), "{job}");
    }
    let mut finished = names(&pictures(&jobs));
    finished.extend(names(&pictures(&first)));
    assert_eq!(kept, finished);

    let jobs: Vec<_> = (0..5)
        .map(|seed| studio.client.submit(&json!({ "prompt": "a cat and a frog", "seeds": [seed], "steps": 2 })))
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(studio.end("-KILL"), None);
    let again = Studio::start(&place, &[]);
    for job in &jobs {
        // It had ended before, or is drawn now.
        let job = again.client.job(&job["id"]);
        assert!(job["id"].is_null() || again.client.end(&job["id"])["state"] == "done", "{job}");
    }
    let after = assert_gallery_is_whole(&again, &folder);
    assert!(after.is_superset(&kept) && after.len() == kept.len() + 5);
}
