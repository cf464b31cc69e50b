use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// How long each submission took to be answered.
    pub(crate) answers: Vec<Duration>,
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
                    let start = Instant::now();
                    let answer = client.post("/api/generate", &request(&mut dice));
                    crowd.lock().unwrap().answers.push(start.elapsed());
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

/// Clients that ask and ask and never read, until it is over; those that are closed come back.
pub(crate) fn who_never_read(client: Client, count: usize, is_over: &AtomicBool) {
    let request = format!("GET /api/openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n", client.0);
    swarm(client, count, is_over, |stream| {
        // Full: nothing more can be sent, which is no end.
        while write_some(stream, request.as_bytes())? {}
        Ok(())
    });
}

/// Clients whose requests take for ever, until it is over; those that are closed come back.
pub(crate) fn who_are_slow(client: Client, count: usize, is_over: &AtomicBool) {
    swarm(client, count, is_over, |stream| write_some(stream, b"G").map(drop));
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<bool> {
    match stream.write(bytes) {
        Ok(written) => Ok(written == bytes.len()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn swarm(client: Client, count: usize, is_over: &AtomicBool, act: impl Fn(&mut TcpStream) -> io::Result<()>) {
    let mut streams: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
    while !is_over.load(Ordering::SeqCst) {
        for place in &mut streams {
            let stream = match place {
                Some(stream) => stream,
                None => match TcpStream::connect(client.0)
                    .and_then(|stream| stream.set_nonblocking(true).map(|()| stream))
                {
                    Ok(stream) => place.insert(stream),
                    Err(_) => continue,
                },
            };
            if act(stream).is_err() {
                *place = None;
            }
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// The one in the middle.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The gallery's entries of some jobs, the newest first.
pub(crate) fn pictures(jobs: &[Value]) -> Vec<Value> {
    let mut pictures: Vec<_> = jobs.iter().flat_map(|job| job["pictures"].as_array().unwrap().clone()).collect();
    pictures.sort_by(|one, other| other.as_str().cmp(&one.as_str()));
    pictures
}
