use super::*;
use crate::claim::tests::{claim, device};
use crate::claim::{Phase, store::Store};
use std::process::{Child, Command};

const SHORT: Duration = Duration::from_millis(5);

/// A store in a folder of its own, and a container whose first process is this test's.
struct Bed {
    _folder: tempfile::TempDir,
    host: Host,
    store: Store,
    start: Start,
}

impl Bed {
    fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let host = Host { state_dir: folder.path().join("run"), ..Host::default() };
        let store = Store::open(&host).unwrap();
        let start = Start {
            container: ContainerRef { id: "c1".into(), bundle: "/b/c1".into() },
            process: host.this_process().unwrap(),
            cgroup: Some(Cgroup { folder: folder.path().join("cgroup") }),
            requests: Requests::from_texts(["mig:1g.10gb"]).unwrap(),
        };
        Bed { _folder: folder, host, store, start }
    }

    fn put(&self, id: &str, phase: Phase, owner: Owner) -> ClaimId {
        let mut claim = claim(id, phase, owner);
        claim.identity = self.host.identity().unwrap();
        self.save(&claim);
        claim.id
    }

    fn save(&self, claim: &Claim) {
        self.store.save_device(&device(claim.id.as_str())).unwrap();
        save(&self.store, &self.store.lock(SHORT).unwrap(), claim).unwrap();
    }

    fn bind(&self, id: &ClaimId) -> Result<Bound, BindError> {
        bind(&self.host, &self.store, id, &self.start, SHORT)
    }

    fn get(&self, id: &ClaimId) -> Claim {
        self.store.claim(id).unwrap().unwrap()
    }

    /// The owner that the container of this bed makes.
    fn owner(&self) -> Owner {
        let Start { container, process, cgroup, .. } = self.start.clone();
        Owner::Container { container, process, cgroup }
    }

    fn populate(&self) {
        let folder = &self.start.cgroup.as_ref().unwrap().folder;
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("cgroup.procs"), "1\n").unwrap();
    }
}

fn starting(bed: &Bed) -> Owner {
    Owner::Start { process: bed.start.process }
}

/// Another process that runs until it is dropped.
struct Other(Child);

impl Other {
    fn start(bed: &Bed) -> (Other, ProcessRef) {
        let child = Command::new("sleep").arg("100").spawn().unwrap();
        let process = bed.host.process(child.id()).unwrap();
        (Other(child), process)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn dead(bed: &Bed) -> ProcessRef {
    let process = bed.start.process;
    ProcessRef { start_time: process.start_time + 1, ..process }
}

#[test]
fn a_granted_claim_becomes_the_containers() {
    let bed = Bed::new();
    let id = bed.put("a", Phase::Granted, starting(&bed));
    assert_eq!(bed.bind(&id).unwrap(), Bound::Container);
    let bound = bed.get(&id);
    assert_eq!((bound.phase, &bound.owner), (Phase::Bound, &bed.owner()));
    let on_gpu = bed.store.claims_on(&["GPU-1"].into()).unwrap();
    assert_eq!(on_gpu, [bound], "it can still be found by its GPU");
}

#[test]
fn the_second_hook_of_a_container_finds_it_bound() {
    let bed = Bed::new();
    let id = bed.put("a", Phase::Granted, starting(&bed));
    bed.bind(&id).unwrap();
    let first = bed.get(&id);
    assert_eq!(bed.bind(&id).unwrap(), Bound::Container);
    assert_eq!(bed.get(&id), first);
}

#[test]
fn a_claim_that_is_gone_fails_the_container() {
    let mut bed = Bed::new();
    assert!(matches!(bed.bind(&"a".parse().unwrap()), Err(BindError::Gone(_))));
    // Another boot or driver load took its devices along.
    let id = bed.put("a", Phase::Granted, starting(&bed));
    bed.host.sys_root = "/nowhere".into();
    let mut claim = bed.get(&id);
    claim.identity.driver_load = Some(1);
    bed.save(&claim);
    let error = bed.bind(&id).unwrap_err().to_string();
    assert!(error.contains("claim a is gone") && error.contains("start the container"), "{error}");
}

#[test]
fn a_claim_of_another_living_container_fails_the_container() {
    let bed = Bed::new();
    let container = ContainerRef { id: "other".into(), bundle: "/b/other".into() };
    let (_other, process) = Other::start(&bed);
    let owner = Owner::Container { container, process, cgroup: None };
    let id = bed.put("a", Phase::Bound, owner.clone());
    let error = bed.bind(&id).unwrap_err();
    assert!(
        matches!(&error, BindError::Taken { container, .. } if container == "other"),
        "{error}"
    );
    assert_eq!(bed.get(&id).owner, owner);
}

#[test]
fn a_container_lives_as_long_as_its_cgroup_is_populated() {
    let bed = Bed::new();
    let container = ContainerRef { id: "other".into(), bundle: "/b/other".into() };
    let owner =
        Owner::Container { container, process: dead(&bed), cgroup: bed.start.cgroup.clone() };
    let id = bed.put("a", Phase::Bound, owner);
    bed.populate();
    assert!(matches!(bed.bind(&id), Err(BindError::Taken { .. })));
    std::fs::remove_dir_all(&bed.start.cgroup.as_ref().unwrap().folder).unwrap();
    assert_eq!(bed.bind(&id).unwrap(), Bound::Container);
}

#[test]
fn a_container_that_is_started_again_gets_its_claim_again() {
    let bed = Bed::new();
    let Owner::Container { container, cgroup, .. } = bed.owner() else { unreachable!() };
    let id =
        bed.put("a", Phase::Bound, Owner::Container { container, process: dead(&bed), cgroup });
    bed.populate();
    assert_eq!(bed.bind(&id).unwrap(), Bound::Container);
    assert_eq!(bed.get(&id).owner, bed.owner());
}

#[test]
fn the_new_life_of_a_container_does_not_keep_the_claim_of_the_old_one() {
    let bed = Bed::new();
    let Owner::Container { container, cgroup, .. } = bed.owner() else { unreachable!() };
    let dead = Owner::Container { container, process: dead(&bed), cgroup };
    let old = bed.put("a", Phase::Bound, dead);
    let new = bed.put("b", Phase::Granted, starting(&bed));
    bed.bind(&new).unwrap();
    assert!(matches!(bed.get(&old).owner, Owner::Container { cgroup: None, .. }));
    assert_eq!(bed.get(&new).owner, bed.owner());
}

#[test]
fn a_callers_claim_stays_the_callers_for_any_number_of_containers() {
    let mut bed = Bed::new();
    let id = bed.put("a", Phase::Granted, Owner::Caller);
    for name in ["c1", "c2"] {
        bed.start.container.id = name.into();
        assert_eq!(bed.bind(&id).unwrap(), Bound::Caller);
    }
    assert_eq!((bed.get(&id).phase, bed.get(&id).owner), (Phase::Granted, Owner::Caller));
}

#[test]
fn a_claim_for_something_else_is_not_bound() {
    let mut bed = Bed::new();
    bed.start.requests = Requests::from_texts(["exclusive"]).unwrap();
    for owner in [starting(&bed), Owner::Caller] {
        let id = bed.put("a", Phase::Granted, owner);
        let error = bed.bind(&id).unwrap_err().to_string();
        assert!(error.contains("is for mig:1g.10gb") && error.contains("for exclusive"), "{error}");
    }
}

#[test]
fn a_claim_whose_devices_are_not_ready_is_not_bound() {
    let bed = Bed::new();
    for (phase, doing) in [(Phase::Intent, "being prepared"), (Phase::Releasing, "being released")]
    {
        for owner in [starting(&bed), Owner::Caller] {
            let id = bed.put("a", phase, owner);
            let error = bed.bind(&id).unwrap_err().to_string();
            assert!(error.contains(doing), "{error}");
            assert_eq!(bed.get(&id).phase, phase);
        }
    }
}

#[test]
fn nobody_binds_while_the_records_are_locked() {
    let bed = Bed::new();
    let id = bed.put("a", Phase::Granted, starting(&bed));
    let _held = bed.store.lock(SHORT).unwrap();
    assert!(matches!(bed.bind(&id), Err(BindError::Store(StoreError::Busy { .. }))));
}

#[test]
fn the_claims_of_a_container_are_those_bound_to_it_and_the_one_made_for_its_start() {
    let bed = Bed::new();
    let own = &bed.start.container;
    let other = ContainerRef { bundle: "/b/other".into(), ..own.clone() };
    let of = |container: &ContainerRef| Owner::Container {
        container: container.clone(),
        process: bed.start.process,
        cgroup: None,
    };
    bed.put("bound", Phase::Bound, of(own));
    bed.put("releasing", Phase::Releasing, of(own));
    bed.put("elsewhere", Phase::Bound, of(&other));
    bed.put("starting", Phase::Granted, starting(&bed));
    bed.put("caller", Phase::Granted, Owner::Caller);
    let derived = ClaimId::of_container(own);
    bed.put(derived.as_str(), Phase::Granted, starting(&bed));
    let found = claims_of(&bed.store, own).unwrap();
    let ids: Vec<&str> = found.iter().map(ClaimId::as_str).collect();
    assert_eq!(ids, ["bound", derived.as_str(), "releasing"]);
}
