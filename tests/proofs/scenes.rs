//! The modes that are proved, each on a node where others have things, too.

/// A node and what is asked of it.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) name: &'static str,
    /// What `fake-node create` is told.
    pub(super) node: &'static [&'static str],
    /// MIG devices of somebody else: a GPU's index and what it has.
    pub(super) foreign: &'static [(&'static str, &'static str)],
    /// Requests of claims that stand all the while.
    pub(super) standing: &'static [&'static str],
    pub(super) requests: &'static [&'static str],
    /// Whether another claim may have the same device.
    pub(super) shared: bool,
}

impl Scene {
    /// Whether a control daemon is started.
    pub(super) fn has_daemon(&self) -> bool {
        self.requests.iter().any(|request| request.contains("mps"))
    }
}

/// All of them, or those that DIVVY_SIEGE_SCENES names a part of.
pub(super) fn scenes() -> impl Iterator<Item = &'static Scene> {
    let wanted = std::env::var("DIVVY_SIEGE_SCENES").unwrap_or_default();
    SCENES.iter().filter(move |scene| scene.name.contains(&wanted))
}

/// Two in one: what most steps are in, for the short run.
pub(super) const SHORT: [&str; 2] = ["MIG mode and time-slicing", "MPS with limits"];

const SCENES: [Scene; 11] = [
    Scene {
        name: "exclusive",
        node: &["--gpu", "H100-80GB", "--managed"],
        foreign: &[],
        standing: &[],
        requests: &["exclusive"],
        shared: false,
    },
    Scene {
        name: "time-slicing with an interval",
        node: &["--gpu", "H100-80GB", "--managed"],
        foreign: &[],
        standing: &[],
        requests: &["time-slicing:interval=short"],
        shared: true,
    },
    Scene {
        name: "time-slicing, joined",
        node: &["--gpu", "H100-80GB", "--managed"],
        foreign: &[],
        standing: &["time-slicing:interval=long"],
        requests: &["time-slicing:interval=long"],
        shared: true,
    },
    Scene {
        name: "MPS with limits",
        node: &["--gpu", "H100-80GB", "--managed"],
        foreign: &[],
        standing: &[],
        requests: &["mps:threads=25,memory=10Gi"],
        shared: true,
    },
    Scene {
        name: "MPS, joined with more",
        node: &["--gpu", "H100-80GB", "--managed"],
        foreign: &[],
        standing: &["mps:threads=25"],
        requests: &["mps:threads=50"],
        shared: true,
    },
    Scene {
        name: "MPS over two GPUs",
        node: &["--gpu", "H100-80GB:2", "--managed"],
        foreign: &[],
        standing: &[],
        requests: &["2x mps:threads=50"],
        shared: true,
    },
    Scene {
        name: "MIG",
        node: &["--gpu", "A100-40GB", "--mig", "on"],
        foreign: &[("0", "2g.10gb@0")],
        standing: &["mig:1g.5gb"],
        requests: &["mig:1g.5gb"],
        shared: false,
    },
    Scene {
        name: "MIG mode",
        node: &["--gpu", "H100-80GB", "--managed"],
        foreign: &[],
        standing: &[],
        requests: &["mig:3g.40gb"],
        shared: false,
    },
    Scene {
        name: "MIG mode and time-slicing",
        node: &["--gpu", "H100-80GB", "--managed"],
        foreign: &[],
        standing: &[],
        requests: &["mig:1g.10gb/time-slicing"],
        shared: true,
    },
    Scene {
        name: "MIG mode and MPS",
        node: &["--gpu", "H100-80GB", "--managed"],
        foreign: &[],
        standing: &[],
        requests: &["mig:3g.40gb/mps:threads=50"],
        shared: true,
    },
    Scene {
        name: "two of MIG",
        node: &["--gpu", "A100-40GB:2", "--mig", "on"],
        foreign: &[("0", "3g.20gb@4"), ("1", "1g.5gb@0")],
        standing: &[],
        requests: &["2x mig:2g.10gb"],
        shared: false,
    },
];
