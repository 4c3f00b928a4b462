//! A visitor who listens to server-sent events.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response};
use tokio::sync::mpsc;

use super::address::Address;
use super::ask::Said;
use super::lines::connect;

/// The longest event that is kept while it comes in.
const LONGEST: usize = 4 * 1024 * 1024;
/// How long to wait before connecting again.
const PAUSE: Duration = Duration::from_secs(2);

/// What a listener hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// Events come.
    Connected,
    Status(Said),
    /// The connection ended, or was refused.
    Silence,
}

/// Listens until it is aborted, resuming where it was.
pub(super) async fn listen(visitor: u32, address: Address, path: String, tell: mpsc::Sender<(u32, Heard)>) {
    let mut last = None;
    loop {
        if let Some(answer) = begin(&address, &path, last.as_ref()).await {
            if tell.send((visitor, Heard::Connected)).await.is_err() {
                return;
            }
            if follow(visitor, answer, &mut last, &tell).await.is_none() {
                return;
            }
        }
        if tell.send((visitor, Heard::Silence)).await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn begin(address: &Address, path: &str, last: Option<&HeaderValue>) -> Option<Response<Incoming>> {
    let mut connection = connect(address).await.ok()?;
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = path.parse().ok()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, address.host_header.clone());
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(last) = last {
        headers.insert("last-event-id", last.clone());
    }
    let response = connection.send_request(request).await.ok()?;
    response.status().is_success().then_some(response)
}

/// Tells each status until the stream ends; none: nobody is told any more.
async fn follow(
    visitor: u32,
    answer: Response<Incoming>,
    last: &mut Option<HeaderValue>,
    tell: &mpsc::Sender<(u32, Heard)>,
) -> Option<()> {
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        text.extend_from_slice(data);
        if text.len() > LONGEST {
            return Some(());
        }
        while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            let Event { id, status } = Event::read(&event);
            *last = id.or(last.take());
            if let Some(status) = status {
                tell.send((visitor, Heard::Status(status))).await.ok()?;
            }
        }
    }
    Some(())
}

#[derive(Debug, Default)]
struct Event {
    id: Option<HeaderValue>,
    status: Option<Said>,
}

impl Event {
    fn read(text: &[u8]) -> Self {
        let (mut event, mut is_status) = (Self::default(), false);
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(id) = line.strip_prefix(b"id: ") {
                event.id = HeaderValue::from_bytes(id).ok();
            } else if let Some(name) = line.strip_prefix(b"event: ") {
                is_status = name == b"status";
            } else if let Some(data) = line.strip_prefix(b"data: ").filter(|_| is_status) {
                event.status = serde_json::from_slice(data).ok();
            }
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_with_its_id_and_other_events_are_not() {
        let text = b"id: 12-3\nevent: status\ndata: {\"state\": \"open\", \"serving_number\": 7}\n\n";
        let event = Event::read(text);
        assert_eq!(event.id.unwrap(), "12-3");
        assert_eq!(event.status.unwrap().serving_number, Some(7));
        let event = Event::read(b"id: 13\nevent: seats\ndata: {}\n\n");
        assert!(event.status.is_none() && event.id.is_some());
        assert!(Event::read(b":\n\n").id.is_none());
    }
}
