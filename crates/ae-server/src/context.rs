//! What the server knows of the request that a task answers.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use tokio::sync::OwnedSemaphorePermit;

use crate::connections::Place;

tokio::task_local! {
    static CONTEXT: Context;
}

/// A request that is being answered.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Its name in the log.
    pub(crate) id: String,
    /// Whose it is.
    pub(crate) client: IpAddr,
    /// Its connection.
    pub(crate) place: Option<Arc<Place>>,
    /// Its share of the memory for bodies, until it is answered.
    shares: Arc<Mutex<Vec<OwnedSemaphorePermit>>>,
}

impl Context {
    /// `by_proxy` is set where clients on this machine are known by a token: then one of them may be a proxy, which says whose
    /// request it passes on.
    pub(crate) fn new(request: &Request, by_proxy: bool) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let id = format!("{:08x}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let place = request.extensions().get::<Arc<Place>>().cloned();
        let peer = place.as_ref().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |place| place.address);
        let forwarded = || {
            let all = request.headers().get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            // Those before the last may be made up by the client.
            all.rsplit(',').next()?.trim().parse().ok()
        };
        let client = Some(peer).filter(|peer| !(by_proxy && peer.is_loopback())).or_else(forwarded).unwrap_or(peer);
        Self { id, client, place, shares: Arc::default() }
    }

    /// Runs what answers the request.
    pub(crate) async fn scope<T>(self, answer: impl Future<Output = T>) -> T {
        CONTEXT.scope(self, answer).await
    }

    /// That of the request which this task answers; none elsewhere.
    pub(crate) fn current() -> Option<Self> {
        CONTEXT.try_with(Clone::clone).ok()
    }

    /// Keeps a share of the memory until the request is answered.
    pub(crate) fn keep(&self, share: OwnedSemaphorePermit) {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner).push(share);
    }
}
