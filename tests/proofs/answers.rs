//! Each call of NVML answers once with each error: what was begun is taken back whole, or goes on when it is
//! tried again. What is there is never believed gone because of one false answer.

use super::bed::{Bed, Checked, JOB, expect};
use super::scenes::{Scene, scenes};
use super::steps::{Kill, Run};
use super::work::{Tally, all};
use crate::claims::site::{Said, Site, prepare_words};
use std::collections::BTreeMap;
use std::fs;

/// What NVML can answer (`nvmlReturn_t`), other than what only `nvmlInit` says.
const CODES: [u32; 17] = [1, 2, 3, 4, 6, 7, 10, 13, 15, 16, 17, 19, 20, 23, 25, 27, 999];
/// NOT_SUPPORTED, NOT_FOUND, TIMEOUT and GPU_IS_LOST: those that could pass for an answer.
const TELLING: [u32; 4] = [3, 6, 10, 15];

/// What is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Prepare,
    Release,
    /// A reconcile after a preparation was killed when that change was made.
    Reconcile(usize),
}

#[test]
fn a_false_answer_to_a_release_or_a_change_loses_nothing() {
    let jobs = scenes().filter(|scene| ["MIG", "MIG mode"].contains(&scene.name)).collect();
    all("answers", jobs, |scene: &Scene| {
        let mut bed = Bed::new(scene)?;
        let mut tally = Tally::default();
        let changes = changes(&bed, Op::Prepare, &CODES);
        disturb(&mut bed, Op::Prepare, &changes, &mut tally)?;
        let calls = calls(&bed, Op::Release, &TELLING);
        disturb(&mut bed, Op::Release, &calls, &mut tally)?;
        Some(tally)
    });
}

#[test]
#[ignore = "long: make siege"]
fn any_answer_to_any_call_loses_nothing() {
    let ops = [Op::Prepare, Op::Release, Op::Reconcile(0)];
    let jobs = scenes().flat_map(|scene| ops.map(|op| (scene, op))).collect();
    all("answers", jobs, |(scene, op)| {
        let mut bed = Bed::new(scene)?;
        let mut tally = Tally::default();
        let interrupted = match op {
            Op::Reconcile(_) => bed.changes(|kill| start(&bed, Op::Prepare, &[], kill)),
            Op::Prepare | Op::Release => 0,
        };
        let ops: Vec<Op> = match op {
            Op::Reconcile(_) => (1..=interrupted).map(Op::Reconcile).collect(),
            op => vec![op],
        };
        if ops.is_empty() {
            return None;
        }
        for op in ops {
            let faults = [calls(&bed, op, &CODES), changes(&bed, op, &CODES)].concat();
            disturb(&mut bed, op, &faults, &mut tally)?;
        }
        Some(tally)
    });
}

/// A node without room for a request, because of somebody else.
const FULL: [(&str, &[&str], &[&str], &str); 5] = [
    (
        "a process",
        &["--gpu", "H100-80GB", "--managed"],
        &["process", "0", "add", "4711"],
        "exclusive",
    ),
    ("a process", &["--gpu", "H100-80GB", "--managed"], &["process", "0", "add", "4711"], "mps"),
    (
        "a process where MIG mode would be turned on",
        &["--gpu", "H100-80GB", "--managed"],
        &["process", "0", "add", "4711"],
        "mig:1g.10gb",
    ),
    (
        "a MIG device",
        &["--gpu", "A100-40GB", "--mig", "on", "--managed"],
        &["mig", "0", "create", "3g.20gb"],
        "exclusive",
    ),
    (
        "a MIG device as large as the GPU",
        &["--gpu", "A100-40GB", "--mig", "on", "--managed"],
        &["mig", "0", "create", "7g.40gb"],
        "mig:1g.5gb",
    ),
];

#[test]
fn no_telling_answer_makes_room() {
    refuse(&TELLING[..2]);
}

#[test]
#[ignore = "long: make siege"]
fn no_answer_makes_room() {
    refuse(&CODES);
}

fn refuse(codes: &[u32]) {
    all("refusals", FULL.to_vec(), |(what, node, others, request)| {
        let site = Site::in_memory(node);
        site.node.change(others[0], &others[1..]);
        site.prepare(JOB, &[request]).failed(3);
        let before = site.picture();
        let log = site.node.dir().join("calls");
        site.command(&prepare_words(JOB, &[request])).env("FAKE_NVML_LOG", &log).output().unwrap();
        let mut tally = Tally::default();
        for fault in each_call(&fs::read_to_string(&log).unwrap(), codes) {
            tally.cases += 1;
            let mut command = site.command(&prepare_words(JOB, &[request]));
            let said = Said::of(command.env("FAKE_NVML_ERROR_AT", &fault).output().unwrap());
            if said.code == Some(0) {
                site.release(JOB).done();
                tally.failures.push(format!("{what}, {request} with {fault} is granted"));
            }
            // What is refused has changed nothing; what failed may have begun.
            if said.code != Some(3) && site.picture() != before {
                tally.failures.push(format!("{what}, {request} with {fault}: {said:?}"));
                return Some(tally);
            }
        }
        site.same(&before, "after all of them");
        tally.told = format!("{what}, {request}: {} answers", tally.cases);
        Some(tally)
    });
}

/// Each call of a command with each code, from a run that nobody disturbs.
fn calls(bed: &Bed, op: Op, codes: &[u32]) -> Vec<String> {
    let log = bed.site.node.dir().join("calls");
    let _ = fs::remove_file(&log);
    start(bed, op, &[("FAKE_NVML_LOG", log.to_str().unwrap())], None);
    let text = fs::read_to_string(&log).unwrap();
    bed.finish().unwrap();
    each_call(&text, codes)
}

/// Each call of the simulated driver's log with each code.
fn each_call(log: &str, codes: &[u32]) -> Vec<String> {
    let mut counts = BTreeMap::new();
    let mut faults = Vec::new();
    for symbol in log.lines().filter_map(|line| line.split(' ').nth(1)) {
        let count = counts.entry(symbol).or_insert(0);
        *count += 1;
        faults.extend(codes.iter().map(|code| format!("{symbol}:{count}:{code}")));
    }
    faults
}

/// Each call of a command that changes something, with each code: it does nothing, or it is done.
fn changes(bed: &Bed, op: Op, codes: &[u32]) -> Vec<String> {
    let changes = bed.changes(|kill| start(bed, op, &[], kill));
    let each = (1..=changes).flat_map(|n| codes.iter().map(move |code| format!("*:{n}:{code}")));
    each.flat_map(|fault| [format!("{fault}:after"), fault]).collect()
}

/// Brings the node to where the command begins, and runs it.
fn start(bed: &Bed, op: Op, env: &[(&str, &str)], kill: Option<&Kill>) -> Run {
    let words = bed.prepare_words(None);
    match op {
        Op::Prepare => bed.run_plain(&words, env, kill),
        Op::Release => {
            bed.site.divvy(&words).done();
            bed.run_plain(&["release", JOB], env, kill)
        }
        Op::Reconcile(number) => {
            let at = Kill::Call { number, after: true };
            assert!(bed.run_plain(&words, &[], Some(&at)).killed);
            bed.run_plain(&["reconcile"], env, kill)
        }
    }
}

fn disturb(bed: &mut Bed<'_>, op: Op, faults: &[String], tally: &mut Tally) -> Option<()> {
    for fault in faults {
        tally.cases += 1;
        if let Err(what) = case(bed, op, fault) {
            tally.failures.push(format!("{}, {op:?} with {fault}: {what}", bed.scene.name));
            *bed = Bed::new(bed.scene)?;
        }
    }
    let more = format!("{}, {op:?}: {} answers  ", bed.scene.name, faults.len());
    tally.told += &more;
    Some(())
}

fn case(bed: &Bed, op: Op, fault: &str) -> Checked {
    let said = start(bed, op, &[("FAKE_NVML_ERROR_AT", fault)], None).said;
    let later = || format!("after {:?}: {}{}", said.code, said.stdout, said.stderr);
    let waits = said.stdout.contains("still in use") || said.stderr.contains("still in use");
    match (op, said.code) {
        (Op::Prepare, Some(0)) => {
            expect(&bed.site.prepare(JOB, bed.scene.requests), 0, "the same prepare again")?;
            bed.finish()
        }
        // All of it is taken back by itself.
        (Op::Prepare, Some(1 | 3 | 4)) => bed.same().map_err(|what| format!("{what} {}", later())),
        (Op::Release | Op::Reconcile(_), Some(0)) if !waits => {
            bed.same().map_err(|what| format!("{what} {}", later()))
        }
        (Op::Release | Op::Reconcile(_), Some(0 | 1)) => {
            bed.mend_at_once()?;
            match bed.phase() {
                // It was over before the records were touched.
                Some(phase) if phase == "granted" => bed.finish(),
                Some(phase) => Err(format!("the claim stays {phase} {}", later())),
                None => bed.same().map_err(|what| format!("{what} {}", later())),
            }
        }
        (_, code) => Err(format!("it ended with {code:?}: {}", said.stderr)),
    }
}
