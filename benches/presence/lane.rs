//! One connection that speaks HTTP/1.1: requests go out, and their answers
//! come back in order.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Lane {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer's status and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Lane {
    pub(crate) async fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::with_capacity(64 * 1_024) }
    }

    /// Sends `count` requests at once and waits for all their answers.
    pub(crate) async fn exchange(&mut self, requests: &[u8], count: usize) -> Vec<Answer> {
        self.stream.write_all(requests).await.unwrap();
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            match self.next() {
                Some(answer) => answers.push(answer),
                None => assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0, "closed"),
            }
        }
        answers
    }

    fn next(&mut self) -> Option<Answer> {
        let head = self.read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&self.read[..head]).unwrap();
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        let end = head + length.expect("answers say how long they are");
        if self.read.len() < end {
            return None;
        }
        let status = text[9..12].parse().unwrap();
        let body = self.read[head..end].to_vec();
        self.read.drain(..end);
        Some(Answer { status, body })
    }
}
