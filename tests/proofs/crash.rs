//! A process is killed at every step: each write of the journal, each call of NVML that changes something,
//! each step of a control daemon's life. The steps are counted in a run of their own, so a new one is proved
//! without a change here.

use super::bed::{Bed, Checked, JOB, Starter, expect};
use super::scenes::{SHORT, Scene, scenes};
use super::steps::{Kill, Run, Step};
use super::work::{Tally, all};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Prepare,
    /// A preparation that fails at its last change, and takes back what it did.
    Undo,
    Release,
    /// A reconcile that takes back a claim whose owner is dead.
    Reconcile,
}

/// What happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Reconcile,
    /// The same command again.
    Again,
    /// Another claim of the same kind is made first.
    Other,
    /// The owner dies, too.
    OwnerDies,
}

/// How much is run.
#[derive(Clone, Copy, Debug)]
struct Depth {
    ops: &'static [Op],
    thens: &'static [Then],
    /// Which steps.
    steps: fn(&Step) -> bool,
}

const ALL: Depth = Depth {
    ops: &[Op::Prepare, Op::Undo, Op::Release, Op::Reconcile],
    thens: &[Then::Reconcile, Then::Again, Then::Other, Then::OwnerDies],
    steps: |_| true,
};

/// Where a file or a daemon has become another, and not each file beside it.
const PART: Depth = Depth {
    ops: &[Op::Prepare, Op::Release],
    thens: &[Then::Reconcile, Then::Again],
    steps: |step| {
        let record = |part: &str| step.what.contains(part);
        step.what.starts_with("say set")
            || step.what.starts_with("say quit")
            || step.what.starts_with("say start")
            || step.what.starts_with("become")
            || (step.what.starts_with("rename") && !record("/mps/"))
            || (step.what.starts_with("unlink") && !record("/mps/"))
    },
};

#[test]
fn killed_where_records_and_daemons_change_nothing_is_lost() {
    besiege(PART, |scene| SHORT.contains(&scene.name));
}

#[test]
#[ignore = "long: make siege"]
fn killed_at_every_step_nothing_is_lost() {
    besiege(ALL, |_| true);
}

fn besiege(depth: Depth, wanted: fn(&Scene) -> bool) {
    let scenes = scenes().filter(|scene| wanted(scene));
    let jobs = scenes.flat_map(|scene| depth.ops.iter().map(move |op| (scene, *op))).collect();
    all("kills", jobs, |(scene, op)| siege(scene, op, depth));
}

/// All kills of one command in one scene.
fn siege(scene: &Scene, op: Op, depth: Depth) -> Option<Tally> {
    let mut bed = Bed::new(scene)?;
    let fault = match op {
        Op::Undo => last_change(&bed)?,
        _ => String::new(),
    };
    let kills = kills(&bed, op, &fault, depth);
    let mut tally = Tally::default();
    for kill in &kills {
        for then in depth.thens {
            tally.cases += 1;
            if let Err(what) = case(&bed, op, &fault, kill, *then) {
                let case = format!("{}, {op:?} killed {kill}, then {then:?}", scene.name);
                tally.failures.push(format!("{case}: {what}"));
                bed = Bed::new(scene)?;
            }
        }
    }
    let calls = kills.iter().filter(|kill| matches!(kill, Kill::Call { .. })).count();
    let (steps, name) = (kills.len() - calls, scene.name);
    tally.told = format!("{name}, {op:?}: {steps} steps and {calls} calls, {} kills", tally.cases);
    Some(tally)
}

/// Where the command can be killed, counted in runs that nobody disturbs. The node is as before then.
fn kills(bed: &Bed, op: Op, fault: &str, depth: Depth) -> Vec<Kill> {
    let mut starter = Starter::new();
    let clean = start(bed, op, fault, &mut starter, None);
    bed.finish().unwrap();
    let steps: Vec<Step> = clean.steps.into_iter().filter(depth.steps).collect();
    let mut kills = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        kills.push(Kill::Step { step: step.clone(), after: false });
        // What comes after other steps is what comes before the next; what a launcher becomes is no launcher.
        let last = step.role == "main" && steps[n + 1..].iter().all(|later| later.role != "main");
        if last || step.what.starts_with("start a process") {
            kills.push(Kill::Step { step: step.clone(), after: true });
        }
    }
    let changes = bed.changes(|kill| start(bed, op, fault, &mut Starter::new(), kill));
    for number in 1..=changes {
        kills.extend([false, true].map(|after| Kill::Call { number, after }));
    }
    kills
}

/// The fault that lets a preparation fail at its last change; `None` where it changes nothing on a GPU.
fn last_change(bed: &Bed) -> Option<String> {
    let changes = bed.changes(|kill| bed.run(&bed.prepare_words(None), &[], kill));
    (changes > 0).then(|| format!("*:{changes}:999"))
}

/// Brings the node to where the command begins, and runs it.
fn start(bed: &Bed, op: Op, fault: &str, starter: &mut Starter, kill: Option<&Kill>) -> Run {
    let pid = starter.pid();
    match op {
        Op::Prepare => bed.run(&bed.prepare_words(Some(&pid)), &[], kill),
        Op::Undo => {
            let fault = [("FAKE_NVML_ERROR_AT", fault)];
            bed.run(&bed.prepare_words(Some(&pid)), &fault, kill)
        }
        Op::Release => {
            bed.site.divvy(&bed.prepare_words(Some(&pid))).done();
            bed.run(&["release", JOB], &[], kill)
        }
        Op::Reconcile => {
            bed.site.divvy(&bed.prepare_words(Some(&pid))).done();
            starter.die();
            bed.run(&["reconcile"], &[], kill)
        }
    }
}

fn case(bed: &Bed, op: Op, fault: &str, kill: &Kill, then: Then) -> Checked {
    let mut starter = Starter::new();
    let run = start(bed, op, fault, &mut starter, Some(kill));
    if !run.killed {
        return Err(format!("it was not killed: {:?} {}", run.said.code, run.said.stderr));
    }
    if !kill.is_main() {
        // Who started it sees that it is gone, and takes back all by itself.
        expect(&run.said, 1, "prepare without its launcher")?;
        bed.same()?;
        return without_cgroups(&run);
    }
    match then {
        Then::Reconcile => reconcile(bed, op, false)?,
        Then::OwnerDies => {
            starter.die();
            reconcile(bed, op, true)?;
        }
        Then::Again => match op {
            Op::Prepare | Op::Undo => {
                let again = bed.site.divvy(&bed.prepare_words(Some(&starter.pid())));
                expect(&again, 0, "the same prepare again")?;
            }
            Op::Release => expect(&bed.site.release(JOB), 0, "the same release again")?,
            Op::Reconcile => bed.mend()?,
        },
        Then::Other => other(bed)?,
    }
    drop(starter);
    bed.finish()?;
    without_cgroups(&run)
}

/// The cgroups that a launcher made, or was about to make, are gone with the daemon.
fn without_cgroups(run: &Run) -> Checked {
    let of_folder = |step: &Step| {
        let (_, rest) = step.what.split_once("/state/mps/")?;
        rest.split('/').next().map(str::to_owned)
    };
    let names: BTreeSet<String> = run.steps.iter().filter_map(of_folder).collect();
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let mut cgroups: Vec<PathBuf> = hierarchies.map(|entry| entry.path()).collect();
    cgroups.push("/sys/fs/cgroup".into());
    for cgroup in cgroups.iter().flat_map(|h| names.iter().map(move |n| h.join("divvy").join(n))) {
        if cgroup.exists() {
            return Err(format!("the cgroup {} is left", cgroup.display()));
        }
    }
    Ok(())
}

/// After one reconcile the claim is there or it isn't.
fn reconcile(bed: &Bed, op: Op, owner_is_dead: bool) -> Checked {
    bed.mend_at_once()?;
    match bed.phase().as_deref() {
        None => Ok(()),
        Some("granted") if !owner_is_dead && op != Op::Reconcile => {
            expect(&bed.site.release(JOB), 0, "release of what was granted")
        }
        Some(phase) => Err(format!("the claim is {phase} after reconcile")),
    }
}

/// Another claim comes between: none has what the other has.
fn other(bed: &Bed) -> Checked {
    let other = bed.site.prepare("other", bed.scene.requests);
    let job = bed.site.prepare(JOB, bed.scene.requests);
    let mut seen = BTreeSet::new();
    for said in [other, job] {
        match said.code {
            Some(0) => {}
            Some(3) => continue,
            code => return Err(format!("prepare ended with {code:?}: {}", said.stderr)),
        }
        for device in said.granted() {
            if !seen.insert(device.clone()) && !bed.scene.shared {
                return Err(format!("{device} was given out twice"));
            }
        }
    }
    if seen.is_empty() {
        return Err("neither of two claims got anything".to_owned());
    }
    expect(&bed.site.release("other"), 0, "release of the other claim")
}
