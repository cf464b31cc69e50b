//! What a studio tells of a job: server-sent events.

use std::io::BufRead;

use serde_json::Value;

use super::RemoteError;
use super::http::Http;

/// What happens to a job on another machine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RemoteEvent<'a> {
    /// It waits for so many jobs.
    Waiting {
        /// Jobs before it.
        before: usize,
    },
    /// The studio says what has no effect, or what to know of the model.
    Note(&'a str),
    /// A run begins.
    Started {
        /// The seed.
        seed: u64,
        /// The words whose attention is guided or shown.
        subjects: &'a [String],
    },
    /// The loss was evaluated.
    Loss {
        /// The largest term: that of the subject which is looked at the least.
        loss: f64,
    },
    /// A denoising step ended.
    Step {
        /// The seed.
        seed: u64,
        /// Steps of this run that are done.
        done: usize,
        /// Steps of this run.
        num_steps: usize,
        /// Runs of the job that ended before.
        run: usize,
        /// Runs of the job.
        runs: usize,
    },
    /// A picture is in the studio's gallery.
    Picture {
        /// The name of its entry.
        entry: &'a str,
        /// The seed.
        seed: u64,
    },
}

/// Times that a connection is made again without hearing anything new.
const MOST_TRIES: usize = 5;

/// Follows a job to its end.
pub(super) fn follow<E: From<RemoteError>>(
    http: &Http,
    id: &str,
    seeds: &[u64],
    observe: &mut dyn FnMut(RemoteEvent<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut followed = Followed { seeds, job: Value::Null, pictures: 0, notes: 0 };
    let mut tries = 0;
    loop {
        let lines = http.lines(&format!("/api/jobs/{id}/events"));
        let mut lines = match lines {
            Ok(lines) => lines,
            // It may come back with the job.
            Err(RemoteError::Unreachable { .. }) if tries < MOST_TRIES => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_secs(1));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        while let Some((name, data)) = next_event(&mut lines) {
            tries = 0;
            followed.hear(&name, &data, observe)?;
            let studio = http.shown().to_owned();
            match followed.job["state"].as_str() {
                Some("done") => return Ok(()),
                Some("cancelled") => return Err(RemoteError::Cancelled { studio }.into()),
                Some("failed") => {
                    let message = followed.job["error"].as_str().unwrap_or("no reason given").to_owned();
                    return Err(RemoteError::Failed { studio, message }.into());
                }
                _ => {}
            }
        }
        tries += 1;
        if tries > MOST_TRIES {
            return Err(http.unreachable("the connection ends again and again").into());
        }
    }
}

/// The next event of a stream: its name and data; none at its end.
fn next_event(lines: &mut impl BufRead) -> Option<(String, Value)> {
    let (mut name, mut data) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() && !data.is_empty() {
            let data = serde_json::from_str(&data).ok()?;
            return Some((name, data));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => data.push_str(value),
            // Comments keep the connection alive.
            _ => {}
        }
    }
}

/// What was heard of a job.
struct Followed<'a> {
    seeds: &'a [u64],
    job: Value,
    /// Pictures that were told.
    pictures: usize,
    /// Notes that were told.
    notes: usize,
}

impl Followed<'_> {
    fn hear<E>(
        &mut self,
        name: &str,
        data: &Value,
        observe: &mut dyn FnMut(RemoteEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
        let run = &self.job["run"];
        match name {
            "job" => {
                self.job = data.clone();
                if data["state"] == "queued" {
                    observe(RemoteEvent::Waiting { before: number(&data["position"]) })?;
                }
                let notes = data["notes"].as_array().map(Vec::as_slice).unwrap_or_default();
                for note in notes.iter().skip(self.notes).filter_map(Value::as_str) {
                    self.notes += 1;
                    observe(RemoteEvent::Note(note))?;
                }
                let entries = data["pictures"].as_array().map(Vec::as_slice).unwrap_or_default();
                for entry in entries.iter().skip(self.pictures).filter_map(Value::as_str) {
                    self.pictures += 1;
                    // A seed can be skipped there: the entry says which one it is.
                    let index = entry.rsplit('-').next().and_then(|index| index.parse::<usize>().ok());
                    let seed = index.and_then(|index| self.seeds.get(index)).copied().unwrap_or_default();
                    observe(RemoteEvent::Picture { entry, seed })?;
                }
                Ok(())
            }
            "start" => {
                let subjects = data["subjects"].as_array().into_iter().flatten();
                let subjects: Vec<_> = subjects.filter_map(|one| one["text"].as_str().map(str::to_owned)).collect();
                observe(RemoteEvent::Started { seed: data["seed"].as_u64().unwrap_or_default(), subjects: &subjects })
            }
            "loss" => {
                let losses = data["losses"].as_array().into_iter().flatten().filter_map(Value::as_f64);
                losses.reduce(f64::max).map_or(Ok(()), |loss| observe(RemoteEvent::Loss { loss }))
            }
            "step" => observe(RemoteEvent::Step {
                seed: run["seed"].as_u64().unwrap_or_default(),
                done: number(&data["step"]) + 1,
                num_steps: number(&data["num_steps"]),
                run: number(&data["run"]),
                runs: number(&run["of"]),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_as_servers_write_them() {
        let mut stream =
            "event: job\ndata: {\"a\":1}\n\n: still here\n\nevent:step\r\ndata:{\"b\":\r\ndata: 2}\r\n\r\nevent: x"
                .as_bytes();
        assert_eq!(next_event(&mut stream), Some(("job".to_owned(), json!({ "a": 1 }))));
        assert_eq!(next_event(&mut stream), Some(("step".to_owned(), json!({ "b": 2 }))));
        assert_eq!(next_event(&mut stream), None);
    }

    #[test]
    fn a_job_is_told_picture_by_picture() {
        let mut followed = Followed { seeds: &[7, 8, 9], job: Value::Null, pictures: 0, notes: 0 };
        let mut told = Vec::new();
        let mut hear = |name: &str, data: Value| {
            let observe = &mut |event: RemoteEvent<'_>| {
                told.push(format!("{event:?}"));
                Ok::<_, RemoteError>(())
            };
            followed.hear(name, &data, observe).unwrap();
        };
        hear("job", json!({ "state": "queued", "position": 2 }));
        hear("job", json!({ "state": "running", "run": { "seed": 7, "of": 3 }, "pictures": [], "notes": ["x"] }));
        hear("start", json!({ "seed": 7, "subjects": [{ "text": "cat" }] }));
        hear("loss", json!({ "losses": [0.25, 0.5] }));
        hear("step", json!({ "run": 0, "step": 4, "num_steps": 50 }));
        hear("job", json!({ "state": "running", "notes": ["x", "y"] }));
        let pictures = ["1700000000000-000000-000", "1700000000000-000000-002"];
        hear("job", json!({ "state": "running", "pictures": pictures[..1] }));
        hear("job", json!({ "state": "done", "pictures": pictures }));
        assert_eq!(
            told,
            [
                "Waiting { before: 2 }",
                "Note(\"x\")",
                "Started { seed: 7, subjects: [\"cat\"] }",
                "Loss { loss: 0.5 }",
                "Step { seed: 7, done: 5, num_steps: 50, run: 0, runs: 3 }",
                "Note(\"y\")",
                "Picture { entry: \"1700000000000-000000-000\", seed: 7 }",
                "Picture { entry: \"1700000000000-000000-002\", seed: 9 }",
            ]
        );
    }
}
