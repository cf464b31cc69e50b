//! The answers of a hub: the listing, the headers of a file and its content, parts of the input between zeros.
#![no_main]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::{LazyLock, Mutex};

use ae_hub::{FileChoice, Hub, HubSettings, ModelId, Progress, Waiting};
use libfuzzer_sys::fuzz_target;

/// What the server answers at present.
static ANSWERS: Mutex<[Vec<u8>; 3]> = Mutex::new([Vec::new(), Vec::new(), Vec::new()]);

/// The address of a server on this machine, which answers with what is to be tried.
static SERVER: LazyLock<String> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
});

/// One request for each connection, which the answers' `Connection: close` tells the client.
fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let _ = lines.find(String::is_empty);
    let [listing, headers, content] = ANSWERS.lock().expect("no panic").clone();
    let (headers, body) = if request.contains("/api/models/") {
        (Vec::new(), listing)
    } else if request.starts_with("HEAD") {
        (headers, Vec::new())
    } else {
        (Vec::new(), content)
    };
    let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n".to_vec();
    if headers.is_empty() {
        answer.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    // Lines of the input are headers; what would end them is left out.
    for line in headers.split(|byte| *byte == b'\n').filter(|line| line.contains(&b':')) {
        answer.extend(line.iter().filter(|byte| **byte != b'\r'));
        answer.extend(b"\r\n");
    }
    answer.extend(b"\r\n");
    answer.extend(body);
    let _ = stream.write_all(&answer);
}

/// Does not wait for another try.
struct Impatient;

impl Progress for Impatient {
    fn waiting(&mut self, _: Waiting<'_>) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == 0).map(<[u8]>::to_vec);
    *ANSWERS.lock().expect("no panic") = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let cache = tempfile::tempdir_in("/dev/shm").expect("a temporary folder");
    let settings = HubSettings { endpoint: SERVER.clone(), ..HubSettings::new(cache.path().join("hub")) };
    let id = ModelId::parse("org/model").expect("a name");
    let hub = Hub::new(settings).expect("settings of a hub");
    if let Err(error) = hub.fetch(&id, &FileChoice::default(), &mut Impatient) {
        assert!(!error.to_string().contains(|character: char| character.is_control()), "{error}");
    }
    // Nothing outside of the cache.
    let beside =
        std::fs::read_dir(cache.path()).expect("the folder").flatten().filter(|entry| entry.file_name() != "hub");
    assert_eq!(beside.count(), 0);
});
