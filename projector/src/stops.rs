//! Stops and acts of a projection in memory.

use crate::store::{ACTS_LISTED, Act, Place, Skip, Stop, StoreError};

/// One projection's stop and what operators did about earlier ones. Gone
/// when the process ends: the rebuilt view meets the record again.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    pub(crate) stop: Option<Stop>,
    acts: Vec<Act>,
}

impl Stops {
    pub(crate) fn go_on(
        &mut self,
        place: &mut Place,
        skip: Option<&Skip>,
        act: &Act,
    ) -> Result<(), StoreError> {
        let stopped_there = self.stop.as_ref().is_some_and(|stop| stop.offset == act.offset);
        if !stopped_there || skip.is_some_and(|skip| skip.follows.position != place.position) {
            return Err(StoreError::Refused);
        }
        self.stop = None;
        *place = skip.map_or(*place, |skip| skip.to);
        self.acts.push(act.clone());
        Ok(())
    }

    /// The newest acts, newest first.
    pub(crate) fn acts(&self) -> Vec<Act> {
        self.acts.iter().rev().take(ACTS_LISTED).cloned().collect()
    }
}
