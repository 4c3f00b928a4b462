//! One who listens to server-sent events.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::Value;

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// A connection that is read as its owner likes.
pub(crate) struct Listener {
    body: Body,
    /// How long to wait before coming back.
    pub(crate) retry_ms: Option<u64>,
    /// Comments that came.
    pub(crate) beats: usize,
}

impl Listener {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, retry_ms: None, beats: 0 }
    }

    /// What is told next; none: the connection ended.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        // Longer than a silent stream is: with a paused clock it costs nothing.
        let told = tokio::time::timeout(Duration::from_secs(100), self.told()).await;
        told.expect("nothing is told")
    }

    async fn told(&mut self) -> Option<Told> {
        loop {
            let frame = self.body.frame().await?.unwrap().into_data().unwrap();
            let text = std::str::from_utf8(&frame).unwrap();
            assert!(text.ends_with("\n\n"), "an event is sent as a whole: {text}");
            let field = |name: &str| {
                let lines = text.lines().filter_map(|line| line.split_once(": "));
                lines.into_iter().find(|(field, _)| *field == name).map(|(_, value)| value.to_owned())
            };
            if let Some(wait_ms) = field("retry") {
                self.retry_ms = wait_ms.parse().ok();
            } else if text.starts_with(':') {
                self.beats += 1;
            } else {
                let data = serde_json::from_str(&field("data").unwrap()).unwrap();
                return Some(Told { name: field("event").unwrap(), id: field("id").unwrap(), data });
            }
        }
    }

    /// The next event, which has this name.
    #[track_caller]
    pub(crate) fn expect(&mut self, name: &str) -> impl Future<Output = Told> {
        let from = std::panic::Location::caller();
        async move {
            let told = self.next().await.unwrap_or_else(|| panic!("{from}: the connection ended"));
            assert_eq!(told.name, name, "{from}: {told:?}");
            told
        }
    }
}
