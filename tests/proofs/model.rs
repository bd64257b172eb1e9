//! Random lives of a node beside a model of a few lines: who holds what. What the model says must be, is.

use super::bed::Checked;
use super::work::{Tally, all};
use super::world::World;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::fs::File;
use std::io::Read;

/// What is asked for. A100-40GB is GPU 0, with MIG mode on; H100-80GB is GPU 1, with MIG mode as divvy wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The whole GPU.
    Exclusive,
    /// Four take turns, for a long time each. Without an interval, a claim would join either kind.
    Turns,
    /// Or for a short time.
    ShortTurns,
    /// Devices of a profile that one of the two GPUs has.
    Mig { gpu: u32, profile: &'static str, count: u32 },
    /// Four take turns on a MIG device of the A100.
    MigTurns,
}

impl Wish {
    pub(super) const ALL: [Wish; 9] = [
        Wish::Exclusive,
        Wish::Turns,
        Wish::ShortTurns,
        Wish::Mig { gpu: 0, profile: "1g.5gb", count: 1 },
        Wish::Mig { gpu: 0, profile: "2g.10gb", count: 1 },
        Wish::Mig { gpu: 0, profile: "1g.5gb", count: 2 },
        Wish::Mig { gpu: 1, profile: "3g.40gb", count: 1 },
        Wish::Mig { gpu: 1, profile: "2g.20gb", count: 1 },
        Wish::MigTurns,
    ];

    /// The request.
    pub(super) fn text(self) -> String {
        match self {
            Wish::Exclusive => "exclusive".to_owned(),
            Wish::Turns => "time-slicing:interval=long".to_owned(),
            Wish::ShortTurns => "time-slicing:interval=short".to_owned(),
            Wish::Mig { profile, count: 1, .. } => format!("mig:{profile}"),
            Wish::Mig { profile, count, .. } => format!("{count}x mig:{profile}"),
            Wish::MigTurns => "mig:1g.5gb/time-slicing".to_owned(),
        }
    }
}

/// Where a process dies: a step of its own, or a call that changes something, before it or after.
#[derive(Clone, Copy, Debug)]
pub(super) enum Death {
    Step(usize),
    Call(usize, bool),
}

/// What happens. Claims are numbered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Prepare(usize, Wish),
    Release(usize),
    Reconcile,
    PrepareDies(usize, Wish, Death),
    ReleaseDies(usize, Death),
    ReconcileDies(Death),
    /// The n-th MIG claim's device is in use.
    Use(usize),
    /// The n-th device that is in use isn't any more.
    Leave(usize),
    /// Somebody else makes a MIG device.
    MakeForeign(u32, &'static str),
    /// And destroys the n-th.
    DestroyForeign(usize),
    /// Somebody's process comes to the H100, or goes.
    Process(bool),
    /// With /run emptied, or not.
    Reboot(bool),
    ReloadDriver,
}

const CLAIMS: usize = 9;

fn death() -> impl Strategy<Value = Death> {
    prop_oneof![
        2 => (1..70_usize).prop_map(Death::Step),
        1 => (1..5_usize, any::<bool>()).prop_map(|(n, after)| Death::Call(n, after)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let wish = || prop::sample::select(&Wish::ALL[..]);
    let foreign =
        prop::sample::select(&[(0, "1g.5gb"), (0, "2g.10gb"), (0, "3g.20gb"), (1, "1g.10gb")][..]);
    prop_oneof![
        10 => (0..CLAIMS, wish()).prop_map(|(id, wish)| Event::Prepare(id, wish)),
        6 => (0..CLAIMS).prop_map(Event::Release),
        3 => Just(Event::Reconcile),
        4 => (0..CLAIMS, wish(), death()).prop_map(|(id, w, at)| Event::PrepareDies(id, w, at)),
        3 => (0..CLAIMS, death()).prop_map(|(id, at)| Event::ReleaseDies(id, at)),
        1 => death().prop_map(Event::ReconcileDies),
        1 => (0..CLAIMS).prop_map(Event::Use),
        2 => (0..CLAIMS).prop_map(Event::Leave),
        2 => foreign.prop_map(|(gpu, profile)| Event::MakeForeign(gpu, profile)),
        2 => (0..CLAIMS).prop_map(Event::DestroyForeign),
        1 => any::<bool>().prop_map(Event::Process),
        1 => any::<bool>().prop_map(Event::Reboot),
        1 => Just(Event::ReloadDriver),
    ]
}

fn live(events: &[Event]) -> Checked {
    let mut world = World::new();
    for (n, event) in events.iter().enumerate() {
        world.happens(*event).map_err(|what| format!("event {n}, {event:?}: {what}"))?;
    }
    world.ends().map_err(|what| format!("in the end: {what}"))
}

/// Plays so many lives of so many events.
fn play(rng: TestRng, lives: u32, events: usize) -> Tally {
    let config = Config { cases: lives, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result =
        runner.run(&vec(event(), events), |events| live(&events).map_err(TestCaseError::fail));
    let failures = match result {
        Ok(()) => Vec::new(),
        Err(TestError::Fail(why, events)) => vec![format!("{why}, after {events:#?}")],
        Err(TestError::Abort(why)) => vec![why.to_string()],
    };
    let cases = lives as usize * events;
    Tally { told: format!("{lives} lives, {cases} events"), cases, failures }
}

/// The same lives each time, where a seed is given.
fn rng(seed: [u8; 32]) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &seed)
}

#[test]
fn short_lives_are_as_the_model_says() {
    all("model", vec![1, 2], |seed| Some(play(rng([seed; 32]), 6, 25)));
}

#[test]
#[ignore = "long: make siege"]
fn long_lives_are_as_the_model_says() {
    let mut random = File::open("/dev/urandom").unwrap();
    let mut seed = || {
        let mut seed = [0; 32];
        random.read_exact(&mut seed).unwrap();
        seed
    };
    let seeds: Vec<[u8; 32]> = (0..40).map(|_| seed()).collect();
    // Which events fail is told, so that other seeds each time lose nothing.
    all("model", seeds, |seed| Some(play(rng(seed), 10, 50)));
}
