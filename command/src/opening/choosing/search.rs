//! The best of the free seats: one pass over the runs of free seats, and if
//! they may be split, one over the pairs of parts that touch.

use std::ops::Range;

use super::{Floor, Relax};

/// What tells one choice from a better one, the most important first; the
/// least is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::opening) struct Score {
    /// What had to be relaxed.
    pub(super) relaxed: Relax,
    /// Who would sit alone in a row.
    pub(super) alone: u32,
    /// The single free seats that are left beside them.
    pub(super) singles: u32,
    /// The sum of the distances.
    pub(super) far: u32,
}

/// Some free seats.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::opening) struct Choice {
    pub(in crate::opening) score: Score,
    pub(in crate::opening) seats: Vec<u32>,
}

impl Choice {
    /// What had to be relaxed for it.
    pub(in crate::opening) fn relaxed(&self) -> Relax {
        self.score.relaxed
    }
}

/// The free seats of a showing, as one who may hold them sees them.
pub(in crate::opening) struct Survey<'a> {
    floor: &'a Floor,
    /// The free seats side by side.
    runs: Vec<Range<usize>>,
    /// Each seat's run; of a seat that is not free, whatever.
    run_of: Vec<u32>,
    /// Of the seats before each: how far they are together.
    far: Vec<u32>,
    /// Of the seats before each: how many are not of the asked category.
    unwanted: Vec<u32>,
    /// The seat that must be among those that are chosen, if one must.
    with: Option<usize>,
}

/// Seats side by side.
#[derive(Clone, Copy)]
struct Part {
    singles: u32,
    far: u32,
}

impl<'a> Survey<'a> {
    /// Looks at the seats for which `is_free`, to choose from `category` those
    /// that are the least far.
    pub(in crate::opening) fn new(
        floor: &'a Floor,
        category: Option<u16>,
        how_far: impl Fn(usize) -> u16,
        is_free: impl Fn(usize) -> bool,
    ) -> Self {
        let seats = floor.len();
        let mut survey = Self {
            floor,
            runs: Vec::new(),
            run_of: Vec::with_capacity(seats),
            far: Vec::with_capacity(seats + 1),
            unwanted: Vec::with_capacity(seats + 1),
            with: None,
        };
        let (mut far, mut unwanted) = (0, 0);
        for seat in 0..seats {
            survey.far.push(far);
            survey.unwanted.push(unwanted);
            far += u32::from(how_far(seat));
            unwanted += u32::from(category.is_some_and(|asked| asked != floor.category_of(seat)));
            let run = if is_free(seat) { survey.add(seat) } else { u32::MAX };
            survey.run_of.push(run);
        }
        survey.far.push(far);
        survey.unwanted.push(unwanted);
        survey
    }

    /// The same survey, for choices with `seat` among them.
    pub(in crate::opening) fn with(self, seat: usize) -> Self {
        Self { with: Some(seat), ..self }
    }

    /// Whether seats from `start` on have the one that they must.
    fn has(&self, start: usize, count: usize) -> bool {
        self.with.is_none_or(|seat| (start..start + count).contains(&seat))
    }

    /// A free seat goes on with the run before it, or begins the next one.
    fn add(&mut self, seat: usize) -> u32 {
        match self.runs.last_mut() {
            Some(run) if run.end == seat && self.floor.beside(seat) => run.end += 1,
            _ => self.runs.push(seat..seat + 1),
        }
        u32::try_from(self.runs.len() - 1).unwrap_or(u32::MAX)
    }

    /// The best `count` seats with no more relaxed than `relax`. Of equal
    /// choices it is the one that comes first in the plan.
    pub(in crate::opening) fn best(&self, count: usize, relax: Relax) -> Option<Choice> {
        let together = self.together(count).filter(|choice| choice.score.relaxed <= relax);
        together.or_else(|| if relax >= Relax::Split { self.split(count) } else { None })
    }

    /// The free seats that would be without a free neighbour if `seats` were
    /// taken, and are not now.
    pub(in crate::opening) fn singles_left(&self, seats: &[u32]) -> Vec<u32> {
        let stays = |seat: usize, run: &Range<usize>| {
            run.contains(&seat) && u32::try_from(seat).is_ok_and(|seat| !seats.contains(&seat))
        };
        let mut singles = Vec::new();
        for seat in seats.iter().map(|seat| *seat as usize) {
            let Some(run) = self.runs.get(self.run_of[seat] as usize) else { continue };
            let left = seat.checked_sub(1).filter(|left| !stays(left.wrapping_sub(1), run));
            let right = Some(seat + 1).filter(|right| !stays(right + 1, run));
            singles.extend(indexes([left, right].into_iter().flatten().filter(|single| stays(*single, run))));
        }
        singles.sort_unstable();
        singles.dedup();
        singles
    }

    /// How many free seats there are to choose from.
    pub(in crate::opening) fn free(&self) -> usize {
        self.runs.iter().map(|run| run.len() - self.unwanted_in(run)).sum()
    }

    fn unwanted_in(&self, seats: &Range<usize>) -> usize {
        (self.unwanted[seats.end] - self.unwanted[seats.start]) as usize
    }

    /// The seats from `start` on, in a run of free ones; none if one of them
    /// is not of the asked category.
    fn part(&self, run: &Range<usize>, start: usize, count: usize) -> Option<Part> {
        let seats = start..start + count;
        if self.unwanted_in(&seats) > 0 {
            return None;
        }
        let singles = u32::from(seats.start - run.start == 1) + u32::from(run.end - seats.end == 1);
        Some(Part { singles, far: self.far[seats.end] - self.far[seats.start] })
    }

    fn together(&self, count: usize) -> Option<Choice> {
        let mut best: Option<(Score, usize)> = None;
        for run in self.runs.iter().filter(|run| run.len() >= count) {
            for start in run.start..=run.end - count {
                let Some(Part { singles, far }) = self.part(run, start, count) else { continue };
                if !self.has(start, count) {
                    continue;
                }
                let relaxed = if singles == 0 { Relax::Nothing } else { Relax::Single };
                let found = (Score { relaxed, alone: 0, singles, far }, start);
                best = Some(best.map_or(found, |best| best.min(found)));
            }
        }
        best.map(|(score, start)| Choice { score, seats: indexes(start..start + count).collect() })
    }

    fn split(&self, count: usize) -> Option<Choice> {
        let mut best: Option<(Score, usize, usize, usize)> = None;
        for run in &self.runs {
            for front in 1..count.min(run.len() + 1) {
                for start in run.start..=run.end - front {
                    let Some(first) = self.part(run, start, front) else { continue };
                    self.touching(start..start + front, count - front, |behind, second| {
                        if !self.has(start, front) && !self.has(behind, count - front) {
                            return;
                        }
                        let alone = u32::from(front == 1) + u32::from(count - front == 1);
                        let (singles, far) = (first.singles + second.singles, first.far + second.far);
                        let score = Score { relaxed: Relax::Split, alone, singles, far };
                        let found = (score, start, behind, front);
                        best = Some(best.map_or(found, |best| best.min(found)));
                    });
                }
            }
        }
        best.map(|(score, start, behind, front)| {
            let seats = indexes(start..start + front).chain(indexes(behind..behind + count - front));
            Choice { score, seats: seats.collect() }
        })
    }

    /// Every `count` seats side by side of which one is behind one of `front`.
    fn touching(&self, front: Range<usize>, count: usize, mut see: impl FnMut(usize, Part)) {
        for seat in front.filter_map(|seat| self.floor.behind(seat)) {
            let Some(run) = self.runs.get(self.run_of[seat] as usize) else { continue };
            let first = run.start.max((seat + 1).saturating_sub(count));
            for start in first..=seat {
                if start + count <= run.end
                    && let Some(part) = self.part(run, start, count)
                {
                    see(start, part);
                }
            }
        }
    }
}

fn indexes(seats: impl Iterator<Item = usize>) -> impl Iterator<Item = u32> {
    seats.filter_map(|seat| u32::try_from(seat).ok())
}
