//! The model's node: what was granted and to whom, what others have, and the real node to compare it with.

use super::bed::{Checked, expect};
use super::model::{Death, Event, Wish};
use super::steps::{Kill, Run, Step, run};
use crate::claims::site::{Said, Site, prepare_words};
use divvy::inventory::{self, Gpu, Scope};
use divvy::nvml::Session;
use std::collections::{BTreeMap, BTreeSet};

/// As many as take turns by default.
const REPLICAS: usize = 4;

/// A claim as the model has it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) wish: Wish,
    /// UUIDs of GPUs or MIG devices.
    pub(super) devices: Vec<String>,
    /// Its release waits for a process.
    pub(super) releasing: bool,
}

/// A node and its model.
#[derive(Debug)]
pub(super) struct World {
    pub(super) site: Site,
    pub(super) nvml: Session,
    at_first: BTreeSet<String>,
    pub(super) held: BTreeMap<String, Held>,
    /// Claims of which a process died: there or not, as the next reconcile says.
    pub(super) unsure: BTreeMap<String, Wish>,
    /// Since somebody died, or all claims did, nobody has reconciled.
    pub(super) stale: bool,
    /// MIG devices of others: GPU and GPU instance.
    pub(super) foreign: BTreeSet<(u32, u32)>,
    /// MIG devices in use: GPU, GPU instance, and the claim.
    pub(super) used: BTreeMap<String, (u32, u32)>,
    /// Whether somebody's process is on the H100.
    pub(super) process: bool,
}

impl World {
    pub(super) fn new() -> World {
        let site = Site::in_memory(&["--gpu", "A100-40GB", "--gpu", "H100-80GB", "--managed"]);
        site.node.change("mig", &["0", "on"]);
        let nvml = site.node.session();
        let mut world = World {
            site,
            nvml,
            at_first: BTreeSet::new(),
            held: BTreeMap::new(),
            unsure: BTreeMap::new(),
            stale: false,
            foreign: BTreeSet::new(),
            used: BTreeMap::new(),
            process: false,
        };
        world.at_first = world.picture();
        world
    }

    /// All of the node but the number of its boot.
    fn picture(&self) -> BTreeSet<String> {
        let mut picture = self.site.picture();
        picture.retain(|line| !line.starts_with("driver "));
        picture
    }

    pub(super) fn happens(&mut self, event: Event) -> Checked {
        match event {
            Event::Prepare(id, wish) => self.prepare(&name(id), wish, None)?,
            Event::PrepareDies(id, wish, at) => self.prepare(&name(id), wish, Some(at))?,
            Event::Release(id) => self.release(&name(id), None)?,
            Event::ReleaseDies(id, at) => self.release(&name(id), Some(at))?,
            Event::Reconcile => self.reconcile()?,
            Event::ReconcileDies(at) => {
                let run = self.run(&["reconcile"], Some(at));
                if !run.killed {
                    expect(&run.said, 0, "reconcile")?;
                }
                self.stale = true;
            }
            Event::Use(n) => self.use_one(n),
            Event::Leave(n) => self.leave(n),
            Event::MakeForeign(gpu, profile) => self.make_foreign(gpu, profile),
            Event::DestroyForeign(n) => self.destroy_foreign(n),
            Event::Process(comes) => self.process(comes),
            Event::Reboot(true) => self.restart("reboot", &["--clear-run"]),
            Event::Reboot(false) => self.restart("reboot", &[]),
            Event::ReloadDriver => self.restart("reload", &[]),
        }
        self.check()
    }

    /// Everybody goes, and all is as it was at first.
    pub(super) fn ends(&mut self) -> Checked {
        while !self.used.is_empty() {
            self.leave(0);
        }
        self.process(false);
        let ids: BTreeSet<String> = self.held.keys().chain(self.unsure.keys()).cloned().collect();
        for id in ids {
            expect(&self.site.release(&id), 0, "release")?;
        }
        self.site.reconcile();
        while !self.foreign.is_empty() {
            self.destroy_foreign(0);
        }
        if self.gpu(1).mig_enabled() {
            // A foreign device kept it on when the last claim went.
            self.site.node.change("mig", &["1", "off"]);
        }
        let reconciled = self.site.reconcile();
        expect(&reconciled, 0, "reconcile")?;
        let now = self.picture();
        let more: Vec<&String> = now.difference(&self.at_first).collect();
        let less: Vec<&String> = self.at_first.difference(&now).collect();
        match more.is_empty() && less.is_empty() {
            true => Ok(()),
            false => Err(format!("left {more:#?}, missing {less:#?}")),
        }
    }

    fn gpus(&self) -> Vec<Gpu> {
        inventory::read(&self.nvml, Scope::Full).unwrap().gpus
    }

    pub(super) fn gpu(&self, index: u32) -> Gpu {
        self.gpus().into_iter().find(|gpu| gpu.index == index).unwrap()
    }

    fn run(&self, words: &[&str], at: Option<Death>) -> Run {
        let kill = at.map(|at| match at {
            Death::Call(number, after) => Kill::Call { number, after },
            Death::Step(number) => {
                let step = Step { role: "main".to_owned(), number, what: String::new() };
                Kill::Step { step, after: false }
            }
        });
        match kill {
            Some(kill) => run(&self.site, words, &[], Some(&kill)),
            None => Run { said: self.site.divvy(words), steps: Vec::new(), killed: false },
        }
    }

    fn prepare(&mut self, id: &str, wish: Wish, at: Option<Death>) -> Checked {
        if self.held.get(id).is_some_and(|held| held.releasing) {
            // It would wait for the process that uses it.
            return Ok(());
        }
        let fits = self.fits(wish);
        let text = wish.text();
        let run = self.run(&prepare_words(id, &[&text]), at);
        let before = self.held.get(id).cloned();
        if run.killed {
            self.stale = true;
            if before.is_none() {
                self.unsure.entry(id.to_owned()).or_insert(wish);
            }
            return Ok(());
        }
        match (run.said.code, before) {
            (Some(0), Some(held)) => match held.devices == run.said.granted() {
                true => Ok(()),
                false => Err("a second prepare gave other devices".to_owned()),
            },
            (Some(1), Some(held)) if held.wish != wish => Ok(()),
            (Some(1), None) if self.unsure.get(id).is_some_and(|other| *other != wish) => Ok(()),
            (Some(0), None) if fits || self.stale => {
                self.unsure.remove(id);
                self.grant(id, wish, &run.said)
            }
            (Some(3), None) if !fits || self.stale => {
                self.unsure.remove(id);
                Ok(())
            }
            (code, before) => {
                let said = &run.said.stderr;
                Err(format!("it ended with {code:?}, fits {fits}, before {before:?}: {said}"))
            }
        }
    }

    /// The model takes a grant over, unless it can't be.
    fn grant(&mut self, id: &str, wish: Wish, said: &Said) -> Checked {
        let devices = said.granted();
        for device in &devices {
            let others = || self.held.values().filter(|held| held.devices.contains(device));
            let alike = others().all(|held| held.wish == wish);
            let turns = matches!(wish, Wish::Turns | Wish::ShortTurns | Wish::MigTurns);
            let room = if turns { others().count() < REPLICAS } else { others().count() == 0 };
            if !alike || !room {
                return Err(format!("{device} is given to {id} and to {:?}", self.held));
            }
        }
        self.held.insert(id.to_owned(), Held { wish, devices, releasing: false });
        Ok(())
    }

    fn release(&mut self, id: &str, at: Option<Death>) -> Checked {
        let run = self.run(&["release", id], at);
        if run.killed {
            self.stale = true;
            if let Some(held) = self.held.get(id).filter(|held| !held.releasing).cloned() {
                self.held.remove(id);
                self.unsure.insert(id.to_owned(), held.wish);
            }
            return Ok(());
        }
        expect(&run.said, 0, "release")?;
        let unsure = self.unsure.remove(id);
        let waits = run.said.stderr.contains("still in use");
        match (self.held.get_mut(id), self.used.contains_key(id)) {
            (Some(held), true) if waits => held.releasing = true,
            (Some(_), false) if !waits => drop(self.held.remove(id)),
            (None, _) if !waits => {}
            // Somebody died releasing it before.
            (None, true) => self.waits(id, unsure.unwrap()),
            _ => {
                return Err(format!(
                    "released while in use, or not while it isn't: {:?}",
                    run.said
                ));
            }
        }
        Ok(())
    }

    /// Its release waits for a process; which device it is stands with that.
    fn waits(&mut self, id: &str, wish: Wish) {
        self.held.insert(id.to_owned(), Held { wish, devices: Vec::new(), releasing: true });
    }

    fn reconcile(&mut self) -> Checked {
        expect(&self.site.reconcile(), 0, "reconcile")?;
        self.stale = false;
        let phases: BTreeMap<String, String> = self.site.phases().into_iter().collect();
        for (id, wish) in std::mem::take(&mut self.unsure) {
            match phases.get(&id).map(String::as_str) {
                None => {}
                Some("granted") => {
                    let said = self.site.prepare(&id, &[&wish.text()]);
                    expect(&said, 0, "the same prepare again")?;
                    self.grant(&id, wish, &said)?;
                }
                // In use: its process goes some time.
                Some("releasing") if self.used.contains_key(&id) => self.waits(&id, wish),
                Some(phase) => return Err(format!("{id} stays {phase}")),
            }
        }
        Ok(())
    }

    /// Whether the node has room, by the driver's word and by who holds what.
    fn fits(&self, wish: Wish) -> bool {
        let gpus = self.gpus();
        let on = |gpu: &Gpu| -> Vec<&Held> {
            self.held.values().filter(|held| held.devices.contains(&gpu.uuid)).collect()
        };
        let whole = |gpu: &&Gpu| !gpu.mig_enabled();
        let room = |index: u32, profile: &str, count: u32| {
            let gpu = &gpus[index as usize];
            let profiles = &gpu.mig.as_ref().unwrap().profiles;
            let profile = profiles.iter().find(|known| known.name.to_string() == profile).unwrap();
            match gpu.mig_enabled() {
                true => {
                    let device = self.nvml.device(index).unwrap();
                    device.remaining_capacity(profile.id).unwrap() >= count
                }
                // The A100's mode waits for a reset, which divvy never makes.
                false => index == 1 && on(gpu).is_empty() && gpu.processes.is_empty(),
            }
        };
        match wish {
            Wish::Exclusive => {
                gpus.iter().filter(whole).any(|gpu| on(gpu).is_empty() && gpu.processes.is_empty())
            }
            Wish::Turns | Wish::ShortTurns => gpus.iter().filter(whole).any(|gpu| {
                on(gpu).len() < REPLICAS && on(gpu).iter().all(|held| held.wish == wish)
            }),
            Wish::Mig { gpu, profile, count } => room(gpu, profile, count),
            Wish::MigTurns => {
                let mut shared = BTreeMap::new();
                let claims = self.held.values().filter(|held| held.wish == Wish::MigTurns);
                claims.for_each(|held| *shared.entry(held.devices.clone()).or_insert(0) += 1);
                shared.values().any(|count| *count < REPLICAS) || room(0, "1g.5gb", 1)
            }
        }
    }

    /// No claim is lost, what is foreign stands, and nothing is there that nobody has.
    fn check(&self) -> Checked {
        let mut instances: BTreeSet<(u32, u32)> = BTreeSet::new();
        for gpu in self.gpus() {
            let found = gpu.mig.map(|mig| mig.instances).unwrap_or_default();
            instances.extend(found.iter().map(|instance| (gpu.index, instance.id)));
        }
        let mut known = self.foreign.clone();
        for uuid in self.held.values().flat_map(|held| &held.devices) {
            let device = self.nvml.device_by_uuid(uuid);
            let device = device.map_err(|error| format!("a claim has lost {uuid}: {error}"))?;
            if uuid.starts_with("MIG-") {
                let gpu = self.gpus().into_iter().find(|gpu| has(gpu, uuid));
                known.insert((gpu.unwrap().index, device.gpu_instance_id().unwrap()));
            }
        }
        known.extend(self.used.values());
        let lost: Vec<_> = known.difference(&instances).collect();
        let nobody_s: Vec<_> = instances.difference(&known).collect();
        if !lost.is_empty() || (!self.stale && !nobody_s.is_empty()) {
            return Err(format!("gone: {lost:?}, nobody's: {nobody_s:?}"));
        }
        let phases: BTreeMap<String, String> = self.site.phases().into_iter().collect();
        for (id, held) in &self.held {
            match (phases.get(id).map(String::as_str), held.releasing) {
                (Some("granted"), false) | (Some("releasing"), true) => {}
                (phase, _) => return Err(format!("{id} is {phase:?}, and {held:?} in the model")),
            }
        }
        match self.stale || phases.keys().all(|id| self.held.contains_key(id)) {
            true => Ok(()),
            false => Err(format!("claims that nobody has: {phases:?}")),
        }
    }
}

fn has(gpu: &Gpu, uuid: &str) -> bool {
    gpu.mig
        .iter()
        .flat_map(|mig| &mig.instances)
        .any(|instance| instance.compute_instances.iter().any(|compute| compute.uuid == uuid))
}

fn name(id: usize) -> String {
    format!("claim-{id}")
}
