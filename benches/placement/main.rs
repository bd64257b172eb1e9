//! How much of what arrives MIG placement serves, beside other policies and beside what none can beat.
//!
//! One GPU is judged exactly, as a Markov chain; eight are simulated with a fixed seed. Holding times are
//! means in arrivals (per GPU), exponential; arrivals are Poisson, the profiles alike or by 1/size.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark ends where a test would fail"
)]

#[path = "../../tests/placement/boards.rs"]
mod boards;
#[path = "../../tests/placement/chain.rs"]
mod chain;
mod policies;

use chain::{Board, Chain};
use divvy::inventory::Mig;
use divvy::plan::placement::{Geometry, Slices};
use policies::{Field, Oracle, Policy};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Instant;

const HOLDING: [f64; 4] = [1.0, 2.0, 4.0, 6.0];
const GPUS: usize = 8;
const ARRIVALS: usize = 50_000;

fn main() {
    for key in ["A100-40GB", "H100-80GB", "RTX-PRO-6000-96GB", "A30-24GB"] {
        let mig = boards::mig(&boards::file(key));
        let field = Field::of(&mig);
        let chain = Chain::of(&field.board);
        one_gpu(key, &field, &chain);
        eight_gpus(key, &field, &chain);
        decisions(&mig);
    }
}

/// Every weighting with every holding time.
fn loads(board: &Board) -> Vec<(Vec<f64>, f64)> {
    let weights = [board.weights(true), board.weights(false)];
    weights.iter().flat_map(|weights| HOLDING.map(|holding| (weights.clone(), holding))).collect()
}

fn row(name: &str, values: &[f64]) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    let shown: Vec<String> = values.iter().map(|value| format!("{value:.3}")).collect();
    println!("  {name:<30} {}   {mean:.4} {least:.4}", shown.join(" "));
}

fn head(title: &str) {
    println!("\n{title}");
    println!(
        "  {:<30} by 1/size: 1     2     4     6  alike: 1     2     4     6     mean   least",
        ""
    );
}

fn one_gpu(key: &str, field: &Field, chain: &Chain) {
    let loads = loads(&field.board);
    let placed = |chain: &Chain, choices: Option<&[Vec<usize>]>| -> Vec<f64> {
        loads.iter().map(|(weights, holding)| chain.placed(weights, *holding, choices)).collect()
    };
    let best = placed(chain, None);
    let layouts = chain.layouts.len();
    head(&format!("{key}, one GPU, {layouts} layouts, exact: share of arrivals placed"));
    row("best of all policies", &best);
    println!("  and relative to it:");
    let ratios = |shares: Vec<f64>| -> Vec<f64> {
        shares.iter().zip(&best).map(|(share, best)| share / best).collect()
    };
    for policy in Policy::ALL {
        let choices = chain.choices(|layout, profile| {
            let occupied = [chain.layouts[layout].occupied];
            policy.choose(field, &occupied, profile).map(|(_, place)| place)
        });
        row(policy.name(), &ratios(placed(chain, Some(&choices))));
    }
    row("may move everything", &ratios(placed(&Oracle::of(chain, &field.board).chain(), None)));
}

fn eight_gpus(key: &str, field: &Field, chain: &Chain) {
    let loads = loads(&field.board);
    head(&format!("{key}, {GPUS} GPUs, {ARRIVALS} arrivals simulated: share of arrivals placed"));
    for policy in Policy::ALL {
        let simulate = |(weights, holding): &(Vec<f64>, f64)| {
            let mut occupied = [0; GPUS];
            let mut gone: Vec<(usize, Slices)> = Vec::new();
            simulated(weights, *holding, |event| match event {
                Event::Arrival(profile) => {
                    let (gpu, place) = policy.choose(field, &occupied, profile)?;
                    let slices = field.board.places[place].2;
                    occupied[gpu] |= slices;
                    gone.push((gpu, slices));
                    Some(gone.len() - 1)
                }
                Event::Departure(of) => {
                    let (gpu, slices) = gone[of];
                    occupied[gpu] &= !slices;
                    None
                }
            })
        };
        row(policy.name(), &loads.iter().map(simulate).collect::<Vec<_>>());
    }
    let mut oracle = Oracle::of(chain, &field.board);
    let simulate = |(weights, holding): &(Vec<f64>, f64)| {
        let mut live = vec![0u8; weights.len()];
        let mut gone: Vec<usize> = Vec::new();
        simulated(weights, *holding, |event| match event {
            Event::Arrival(profile) => {
                live[profile] += 1;
                if !oracle.fits(GPUS, &live) {
                    live[profile] -= 1;
                    return None;
                }
                gone.push(profile);
                Some(gone.len() - 1)
            }
            Event::Departure(of) => {
                live[gone[of]] -= 1;
                None
            }
        })
    };
    let oracle = loads.iter().map(simulate).collect::<Vec<_>>();
    row("may move everything", &oracle);
}

enum Event {
    Arrival(usize),
    /// Of what an arrival returned.
    Departure(usize),
}

/// The share of arrivals that `step` serves: it returns a ticket for one that it places.
fn simulated(weights: &[f64], holding: f64, mut step: impl FnMut(Event) -> Option<usize>) -> f64 {
    let mut random = Random(0x5eed);
    // Times are kept in millionths of an arrival: whole numbers have an order.
    let mut departures: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let (mut now, mut placed) = (0.0, 0);
    for _ in 0..ARRIVALS {
        now += random.exponential(1.0);
        let stay = random.exponential(holding * GPUS as f64);
        let profile = random.pick(weights);
        while let Some(Reverse((time, ticket))) = departures.peek().copied() {
            if time as f64 / 1e6 > now {
                break;
            }
            departures.pop();
            step(Event::Departure(ticket));
        }
        if let Some(ticket) = step(Event::Arrival(profile)) {
            placed += 1;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "times are small and positive"
            )]
            departures.push(Reverse((((now + stay) * 1e6) as u64, ticket)));
        }
    }
    f64::from(placed) / ARRIVALS as f64
}

/// Xorshift: the same numbers on every run and machine.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    fn pick(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit();
        let found = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        found.unwrap_or(weights.len() - 1)
    }
}

/// How long it takes to judge every free place of the smallest profile on an empty GPU, with nothing known.
fn decisions(mig: &Mig) {
    let geometry = Geometry::of(mig);
    let places: Vec<Slices> = Board::of(mig).free(0, 0).map(|(_, slices)| slices).collect();
    let rounds = 2_000u32;
    let start = Instant::now();
    for _ in 0..rounds {
        let before = black_box(&geometry).worth(0);
        black_box(places.iter().min_by_key(|place| before - geometry.worth(**place)));
    }
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds);
    println!("\n  a decision among {} places on an empty GPU: {micros:.1} µs", places.len());
}
