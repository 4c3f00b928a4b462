//! Where a running usher is.

use hyper::Uri;
use hyper::header::HeaderValue;

/// An address as given: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) host_header: HeaderValue,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}`: {why}"));
        let Ok(uri) = text.trim_end_matches('/').parse::<Uri>() else {
            return wrong("is no address like http://127.0.0.1:8080");
        };
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return wrong("a rehearsal speaks plain HTTP; name what is behind the TLS proxy");
            }
            _ => return wrong("is no address like http://127.0.0.1:8080"),
        }
        let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let authority = uri.authority().filter(|authority| plain && !authority.as_str().contains('@'));
        let Some(authority) = authority else {
            return wrong("expected host and port only, and keys in the settings");
        };
        let Ok(host_header) = HeaderValue::from_str(authority.as_str()) else {
            return wrong("the host is no host");
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: authority.port_u16().unwrap_or(80), host_header })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let address = Address::parse("http://127.0.0.1:8081/").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("127.0.0.1", 8081));
        let address = Address::parse("http://[::1]").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 80));
    }

    #[test]
    fn keys_paths_and_what_is_not_spoken_are_refused() {
        for wrong in ["", "127.0.0.1:8080", "https://a", "http://key@a:1", "http://a/b", "http://a?b"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
