use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Speaks to a server, one connection per request.
#[derive(Clone, Copy)]
pub(crate) struct Client(pub(crate) SocketAddr);

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The message of an error.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// The value of a header; empty without it.
    pub(crate) fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    pub(crate) fn connect(self) -> TcpStream {
        let stream = TcpStream::connect(self.0).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes as they are and reads to the end of the answer.
    pub(crate) fn raw(self, bytes: &[u8]) -> io::Result<Answer> {
        let mut stream = self.connect();
        // The server may refuse before it has read everything.
        let _ = stream.write_all(bytes);
        read(&mut stream)
    }

    /// A request with a body and more header lines.
    pub(crate) fn send(self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Vec::new();
        write!(request, "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len()).unwrap();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            write!(request, "Host: {}\r\n", self.0).unwrap();
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        request.extend_from_slice(b"\r\n");
        self.raw(&[&request, body].concat()).unwrap()
    }

    pub(crate) fn get(self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn delete(self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    pub(crate) fn post(self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Submits a prompt; returns the job.
    pub(crate) fn submit(self, more: &Value) -> Value {
        let mut request = json!({ "prompt": "paint", "seeds": [1] });
        for (key, value) in more.as_object().unwrap() {
            request[key] = value.clone();
        }
        let answer = self.post("/api/generate", &request);
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()
    }

    pub(crate) fn job(self, id: &Value) -> Value {
        self.get(&format!("/api/jobs/{}", id.as_str().unwrap())).json()
    }

    /// Waits until a job is as wanted.
    pub(crate) fn wait(self, id: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let job = self.job(id);
            if wanted(&job) {
                return job;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{job}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end of a job.
    pub(crate) fn end(self, id: &Value) -> Value {
        self.wait(id, |job| ["done", "cancelled", "failed"].contains(&job["state"].as_str().unwrap()))
    }

    /// The names of all entries of the gallery, the newest first.
    pub(crate) fn gallery(self) -> Vec<Value> {
        let mut ids: Vec<Value> = Vec::new();
        loop {
            let before = ids.last().map_or(String::new(), |id| format!("&before={}", id.as_str().unwrap()));
            let page = self.get(&format!("/api/gallery?limit=200{before}")).json();
            let entries = page["entries"].as_array().unwrap();
            if entries.is_empty() {
                return ids;
            }
            ids.extend(entries.iter().map(|entry| entry["id"].clone()));
        }
    }

    /// Listens to a job; every event with its name and data.
    pub(crate) fn events(self, id: &Value) -> impl Iterator<Item = (String, Value)> + use<> {
        self.events_at(&format!("/api/jobs/{}/events", id.as_str().unwrap()))
    }

    /// Listens to an address; every event with its name and data.
    pub(crate) fn events_at(self, path: &str) -> impl Iterator<Item = (String, Value)> + use<> {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.0).unwrap();
        let mut name = String::new();
        BufReader::new(stream).lines().map_while(Result::ok).filter_map(move |line| {
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            }
            line.strip_prefix("data: ").map(|data| (name.clone(), serde_json::from_str(data).unwrap()))
        })
    }
}

/// Reads an answer whose length is given or ends with the connection.
pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        head += &line;
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no answer: '{head}'")))?;
    let mut answer = Answer { status, head, body: Vec::new() };
    match answer.header("content-length").parse::<u64>() {
        Ok(length) => reader.take(length).read_to_end(&mut answer.body)?,
        Err(_) => reader.read_to_end(&mut answer.body)?,
    };
    Ok(answer)
}
