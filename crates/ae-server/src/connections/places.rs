use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::Limits;
use crate::error::ApiError;

/// The connections that are open. A new one takes the place of one whose client has not yet made a request that was let in: strangers,
/// however many, keep no client out.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The oldest first.
    places: BTreeMap<u64, Arc<State>>,
    next: u64,
    /// How many were closed for others.
    closed: u64,
}

#[derive(Debug)]
struct State {
    address: IpAddr,
    /// A request of it was let in.
    is_known: AtomicBool,
    close: Notify,
}

/// The place of an open connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    pub(crate) address: IpAddr,
    state: Arc<State>,
    places: Arc<Places>,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let (most, most_per_address) = (limits.max_connections, limits.max_connections_per_address);
        Arc::new(Self { most, most_per_address, open: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are open, and how many were closed for others.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let open = self.lock();
        (open.places.len(), open.closed)
    }

    /// A place for a new connection.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Arc<Place>, ApiError> {
        let mut open = self.lock();
        let of_address = open.places.values().filter(|state| state.address == address).count();
        if of_address >= self.most_per_address && !open.close_oldest(|state| state.address == address) {
            return Err(ApiError::busy(
                "max_connections_per_address",
                format!("{} connections of this address are open already", self.most_per_address),
            ));
        }
        if open.places.len() >= self.most {
            // Of the address that has the most.
            let mut strangers = HashMap::<IpAddr, usize>::new();
            for state in open.places.values().filter(|state| state.is_stranger()) {
                *strangers.entry(state.address).or_default() += 1;
            }
            let most = strangers.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address);
            if !open.close_oldest(|state| Some(state.address) == most) {
                let message = format!("{} connections are open already", self.most);
                return Err(ApiError::busy("max_connections", message));
            }
        }
        let number = open.next;
        open.next += 1;
        let state = Arc::new(State { address, is_known: AtomicBool::new(false), close: Notify::new() });
        open.places.insert(number, Arc::clone(&state));
        Ok(Arc::new(Place { number, address, state, places: Arc::clone(self) }))
    }
}

impl Open {
    /// Closes the oldest stranger of some; false where there is none.
    fn close_oldest(&mut self, of: impl Fn(&State) -> bool) -> bool {
        let oldest = self.places.iter().find(|(_, state)| state.is_stranger() && of(state));
        let Some(number) = oldest.map(|(number, _)| *number) else { return false };
        if let Some(state) = self.places.remove(&number) {
            state.close.notify_one();
            self.closed += 1;
        }
        true
    }
}

impl State {
    fn is_stranger(&self) -> bool {
        !self.is_known.load(Ordering::Relaxed)
    }
}

impl Place {
    /// A request was let in: the place stays.
    pub(crate) fn trust(&self) {
        self.state.is_known.store(true, Ordering::Relaxed);
    }

    /// Waits until another needs the place.
    pub(crate) async fn closed(&self) {
        self.state.close.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max_connections: usize, max_connections_per_address: usize) -> Arc<Places> {
        Places::new(&Limits { max_connections, max_connections_per_address, ..Limits::default() })
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn strangers_make_place_and_clients_keep_theirs() {
        let places = places(3, 3);
        let client = places.enter(address(1)).unwrap();
        client.trust();
        let strangers: Vec<_> = (0..50).map(|_| places.enter(address(2)).unwrap()).collect();
        assert_eq!(places.counts(), (3, 48));
        // The address that has the most gives way.
        let third = places.enter(address(3)).unwrap();
        third.trust();
        let fourth = places.enter(address(4)).unwrap();
        fourth.trust();
        let error = places.enter(address(5)).unwrap_err().to_string();
        assert_eq!(error, "3 connections are open already (max_connections): try again later");
        drop((client, strangers));
        assert_eq!(places.counts().0, 2);
    }

    #[test]
    fn an_address_has_a_part_of_the_places() {
        let places = places(10, 2);
        let known: Vec<_> = (0..2).map(|_| places.enter(address(1)).unwrap()).collect();
        for place in &known {
            place.trust();
        }
        let error = places.enter(address(1)).unwrap_err().to_string();
        assert!(
            error.starts_with("2 connections of this address are open already (max_connections_per_address)"),
            "{error}"
        );
        assert!(places.enter(address(2)).is_ok());
    }
}
