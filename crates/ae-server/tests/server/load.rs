//! Many clients at once. For two minutes and with a model, `tests/cli/serve.rs` of ae-cli does it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::crowd::{Dice, fifty_clients, median, pictures, who_are_slow, who_never_read};
use crate::place::Place;

/// Among clients that never read and slow ones, every accepted job comes to an end, and the gallery lists exactly what was finished.
#[test]
fn fifty_clients_at_random() {
    let place = Place::with(|config| config.limits.max_queue = 20);
    let request = |dice: &mut Dice| {
        json!({ "prompt": if dice.roll(10) == 0 { "fail" } else { "paint" }, "seeds": [dice.roll(99)],
            "steps": 1 + dice.roll(8), "compare": dice.roll(2) == 0 })
    };
    let is_over = AtomicBool::new(false);
    let crowd = thread::scope(|scope| {
        scope.spawn(|| who_never_read(place.client, 20, &is_over));
        scope.spawn(|| who_are_slow(place.client, 200, &is_over));
        let crowd = fifty_clients(place.client, Duration::from_secs(4), request);
        is_over.store(true, Ordering::SeqCst);
        crowd
    });
    let answer = median(crowd.answers.clone());
    assert!(answer < Duration::from_millis(500), "{answer:?}");
    assert!(crowd.accepted.len() > 50 && crowd.refused > 0 && crowd.ends.len() > 5, "{crowd:?}");
    let jobs = crowd.ended(place.client);
    let ended_as = |state| jobs.iter().filter(|job| job["state"] == state).count();
    assert!(ended_as("done") > 0 && ended_as("cancelled") > 0 && ended_as("failed") > 0, "{jobs:?}");
    assert_eq!(place.client.gallery(), pictures(&jobs));
}
