//! The connections to usher: a bounded number, kept open. Requests wait for a
//! free one, and that wait is part of what a visitor feels.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::address::Address;
use super::ask::{Ask, Lost, Outcome, Said, choose};

/// How long an answer may take; our page waits as long.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// When a connection is cut on purpose.
const CUT_AFTER: Duration = Duration::from_millis(2);
/// The largest answer that is read.
const LARGEST: usize = 32 * 1024 * 1024;

/// A request of a visitor; `None` is the one who watches.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) visitor: Option<u32>,
    pub(super) ask: Ask,
    /// When the visitor wanted it.
    pub(super) wanted: Instant,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) visitor: Option<u32>,
    pub(super) kind: super::ask::Kind,
    pub(super) outcome: Outcome,
    /// From wanting it to the end of the answer.
    pub(super) felt: Duration,
    /// The part of it that was spent waiting for a connection.
    pub(super) queued: Duration,
    line: usize,
}

/// The lines to one address.
#[derive(Debug)]
struct Pool {
    address: Address,
    idle: Vec<usize>,
    waiting: VecDeque<Job>,
}

/// All lines.
#[derive(Debug)]
pub(super) struct Lines {
    pools: Vec<Pool>,
    /// Where commands and where queries may go.
    commands: Vec<usize>,
    queries: Vec<usize>,
    lines: Vec<(usize, mpsc::Sender<Job>)>,
}

impl Lines {
    /// Opens lines to these addresses, `count` in all and at least one each;
    /// what becomes of requests is told by the receiver.
    pub(super) fn open(
        commands: &[Address],
        queries: &[Address],
        count: usize,
    ) -> (Self, mpsc::Receiver<Done>) {
        let mut pools: Vec<Pool> = Vec::new();
        let mut pool_of = |address: &Address| {
            let known = pools.iter().position(|pool| pool.address == *address);
            known.unwrap_or_else(|| {
                pools.push(Pool { address: address.clone(), idle: Vec::new(), waiting: VecDeque::new() });
                pools.len() - 1
            })
        };
        let commands: Vec<usize> = commands.iter().map(&mut pool_of).collect();
        let queries: Vec<usize> = queries.iter().map(&mut pool_of).collect();
        let count = count.max(pools.len());
        let (done, told) = mpsc::channel(count.max(1));
        let mut lines = Vec::with_capacity(count);
        for line in 0..count {
            let at = line % pools.len().max(1);
            let (jobs, to_do) = mpsc::channel(1);
            tokio::spawn(work(line, pools[at].address.clone(), to_do, done.clone()));
            pools[at].idle.push(line);
            lines.push((at, jobs));
        }
        (Self { pools, commands, queries, lines }, told)
    }

    /// Sends a request as soon as a line is free. `turn` says which of several
    /// instances is asked.
    pub(super) fn send(&mut self, job: Job, turn: usize) {
        let among = if job.ask.kind.is_query() { &self.queries } else { &self.commands };
        let Some(&at) = among.get(turn % among.len().max(1)) else { return };
        self.pools[at].waiting.push_back(job);
        self.serve(at);
    }

    /// A line is free again.
    pub(super) fn freed(&mut self, done: &Done) {
        let (at, _) = self.lines[done.line];
        self.pools[at].idle.push(done.line);
        self.serve(at);
    }

    fn serve(&mut self, at: usize) {
        let pool = &mut self.pools[at];
        while let Some(line) = pool.idle.pop() {
            let Some(job) = pool.waiting.pop_front() else {
                pool.idle.push(line);
                return;
            };
            // A line takes one request at a time, and has none now.
            if self.lines[line].1.try_send(job).is_err() {
                tracing::error!(line, "a line is gone");
            }
        }
    }

    /// An address that answers queries.
    pub(super) fn query(&self, turn: usize) -> Option<&Address> {
        let at = self.queries.get(turn % self.queries.len().max(1))?;
        Some(&self.pools[*at].address)
    }
}

type Connection = SendRequest<Full<Bytes>>;

async fn work(line: usize, address: Address, mut jobs: mpsc::Receiver<Job>, done: mpsc::Sender<Done>) {
    let mut connection = None;
    while let Some(Job { visitor, ask, wanted }) = jobs.recv().await {
        let (kind, queued) = (ask.kind, wanted.elapsed());
        let outcome = match exchange(&mut connection, &address, ask).await {
            Ok(outcome) => outcome,
            Err(lost) => {
                connection = None;
                Outcome::Lost(lost)
            }
        };
        if done.send(Done { visitor, kind, outcome, felt: wanted.elapsed(), queued, line }).await.is_err() {
            return;
        }
    }
}

/// Opens a connection.
pub(super) async fn connect(address: &Address) -> Result<Connection, Lost> {
    let connecting = async {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(sender)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Some(sender)) => Ok(sender),
        _ => Err(Lost::NoConnection),
    }
}

/// One request on a connection of its own.
pub(super) async fn once(address: &Address, ask: Ask) -> Result<Outcome, Lost> {
    exchange(&mut None, address, ask).await
}

async fn exchange(open: &mut Option<Connection>, address: &Address, ask: Ask) -> Result<Outcome, Lost> {
    // A connection that the server closed while it was idle is not news.
    if let Some(connection) = open
        && connection.ready().await.is_err()
    {
        *open = None;
    }
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(connect(address).await?),
    };
    let Ask { kind: _, method, path, authorization, idempotency_key, body, cut, choice, whole } = ask;
    let mut request = Request::new(Full::new(Bytes::from(body.unwrap_or_default())));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|_| Lost::Broken)?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, address.host_header.clone());
    if !hyper::body::Body::is_end_stream(request.body()) {
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    }
    if let Some(authorization) = authorization {
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
    }
    if let Some(id) = idempotency_key.and_then(|id| header::HeaderValue::from_str(&id.to_string()).ok()) {
        request.headers_mut().insert("idempotency-key", id);
    }
    let answering = connection.send_request(request);
    if cut {
        drop(tokio::time::timeout(CUT_AFTER, answering).await);
        return Err(Lost::Cut);
    }
    let whole_answer = async {
        let response = answering.await.map_err(|_| Lost::Broken)?;
        read(response).await
    };
    let (head, body) = tokio::time::timeout(TIMEOUT, whole_answer).await.map_err(|_| Lost::TimedOut)??;
    Ok(understand(&head, body, choice, whole))
}

async fn read(response: Response<Incoming>) -> Result<(hyper::http::response::Parts, Bytes), Lost> {
    let (head, body) = response.into_parts();
    let body = http_body_util::Limited::new(body, LARGEST).collect().await.map_err(|_| Lost::Broken)?;
    Ok((head, body.to_bytes()))
}

fn understand(
    head: &hyper::http::response::Parts,
    body: Bytes,
    choice: Option<super::ask::Choice>,
    whole: bool,
) -> Outcome {
    let status = head.status.as_u16();
    let mut said = match choice.filter(|_| status == 200) {
        Some(choice) => choose(&body, choice).map(|chosen| Said { chosen, ..Said::default() }),
        None => serde_json::from_slice::<Said>(&body),
    }
    .unwrap_or_default();
    if status == 429 || status >= 500 {
        let seconds =
            head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let retry_after_ms = seconds.unwrap_or(1).min(60) * 1_000;
        return Outcome::Later { status, problem: said.reason().into(), retry_after_ms };
    }
    said.body = whole.then_some(body);
    Outcome::Told { status, said }
}
