use super::*;
use crate::claim::tests::{claim, device};
use crate::claim::{Owner, Phase};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const SHORT: Duration = Duration::from_millis(5);

fn store() -> (tempfile::TempDir, Host, Store) {
    let folder = tempfile::tempdir().unwrap();
    let host = Host { state_dir: folder.path().join("run/divvy"), ..Host::default() };
    let store = Store::open(&host).unwrap();
    (folder, host, store)
}

fn on<'a>(gpus: &[&'a str]) -> BTreeSet<&'a str> {
    gpus.iter().copied().collect()
}

#[test]
fn what_is_written_is_read_again() {
    let (_folder, host, store) = store();
    let (a, b) =
        (claim("a", Phase::Granted, Owner::Caller), claim("b", Phase::Intent, Owner::Caller));
    let lock = store.lock(SHORT).unwrap();
    store.save_device(&device("a")).unwrap();
    store.save_claim(&lock, &a, &on(&["GPU-1"])).unwrap();
    store.save_claim(&lock, &b, &on(&["GPU-1", "GPU-2"])).unwrap();
    drop(lock);

    let store = Store::open(&host).unwrap();
    assert_eq!(store.claims().unwrap(), [a.clone(), b.clone()]);
    assert_eq!(store.claims_on(&on(&["GPU-2"])).unwrap(), std::slice::from_ref(&b));
    assert_eq!(store.claims_on(&on(&["GPU-1", "GPU-2"])).unwrap(), [a.clone(), b]);
    assert_eq!(store.devices_of(std::slice::from_ref(&a)).unwrap(), [device("a")]);
    assert_eq!(store.claim(&"c".parse().unwrap()).unwrap(), None);
    assert_eq!(store.claims_on(&on(&["GPU-3"])).unwrap(), []);
}

#[test]
fn removing_twice_is_removing_once() {
    let (_folder, _, store) = store();
    let a = claim("a", Phase::Granted, Owner::Caller);
    let lock = store.lock(SHORT).unwrap();
    store.save_claim(&lock, &a, &on(&["GPU-1"])).unwrap();
    for _ in 0..2 {
        store.remove_claim(&lock, &a.id).unwrap();
        store.remove_device(&device("a").id).unwrap();
    }
    assert_eq!(store.claims().unwrap(), []);
    assert_eq!(store.claims_on(&on(&["GPU-1"])).unwrap(), []);
}

#[test]
fn a_claim_too_many_in_the_index_is_no_claim_and_is_swept() {
    let (_folder, host, store) = store();
    let index = host.state_dir.join("gpus/GPU-1");
    fs::create_dir(&index).unwrap();
    fs::write(index.join("ghost"), "").unwrap();
    fs::write(host.state_dir.join("claims/.cdi-123.tmp"), "half").unwrap();
    assert_eq!(store.claims_on(&on(&["GPU-1"])).unwrap(), []);
    assert_eq!(store.claims().unwrap(), []);
    store.sweep(&store.lock(SHORT).unwrap()).unwrap();
    assert_eq!(fs::read_dir(index).unwrap().count(), 0);
    assert_eq!(fs::read_dir(host.state_dir.join("claims")).unwrap().count(), 0);
}

#[test]
fn a_record_that_cannot_be_read_stops_everything() {
    let (_folder, host, store) = store();
    let file = host.state_dir.join("claims/a.json");
    for content in ["", "{", "[]", r#"{"id":"a","surprise":1}"#] {
        fs::write(&file, content).unwrap();
        let error = store.claims().unwrap_err().to_string();
        assert!(
            error.contains("claims/a.json") && error.contains("nothing is given out"),
            "{error}"
        );
    }
}

#[test]
fn a_folder_that_others_can_write_is_not_trusted() {
    let (_folder, host, _) = store();
    fs::set_permissions(host.state_dir.join("claims"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(
        matches!(Store::open(&host), Err(StoreError::Exposed(path)) if path.ends_with("claims"))
    );
    fs::remove_dir(host.state_dir.join("claims")).unwrap();
    std::os::unix::fs::symlink("/tmp", host.state_dir.join("claims")).unwrap();
    assert!(matches!(Store::open(&host), Err(StoreError::NotFolder(_))));
}

#[test]
fn each_cause_of_distrust_is_told_apart() {
    let told = |is_folder, owner, mode, me| {
        let judged = files::judge(Path::new("/run/divvy"), is_folder, owner, mode, me);
        judged.map_or_else(|error| error.to_string(), |()| "trusted".to_owned())
    };
    assert_eq!(told(true, 0, 0o755, 0), "trusted");
    assert_eq!(told(true, 1000, 0o700, 1000), "trusted");
    assert_eq!(
        told(true, 0, 0o755, 1000),
        "can't use /run/divvy: it is root's alone; run divvy as root"
    );
    assert_eq!(
        told(false, 0, 0o777, 0),
        "can't use /run/divvy: it is not a folder; remove it, or name another with --state-dir"
    );
    for (owner, me) in [(1000, 0), (1000, 1001)] {
        let told = told(true, owner, 0o700, me);
        assert!(told.contains("is owned by uid 1000") && told.ends_with(&format!("uid {me}")));
    }
    for mode in [0o775, 0o757, 0o777] {
        assert!(told(true, 0, mode, 0).contains("can be written by others"), "{mode:o}");
    }
}

#[test]
fn the_folders_have_the_modes_that_clients_need() {
    let (_folder, host, _) = store();
    let mode =
        |name: &str| fs::metadata(host.state_dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(""), mode("mps"), mode("claims"), mode("devices")),
        (0o711, 0o711, 0o700, 0o700)
    );
}

#[test]
fn a_lock_that_is_held_ends_in_busy_and_a_dropped_one_is_free() {
    let (_folder, _, store) = store();
    let held = store.lock(SHORT).unwrap();
    assert!(matches!(store.lock(SHORT), Err(StoreError::Busy { .. })));
    drop(held);
    drop(store.lock(SHORT).unwrap());

    let held = store.lock_gpus(&on(&["GPU-2"]), SHORT).unwrap();
    let busy = store.lock_gpus(&on(&["GPU-1", "GPU-2"]), SHORT).unwrap_err().to_string();
    assert!(busy.contains("GPU-2") && busy.contains("try again"), "{busy}");
    drop(store.lock_gpus(&on(&["GPU-1"]), SHORT).unwrap());
    drop(held);
    drop(store.lock_gpus(&on(&["GPU-1", "GPU-2"]), SHORT).unwrap());
}

#[test]
fn a_uuid_that_leads_away_is_refused() {
    let (_folder, _, store) = store();
    for uuid in ["..", "../x", "", "a/b"] {
        assert!(
            matches!(store.lock_gpus(&on(&[uuid]), SHORT), Err(StoreError::BadUuid(_))),
            "{uuid}"
        );
        assert!(matches!(store.claims_on(&on(&[uuid])), Err(StoreError::BadUuid(_))), "{uuid}");
    }
}
