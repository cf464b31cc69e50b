//! Accepting connections, with limits on their number and on the time that they take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutWriter;

pub(crate) use places::{Place, Places};

use crate::Limits;
use crate::error::ApiError;

mod places;

/// How long connections may go on after the server was told to stop: answers that are being sent.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until `stopped` says so, then waits a little for the answers that are being sent.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    places: Arc<Places>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_time());
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
            () = told(&mut stopped) => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Too many open files: later some are closed.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let place = match places.enter(peer.ip().to_canonical()) {
            Ok(place) => place,
            Err(error) => {
                refuse(&stream, &error);
                continue;
            }
        };
        let answer = serve_one(stream, &http, router.clone(), place, limits.write_time(), stopped.clone());
        open.spawn(answer);
    }
    drop(listener);
    let _ = timeout(GRACE, async { while open.join_next().await.is_some() {} }).await;
}

/// Answers the requests of one connection.
fn serve_one(
    stream: TcpStream,
    http: &http1::Builder,
    router: Router,
    place: Arc<Place>,
    write_time: Duration,
    mut stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<> {
    let router = TowerToHyperService::new(router);
    let mine = Arc::clone(&place);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&mine));
        router.call(request)
    });
    // A client that does not read must not hold what it was answered.
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(write_time));
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
    async move {
        tokio::pin!(connection);
        tokio::select! {
            // How a connection ends is the client's affair.
            _ = connection.as_mut() => {}
            // Another needs the place.
            () = place.closed() => {}
            () = told(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(GRACE, connection).await;
            }
        }
    }
}

/// Says why there is no place, as far as that goes without waiting.
fn refuse(stream: &TcpStream, error: &ApiError) {
    let body = error.to_json();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\nRetry-After: 5\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.try_write(answer.as_bytes());
}

/// Waits until the server is told to stop, or nobody can tell it any more.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
