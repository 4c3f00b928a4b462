//! The contract of the stores of subject keys, on each of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use sqlx::postgres::PgPool;
use usher_command::claims::{Kept, KeyFiles, PostgresKeys, SubjectKeyStore};
use usher_events::ids::OpeningId;
use uuid::Uuid;

/// Makes the same store again, as another instance or a later start would.
type Reopen = Arc<dyn Fn() -> Arc<dyn SubjectKeyStore> + Send + Sync>;

/// An opening that no other test has.
fn opening(name: &str) -> OpeningId {
    OpeningId::new(&format!("{name}-{}", Uuid::new_v4().simple())).unwrap()
}

async fn key(store: &dyn SubjectKeyStore, opening: &OpeningId) -> [u8; 32] {
    match store.key(opening).await.unwrap() {
        Kept::Key(key) => *key.bytes(),
        Kept::Destroyed => panic!("the key of {opening} was destroyed"),
    }
}

async fn is_destroyed(store: &dyn SubjectKeyStore, opening: &OpeningId) -> bool {
    matches!(store.key(opening).await.unwrap(), Kept::Destroyed)
}

async fn keeps_the_contract(reopen: Reopen) {
    each_opening_has_a_key_of_its_own_that_stays(&reopen).await;
    whoever_asks_at_the_same_time_gets_the_same_key(&reopen).await;
    a_destroyed_key_is_gone_for_good(&reopen).await;
    what_has_no_key_cannot_lose_it(&reopen).await;
}

async fn each_opening_has_a_key_of_its_own_that_stays(reopen: &Reopen) {
    let (a, b) = (opening("a"), opening("b"));
    let made = key(&*reopen(), &a).await;
    assert_eq!(key(&*reopen(), &a).await, made);
    assert_ne!(key(&*reopen(), &b).await, made);
    let known = reopen().openings().await.unwrap();
    assert!(known.contains(&a) && known.contains(&b), "{known:?}");
}

async fn whoever_asks_at_the_same_time_gets_the_same_key(reopen: &Reopen) {
    let opening = opening("rush");
    let asking: Vec<_> = (0..16)
        .map(|_| {
            let (store, opening) = (reopen(), opening.clone());
            tokio::spawn(async move { key(&*store, &opening).await })
        })
        .collect();
    let first = key(&*reopen(), &opening).await;
    for asked in asking {
        assert_eq!(asked.await.unwrap(), first);
    }
}

async fn a_destroyed_key_is_gone_for_good(reopen: &Reopen) {
    let (gone, stays) = (opening("gone"), opening("stays"));
    let kept = key(&*reopen(), &stays).await;
    key(&*reopen(), &gone).await;
    assert!(reopen().destroy(&gone).await.unwrap());
    assert!(is_destroyed(&*reopen(), &gone).await);
    assert!(!reopen().destroy(&gone).await.unwrap(), "there is none any more");
    assert!(is_destroyed(&*reopen(), &gone).await, "and none is made again");
    let known = reopen().openings().await.unwrap();
    assert!(!known.contains(&gone) && known.contains(&stays), "{known:?}");
    assert_eq!(key(&*reopen(), &stays).await, kept);
}

async fn what_has_no_key_cannot_lose_it(reopen: &Reopen) {
    let never = opening("never");
    assert!(!reopen().destroy(&never).await.unwrap());
    assert!(!is_destroyed(&*reopen(), &never).await);
}

#[tokio::test]
async fn files_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("subjects");
    keeps_the_contract(Arc::new(move || Arc::new(KeyFiles::new(path.clone())))).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let url = std::env::var("USHER_POSTGRES__URL").expect("run through compose/stack run");
    let pool = PgPool::connect(&url).await.unwrap();
    let tables = include_str!("../../migrations/0003_subject_keys.sql");
    sqlx::raw_sql(tables).execute(&pool).await.unwrap();
    keeps_the_contract(Arc::new(move || Arc::new(PostgresKeys::new(pool.clone())))).await;
}

#[tokio::test]
async fn files_are_their_owners_alone_and_a_destroyed_key_leaves_no_byte() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("subjects");
    let store = KeyFiles::new(path.clone());
    let concert = OpeningId::new("concert").unwrap();
    key(&store, &concert).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("concert.key"))), (0o700, 0o600));
    store.destroy(&concert).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["concert.destroyed"]);
    assert_eq!(std::fs::read(path.join("concert.destroyed")).unwrap(), b"");
}

#[tokio::test]
async fn a_key_whose_destruction_was_interrupted_is_not_used_and_can_be_destroyed_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyFiles::new(dir.path().to_owned());
    let concert = OpeningId::new("concert").unwrap();
    key(&store, &concert).await;
    std::fs::write(dir.path().join("concert.destroyed"), "").unwrap();
    assert!(is_destroyed(&store, &concert).await);
    assert_eq!(
        store.openings().await.unwrap(),
        std::slice::from_ref(&concert),
        "there is something left to destroy"
    );
    assert!(store.destroy(&concert).await.unwrap());
    assert!(store.openings().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_is_no_key_is_a_fault_and_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyFiles::new(dir.path().to_owned());
    std::fs::write(dir.path().join("concert.key"), "not a key").unwrap();
    let fault = store.key(&OpeningId::new("concert").unwrap()).await.unwrap_err();
    assert!(fault.to_string().contains("concert.key is no key"), "{fault}");
    assert!(!fault.to_string().contains("not a key"));
}
