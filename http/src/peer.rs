//! Who is at the other end of a connection, and for whom they ask.

use std::net::{IpAddr, SocketAddr};

use axum::extract::connect_info::Connected;
use axum::http::{HeaderMap, HeaderName};
use axum::serve::{IncomingStream, Listener};
use ipnet::IpNet;

use crate::stall::Impatient;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address at the other end of a request's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl<L: Listener<Addr = SocketAddr>> Connected<IncomingStream<'_, Impatient<L>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Impatient<L>>) -> Self {
        Self(stream.remote_addr().ip().to_canonical())
    }
}

/// Those who are believed when they say for whom they ask.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

/// A network is written in no way that is known.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no network like 10.0.0.0/8 or fd00::/8, and no address")]
pub struct NoNetwork(String);

impl Proxies {
    /// Those in `networks`.
    pub fn new(networks: &[String]) -> Result<Self, NoNetwork> {
        let network = |text: &String| {
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(|_| address()).map_err(|_| NoNetwork(text.clone()))
        };
        Ok(Self(networks.iter().map(network).collect::<Result<_, _>>()?))
    }

    /// Whether whoever is at `address` is one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who asks, when `peer` sent a request with these headers: the nearest
    /// one who is no proxy of ours. What strangers say of others is not heard.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let said = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let said = said.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        let mut client = peer.to_canonical();
        for from in said {
            match address(from.trim()) {
                Some(from) if self.contain(client) => client = from,
                _ => break,
            }
        }
        client
    }
}

/// An address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    /// Who asks, when `peer` says that it has this request from `said`.
    fn client(peer: &str, said: &[&str]) -> String {
        let proxies = Proxies::new(&["10.0.0.0/8".to_owned(), "fd00::1".to_owned()]).unwrap();
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_proxy_of_ours_is_believed_and_nobody_else_is() {
        assert_eq!(client(PROXY, &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("fd00::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(client("192.0.2.7", &["192.0.2.8"]), "192.0.2.7");
        assert_eq!(client("fd00::2", &["192.0.2.8"]), "fd00::2");
        assert_eq!(client(PROXY, &[]), PROXY);
    }

    #[test]
    fn what_a_client_made_up_before_it_reached_us_is_not_heard() {
        assert_eq!(client(PROXY, &["192.0.2.8, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(PROXY, &["192.0.2.8", "192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(PROXY, &["192.0.2.8, 192.0.2.7, 10.0.0.2"]), "192.0.2.7");
        assert_eq!(client(PROXY, &["192.0.2.8, no address"]), PROXY);
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        assert_eq!(client(PROXY, &["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(client(PROXY, &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:192.0.2.7"]), "192.0.2.7");
    }

    #[test]
    fn what_is_no_network_is_an_error_that_names_it() {
        let error = Proxies::new(&["10.0.0.0/40".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("`10.0.0.0/40`"), "{error}");
    }
}
