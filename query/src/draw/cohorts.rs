//! Cohorts with their trees, built once and kept: a million may ask for their
//! proof.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use usher_events::ids::{Hash, OpeningId, Ticket};
use usher_http::problem::Problem;

use super::tree::Tree;

/// The most tickets of cohorts that are kept together; one that is larger
/// than this is kept alone.
const MOST_TICKETS: usize = 4_000_000;

/// The cohort's root, and the drawn order's once it is drawn.
pub(super) type Roots = (Hash, Option<Hash>);
/// The cohort in ascending and in drawn order; the latter may be empty.
pub(super) type Lists = (Arc<[Ticket]>, Arc<[Ticket]>);

/// A leaf's place in a tree, and the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inclusion {
    /// From 0.
    pub(super) index: usize,
    /// Sibling hashes from the leaf up.
    pub(super) path: Vec<Hash>,
}

/// A closed lobby, and its order once it is drawn.
#[derive(Debug)]
pub(super) struct Cohort {
    tickets: Arc<[Ticket]>,
    tree: Tree,
    drawn: Option<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    /// The drawn order, each ticket by its index in the cohort.
    order: Vec<u32>,
    /// The place in the drawn order, by index in the cohort.
    places: Vec<u32>,
    tree: Tree,
}

impl Cohort {
    fn new((tickets, order): &Lists) -> Self {
        let drawn = (!order.is_empty()).then(|| Drawn::new(tickets, order));
        Self { tree: Tree::new(tickets), tickets: Arc::clone(tickets), drawn }
    }

    fn roots(&self) -> Roots {
        (self.tree.root(), self.drawn.as_ref().map(|drawn| drawn.tree.root()))
    }

    pub(super) fn len(&self) -> usize {
        self.tickets.len()
    }

    pub(super) fn has(&self, ticket: &Ticket) -> bool {
        self.tickets.binary_search(ticket).is_ok()
    }

    /// The proofs of a ticket: in the cohort and, once it is drawn, in the
    /// drawn order. None when it is not in the cohort.
    pub(super) fn prove(&self, ticket: &Ticket) -> Option<(Inclusion, Option<Inclusion>)> {
        let index = self.tickets.binary_search(ticket).ok()?;
        let path = self.tree.path(index, |at| self.tickets[at]);
        let drawn = self.drawn.as_ref().map(|drawn| {
            let place = drawn.places[index] as usize;
            let path = drawn.tree.path(place, |at| self.tickets[drawn.order[at] as usize]);
            Inclusion { index: place, path }
        });
        Some((Inclusion { index, path }, drawn))
    }
}

impl Drawn {
    fn new(cohort: &[Ticket], drawn: &[Ticket]) -> Self {
        let mut places = vec![0; cohort.len()];
        let mut order = Vec::with_capacity(drawn.len());
        for (place, ticket) in (0..).zip(drawn) {
            let index = cohort.binary_search(ticket).unwrap_or_default();
            places[index] = place;
            order.push(u32::try_from(index).unwrap_or_default());
        }
        Self { order, places, tree: Tree::new(drawn) }
    }
}

#[derive(Debug)]
struct Entry {
    opening: OpeningId,
    roots: Roots,
    cohort: Arc<Cohort>,
}

/// The cohorts that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Cohorts {
    /// Those asked for last come last.
    kept: Mutex<Vec<Entry>>,
    building: tokio::sync::Mutex<()>,
}

impl Cohorts {
    /// The cohort of `opening` with these roots, from the lists that `read`
    /// tells; one is built at a time, for all who ask.
    pub(super) async fn get<F>(
        &self,
        opening: &OpeningId,
        roots: Roots,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<Cohort>, Problem>
    where
        F: Future<Output = Result<Lists, Problem>>,
    {
        if let Some(cohort) = self.find(opening, roots) {
            return Ok(cohort);
        }
        let _building = self.building.lock().await;
        if let Some(cohort) = self.find(opening, roots) {
            return Ok(cohort);
        }
        let lists = read().await?;
        // Hashing a million tickets takes a second: not on the threads that answer.
        let built = tokio::task::spawn_blocking(move || Cohort::new(&lists)).await;
        let cohort = Arc::new(built.map_err(Problem::internal)?);
        if cohort.roots() != roots {
            tracing::warn!(%opening, "the cohort in the view is not the one that was published");
            return Err(Problem::unavailable("view-unavailable", "the cohort cannot be read now"));
        }
        self.keep(Entry { opening: opening.clone(), roots, cohort: Arc::clone(&cohort) });
        Ok(cohort)
    }

    fn find(&self, opening: &OpeningId, roots: Roots) -> Option<Arc<Cohort>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|entry| entry.opening == *opening && entry.roots == roots)?;
        let last = kept.len() - 1;
        kept[at..=last].rotate_left(1);
        Some(Arc::clone(&kept[last].cohort))
    }

    fn keep(&self, entry: Entry) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A cohort that was drawn now takes the place of itself before.
        kept.retain(|other| other.opening != entry.opening);
        kept.push(entry);
        while kept.len() > 1 && kept.iter().map(|entry| entry.cohort.len()).sum::<usize>() > MOST_TICKETS {
            kept.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use usher_events::draw::merkle_root;

    use super::*;

    fn opening(name: &str) -> OpeningId {
        OpeningId::new(name).unwrap()
    }

    fn lists() -> Lists {
        let mut tickets: Vec<Ticket> = (0..100).map(|i| Ticket::of_secret(&[i; 32])).collect();
        let order = tickets.clone();
        tickets.sort_unstable();
        (tickets.into(), order.into())
    }

    #[tokio::test]
    async fn a_cohort_is_built_once_for_all_who_ask() {
        let (cohorts, reads, lists) = (Cohorts::default(), AtomicUsize::new(0), lists());
        let roots = (merkle_root(&lists.0), Some(merkle_root(&lists.1)));
        let (opening, lists) = (opening("a"), &lists);
        let asked = (0..50).map(|_| {
            cohorts.get(&opening, roots, || async {
                reads.fetch_add(1, Ordering::Relaxed);
                Ok(lists.clone())
            })
        });
        for (cohort, place) in futures::future::join_all(asked).await.into_iter().zip(0..) {
            let (in_cohort, drawn) = cohort.unwrap().prove(&lists.1[place]).unwrap();
            assert_eq!((lists.0[in_cohort.index], drawn.unwrap().index), (lists.1[place], place));
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_cohort_that_is_not_the_published_one_is_not_answered() {
        let lists = lists();
        let wrong = (merkle_root(&lists.1), None);
        let got = Cohorts::default().get(&opening("a"), wrong, || async { Ok(lists) }).await;
        assert_eq!(got.unwrap_err().kind(), "view-unavailable");
    }

    #[test]
    fn those_that_nobody_asked_for_lately_are_forgotten_first() {
        let cohorts = Cohorts::default();
        let cohort = |tickets: usize| {
            let tree = Tree::new(&[]);
            Arc::new(Cohort { tickets: vec![Ticket::default(); tickets].into(), tree, drawn: None })
        };
        let roots = (Hash::default(), None);
        let keep =
            |name, tickets| cohorts.keep(Entry { opening: opening(name), roots, cohort: cohort(tickets) });
        keep("a", 1_500_000);
        keep("b", 1_500_000);
        assert!(cohorts.find(&opening("a"), roots).is_some());
        keep("c", 1_500_000);
        let there = |name| cohorts.find(&opening(name), roots).is_some();
        assert!(there("a") && !there("b") && there("c"));
        keep("d", 5_000_000);
        assert!(!there("a") && !there("c") && there("d"));
    }
}
