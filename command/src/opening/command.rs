//! What may be asked of an opening.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use usher_events::event::{Beacon, BeaconValue, SeatRefusals};
use usher_events::ids::{
    Actor, AdmissionId, BookingId, CommandId, ExtensionId, Hash, HoldId, OpeningId, PaymentReference,
    PlanName, SeatId, ShowingId, Ticket,
};
use usher_events::plan::{Plan, Showing};
use usher_events::policy::Policy;
use usher_events::time::Timestamp;
use uuid::Uuid;

use super::choosing::Best;
use super::queue::Numbering;

/// A command with all that its decision may depend on.
#[derive(Debug, Clone)]
pub struct Request {
    /// The command's id: the same id is the same command.
    pub id: CommandId,
    /// BLAKE3 of the canonical request; see [`Command::digest`].
    pub digest: Hash,
    /// Who sent it.
    pub actor: Actor,
    /// When it is decided.
    pub now: Timestamp,
    /// What is asked.
    pub command: Command,
}

/// All that a new opening is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Schedule {
    /// What people read.
    pub title: String,
    /// When the lobby closes and the opening opens.
    pub opens_at: Timestamp,
    /// When it starts to drain by itself, if it does.
    pub drains_at: Option<Timestamp>,
    /// When it closes.
    pub closes_at: Timestamp,
    /// The rules.
    pub policy: Policy,
    /// The beacon that the draw waits for, if any.
    pub beacon: Option<Beacon>,
    /// Its halls.
    pub plans: BTreeMap<PlanName, Plan>,
    /// Its showings.
    pub showings: Vec<Showing>,
    /// SHA-256 of the draw's seed; not part of what the caller asked.
    #[serde(skip)]
    pub seed_commitment: Hash,
    /// Which draw key the seed derives from; not part of what the caller asked.
    #[serde(skip)]
    pub draw_key_id: String,
}

/// The lobby's order, as it was hashed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drawn {
    /// Opens the commitment.
    pub seed: Hash,
    /// RFC 6962 tree hash of the tickets in drawn order.
    pub order_root: Hash,
    /// The numbers, so that no fold need hash again.
    #[serde(skip)]
    pub numbering: Arc<Numbering>,
}

/// What may be asked of an opening, by people and by its own timers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[allow(missing_docs, reason = "fields are named as in the events, which document them")]
pub enum Command {
    /// Let the opening be.
    Schedule(Box<Schedule>),
    /// Change title or times; what is not named stays.
    Reschedule {
        title: Option<String>,
        opens_at: Option<Timestamp>,
        /// `Some(None)` takes it away.
        drains_at: Option<Option<Timestamp>>,
        closes_at: Option<Timestamp>,
    },
    /// One more plan.
    AddPlan { name: PlanName, plan: Box<Plan> },
    /// One more showing.
    AddShowing { showing: Showing },
    /// Change the rules by a JSON merge patch (RFC 7396).
    ChangePolicy { patch: serde_json::Value },
    /// Change the word to everybody.
    SetMessage { message: Option<String> },
    /// Stop admissions.
    Pause,
    /// Go on with admissions.
    Resume,
    /// Take no new joins.
    Drain,
    /// End it.
    Close,
    /// The beacon's round, whose signature was verified: draw with it.
    BringBeacon {
        beacon: BeaconValue,
        /// What the round leads to; not part of what the caller asked. See
        /// [`Opening::hashes_for`](super::Opening::hashes_for).
        #[serde(skip)]
        drawn: Option<Drawn>,
    },
    /// Get in line.
    Join { ticket: Ticket },
    /// Get in line as this person, or take over the place that they have.
    JoinAs { ticket: Ticket, subject: Hash },
    /// Give the place up.
    Leave { ticket: Ticket },
    /// Enter the seat window.
    Enter { ticket: Ticket },
    /// Leave the seat window.
    LeaveWindow { ticket: Ticket },
    /// Ask when the opening will be over; changes nothing.
    AskWhenOver,
    /// Let the next ones in, by hand.
    AdmitByHand { admission: AdmissionId, count: u32 },
    /// Keep these seats for the visitor.
    Hold {
        hold: HoldId,
        ticket: Ticket,
        showing: ShowingId,
        seats: Vec<SeatId>,
        /// Whether somebody who sits there comes in a wheelchair.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        wheelchair: bool,
    },
    /// Keep the best free seats for the visitor.
    HoldBest { hold: HoldId, ticket: Ticket, showing: ShowingId, best: Best },
    /// Exchange the seats of a live hold for these, or change nothing.
    Swap {
        hold: HoldId,
        ticket: Ticket,
        seats: Vec<SeatId>,
        /// As for a new hold.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        wheelchair: bool,
    },
    /// Keep them longer.
    Extend { hold: HoldId, ticket: Ticket, extension: ExtensionId },
    /// Give them back.
    Release { hold: HoldId, ticket: Ticket },
    /// Settle a payment of the hold.
    Confirm { booking: BookingId, hold: HoldId, payment_reference: PaymentReference },
    /// Give a booking's seats back, or one of them.
    Cancel {
        booking: BookingId,
        #[serde(skip_serializing_if = "Option::is_none")]
        seat: Option<SeatId>,
    },

    /// Timer: `opens_at` has come.
    CloseLobby { cohort_root: Hash, count: u32 },
    /// Timer: the lobby is closed, draw its order.
    HoldDraw(Drawn),
    /// Timer: the order is drawn, open.
    Open,
    /// Timer: slots are free and visitors wait.
    AdmitNext,
    /// Timer: admitted visitors did not enter.
    ExpireAdmissions,
    /// Timer: visits have lasted long enough.
    EndVisits,
    /// Timer: holds ran out.
    ExpireHolds,
    /// Timer: seats are sold from now on.
    OpenSeats,
    /// Timer: these did not say that they are there; tickets by their index
    /// in the queue's list, which never changes.
    GoAway { indexes: Vec<u32> },
    /// Timer: these said that they are there; whoever of them was away is back.
    Return { indexes: Vec<u32> },
    /// Timer: `drains_at` has come.
    DrainOnTime,
    /// Timer: `closes_at` has come, or a drained opening is empty.
    CloseOnTime,
    /// Timer: there were refusals in the last minute.
    CountRefusals { since: Timestamp, by_reason: BTreeMap<String, u64>, by_seat: Vec<SeatRefusals> },
}

impl Command {
    /// BLAKE3 of the canonical request: the opening, then the command as JSON
    /// with its fields in their fixed order.
    pub fn digest(&self, opening: &OpeningId) -> Hash {
        // Put together first: the hash is fast over one text, not over many parts.
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(&(opening.as_str().len() as u64).to_le_bytes());
        text.extend_from_slice(opening.as_str().as_bytes());
        // A command holds nothing that JSON cannot: text keys, finite numbers
        // that came as JSON.
        drop(serde_json::to_writer(&mut text, self));
        Hash(blake3::hash(&text).into())
    }

    /// What was hashed for it.
    pub fn drawn(&self) -> Option<&Drawn> {
        match self {
            Self::HoldDraw(drawn) | Self::BringBeacon { drawn: Some(drawn), .. } => Some(drawn),
            _ => None,
        }
    }

    /// Takes what was hashed for the same round of a beacon.
    pub fn take_hashes(&mut self, made: &Self) {
        if let (Self::BringBeacon { beacon, drawn }, Self::BringBeacon { beacon: same, drawn: made }) =
            (self, made)
            && beacon == same
        {
            drawn.clone_from(made);
        }
    }

    /// Gives up what was hashed for a caller's command.
    pub fn drop_hashes(&mut self) {
        if let Self::BringBeacon { drawn, .. } = self {
            *drawn = None;
        }
    }

    /// The id of a command whose resource the client named, or that can
    /// happen only once to it; none where an `Idempotency-Key` is needed.
    pub fn own_id(&self, digest: &Hash) -> Option<CommandId> {
        match self {
            Self::AdmitByHand { admission, .. } => Some(CommandId(admission.0)),
            Self::Hold { hold, .. } | Self::HoldBest { hold, .. } => Some(CommandId(hold.0)),
            Self::Extend { extension, .. } => Some(CommandId(extension.0)),
            Self::Confirm { booking, .. } => Some(CommandId(booking.0)),
            Self::Reschedule { .. }
            | Self::ChangePolicy { .. }
            | Self::SetMessage { .. }
            | Self::Swap { .. }
            | Self::Pause
            | Self::Resume
            | Self::Drain
            | Self::Close => None,
            Self::Schedule(_) => None,
            _ => Some(derived_id(digest)),
        }
    }

    /// Whether its id was chosen by whoever sent it, and so is taken for
    /// whatever else comes with it. Ids that are made from what is asked can
    /// be foreseen: who takes one of them first must be in nobody's way.
    pub(super) fn has_chosen_id(&self) -> bool {
        matches!(
            self,
            Self::AdmitByHand { .. }
                | Self::Hold { .. }
                | Self::HoldBest { .. }
                | Self::Extend { .. }
                | Self::Confirm { .. }
                | Self::Reschedule { .. }
                | Self::ChangePolicy { .. }
                | Self::SetMessage { .. }
                | Self::Swap { .. }
                | Self::Pause
                | Self::Resume
                | Self::Drain
                | Self::Close
        )
    }

    /// A timer's id: made from what is due and when.
    pub fn timer_id(&self, opening: &OpeningId, due: Timestamp) -> CommandId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(opening.as_str().as_bytes()).update(b"\0").update(self.name().as_bytes());
        hasher.update(&due.0.to_le_bytes());
        derived_id(&Hash(hasher.finalize().into()))
    }

    /// The command's name, as logs and the `actor` of timers show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Schedule(_) => "schedule",
            Self::Reschedule { .. } => "reschedule",
            Self::AddPlan { .. } => "add-plan",
            Self::AddShowing { .. } => "add-showing",
            Self::ChangePolicy { .. } => "change-policy",
            Self::SetMessage { .. } => "set-message",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
            Self::Close => "close",
            Self::BringBeacon { .. } => "bring-beacon",
            Self::Join { .. } => "join",
            Self::JoinAs { .. } => "join-as",
            Self::Leave { .. } => "leave",
            Self::Enter { .. } => "enter",
            Self::LeaveWindow { .. } => "leave-window",
            Self::OpenSeats => "open-seats",
            Self::AskWhenOver => "ask-when-over",
            Self::AdmitByHand { .. } => "admit-by-hand",
            Self::Hold { .. } => "hold",
            Self::HoldBest { .. } => "hold-best",
            Self::Swap { .. } => "swap",
            Self::Extend { .. } => "extend",
            Self::Release { .. } => "release",
            Self::Confirm { .. } => "confirm",
            Self::Cancel { .. } => "cancel",
            Self::CloseLobby { .. } => "close-lobby",
            Self::HoldDraw(_) => "draw",
            Self::Open => "open",
            Self::AdmitNext => "admit",
            Self::ExpireAdmissions => "expire-admissions",
            Self::EndVisits => "end-visits",
            Self::ExpireHolds => "expire-holds",
            Self::GoAway { .. } => "go-away",
            Self::Return { .. } => "return",
            Self::DrainOnTime => "drain-on-time",
            Self::CloseOnTime => "close-on-time",
            Self::CountRefusals { .. } => "count-refusals",
        }
    }

    /// Whether an accepted one is remembered by its id. What a ticket's own
    /// state tells, and what timers do, need not be.
    pub(super) fn is_remembered(event: &usher_events::event::Event) -> bool {
        use usher_events::event::Event::*;
        !matches!(
            event,
            VisitorJoined(_)
                | TicketMoved(_)
                | VisitorLeft(_)
                | VisitorsReturned(_)
                | VisitorsWentAway(_)
                | VisitorEntered(_)
                | VisitsEnded(_)
                | LobbyClosed(_)
                | DrawHeld(_)
                | OpeningOpened(_)
                | AdmissionsExpired(_)
                | HoldsExpired(_)
                | HoldReleased(_)
                | RefusalsCounted(_)
                | SeatsUnblocked(_)
        ) && !matches!(event, VisitorsAdmitted(admitted) if admitted.admission.is_none())
    }
}

/// The id of the command that schedules `opening`: an opening's id is never
/// reused, so it is made from that alone.
pub fn schedule_id(opening: &OpeningId) -> CommandId {
    derived_id(&Hash(blake3::hash(opening.as_str().as_bytes()).into()))
}

fn derived_id(digest: &Hash) -> CommandId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.0[..16]);
    CommandId(Uuid::new_v8(bytes))
}
