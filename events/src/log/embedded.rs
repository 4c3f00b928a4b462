//! The log in one file, for one process: redb underneath.
//!
//! One committer thread takes everything that is queued, from all partitions,
//! into one durable write transaction and reports it; callers go on deciding
//! while it syncs. A stored chunk is one append's records of one partition.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use redb::{Database, ReadableDatabase, TableDefinition};
use tokio::sync::watch;
use tracing::{error, info};

use super::{AppendError, Log, LogReader, Partition, ReadError, Report, ReportSink};
use crate::record::{Offset, Record, StoredRecord};
use crate::time::Timestamp;
use crate::wire;

/// (partition, offset of the first record) -> when it was appended, and the
/// records, each preceded by its length as 4 bytes big-endian.
const CHUNKS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("chunks");
/// The most appends that wait for the committer.
const QUEUE: usize = 4_096;
/// The most bytes of one write transaction.
const TRANSACTION_BYTES: usize = 32 * 1024 * 1024;
/// How much of the file the store may keep in memory. Its default of a GiB
/// would come to hold all that an opening ever wrote, which nobody reads twice.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
/// The most records and bytes that a reader takes at once.
const READ_RECORDS: usize = 4_096;
const READ_BYTES: usize = 4 * 1024 * 1024;

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open: one process is its writer.
    #[error("another process has {0} open")]
    Locked(String),
    /// The file cannot be opened or is damaged.
    #[error("{path}: {error}")]
    Storage {
        /// Which file.
        path: String,
        /// What is wrong with it.
        error: String,
    },
}

struct Append {
    partition: Partition,
    records: Vec<Record>,
    reports: ReportSink,
}

/// The embedded log. One process has it open at a time.
#[derive(Debug)]
pub struct EmbeddedLog {
    database: Arc<Database>,
    ends: Arc<Vec<watch::Sender<Offset>>>,
    queue: Option<Sender<Append>>,
    committer: Option<JoinHandle<()>>,
}

impl EmbeddedLog {
    /// Opens the log in `file`, or makes it, with `partitions` partitions.
    pub fn open(file: &Path, partitions: u32) -> Result<Self, OpenError> {
        let path = file.display().to_string();
        let storage =
            |error: redb::Error| OpenError::Storage { path: path.clone(), error: error.to_string() };
        let database = match Database::builder().set_cache_size(CACHE_BYTES).create(file) {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(OpenError::Locked(path)),
            Err(error) => return Err(storage(error.into())),
        };
        let database = Arc::new(database);
        let mut ends = Vec::with_capacity(partitions as usize);
        for partition in 0..partitions {
            let end = find_end(&database, partition).map_err(&storage)?;
            ends.push(watch::Sender::new(end));
        }
        let ends = Arc::new(ends);
        let (queue, appends) = bounded(QUEUE);
        let committer = Committer {
            database: Arc::clone(&database),
            ends: Arc::clone(&ends),
            failed: AtomicBool::new(false),
        };
        let builder = std::thread::Builder::new().name("usher-log".to_owned());
        let thread = builder.spawn(move || committer.run(&appends));
        let thread = thread.map_err(|error| storage(redb::Error::Io(error)))?;
        info!(file = %path, "the log is open");
        Ok(Self { database, ends, queue: Some(queue), committer: Some(thread) })
    }
}

impl Drop for EmbeddedLog {
    /// Waits until everything that was handed over is durable.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            error!("the log's thread had panicked");
        }
    }
}

fn find_end(database: &Database, partition: Partition) -> Result<Offset, redb::Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(CHUNKS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let last = table.range((partition, 0)..=(partition, u64::MAX))?.next_back().transpose()?;
    let Some((key, chunk)) = last else { return Ok(0) };
    let (_, first) = key.value();
    Ok(first + Chunk::new(chunk.value()).map_or(0, |chunk| chunk.count() as u64))
}

#[async_trait]
impl Log for EmbeddedLog {
    fn append(&self, partition: Partition, records: Vec<Record>, reports: &ReportSink) {
        let append = Append { partition, records, reports: Arc::clone(reports) };
        let Some(queue) = &self.queue else { return };
        match queue.try_send(append) {
            Ok(()) => {}
            Err(TrySendError::Full(append)) => {
                append.report_all(&AppendError::Retryable("too many appends wait for the disk".to_owned()));
            }
            Err(TrySendError::Disconnected(append)) => {
                append.report_all(&AppendError::Terminal("the log is closed".to_owned()));
            }
        }
    }

    fn read(&self, partition: Partition, from: Offset) -> Box<dyn LogReader> {
        let end = self.ends.get(partition as usize).map(watch::Sender::subscribe);
        Box::new(EmbeddedReader { database: Arc::clone(&self.database), partition, next: from, end })
    }

    async fn end(&self, partition: Partition) -> Result<Offset, ReadError> {
        let end = self.ends.get(partition as usize).map(|end| *end.borrow());
        end.ok_or_else(|| ReadError::Terminal(format!("there is no partition {partition}")))
    }
}

impl Append {
    fn report(&self, outcome: impl Fn(usize) -> Result<Offset, AppendError>) {
        let report = |(i, record): (usize, &Record)| Report {
            partition: self.partition,
            tenure: record.headers.tenure,
            n: record.headers.n,
            outcome: outcome(i),
        };
        (self.reports)(self.records.iter().enumerate().map(report).collect());
    }

    fn report_all(&self, error: &AppendError) {
        self.report(|_| Err(error.clone()));
    }
}

struct Committer {
    database: Arc<Database>,
    ends: Arc<Vec<watch::Sender<Offset>>>,
    /// After a failed commit nothing may land any more: what follows in a
    /// partition would stand in the wrong place.
    failed: AtomicBool,
}

impl Committer {
    fn run(self, appends: &Receiver<Append>) {
        while let Ok(first) = appends.recv() {
            let mut batch = vec![first];
            let mut bytes = batch[0].bytes();
            while bytes < TRANSACTION_BYTES
                && let Ok(append) = appends.try_recv()
            {
                bytes += append.bytes();
                batch.push(append);
            }
            if self.failed.load(Ordering::Relaxed) {
                let error = AppendError::Terminal("the log's storage failed before".to_owned());
                batch.iter().for_each(|append| append.report_all(&error));
                continue;
            }
            match self.commit(&batch) {
                Ok(firsts) => {
                    for (append, first) in batch.iter().zip(firsts) {
                        append.report(|i| Ok(first + i as u64));
                    }
                }
                Err(fault) => {
                    error!(%fault, "the log's storage failed; nothing is appended any more");
                    self.failed.store(true, Ordering::Relaxed);
                    let error = AppendError::Unknown(fault.to_string());
                    batch.iter().for_each(|append| append.report_all(&error));
                }
            }
        }
    }

    /// Makes the batch durable; the first offset of each append.
    fn commit(&self, batch: &[Append]) -> Result<Vec<Offset>, redb::Error> {
        let mut ends: Vec<Offset> = self.ends.iter().map(|end| *end.borrow()).collect();
        let mut firsts = Vec::with_capacity(batch.len());
        let now = Timestamp::now();
        let mut chunk = Vec::new();
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(CHUNKS)?;
            for append in batch {
                let partition = append.partition as usize;
                let Some(end) = ends.get_mut(partition) else {
                    return Err(redb::Error::Corrupted(format!("there is no partition {partition}")));
                };
                Chunk::write(now, &append.records, &mut chunk);
                table.insert((append.partition, *end), chunk.as_slice())?;
                firsts.push(*end);
                *end += append.records.len() as u64;
            }
        }
        transaction.commit()?;
        for (known, end) in self.ends.iter().zip(ends) {
            known.send_if_modified(|known| std::mem::replace(known, end) != end);
        }
        Ok(firsts)
    }
}

impl Append {
    fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.value.len() + 192).sum()
    }
}

/// The records of one append, as they are stored.
struct Chunk<'a> {
    appended_at: Timestamp,
    records: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (at, records) = bytes.split_first_chunk::<8>()?;
        Some(Self { appended_at: Timestamp(i64::from_be_bytes(*at)), records })
    }

    fn write(at: Timestamp, records: &[Record], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&at.0.to_be_bytes());
        for record in records {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            wire::write(record, out);
            let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Each record's blob.
    fn blobs(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.records;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (blob, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            rest = after;
            Some(blob)
        })
    }

    fn count(&self) -> usize {
        self.blobs().count()
    }
}

struct EmbeddedReader {
    database: Arc<Database>,
    partition: Partition,
    next: Offset,
    end: Option<watch::Receiver<Offset>>,
}

impl EmbeddedReader {
    fn read_some(&self) -> Result<Vec<StoredRecord>, ReadError> {
        let chunks = self.scan().map_err(|error| ReadError::Terminal(error.to_string()))?;
        let mut records: Vec<StoredRecord> = Vec::with_capacity(READ_RECORDS);
        for (first, bytes) in &chunks {
            let chunk = Chunk::new(bytes).ok_or_else(|| unreadable(*first, "the chunk is cut short"))?;
            for (offset, blob) in (*first..).zip(chunk.blobs()).filter(|(offset, _)| *offset >= self.next) {
                // The records of a chunk are mostly of one opening.
                let like = records.last().and_then(|last| last.record.key.as_ref());
                let record = wire::read(&bytes.slice_ref(blob), like);
                let record = record.map_err(|error| unreadable(offset, error))?;
                records.push(StoredRecord { offset, appended_at: chunk.appended_at, record });
            }
        }
        Ok(records)
    }

    /// Enough chunks from the next offset on, each with its first offset. The
    /// records that are read share their bytes.
    fn scan(&self) -> Result<Vec<(Offset, Bytes)>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let table = match transaction.open_table(CHUNKS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let (partition, next) = (self.partition, self.next);
        // The chunk that holds `next` may begin before it.
        let before = table.range((partition, 0)..=(partition, next))?.next_back().transpose()?;
        let from = before.map_or(next, |(key, _)| key.value().1);
        let (mut found, mut bytes) = (Vec::new(), 0);
        for entry in table.range((partition, from)..=(partition, u64::MAX))? {
            let (key, value) = entry?;
            let (_, first) = key.value();
            // How many records a chunk has is told by where the next begins.
            if first >= next + READ_RECORDS as u64 || bytes >= READ_BYTES {
                break;
            }
            bytes += value.value().len();
            found.push((first, Bytes::copy_from_slice(value.value())));
        }
        Ok(found)
    }
}

fn unreadable(offset: Offset, fault: impl std::fmt::Display) -> ReadError {
    ReadError::Terminal(format!("record {offset}: {fault}"))
}

#[async_trait]
impl LogReader for EmbeddedReader {
    async fn next(&mut self) -> Result<Vec<StoredRecord>, ReadError> {
        let Some(end) = &mut self.end else {
            return Err(ReadError::Terminal(format!("there is no partition {}", self.partition)));
        };
        let next = self.next;
        if end.wait_for(|end| *end > next).await.is_err() {
            return Err(ReadError::Terminal("the log is closed".to_owned()));
        }
        let records = self.read_some()?;
        if let Some(last) = records.last() {
            self.next = last.offset + 1;
        }
        Ok(records)
    }
}
