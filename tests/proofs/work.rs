//! Many cases on all processors, counted, every failure told.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// How many cases a job ran, and what went wrong.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What was run, in words: `prepare: 61 kills`.
    pub(super) told: String,
    pub(super) cases: usize,
    pub(super) failures: Vec<String>,
}

/// Runs jobs side by side. Each tells its cases when it is through.
#[allow(clippy::print_stdout)] // Seen in the long run alone; the short one is captured.
pub(super) fn all<J: Send>(what: &str, jobs: Vec<J>, run: impl Fn(J) -> Option<Tally> + Sync) {
    let start = Instant::now();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (queue, total) = (Mutex::new(VecDeque::from(jobs)), Mutex::new(Tally::default()));
    let work = || {
        while let Some(job) = { queue.lock().unwrap().pop_front() } {
            let Some(tally) = run(job) else { continue };
            println!("{:6.1} s  {}", start.elapsed().as_secs_f64(), tally.told);
            for failure in &tally.failures {
                println!("    FAILED {failure}");
            }
            let mut total = total.lock().unwrap();
            total.cases += tally.cases;
            total.failures.extend(tally.failures);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    let Tally { cases, failures, .. } = total.into_inner().unwrap();
    println!("{what}: {cases} cases, {} failed", failures.len());
    assert!(failures.is_empty(), "{} of {cases}:\n{}", failures.len(), failures.join("\n"));
}
