//! Jobs from their acceptance to their end.

use serde_json::{Value, json};

use crate::client::Client;
use crate::place::Place;

#[test]
fn a_job_is_queued_drawn_and_kept() {
    let place = Place::new();
    let job = place.client.submit(&json!({ "seeds": [1, 2], "compare": true }));
    assert_eq!((&job["state"], &job["request"]["seeds"]), (&json!("queued"), &json!([1, 2])));
    let job = place.client.end(&job["id"]);
    assert_eq!((&job["state"], &job["error"]), (&json!("done"), &Value::Null));
    // Every run says it, a client hears it once; the time stays.
    assert_eq!(job["notes"], json!(["nothing of it has an effect"]));
    let seconds = job["seconds"].as_f64().unwrap();
    assert!(seconds > 0.02, "{seconds}"); // 4 runs of 5 steps of 2 ms
    assert_eq!(place.client.get(&format!("/api/jobs/{}", job["id"].as_str().unwrap())).json()["seconds"], seconds);
    let mut pictures = job["pictures"].as_array().unwrap().clone();
    pictures.reverse();
    assert_eq!(place.client.gallery(), pictures);
    assert_eq!(pictures.len(), 2);
    assert_eq!(place.client.get("/api/jobs").json()["jobs"][0]["id"], job["id"]);
}

#[test]
fn without_a_seed_one_is_chosen() {
    let place = Place::new();
    let answer = place.client.post("/api/generate", &json!({ "prompt": "paint" }));
    let job = answer.json();
    assert_eq!(job["request"]["seeds"].as_array().unwrap().len(), 1, "{job}");
    assert_eq!(place.client.end(&job["id"])["state"], "done");
}

#[test]
fn events_tell_a_job_to_its_end() {
    let place = Place::new();
    let job = place.client.submit(&json!({ "compare": true }));
    let events: Vec<_> = place.client.events(&job["id"]).collect();
    assert_eq!((events[0].0.as_str(), &events[0].1["id"]), ("job", &job["id"]));
    let of = |name: &str| events.iter().filter(|(known, _)| known == name).map(|(_, data)| data).collect::<Vec<_>>();
    let (starts, steps, losses) = (of("start"), of("step"), of("loss"));
    assert_eq!((starts.len(), steps.len(), losses.len() >= 9), (2, 10, true), "{events:?}");
    assert_eq!((&starts[0]["method"], &starts[1]["method"]), (&json!("attend-and-excite"), &json!("stable-diffusion")));
    assert_eq!(starts[0]["terms"], json!([{ "name": "paint", "subject": 0 }]));
    assert_eq!((&starts[1]["run"], &steps[9]["run"], &steps[9]["step"]), (&json!(1), &json!(1), &json!(4)));
    assert_eq!((&steps[0]["maps"]["peak"], &steps[0]["num_steps"]), (&json!(0.5), &json!(5)));
    let last = &events.last().unwrap();
    assert_eq!((last.0.as_str(), &last.1["state"]), ("job", &json!("done")));
    assert_eq!(last.1["pictures"].as_array().unwrap().len(), 1);
    // Who comes after the end hears of the end.
    let late: Vec<_> = place.client.events(&job["id"]).collect();
    assert_eq!((late.len(), &late[0].1["state"]), (1, &json!("done")));
}

#[test]
fn who_comes_in_the_middle_gets_the_steps_so_far() {
    let place = Place::new();
    let job = place.client.submit(&json!({ "steps": 100 }));
    place.client.wait(&job["id"], |job| job["step"].as_u64() > Some(10));
    let events: Vec<_> = place.client.events(&job["id"]).collect();
    assert_eq!((events[0].0.as_str(), events[1].0.as_str()), ("job", "start"));
    let steps: Vec<_> = events.iter().filter(|(name, _)| name == "step").map(|(_, step)| &step["step"]).collect();
    assert_eq!(steps, (0..100).map(Value::from).collect::<Vec<_>>().iter().collect::<Vec<_>>());
}

#[test]
fn jobs_are_cancelled_while_they_wait_and_while_they_are_drawn() {
    let place = Place::new();
    let running = place.client.submit(&json!({ "steps": 250, "seeds": [1, 2] }));
    let waiting = place.client.submit(&json!({}));
    let behind = place.client.submit(&json!({}));
    place.client.wait(&running["id"], |job| job["state"] == "running");
    assert_eq!(place.client.job(&behind["id"])["position"], 2);
    let cancel = |job: &Value| place.client.delete(&format!("/api/jobs/{}", job["id"].as_str().unwrap()));
    assert_eq!(cancel(&waiting).json()["state"], "cancelled");
    assert_eq!(place.client.job(&behind["id"])["position"], 1);
    assert_eq!(cancel(&running).status, 200);
    assert_eq!(place.client.end(&running["id"])["state"], "cancelled");
    assert_eq!(place.client.end(&behind["id"])["state"], "done");
    // A job that has ended stays as it is.
    assert_eq!(cancel(&behind).json()["state"], "done");
    assert_eq!(place.client.gallery().len(), 1);
}

#[test]
fn a_bad_job_ends_alone() {
    let place = Place::new();
    for (prompt, expected) in
        [("fail", "the paint is dry"), ("panic", "the program failed: as asked for; this is a bug")]
    {
        let job = place.client.submit(&json!({ "prompt": prompt }));
        let job = place.client.end(&job["id"]);
        assert_eq!((&job["state"], &job["error"]), (&json!("failed"), &json!(expected)));
    }
    let refused = place.client.post("/api/generate", &json!({ "prompt": "refuse" }));
    assert_eq!((refused.status, refused.error().as_str()), (422, "this prompt is refused"));
    assert_eq!(refused.json()["field"], "prompt");
    let job = place.client.submit(&json!({}));
    assert_eq!(place.client.end(&job["id"])["state"], "done");
}

/// Plain sampling has no plain picture beside it: a job that asks for one counts its runs all the same.
#[test]
fn plain_sampling_is_not_compared_with_itself() {
    let place = Place::new();
    let job = place.client.submit(&json!({ "compare": true, "method": "stable-diffusion", "steps": 100 }));
    let job = place.client.wait(&job["id"], |job| job["run"].is_object());
    assert_eq!((&job["run"]["of"], &job["run"]["method"]), (&json!(1), &json!("stable-diffusion")));
}

#[test]
fn a_full_queue_refuses() {
    let place = Place::with(|config| config.limits.max_queue = 2);
    let running = place.client.submit(&json!({ "steps": 250 }));
    place.client.wait(&running["id"], |job| job["state"] == "running");
    for _ in 0..2 {
        place.client.submit(&json!({}));
    }
    let refused = place.client.post("/api/generate", &json!({ "prompt": "paint" }));
    assert_eq!((refused.status, refused.error().as_str()), (429, "2 jobs wait already: try again later"));
}

#[test]
fn a_client_that_goes_away_leaves_its_job() {
    let place = Place::new();
    let job = place.client.submit(&json!({ "steps": 50 }));
    let mut events = place.client.events(&job["id"]);
    events.next().unwrap();
    drop(events);
    assert_eq!(place.client.end(&job["id"])["state"], "done");
}

#[test]
fn stopping_ends_every_job_and_keeps_the_gallery_whole() {
    let mut place = Place::new();
    let done = place.client.submit(&json!({}));
    place.client.end(&done["id"]);
    let running = place.client.submit(&json!({ "steps": 250 }));
    place.client.submit(&json!({}));
    place.client.wait(&running["id"], |job| job["state"] == "running");
    let client: Client = place.client;
    let id = running["id"].clone();
    let listener = std::thread::spawn(move || client.events(&id).last());
    std::thread::sleep(std::time::Duration::from_millis(50));
    place.stop();
    let (name, last) = listener.join().unwrap().unwrap();
    assert_eq!((name.as_str(), &last["state"]), ("job", &json!("cancelled")));
    let entries = Place::files(&place.gallery());
    assert_eq!(entries.len(), 2, "{entries:?}"); // with the lock
    assert!(entries[1].starts_with(done["id"].as_str().unwrap()));
}

#[test]
fn a_request_is_told_in_other_words() {
    let place = Place::new();
    let request =
        json!({ "prompt": "a cat and a dog", "steps": 12, "seeds": [7, 8], "compare": true, "scheduler": "euler" });
    let texts = place.client.post("/api/texts", &request).json();
    assert_eq!(
        texts["command"],
        "ae generate --prompt 'a cat and a dog' --steps 12 --scheduler euler '--seeds=7,8' --compare"
    );
    let parameters = texts["parameters"].as_str().unwrap();
    assert!(parameters.starts_with("a cat and a dog\n"), "{parameters}");
    for field in ["Steps: 12", "Sampler: Euler", "Seed: 7"] {
        assert!(parameters.contains(field), "{parameters}");
    }
    let refused = place.client.post("/api/texts", &json!({ "prompt": "paint", "steps": 0 }));
    assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("steps")));
}
