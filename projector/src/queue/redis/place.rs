//! Places, stops and acts in Redis.

use ::redis::{AsyncCommands, ErrorKind, Pipeline, RedisError, RedisResult};
use usher_events::ids::OpeningId;
use usher_events::log::Partition;
use usher_events::record::Offset;

use super::{RedisQueues, away, broken};
use crate::store::{ACTS_LISTED, Act, Batch, Place, Skip, Stop, StoreError};

/// How many openings are asked about at once.
const CHUNK: usize = 1_000;

/// A place as it is stored; the first when there is none.
pub(super) fn parsed(text: Option<&str>) -> RedisResult<Place> {
    let broken = |_| RedisError::from((ErrorKind::Parse, "a place is unreadable"));
    text.map_or(Ok(Place::default()), |text| serde_json::from_str(text).map_err(broken))
}

/// An opening whose steps are lost, with its place now.
struct Lost {
    opening: OpeningId,
    place: Place,
}

impl RedisQueues {
    pub(super) fn place_key(&self, partition: Partition) -> String {
        format!("{}:place:{{{partition}}}", self.prefix)
    }

    /// The positions of a partition's openings, as they were at its place.
    fn positions_key(&self, partition: Partition) -> String {
        format!("{}:positions:{{{partition}}}", self.prefix)
    }

    fn acts_key(&self, partition: Partition) -> String {
        format!("{}:acts:{{{partition}}}", self.prefix)
    }

    pub(super) fn openings_key(&self) -> String {
        format!("{}:openings", self.prefix)
    }

    pub(super) async fn read_place(&self, partition: Partition) -> RedisResult<Place> {
        let place: Option<String> = self.connection.clone().hget(self.place_key(partition), "place").await?;
        parsed(place.as_deref())
    }

    pub(super) async fn read_position(&self, partition: Partition) -> RedisResult<Offset> {
        let position: Option<Offset> =
            self.connection.clone().hget(self.place_key(partition), "position").await?;
        Ok(position.unwrap_or(0))
    }

    /// Moves the place after a batch whose openings are applied.
    pub(super) async fn move_place(
        &self,
        batch: &Batch,
        positions: &[(OpeningId, Offset)],
    ) -> Result<(), StoreError> {
        self.set_place(batch.partition, batch.follows.position, &batch.to, positions).await
    }

    async fn set_place(
        &self,
        partition: Partition,
        follows: Offset,
        to: &Place,
        positions: &[(OpeningId, Offset)],
    ) -> Result<(), StoreError> {
        let place = serde_json::to_string(to).map_err(broken)?;
        let mut invocation = self.scripts.place.key(self.place_key(partition));
        invocation.key(self.positions_key(partition)).arg(follows).arg(to.position).arg(place);
        for (opening, position) in positions {
            invocation.arg(opening.as_str()).arg(*position);
        }
        let answer: String = invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)?;
        if answer == "OK" { Ok(()) } else { Err(StoreError::Refused) }
    }

    /// The place to go on from. When openings lost steps that the place says
    /// they have, it goes back to before the first of those.
    pub(super) async fn recover_place(&self, partition: Partition) -> Result<Place, StoreError> {
        self.forget(partition);
        let place = self.read_place(partition).await.map_err(away)?;
        let noted: Vec<(String, Offset)> =
            self.connection.clone().hgetall(self.positions_key(partition)).await.map_err(away)?;
        let mut lost = Vec::new();
        for chunk in noted.chunks(CHUNK) {
            lost.extend(self.lost_of(partition, chunk).await?);
        }
        let Some(earliest) = lost.iter().map(|lost| lost.place).min_by_key(|place| place.position) else {
            return Ok(place);
        };
        let earliest = if earliest.position < place.position { earliest } else { place };
        tracing::warn!(
            partition,
            openings = lost.len(),
            position = earliest.position,
            "Redis lost steps of queue views: they are read again"
        );
        let positions: Vec<_> = lost.into_iter().map(|lost| (lost.opening, lost.place.position)).collect();
        self.set_place(partition, place.position, &earliest, &positions).await?;
        Ok(earliest)
    }

    /// Notes the positions of openings; those that are behind what was noted.
    async fn lost_of(
        &self,
        partition: Partition,
        noted: &[(String, Offset)],
    ) -> Result<Vec<Lost>, StoreError> {
        let mut pipeline = Pipeline::new();
        let mut openings = Vec::with_capacity(noted.len());
        for (name, position) in noted {
            let opening = OpeningId::new(name).map_err(broken)?;
            pipeline.hmget(self.keys(&opening).status, &["position", "place"]);
            openings.push((opening, *position));
        }
        let found: Vec<(Option<Offset>, Option<String>)> =
            pipeline.query_async(&mut self.connection.clone()).await.map_err(away)?;
        let mut lost = Vec::new();
        let mut positions = Vec::with_capacity(openings.len());
        for ((opening, noted), (position, place)) in openings.into_iter().zip(found) {
            let position = position.unwrap_or(0);
            positions.push((opening.clone(), position));
            if position < noted {
                lost.push(Lost { opening, place: parsed(place.as_deref()).map_err(away)? });
            }
        }
        self.note(partition, positions);
        Ok(lost)
    }

    pub(super) async fn keep_stop(&self, partition: Partition, stop: &Stop) -> Result<(), StoreError> {
        let fields =
            [("stopped_at", stop.offset.to_string()), ("stop", serde_json::to_string(stop).map_err(broken)?)];
        let kept = self.connection.clone().hset_multiple(self.place_key(partition), &fields).await;
        kept.map_err(away)
    }

    pub(super) async fn read_stop(&self, partition: Partition) -> Result<Option<Stop>, StoreError> {
        let stop: Option<String> =
            self.connection.clone().hget(self.place_key(partition), "stop").await.map_err(away)?;
        stop.map(|stop| serde_json::from_str(&stop)).transpose().map_err(broken)
    }

    pub(super) async fn keep_act(
        &self,
        partition: Partition,
        skip: Option<&Skip>,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut invocation = self.scripts.act.key(self.place_key(partition));
        invocation.key(self.acts_key(partition)).arg(act.offset);
        invocation.arg(serde_json::to_string(act).map_err(broken)?);
        if let Some(Skip { follows, to }) = skip {
            let place = serde_json::to_string(to).map_err(broken)?;
            invocation.arg(follows.position).arg(to.position).arg(place);
        }
        let answer: String = invocation.invoke_async(&mut self.connection.clone()).await.map_err(away)?;
        if answer == "OK" { Ok(()) } else { Err(StoreError::Refused) }
    }

    pub(super) async fn read_acts(&self, partition: Partition) -> Result<Vec<Act>, StoreError> {
        let last = isize::try_from(ACTS_LISTED).unwrap_or(isize::MAX) - 1;
        let acts: Vec<String> =
            self.connection.clone().lrange(self.acts_key(partition), 0, last).await.map_err(away)?;
        acts.iter().map(|act| serde_json::from_str(act)).collect::<Result<_, _>>().map_err(broken)
    }
}
