//! Joins decided and durable on the embedded log, against raw appends.
//!
//! `cargo bench --bench joins_embedded`. The raw side writes the very bytes
//! that the other side's file holds, in the same transactions, with nothing
//! else to do. Sizes: `USHER_BENCH_JOINS`, `USHER_BENCH_AT_ONCE`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod shared;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, TableDefinition};
use shared::stage::Stage;
use shared::{Limit, Pairs, ROUNDS, from_environment};
use usher_events::log::embedded::EmbeddedLog;

/// The embedded log's own table.
const CHUNKS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("chunks");
/// As `usher.default.toml` has them.
const PARTITIONS: u32 = 16;
const MAX_IN_FLIGHT: usize = 8_192;

/// One durable step: chunks by their keys.
type Transaction = Vec<((u32, u64), Vec<u8>)>;

fn usher(file: &Path, joins: u64, at_once: usize) -> Duration {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let log = Arc::new(EmbeddedLog::open(file, PARTITIONS).unwrap());
        let stage = Stage::new(log, PARTITIONS, MAX_IN_FLIGHT).await;
        let took = stage.joins(joins, at_once).await;
        tokio::task::spawn_blocking(|| stage.stop()).await.unwrap();
        took
    })
}

/// What a file holds, in the transactions that wrote it: chunks of one
/// millisecond, because a commit takes longer. Were it not so, the raw side
/// would have less to do.
fn transactions(file: &Path) -> Vec<Transaction> {
    let database = Database::open(file).unwrap();
    let table = database.begin_read().unwrap().open_table(CHUNKS).unwrap();
    let chunks = table.range::<(u32, u64)>(..).unwrap().map(|entry| {
        let (key, chunk) = entry.unwrap();
        (key.value(), chunk.value().to_vec())
    });
    let mut chunks: Vec<_> = chunks.collect();
    let at = |chunk: &[u8]| i64::from_be_bytes(chunk[..8].try_into().unwrap());
    chunks.sort_by_key(|(key, chunk)| (at(chunk), *key));
    let same = |a: &((u32, u64), Vec<u8>), b: &((u32, u64), Vec<u8>)| at(&a.1) == at(&b.1);
    chunks.chunk_by(same).map(<[_]>::to_vec).collect()
}

fn raw(file: &Path, transactions: &[Transaction]) -> Duration {
    let database = Database::create(file).unwrap();
    let begun = Instant::now();
    for chunks in transactions {
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(CHUNKS).unwrap();
            for (key, chunk) in chunks {
                table.insert(key, chunk.as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    begun.elapsed()
}

fn main() {
    let joins = from_environment("USHER_BENCH_JOINS", 500_000);
    let at_once = from_environment("USHER_BENCH_AT_ONCE", 16_000) as usize;
    let mut pairs = Pairs::new("joins on the embedded log against raw appends", "per second");
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = directory.path().join("usher.redb");
        let took = usher(&file, joins, at_once);
        let transactions = transactions(&file);
        let bytes: usize = transactions.iter().flatten().map(|(_, chunk)| chunk.len()).sum();
        println!(
            "  {} transactions of {:.0} records and {:.0} KiB on average, {:.0} bytes a record",
            transactions.len(),
            joins as f64 / transactions.len() as f64,
            bytes as f64 / 1024.0 / transactions.len() as f64,
            bytes as f64 / joins as f64,
        );
        let raw = raw(&directory.path().join("raw.redb"), &transactions);
        pairs.add(joins as f64 / took.as_secs_f64(), joins as f64 / raw.as_secs_f64());
    }
    pairs.tell(Limit::AtLeast(0.6));
}
