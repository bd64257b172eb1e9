//! The node of a scene, and what must be true of it after each case.

use super::scenes::Scene;
use super::steps::{Kill, Run, plain, run};
use crate::claims::site::{Said, Site, prepare_words};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The claim that is prepared and released.
pub(super) const JOB: &str = "job";
/// A CDI file of somebody else.
const SPEC: &str = r#"{"cdiVersion":"0.5.0","kind":"a.com/gpu","devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}"#;

/// The node of a scene.
#[derive(Debug)]
pub(super) struct Bed<'s> {
    pub(super) scene: &'s Scene,
    pub(super) site: Site,
    before: BTreeSet<String>,
}

/// What isn't as it must be, in words.
pub(super) type Checked<T = ()> = Result<T, String>;

impl<'s> Bed<'s> {
    /// `None` where the scene can't be played here, which is said.
    pub(super) fn new(scene: &'s Scene) -> Option<Bed<'s>> {
        let mut site = Site::in_memory(scene.node);
        if scene.has_daemon() {
            site = site.lend_mps()?;
            without_most_libraries(&site);
        }
        for (gpu, profile) in scene.foreign {
            site.node.change("mig", &[gpu, "create", profile]);
        }
        fs::write(spec(&site), SPEC).unwrap();
        for (n, request) in scene.standing.iter().enumerate() {
            site.prepare(&format!("standing-{n}"), &[request]).done();
        }
        // The folders of the records are there from the first claim on.
        let mut bed = Bed { scene, site, before: BTreeSet::new() };
        bed.site.prepare(JOB, scene.requests).done();
        bed.site.release(JOB).done();
        bed.before = bed.site.picture();
        Some(bed)
    }

    /// Runs one command, killed where `kill` says.
    pub(super) fn run(&self, words: &[&str], env: &[(&str, &str)], kill: Option<&Kill>) -> Run {
        run(&self.site, words, env, kill)
    }

    /// The same without a look at each step, which takes longer.
    pub(super) fn run_plain(
        &self,
        words: &[&str],
        env: &[(&str, &str)],
        kill: Option<&Kill>,
    ) -> Run {
        plain(&self.site, words, env, kill)
    }

    /// The words that prepare the job, for an owner if it has one.
    pub(super) fn prepare_words<'a>(&self, owner: Option<&'a str>) -> Vec<&'a str>
    where
        's: 'a,
    {
        let mut words = prepare_words(JOB, self.scene.requests);
        words.extend(owner.iter().flat_map(|pid| ["--start-process", pid]));
        words
    }

    /// Brings records and node to agree.
    pub(super) fn mend(&self) -> Checked {
        expect(&self.site.reconcile(), 0, "reconcile")
    }

    /// They agree after one reconcile.
    pub(super) fn mend_at_once(&self) -> Checked {
        self.mend()?;
        let again = self.site.reconcile();
        expect(&again, 0, "reconcile")?;
        match again.stdout.as_str() {
            "nothing to mend\n" => Ok(()),
            _ => Err(format!("a second reconcile still mends: {}", again.stdout)),
        }
    }

    /// The job's phase, where there is one.
    pub(super) fn phase(&self) -> Option<String> {
        self.site.phases().into_iter().find(|(id, _)| id == JOB).map(|(_, phase)| phase)
    }

    /// How many calls of NVML change something in a command: it is killed at each until there is none.
    pub(super) fn changes(&self, run: impl Fn(Option<&Kill>) -> Run) -> usize {
        let mut number = 1;
        while run(Some(&Kill::Call { number, after: false })).killed {
            self.finish().unwrap();
            number += 1;
        }
        self.finish().unwrap();
        number - 1
    }

    /// Takes back what is left, and looks whether all is as it was.
    pub(super) fn finish(&self) -> Checked {
        expect(&self.site.release(JOB), 0, "release")?;
        self.mend()?;
        self.same()
    }

    /// Everything is as it was: what is others', too, and the claims that stand.
    pub(super) fn same(&self) -> Checked {
        let deadline = Instant::now() + Duration::from_secs(3);
        // A client of a control daemon that outlives who asked, and an empty cgroup, go by themselves.
        let mut now = self.site.picture();
        while now != self.before && Instant::now() < deadline {
            sleep(Duration::from_millis(10));
            now = self.site.picture();
        }
        let more: Vec<&String> = now.difference(&self.before).collect();
        let less: Vec<&String> = self.before.difference(&now).collect();
        if !more.is_empty() || !less.is_empty() {
            return Err(format!("left {more:#?}, missing {less:#?}"));
        }
        if fs::read_to_string(spec(&self.site)).ok().as_deref() != Some(SPEC) {
            return Err("a CDI file of somebody else was changed".to_owned());
        }
        if self.scene.standing.is_empty() {
            return Ok(());
        }
        let phases = self.site.phases();
        let standing = phases.iter().filter(|(_, phase)| phase == "granted").count();
        match (standing, phases.len()) == (self.scene.standing.len(), self.scene.standing.len()) {
            true => Ok(()),
            false => Err(format!("other claims changed: {phases:?}")),
        }
    }
}

/// A command ended as it must.
pub(super) fn expect(said: &Said, code: i32, what: &str) -> Checked {
    match said.code == Some(code) {
        true => Ok(()),
        false => Err(format!("{what} ended with {:?}, not {code}: {}", said.code, said.stderr)),
    }
}

fn spec(site: &Site) -> PathBuf {
    site.node.host().cdi_dirs[0].join("other.json")
}

/// Leaves the libraries that divvy can't do without: each is a link of its own in a daemon's folder.
fn without_most_libraries(site: &Site) {
    let arch = std::env::consts::ARCH;
    let folder = site.node.host().driver_root.join(format!("usr/lib/{arch}-linux-gnu"));
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !(name.starts_with("libcuda.") || name.starts_with("libnvidia-ml.")) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Somebody who starts a container, and dies when told to, or with this.
#[derive(Debug)]
pub(super) struct Starter(Child);

impl Starter {
    pub(super) fn new() -> Starter {
        Starter(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    pub(super) fn pid(&self) -> String {
        self.0.id().to_string()
    }

    pub(super) fn die(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        self.die();
    }
}
