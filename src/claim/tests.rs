//! Claims to test with.

use super::*;
use crate::config::Level;
use crate::host::{Host, ProcessRef};
use crate::request::Interval;

const UNENFORCED: Enforced = Enforced { memory: Level::No, compute: Level::No };

pub(crate) fn identity() -> NodeIdentity {
    NodeIdentity { boot_id: "47d7fb81-6aaf-4e20-ab09-4b45ef407304".into(), driver_load: Some(7) }
}

pub(crate) fn claim(id: &str, phase: Phase, owner: Owner) -> Claim {
    let worker = Host::default().this_process().unwrap();
    let device = DeviceId::random(u64::from(id.as_bytes()[0]));
    Claim {
        id: id.parse().unwrap(),
        phase,
        requests: Requests::from_texts(["mig:1g.10gb"]).unwrap(),
        uid: 0,
        owner,
        worker,
        identity: identity(),
        created: 1_800_000_000,
        created_uptime_ms: 1000,
        parts: vec![Part {
            request: 0,
            device,
            limits: MpsLimits::default(),
            enforced: UNENFORCED,
        }],
        foundations: Vec::new(),
    }
}

pub(crate) fn device(id: &str) -> Device {
    Device {
        id: DeviceId::random(u64::from(id.as_bytes()[0])),
        purpose: Purpose::TimeSlicing { interval: Some(Interval::Short) },
        targets: vec![Target { gpu: "GPU-1".into(), mig: None }],
        steps: vec![Entry::planned(Step::SetTimeSlice {
            gpu: "GPU-1".into(),
            interval: Interval::Short,
        })],
        identity: identity(),
        retiring: false,
    }
}

pub(crate) fn container(process: ProcessRef) -> Owner {
    let container = ContainerRef { id: "c1".into(), bundle: "/run/bundle".into() };
    Owner::Container { container, process, cgroup: None }
}
