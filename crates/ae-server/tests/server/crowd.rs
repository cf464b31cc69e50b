use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;

/// A generator of Park and Miller: each client does something else, the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    /// A number below another.
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        self.0 % below
    }
}

/// What fifty clients left behind.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// The ids of the jobs that were accepted.
    pub(crate) accepted: Vec<Value>,
    /// The jobs whose end somebody listened for.
    pub(crate) ends: Vec<Value>,
    /// Submissions for which the queue was full.
    pub(crate) refused: usize,
}

/// Fifty clients submit what `request` makes up, then poll, listen to the end, listen for a while, cancel, or go away without
/// reading the answer, at random.
pub(crate) fn fifty_clients(client: Client, time: Duration, request: impl Fn(&mut Dice) -> Value + Sync) -> Crowd {
    let (crowd, end) = (Mutex::<Crowd>::default(), Instant::now() + time);
    thread::scope(|scope| {
        for number in 0..50 {
            let (crowd, request) = (&crowd, &request);
            scope.spawn(move || {
                let mut dice = Dice(number * 7919 + 1);
                while Instant::now() < end {
                    let answer = client.post("/api/generate", &request(&mut dice));
                    if answer.status == 429 {
                        crowd.lock().unwrap().refused += 1;
                        thread::sleep(Duration::from_millis(dice.roll(300)));
                        continue;
                    }
                    assert_eq!(answer.status, 202, "{}", answer.text());
                    let id = answer.json()["id"].clone();
                    crowd.lock().unwrap().accepted.push(id.clone());
                    match dice.roll(5) {
                        0 => drop(client.job(&id)),
                        1 => {
                            let last = client.events(&id).last();
                            crowd.lock().unwrap().ends.extend(last.map(|(_, job)| job));
                        }
                        2 => drop(client.events(&id).nth(usize::try_from(dice.roll(9)).unwrap())),
                        3 => drop(client.delete(&format!("/api/jobs/{}", id.as_str().unwrap()))),
                        _ => drop(client.connect()),
                    }
                }
            });
        }
    });
    crowd.into_inner().unwrap()
}

impl Crowd {
    /// Every accepted job at its end.
    pub(crate) fn ended(&self, client: Client) -> Vec<Value> {
        self.accepted.iter().map(|id| client.end(id)).collect()
    }
}

/// The gallery's entries of some jobs, the newest first.
pub(crate) fn pictures(jobs: &[Value]) -> Vec<Value> {
    let mut pictures: Vec<_> = jobs.iter().flat_map(|job| job["pictures"].as_array().unwrap().clone()).collect();
    pictures.sort_by(|one, other| other.as_str().cmp(&one.as_str()));
    pictures
}
