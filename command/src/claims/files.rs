//! Subject keys in a directory: for the one process of the embedded default.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usher_events::ids::OpeningId;

use super::subject_keys::{Kept, StoreFault, SubjectKey, SubjectKeyStore};

/// A file `<opening>.key` for each key, and `<opening>.destroyed` for each
/// that was.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    dir: PathBuf,
}

impl KeyFiles {
    /// Keys in `dir`, which is made when the first key is.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    async fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let dir = self.dir.clone();
        let done = tokio::task::spawn_blocking(move || act(&dir)).await;
        let done = done.map_err(|fault| StoreFault(fault.to_string()))?;
        done.map_err(|fault| StoreFault(format!("{}: {fault}", self.dir.display())))
    }
}

#[async_trait]
impl SubjectKeyStore for KeyFiles {
    async fn key(&self, opening: &OpeningId) -> Result<Kept, StoreFault> {
        let opening = opening.clone();
        self.run(move |dir| {
            match read(dir, &opening) {
                Err(fault) if fault.kind() == ErrorKind::NotFound => {}
                read => return read,
            }
            make(dir, &opening)?;
            // Whoever made it first, this is it.
            read(dir, &opening)
        })
        .await
    }

    async fn destroy(&self, opening: &OpeningId) -> Result<bool, StoreFault> {
        let opening = opening.clone();
        self.run(move |dir| destroy(dir, &opening)).await
    }

    async fn openings(&self) -> Result<Vec<OpeningId>, StoreFault> {
        self.run(|dir| {
            let entries = match fs::read_dir(dir) {
                Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let names: Vec<_> = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
            let opening =
                |name: &std::ffi::OsString| OpeningId::new(name.to_str()?.strip_suffix(".key")?).ok();
            Ok(names.iter().filter_map(opening).collect())
        })
        .await
    }
}

fn key_file(dir: &Path, opening: &OpeningId) -> PathBuf {
    dir.join(format!("{opening}.key"))
}

fn mark_of(dir: &Path, opening: &OpeningId) -> PathBuf {
    dir.join(format!("{opening}.destroyed"))
}

fn read(dir: &Path, opening: &OpeningId) -> io::Result<Kept> {
    if mark_of(dir, opening).exists() {
        return Ok(Kept::Destroyed);
    }
    let text = fs::read_to_string(key_file(dir, opening))?;
    match usher_http::auth::secret(text.trim()) {
        Some(bytes) => Ok(Kept::Key(SubjectKey::new(bytes))),
        None => Err(io::Error::new(ErrorKind::InvalidData, format!("{opening}.key is no key"))),
    }
}

/// Makes a key, unless another one is there first. It appears whole.
fn make(dir: &Path, opening: &OpeningId) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let draft = dir.join(format!("{opening}.{}.draft", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(URL_SAFE_NO_PAD.encode(SubjectKey::random().bytes()).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, key_file(dir, opening));
    fs::remove_file(&draft)?;
    match linked {
        Err(fault) if fault.kind() != ErrorKind::AlreadyExists => Err(fault),
        _ => File::open(dir)?.sync_all(),
    }
}

/// The mark first: whatever happens then, the key is not used again. The key
/// is overwritten before its file goes; what the disk keeps below the file
/// system is not ours to reach.
fn destroy(dir: &Path, opening: &OpeningId) -> io::Result<bool> {
    let file = key_file(dir, opening);
    if !file.exists() {
        return Ok(false);
    }
    let mut marking = OpenOptions::new();
    marking.write(true).create(true).truncate(false).mode(0o600);
    marking.open(mark_of(dir, opening))?.sync_all()?;
    File::open(dir)?.sync_all()?;
    let mut key = OpenOptions::new().write(true).open(&file)?;
    key.write_all(&[b'0'; 43])?;
    key.sync_all()?;
    fs::remove_file(&file)?;
    File::open(dir)?.sync_all()?;
    Ok(true)
}
