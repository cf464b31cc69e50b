use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::Limits;

/// Where a server listens and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// What clients must know. On an address that is not loopback one is needed; without it [`Server::bind`](crate::Server::bind)
    /// makes one up.
    pub token: Option<String>,
    /// The folder of the gallery; made if it is not there.
    pub gallery: PathBuf,
    /// What a client may ask for.
    pub limits: Limits,
}

impl Config {
    /// The usual port of such programs.
    pub const PORT: u16 = 7860;

    /// On loopback, without a token.
    pub fn new(gallery: impl Into<PathBuf>) -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Self::PORT),
            token: None,
            gallery: gallery.into(),
            limits: Limits::default(),
        }
    }
}
