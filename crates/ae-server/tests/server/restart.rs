//! What is left of the queue when a server ends, and what the next one makes of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::Place;

/// A server on the gallery of another one that has ended.
fn again(before: &Place) -> Place {
    let gallery = before.gallery();
    Place::with(|config| config.gallery = gallery)
}

#[test]
fn a_restart_goes_on_with_the_queue() {
    let mut place = Place::new();
    let done = place.client.submit(&json!({}));
    place.client.end(&done["id"]);
    let running = place.client.submit(&json!({ "seeds": [1, 2, 3, 4], "steps": 250 }));
    let waiting =
        place.client.submit(&json!({ "seeds": [3], "subjects": ["paint"], "attend_and_excite": { "sigma": 0.25 } }));
    let cancelled = place.client.submit(&json!({}));
    place.client.delete(&format!("/api/jobs/{}", cancelled["id"].as_str().unwrap()));
    let first = place.client.wait(&running["id"], |job| !job["pictures"].as_array().unwrap().is_empty());
    let (client, id) = (place.client, running["id"].clone());
    let mut events = client.events(&id);
    assert_eq!(events.next().unwrap().1["state"], "running");
    place.stop();
    // Who listens hears that it waits, and that nothing more comes.
    assert_eq!(events.last().unwrap().1["state"], "queued");
    assert_eq!(Place::files(&place.gallery().join(".queue")).len(), 2);
    let picture = place.gallery().join(first["pictures"][0].as_str().unwrap()).join("picture.png");
    let drawn = std::fs::metadata(&picture).unwrap().modified().unwrap();

    let again = again(&place);
    let job = again.client.end(&running["id"]);
    assert_eq!((&job["state"], job["pictures"].as_array().unwrap().len()), (&json!("done"), 4));
    let second = again.client.end(&waiting["id"]);
    assert_eq!((&second["state"], &second["created"]), (&json!("done"), &waiting["created"]));
    let entry = again.client.get(&format!("/api/gallery/{}", second["pictures"][0].as_str().unwrap())).json();
    assert_eq!(entry["settings"]["attend_and_excite"]["sigma"], 0.25);
    // What was finished is not drawn again, and what had ended does not come back.
    assert_eq!(std::fs::metadata(&picture).unwrap().modified().unwrap(), drawn);
    assert_eq!(again.client.gallery().len(), 6);
    assert_eq!(again.client.get("/api/jobs").json()["jobs"].as_array().unwrap().len(), 2);
    assert!(Place::files(&place.gallery().join(".queue")).is_empty());
}

#[test]
fn a_restart_keeps_the_order_that_was_chosen() {
    let mut place = Place::new();
    let running = place.client.submit(&json!({ "steps": 250 }))["id"].clone();
    place.client.wait(&running, |job| job["state"] == "running");
    let [a, b, c] = [1, 2, 3].map(|seed| place.client.submit(&json!({ "seeds": [seed] }))["id"].clone());
    place.client.post(&format!("/api/jobs/{}/place", c.as_str().unwrap()), &json!({ "place": 0 }));
    let later = place.client.submit(&json!({}))["id"].clone();
    place.stop();
    let again = again(&place);
    // A place that cannot be kept is said.
    let order = place.gallery().join(".queue/order");
    std::fs::remove_file(&order).unwrap();
    std::fs::create_dir(&order).unwrap();
    let failed = again.client.post(&format!("/api/jobs/{}/place", later.as_str().unwrap()), &json!({ "place": 9 }));
    assert_eq!(
        (failed.status, failed.error().contains("its place is lost at a restart")),
        (500, true),
        "{}",
        failed.text()
    );
    std::fs::remove_dir(&order).unwrap();
    for id in [&running, &c, &a, &b, &later] {
        assert_eq!(again.client.end(id)["state"], "done");
    }
    // Of those that have ended the last comes first.
    let jobs = again.client.get("/api/jobs").json();
    let ended: Vec<_> = jobs["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect();
    assert_eq!(ended, [later, b, a, c, running]);
}

#[test]
fn a_finished_picture_that_was_removed_is_not_drawn_again() {
    let mut place = Place::new();
    let job = place.client.submit(&json!({ "seeds": [1, 2, 3], "steps": 250 }));
    let first = place.client.wait(&job["id"], |job| !job["pictures"].as_array().unwrap().is_empty());
    let entry = first["pictures"][0].as_str().unwrap();
    place.client.wait(&job["id"], |job| job["run"]["seed"].as_u64() > Some(1));
    assert_eq!(place.client.delete(&format!("/api/gallery/{entry}")).status, 204);
    place.stop();
    let again = again(&place);
    assert_eq!(again.client.end(&job["id"])["state"], "done");
    assert_eq!(again.client.gallery().len(), 2);
}

#[test]
fn a_damaged_job_keeps_no_other_from_its_turn() {
    let mut place = Place::new();
    let running = place.client.submit(&json!({ "steps": 250 }));
    place.client.wait(&running["id"], |job| job["state"] == "running");
    let waiting = place.client.submit(&json!({}));
    place.stop();
    let queue = place.gallery().join(".queue");
    std::fs::write(queue.join(format!("{}.json", running["id"].as_str().unwrap())), "[1, 2").unwrap();
    let unknown = json!({ "created": 1, "client": null, "request": { "prompt": "a", "unknown": 1 }, "pictures": [] });
    std::fs::write(queue.join("1700000000000-000000.json"), unknown.to_string()).unwrap();
    let again = again(&place);
    assert_eq!(again.client.end(&waiting["id"])["state"], "done");
    assert_eq!(again.client.get(&format!("/api/jobs/{}", running["id"].as_str().unwrap())).status, 404);
}

/// A client that waits for its pictures is told; the job is not lost.
#[test]
fn txt2img_hears_that_the_server_stops() {
    let mut place = Place::new();
    let client = place.client;
    let asked =
        std::thread::spawn(move || client.post("/sdapi/v1/txt2img", &json!({ "prompt": "paint", "steps": 250 })));
    let running = |job: &Value| job["state"] == "running";
    let start = Instant::now();
    while !client.get("/api/jobs").json()["jobs"].as_array().unwrap().iter().any(running) {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    place.stop();
    let answer = asked.join().unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.error().contains("go on when it is started again"), "{}", answer.error());
    assert_eq!(Place::files(&place.gallery().join(".queue")).len(), 1);
}

#[test]
fn a_step_that_takes_long_is_not_waited_for() {
    let mut place = Place::with(|config| config.limits.stop_ms = 100);
    let job = place.client.submit(&json!({ "prompt": "stuck" }));
    place.client.wait(&job["id"], |job| job["state"] == "running");
    let start = Instant::now();
    place.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(Place::files(&place.gallery().join(".queue")).len(), 1);
}
