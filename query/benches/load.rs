//! A cheap client: 64 connections that are kept, each with one request under
//! way, on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 64;

pub(crate) struct Load {
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
}

impl Load {
    pub(crate) fn new(address: SocketAddr, paths: &[String]) -> Self {
        let request = |path: &String| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes();
        Self { address, requests: Arc::new(paths.iter().map(request).collect()) }
    }

    /// Answers a second, over `time`.
    pub(crate) async fn run(self, time: Duration) -> f64 {
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tell.send(runtime.block_on(self.ask_all(time))).unwrap();
        });
        told.await.unwrap()
    }

    async fn ask_all(self, time: Duration) -> f64 {
        let begun = Instant::now();
        let until = begun + time;
        let asking = (0..CONNECTIONS).map(|first| {
            let requests = Arc::clone(&self.requests);
            tokio::spawn(ask(self.address, requests, first * 61, until))
        });
        let asking: Vec<_> = asking.collect();
        let mut answers = 0;
        for asking in asking {
            answers += asking.await.unwrap();
        }
        answers as f64 / begun.elapsed().as_secs_f64()
    }
}

/// Asks one question after the other; how many were answered.
async fn ask(address: SocketAddr, requests: Arc<Vec<Vec<u8>>>, first: usize, until: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut buffer, mut answers) = (vec![0; 16 * 1024], 0);
    for request in requests.iter().cycle().skip(first % requests.len()) {
        stream.write_all(request).await.unwrap();
        read_answer(&mut stream, &mut buffer).await;
        answers += 1;
        if answers % 16 == 0 && Instant::now() >= until {
            break;
        }
    }
    answers
}

async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.unwrap();
        assert_ne!(read, 0, "the connection ended");
        filled += read;
        let Some(head) = find(&buffer[..filled], b"\r\n\r\n") else { continue };
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled]));
        let at = find(&buffer[..head], b"content-length: ").unwrap() + 16;
        let digits = buffer[at..head].iter().take_while(|byte| byte.is_ascii_digit());
        let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        if filled >= head + 4 + length {
            return;
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
