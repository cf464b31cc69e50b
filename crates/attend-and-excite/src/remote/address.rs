use super::RemoteError;

/// Where a studio is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Scheme, host and path, without a slash at its end.
    pub(super) base: String,
    /// What stands in the address.
    pub(super) token: Option<String>,
    /// Whether it is this machine, which no proxy stands before.
    pub(super) is_local: bool,
}

impl Address {
    /// Reads `[http://]HOST[:PORT][/PATH][/?token=TOKEN]`.
    pub(super) fn read(text: &str) -> Result<Self, RemoteError> {
        let refuse = |reason: &str| RemoteError::Address { reason: reason.to_owned() };
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if !["http", "https"].contains(&scheme) {
            return Err(refuse("it begins with something else than http:// or https://"));
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.trim_end_matches('/');
        let authority = place.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(refuse("a name and a password have no meaning there"));
        }
        let is_plain = |symbol: char| symbol.is_ascii_alphanumeric() || "-._:[]/~%".contains(symbol);
        if authority.is_empty() || !place.chars().all(is_plain) {
            return Err(refuse("there is no host in it"));
        }
        let token = query.split('&').find_map(|pair| pair.strip_prefix("token=")).map(str::to_owned);
        let name = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let name = name.map_or(authority, |(name, _)| name).trim_matches(['[', ']']);
        let is_local =
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        Ok(Self { base: format!("{scheme}://{place}"), token, is_local })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_studio_prints_is_an_address() {
        for (text, base, token, is_local) in [
            ("http://127.0.0.1:7860/", "http://127.0.0.1:7860", None, true),
            ("http://192.168.0.9:7860/?token=abc-1", "http://192.168.0.9:7860", Some("abc-1"), false),
            ("studio.example:7860", "http://studio.example:7860", None, false),
            ("https://example.org/studio/", "https://example.org/studio", None, false),
            ("http://[::1]:7860", "http://[::1]:7860", None, true),
            ("localhost", "http://localhost", None, true),
        ] {
            let token = token.map(str::to_owned);
            assert_eq!(Address::read(text).unwrap(), Address { base: base.to_owned(), token, is_local }, "{text}");
        }
        for text in ["", "http://", "ftp://example.org", "http://me:secret@example.org", "a b", "http://a\u{1b}b"] {
            let error = Address::read(text).unwrap_err().to_string();
            assert!(error.contains("http://HOST:7860") && !error.contains("secret"), "{error}");
        }
    }
}
