//! Many at once.

use super::site::Site;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const PROCESSES: usize = 64;
const REQUESTS: [&str; 4] = ["mig:1g.5gb", "mig:2g.10gb", "mig:1g.5gb", "mig:3g.20gb"];

/// Prepares a claim; where the node is full or busy, again. Gives its devices.
fn prepare(site: &Site, id: &str, request: &str) -> Vec<String> {
    loop {
        let said = site.prepare(id, &[request]);
        match said.code {
            Some(0) => return said.granted(),
            Some(3 | 4) => thread::sleep(Duration::from_millis(20)),
            _ => panic!("{said:?}"),
        }
    }
}

fn release(site: &Site, id: &str) {
    loop {
        let said = site.release(id);
        match said.code {
            Some(0) => return assert_eq!(said.stderr, ""),
            Some(4) => {}
            _ => panic!("{said:?}"),
        }
    }
}

/// Counts down when dropped, also when its thread panics.
struct Gone<'a>(&'a AtomicUsize);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn sixty_four_at_once_get_what_is_theirs() {
    let site = Site::new(&["--gpu", "A100-40GB:8", "--mig", "on"]);
    let before = site.picture();
    let held = Mutex::new(BTreeSet::new());
    let left = AtomicUsize::new(PROCESSES);
    thread::scope(|scope| {
        // A timer's work all the while finds nothing to do, and disturbs nobody.
        scope.spawn(|| {
            while left.load(Ordering::Relaxed) > 0 {
                assert_eq!(site.reconcile().done().stdout, "nothing to mend\n");
            }
        });
        for n in 0..PROCESSES {
            let (site, held, left) = (&site, &held, &left);
            scope.spawn(move || {
                let _gone = Gone(left);
                let id = n.to_string();
                let devices = prepare(site, &id, REQUESTS[n % REQUESTS.len()]);
                for device in &devices {
                    assert!(held.lock().unwrap().insert(device.clone()), "{device} given twice");
                }
                thread::sleep(Duration::from_millis(20));
                for device in &devices {
                    held.lock().unwrap().remove(device);
                }
                release(site, &id);
            });
        }
    });
    assert_eq!(site.reconcile().done().stdout, "nothing to mend\n");
    assert_eq!(site.picture(), before);
}

#[test]
fn those_who_take_turns_are_never_too_many() {
    let site = Site::new(&["--gpu", "A100-40GB:2"]);
    let before = site.picture();
    let held = Mutex::new(Vec::<String>::new());
    thread::scope(|scope| {
        for n in 0..24 {
            let (site, held) = (&site, &held);
            scope.spawn(move || {
                let id = n.to_string();
                let device = prepare(site, &id, "time-slicing:interval=short").remove(0);
                let mut holders = held.lock().unwrap();
                holders.push(device.clone());
                let count = holders.iter().filter(|other| **other == device).count();
                assert!(count <= 4, "{count} claims on {device}");
                drop(holders);
                thread::sleep(Duration::from_millis(20));
                let mut holders = held.lock().unwrap();
                let place = holders.iter().position(|other| *other == device).unwrap();
                holders.swap_remove(place);
                drop(holders);
                release(site, &id);
            });
        }
    });
    assert_eq!(site.picture(), before);
}

#[test]
fn one_claim_asked_for_by_many_is_made_once() {
    let site = Site::new(&["--gpu", "A100-40GB:2", "--mig", "on"]);
    let before = site.picture();
    let grants: BTreeSet<Vec<String>> = thread::scope(|scope| {
        let askers: Vec<_> =
            (0..16).map(|_| scope.spawn(|| prepare(&site, "job", "mig:2g.10gb"))).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    assert_eq!(grants.len(), 1, "{grants:?}");
    release(&site, "job");
    assert_eq!(site.picture(), before);
}
