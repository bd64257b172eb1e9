//! One process's use of the library: which node it found, its calls and their faults.
//!
//! | variable | meaning |
//! |---|---|
//! | `FAKE_NVML_NODE` | the node's folder, instead of the nearest above the library |
//! | `FAKE_NVML_ERROR_AT` | faults, `symbol:n:code` or `symbol:n:code:after`, by commas |
//! | `FAKE_NVML_ABORT_AT` | faults, `symbol:n` or `symbol:n:after`, by commas |
//! | `FAKE_NVML_LOG` | a file that each call appends a line to: pid, symbol, result |
//!
//! A file `faults` in the node's folder holds faults for every process, a line each.

use crate::code::Code;
use crate::fault::{Effect, Fault, Faults};
use crate::node::{self, Node};
use crate::state::{Failure, Store};
use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::raw::c_uint;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How a call is counted and delayed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the words of `export!`")]
pub(super) enum Kind {
    query,
    change,
    create,
    destroy,
}

struct Session {
    /// `nvmlInit` calls without their `nvmlShutdown`.
    users: u32,
    store: Option<Arc<Store>>,
    faults: Option<Faults>,
}

static SESSION: Mutex<Session> = Mutex::new(Session { users: 0, store: None, faults: None });

fn session() -> MutexGuard<'static, Session> {
    SESSION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one call of the interface and answers its return code.
pub(super) fn call(
    symbol: &'static str,
    kind: Kind,
    body: impl FnOnce(&Store) -> Result<(), Failure>,
) -> c_uint {
    logged(symbol, kind != Kind::query, || {
        let store = session().store.clone().ok_or(Code::UNINITIALIZED)?;
        admit(symbol, kind, &store)?;
        body(&store)
    })
}

/// Runs a call that needs no initialised library.
pub(super) fn logged(
    symbol: &'static str,
    changes: bool,
    body: impl FnOnce() -> Result<(), Failure>,
) -> c_uint {
    let effect = count(symbol, changes);
    let answer = match effect {
        Some(Effect::Abort) => die(),
        Some(Effect::Error(code)) => Err(Failure::Refused(code)),
        Some(Effect::ErrorAfter(code)) => body().and(Err(Failure::Refused(code))),
        Some(Effect::AbortAfter) | None => body(),
    };
    let code = match answer {
        Ok(()) => 0,
        Err(Failure::Refused(code)) => code.0,
        Err(Failure::Files(why)) => {
            complain(&why);
            Code::UNKNOWN.0
        }
    };
    log(symbol, code);
    if effect == Some(Effect::AbortAfter) {
        die();
    }
    code
}

fn admit(symbol: &str, kind: Kind, store: &Store) -> Result<(), Code> {
    let behaviour = &store.node().file.nvml;
    if behaviour.missing.contains(symbol) {
        return Err(Code::FUNCTION_NOT_FOUND);
    }
    if kind != Kind::query && behaviour.needs_root && !rustix::process::geteuid().is_root() {
        return Err(Code::NO_PERMISSION);
    }
    let more = match kind {
        Kind::create => behaviour.create_ms,
        Kind::destroy => behaviour.destroy_ms,
        Kind::query | Kind::change => 0,
    };
    pause(behaviour.call_ms + more);
    Ok(())
}

fn pause(milliseconds: u64) {
    if milliseconds > 0 {
        thread::sleep(Duration::from_millis(milliseconds));
    }
}

fn count(symbol: &'static str, changes: bool) -> Option<Effect> {
    let mut session = session();
    let faults = session.faults.get_or_insert_with(|| Faults::new(from_environment()));
    faults.count(symbol, changes)
}

fn from_environment() -> Vec<Fault> {
    let read = |name: &str, list: fn(&str) -> Result<Vec<Fault>, String>| {
        let text = env::var(name).unwrap_or_default();
        list(&text).unwrap_or_else(|why| {
            complain(&format!("{name}: {why}"));
            vec![]
        })
    };
    let mut faults = read("FAKE_NVML_ERROR_AT", Fault::list);
    faults.extend(read("FAKE_NVML_ABORT_AT", Fault::abort_list));
    faults
}

/// `nvmlInit`. The first one finds the node; the others only count.
pub(super) fn begin() -> Result<(), Failure> {
    let found = session().store.clone();
    let store = match found {
        Some(store) => store,
        None => open().map_err(Failure::Refused)?,
    };
    let behaviour = &store.node().file.nvml;
    pause(behaviour.init_ms);
    if behaviour.init_error != 0 {
        return Err(Failure::Refused(Code(behaviour.init_error)));
    }
    let mut session = session();
    session.users += 1;
    session.store.get_or_insert(store);
    Ok(())
}

/// `nvmlShutdown`.
pub(super) fn end() -> Result<(), Failure> {
    let mut session = session();
    session.users = session.users.checked_sub(1).ok_or(Code::UNINITIALIZED)?;
    if session.users == 0 {
        session.store = None;
    }
    Ok(())
}

/// The node, whether the library is initialised or not.
pub(super) fn node() -> Result<Node, Code> {
    let store = session().store.clone();
    store.map_or_else(read, |store| Ok(store.node().clone()))
}

/// A library without a node is a machine without a driver; a node that can't be read is an error.
fn read() -> Result<Node, Code> {
    let dir = find().ok_or(Code::DRIVER_NOT_LOADED)?;
    Node::read(&dir).map_err(unreadable)
}

fn open() -> Result<Arc<Store>, Code> {
    let node = read()?;
    let path = node.path("faults");
    let faults = std::fs::read_to_string(&path).unwrap_or_default();
    let faults = Fault::list(&faults).map_err(|why| format!("{}: {why}", path.display()));
    let faults = faults.map_err(unreadable)?;
    session().faults.get_or_insert_default().add(faults);
    Store::open(Arc::new(node)).map(Arc::new).map_err(unreadable)
}

fn unreadable(why: String) -> Code {
    complain(&why);
    Code::UNKNOWN
}

fn find() -> Option<PathBuf> {
    if let Some(dir) = env::var_os("FAKE_NVML_NODE") {
        return Some(dir.into());
    }
    let library = super::pointer::own_file()?;
    node::above(&library).map(PathBuf::from)
}

/// As `kill -9`: no unwinding, no buffers written, no core.
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

fn log(symbol: &str, code: u32) {
    let Some(path) = env::var_os("FAKE_NVML_LOG") else { return };
    let line = format!("{} {symbol} {code}\n", std::process::id());
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        complain(&format!("{}: {error}", PathBuf::from(path).display()));
    }
}

fn complain(why: &str) {
    // Nowhere is left to report that stderr is closed.
    let _ = writeln!(std::io::stderr(), "fake NVML: {why}");
}
