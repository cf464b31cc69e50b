use sha2::{Digest, Sha256};

use crate::ServerError;

/// How the server knows its clients.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// By their address: everybody on this machine.
    Loopback,
    /// By a token; kept is its hash, so that a comparison takes the same time whatever is sent.
    Token([u8; 32]),
}

impl Access {
    /// A token of one's own choice, where there is one.
    ///
    /// # Errors
    ///
    /// When it is short, or would not pass through an address and a cookie as it is.
    pub(crate) fn new(token: Option<&str>) -> Result<Self, ServerError> {
        /// Not to be guessed at the rate that the server answers.
        const LEAST: usize = 16;
        let Some(token) = token else { return Ok(Self::Loopback) };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if token.len() < LEAST || !token.bytes().all(is_plain) {
            return Err(ServerError::Token { least: LEAST });
        }
        Ok(Self::Token(Sha256::digest(token).into()))
    }

    /// Whether a client has the right token.
    pub(crate) fn knows(&self, token: &str) -> bool {
        matches!(self, Self::Token(hash) if *hash == <[u8; 32]>::from(Sha256::digest(token)))
    }
}

/// The name of the cookie that holds the token of the server on a port: cookies go to every port of a host.
pub(crate) fn cookie_name(port: u16) -> String {
    format!("ae_token_{port}")
}

/// A token that nobody guesses.
pub(crate) fn random_token() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_plain() {
        for token in ["", "short", "with space in the middle", "semi;colon-semi;colon", "ümlaut-ümlaut-ümlaut"] {
            assert!(matches!(Access::new(Some(token)), Err(ServerError::Token { .. })), "{token}");
        }
        let access = Access::new(Some(&random_token().unwrap())).unwrap();
        assert!(!access.knows("") && !access.knows(&random_token().unwrap()));
        assert!(Access::new(Some("0123456789abcdef")).unwrap().knows("0123456789abcdef"));
        assert!(!Access::Loopback.knows(""));
    }
}
