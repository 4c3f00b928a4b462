//! Notices that a view changed: in one process, and from one to others.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::store::Changed;

/// How many notices a slow listener may be behind before it loses some.
const NOTICES: usize = 4_096;

/// Where changes of views are announced. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Announcer(broadcast::Sender<Arc<Changed>>);

impl Default for Announcer {
    fn default() -> Self {
        Self(broadcast::Sender::new(NOTICES))
    }
}

impl Announcer {
    /// Announces a change to whoever listens.
    pub fn announce(&self, changed: Changed) {
        // Nobody listening is fine.
        drop(self.0.send(Arc::new(changed)));
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.0.receiver_count()
    }

    /// Listens to changes from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Changed>> {
        self.0.subscribe()
    }
}
