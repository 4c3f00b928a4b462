//! Requests as they go over a connection, and visitors who are inside.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use usher_events::ids::Ticket;

const OPENING: &str = "/v1/openings/premiere-2026";

/// The `i`th seat's id; all have the same length.
pub(crate) fn seat(i: usize) -> String {
    format!("S{i:06}")
}

/// A connection that is used again and again.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    pub(crate) answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, request: Vec::new(), answer: Vec::new() }
    }

    /// Sends a request, and reads its answer whole; the answer's status.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, bearer: &str, body: &str) -> u16 {
        use std::io::Write;
        self.request.clear();
        let who =
            if bearer.is_empty() { String::new() } else { format!("authorization: Bearer {bearer}\r\n") };
        write!(
            self.request,
            "{method} {OPENING}{path} HTTP/1.1\r\nhost: usher\r\n{who}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len(),
        )
        .unwrap();
        self.stream.write_all(&self.request).await.unwrap();
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await.unwrap();
            assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&self.answer));
            if let Some(head) = self.answer.windows(4).position(|window| window == b"\r\n\r\n")
                && self.answer.len() >= head + 4 + length(&self.answer[..head])
            {
                return std::str::from_utf8(&self.answer[9..12]).unwrap().parse().unwrap();
            }
        }
    }
}

fn length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().unwrap())
}

/// A visitor's secret and ticket.
pub(crate) struct Visitor {
    pub(crate) secret: String,
    ticket: Ticket,
}

impl Visitor {
    pub(crate) fn new() -> Self {
        let bytes: [u8; 32] = rand::random();
        Self { secret: URL_SAFE_NO_PAD.encode(bytes), ticket: Ticket::of_secret(&bytes) }
    }

    /// Joins, and enters as soon as they are admitted.
    pub(crate) async fn enter(&self, connection: &mut Connection) {
        let path = format!("/tickets/{}", self.ticket);
        assert_eq!(connection.ask("PUT", &path, &self.secret, "{}").await, 201);
        let path = format!("{path}/entry");
        loop {
            match connection.ask("PUT", &path, &self.secret, "{}").await {
                201 => return,
                403 => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                other => panic!("{other}: {}", String::from_utf8_lossy(&connection.answer)),
            }
        }
    }
}
