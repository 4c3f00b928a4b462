//! The requests of visitors: secrets, tickets, ids, paths and bodies.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use hyper::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use usher_events::ids::{OpeningId, Ticket};
use uuid::Uuid;

use super::ask::{Ask, Choice, Kind};
use super::visitor::Visitor;

/// What all requests of one opening have in common.
pub(super) struct Script {
    opening: OpeningId,
    /// New for each rehearsal: with the seed alone nobody could take a
    /// visitor's place in an opening that others see.
    salt: [u8; 32],
    showings: Vec<String>,
    /// Confirms bookings; none: visitors do.
    merchant: Option<HeaderValue>,
    cut: f64,
}

impl Script {
    pub(super) fn new(
        opening: OpeningId,
        showings: Vec<String>,
        merchant: Option<&SecretString>,
        cut: f64,
    ) -> Self {
        let merchant = merchant.and_then(|key| bearer(key.expose_secret()));
        Self { opening, salt: rand::random(), showings, merchant, cut }
    }

    fn derived(&self, visitor: u32, what: &str) -> [u8; 32] {
        let hash = Sha256::new().chain_update(self.salt).chain_update(visitor.to_be_bytes());
        hash.chain_update(what).finalize().into()
    }

    /// The visitor's ticket.
    pub(super) fn ticket(&self, visitor: u32) -> Ticket {
        Ticket::of_secret(&self.derived(visitor, "secret"))
    }

    fn id(&self, visitor: u32, what: &str) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.derived(visitor, what)[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// The id of the visitor's hold.
    pub(super) fn hold(&self, visitor: u32) -> Uuid {
        self.id(visitor, "hold")
    }

    /// The id of the visitor's booking.
    pub(super) fn booking(&self, visitor: u32) -> Uuid {
        self.id(visitor, "booking")
    }

    /// The status that everybody shares, with its body.
    pub(super) fn watch(&self) -> Ask {
        let path = format!("/v1/openings/{}", self.opening);
        Ask { whole: true, ..plain(Kind::Status, Method::GET, path) }
    }

    /// Where the opening's events come from.
    pub(super) fn updates(&self) -> String {
        format!("/v1/openings/{}/updates", self.opening)
    }

    /// A visitor's request.
    pub(super) fn ask(&self, visitor: &mut Visitor, kind: Kind) -> Ask {
        let who = visitor.index;
        let place = |rest: &str| format!("/tickets/{}{rest}", self.ticket(who));
        let mut body = None;
        let (method, path) = match kind {
            Kind::Join => (Method::PUT, place("")),
            Kind::Status => (Method::GET, String::new()),
            Kind::Place => {
                let after = visitor.after.as_deref().map(|after| format!("?after={after}"));
                (Method::GET, place(after.as_deref().unwrap_or("")))
            }
            Kind::Presence => (Method::POST, place("/presence")),
            Kind::Entry => (Method::PUT, place("/entry")),
            Kind::LeaveWindow => (Method::DELETE, place("/entry")),
            Kind::Leave => (Method::DELETE, place("")),
            Kind::SeatMap => (Method::GET, format!("/showings/{}/seats", self.showing(visitor))),
            Kind::Hold => {
                body = Some(json!({"showing": self.showing(visitor), "seats": visitor.seats}));
                (Method::PUT, format!("/holds/{}", self.hold(who)))
            }
            Kind::Extension => {
                let extension = self.id(who, "extension");
                (Method::PUT, format!("/holds/{}/extensions/{extension}", self.hold(who)))
            }
            Kind::Release => (Method::DELETE, format!("/holds/{}", self.hold(who))),
            Kind::Booking => {
                let paid = format!("rehearsal-{who}");
                body = Some(json!({"hold": self.hold(who), "payment_reference": paid}));
                (Method::PUT, format!("/bookings/{}", self.booking(who)))
            }
        };
        let (path, body) =
            (format!("/v1/openings/{}{path}", self.opening), body.map(|body| body.to_string()));
        let authorization = match (kind, &self.merchant) {
            (Kind::Booking, Some(merchant)) => Some(merchant.clone()),
            (Kind::Join, _) => None,
            (kind, _) if kind.is_query() => None,
            _ => bearer(&URL_SAFE_NO_PAD.encode(self.derived(who, "secret"))),
        };
        let choice =
            (kind == Kind::SeatMap).then(|| Choice { part: visitor.dice.roll(), count: visitor.wants() });
        let cut = kind.is_command() && visitor.dice.chance(self.cut);
        Ask { authorization, body, choice, cut, ..plain(kind, method, path) }
    }

    fn showing(&self, visitor: &Visitor) -> &str {
        let count = u32::try_from(self.showings.len()).unwrap_or(u32::MAX);
        self.showings.get(visitor.showing(count) as usize).map_or("", String::as_str)
    }
}

pub(super) fn plain(kind: Kind, method: Method, path: String) -> Ask {
    Ask {
        kind,
        method,
        path,
        authorization: None,
        idempotency_key: None,
        body: None,
        cut: false,
        choice: None,
        whole: false,
    }
}

/// An `Authorization` header that does not show when it is printed.
pub(super) fn bearer(credential: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {credential}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
