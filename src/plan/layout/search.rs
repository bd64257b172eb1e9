//! The way that destroys the least.

use super::goal::Piece;
use super::standing::{Part, Standing};
use super::{Board, LayoutError};
use crate::compat::mig_parted::Entry;
use crate::inventory::{Engines, Mig, Placement};
use crate::plan::placement::{Slices, slices};

/// A way from what stands to what is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Way {
    /// For each instance that stands: the piece that it is, or `None` where it goes.
    pub(super) keep: Vec<Option<usize>>,
    /// The pieces that are made, and where.
    pub(super) make: Vec<(usize, Placement)>,
}

impl Way {
    /// How many instances stay.
    pub(super) fn kept(&self) -> usize {
        self.keep.iter().flatten().count()
    }
}

/// Of a piece that an instance is to be: the positions of the compute instances that stay, and the slices
/// of those to be made, the largest first.
///
/// The driver finds a place for one slice wherever one is free, but several must be free side by side: so
/// where a larger one is to be made, only what is in use stays.
pub(super) fn parts(standing: &Standing<'_>, piece: &Piece<'_>) -> (Vec<usize>, Vec<u32>) {
    let (stay, wanted) = matched(standing, piece, |_| true);
    match wanted.iter().all(|slices| *slices == 1) {
        true => (stay, wanted),
        false => matched(standing, piece, |part| part.in_use),
    }
}

fn matched(
    standing: &Standing<'_>,
    piece: &Piece<'_>,
    may_stay: impl Fn(&Part<'_>) -> bool,
) -> (Vec<usize>, Vec<u32>) {
    let mut wanted = piece.compute.clone();
    let mut stay = Vec::new();
    // What is in use is matched first, so that an idle one like it goes in its stead.
    for in_use in [true, false] {
        for (n, part) in standing.compute.iter().enumerate() {
            let counts = part.in_use == in_use && may_stay(part);
            let at = wanted.iter().position(|wanted| counts && *wanted == part.slices);
            if let Some(at) = at {
                wanted.remove(at);
                stay.push(n);
            }
        }
    }
    (stay, wanted)
}

/// Whether what is wanted fits on the GPU while it is empty. That no profile's limit and no engine gives
/// out is seen here for all ways, since each of them ends in the same instances.
pub(super) fn fits_at_all(
    board: &Board<'_>,
    pieces: &[Piece<'_>],
    entry: &Entry,
) -> Result<(), LayoutError> {
    let failed = |why: String| LayoutError::DoesNotFit {
        gpu: board.gpu.index,
        name: board.gpu.name.clone(),
        why,
        at: entry.at,
    };
    for piece in pieces {
        let count = pieces.iter().filter(|other| other.profile.id == piece.profile.id).count();
        let most = piece.profile.max_instances;
        if count > most as usize {
            return Err(failed(format!("{count}x {}, of at most {most}", piece.profile.name)));
        }
    }
    if way(board, &[], pieces).is_none() {
        return Err(failed(format!("it has no room for them in its {} slices", board.mig.slices)));
    }
    match engine_that_gives_out(board.mig, pieces) {
        Some(engine) => Err(failed(format!("it has too few {engine}"))),
        None => Ok(()),
    }
}

fn engine_that_gives_out(mig: &Mig, pieces: &[Piece<'_>]) -> Option<&'static str> {
    type Count = fn(&Engines) -> u32;
    let short = |kind: Count| {
        let there = mig.profiles.iter().map(|p| kind(&p.engines)).max().unwrap_or(0);
        pieces.iter().map(|piece| kind(&piece.profile.engines)).sum::<u32>() > there
    };
    let kinds: [(&str, Count); 4] = [
        ("video decoders", |e| e.decoder),
        ("video encoders", |e| e.encoder),
        ("JPEG decoders", |e| e.jpeg),
        ("optical-flow accelerators", |e| e.ofa),
    ];
    kinds.into_iter().find(|(_, kind)| short(*kind)).map(|(name, _)| name)
}

/// The best way; `None` where what is in use leaves none.
pub(super) fn way(
    board: &Board<'_>,
    standing: &[Standing<'_>],
    pieces: &[Piece<'_>],
) -> Option<Way> {
    let mut search = Search {
        board,
        standing,
        pieces,
        drops: 0,
        keep: Vec::new(),
        taken: vec![false; pieces.len()],
        best: None,
    };
    // Ways that destroy one more are looked at only where none destroys fewer.
    for drops in 0..=standing.len() {
        search.drops = drops;
        search.instance(0, 0);
        if search.best.is_some() {
            break;
        }
    }
    search.best.map(|(_, way)| way)
}

/// What makes one way better than another that destroys as many GPU instances: fewer compute instances
/// destroyed, what stays free worth more, lower places.
type Cost = (usize, std::cmp::Reverse<u64>, Vec<u32>);

struct Search<'a> {
    board: &'a Board<'a>,
    standing: &'a [Standing<'a>],
    pieces: &'a [Piece<'a>],
    /// How many instances go, no more and no fewer.
    drops: usize,
    keep: Vec<Option<usize>>,
    /// Pieces that an instance is.
    taken: Vec<bool>,
    best: Option<(Cost, Way)>,
}

impl Search<'_> {
    /// Tries what may become of an instance and of those after it. `occupied` is what those before it keep.
    fn instance(&mut self, compute_gone: usize, occupied: Slices) {
        let n = self.keep.len();
        let Some(instance) = self.standing.get(n) else {
            return self.leaf(compute_gone, occupied);
        };
        let gone = self.keep.iter().filter(|keep| keep.is_none()).count();
        let Some(place) = slices(instance.placement) else { return };
        let mut tried: Vec<&Piece<'_>> = Vec::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            let alike = Some(piece.profile.id) == instance.profile.map(|profile| profile.id);
            if !alike || self.taken[index] || tried.contains(&piece) {
                continue;
            }
            tried.push(piece);
            let (stay, _) = parts(instance, piece);
            let mut others = (0..instance.compute.len()).filter(|part| !stay.contains(part));
            let goes = others.clone().count();
            if others.any(|part| instance.compute[part].in_use) {
                continue;
            }
            self.taken[index] = true;
            self.keep.push(Some(index));
            self.instance(compute_gone + goes, occupied | place);
            self.keep.pop();
            self.taken[index] = false;
        }
        if !instance.in_use() && gone < self.drops {
            self.keep.push(None);
            self.instance(compute_gone, occupied);
            self.keep.pop();
        }
    }

    /// Everything that stands has its fate: the pieces that nothing is yet need places.
    fn leaf(&mut self, compute_gone: usize, occupied: Slices) {
        if self.keep.iter().filter(|keep| keep.is_none()).count() != self.drops {
            return;
        }
        let left: Vec<usize> = (0..self.pieces.len()).filter(|n| !self.taken[*n]).collect();
        let mut places = Vec::new();
        self.place(&left, &mut places, compute_gone, occupied);
    }

    fn place(
        &mut self,
        left: &[usize],
        places: &mut Vec<(usize, Placement)>,
        compute_gone: usize,
        occupied: Slices,
    ) {
        let Some((piece, rest)) = left.split_first() else {
            let starts = places.iter().map(|(_, place)| place.start).collect();
            let worth = self.board.memo.worth(occupied);
            let cost = (compute_gone, std::cmp::Reverse(worth), starts);
            if self.best.as_ref().is_none_or(|(best, _)| cost < *best) {
                self.best = Some((cost, Way { keep: self.keep.clone(), make: places.clone() }));
            }
            return;
        };
        // Pieces that are alike stand in the order of their places: one order of them is enough.
        let from = match places.last() {
            Some((last, place)) if self.pieces[*last] == self.pieces[*piece] => place.start + 1,
            _ => 0,
        };
        for place in &self.pieces[*piece].profile.placements {
            let Some(bits) = slices(*place) else { continue };
            if place.start >= from && occupied & bits == 0 {
                places.push((*piece, *place));
                self.place(rest, places, compute_gone, occupied | bits);
                places.pop();
            }
        }
    }
}
