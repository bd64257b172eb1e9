//! MPS as a step of a device record: NVIDIA's control daemon on simulated GPUs.

use super::ground::{Ground, with_each_driver};
use super::stage::Stage;
use crate::common::node;
use divvy::claim::{Device, Entry, Outcome, Step, Target};
use divvy::request::{MpsLimits, Percent};
use divvy::share::Undone;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use std::fs;

fn start() -> Entry {
    let limits = MpsLimits { threads: Percent::new(50), memory: None };
    Entry::planned(Step::StartMps { limits, uid: 0 })
}

/// The environment of a record's daemon.
fn environment(device: &Device) -> Vec<String> {
    let Some(Outcome::Daemon(process)) = device.steps.last().unwrap().outcome.clone() else {
        panic!("the last step is no daemon")
    };
    let text = fs::read(format!("/proc/{}/environ", process.pid)).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn on_one_gpu(ground: &Ground) -> (Stage, Device) {
    let stage = Stage::plain("H100-80GB");
    ground.lend(&stage.host);
    let mut device = stage.gpu_record(|gpu| Step::SetExclusiveProcess { gpu });
    device.steps.push(start());
    stage.carry_out(&mut device).unwrap();
    (stage, device)
}

#[test]
fn mps_inside_a_mig_device_is_a_longer_list_of_steps() {
    with_each_driver(|ground| {
        let stage = Stage::with_mig("H100-80GB");
        ground.lend(&stage.host);
        let mut device = stage.mig_record("3g.40gb", 4);
        let gpu = device.targets[0].gpu.clone();
        device.steps.push(Entry::planned(Step::SetExclusiveProcess { gpu }));
        device.steps.push(start());
        stage.carry_out(&mut device).unwrap();

        let (_, _, uuid) = device.mig_device().unwrap();
        let environment = environment(&device);
        assert!(environment.contains(&format!("CUDA_VISIBLE_DEVICES={uuid}")), "{environment:?}");
        // The driver's libraries, and no libc of its root.
        let folder = device.daemon_folder().unwrap().join("lib");
        assert!(environment.contains(&format!("LD_LIBRARY_PATH={}", folder.display())));
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        assert!(names.contains(&"libcuda.so.1".to_owned()), "{names:?}");
        let of_driver =
            |name: &String| name.starts_with("libcuda") || name.starts_with("libnvidia-");
        assert!(names.iter().all(of_driver), "{names:?}");

        assert_eq!(stage.undo(&mut device), Undone::Gone);
        assert_eq!(stage.instances(), []);
        assert_eq!(fs::read_dir(stage.host.state_dir.join("mps")).unwrap().count(), 0);
    });
}

#[test]
fn one_daemon_serves_several_gpus() {
    with_each_driver(|ground| {
        let stage = Stage::on(node::create(&["--gpu", "H100-80GB:2"]));
        ground.lend(&stage.host);
        let uuids: Vec<String> = (0..2)
            .map(|index| stage.nvml.get().unwrap().device(index).unwrap().uuid().unwrap())
            .collect();
        let target = |gpu: &String| Target { gpu: gpu.clone(), mig: None };
        let mut device = stage.record(target(&uuids[0]), Vec::new());
        device.targets.push(target(&uuids[1]));
        device.steps.push(start());
        stage.carry_out(&mut device).unwrap();
        let both = format!("CUDA_VISIBLE_DEVICES={}", uuids.join(","));
        assert!(environment(&device).contains(&both));
        assert_eq!(stage.undo(&mut device), Undone::Gone);
    });
}

#[test]
fn a_daemon_with_clients_stays() {
    with_each_driver(|ground| {
        let (stage, mut device) = on_one_gpu(ground);
        fs::write(ground.server_file("clients"), "4711\n").unwrap();
        let in_use = stage.undo(&mut device);
        assert!(matches!(&in_use, Undone::InUse { pids, .. } if *pids == [4711]), "{in_use:?}");
        fs::write(ground.server_file("clients"), "").unwrap();
        assert_eq!(stage.undo(&mut device), Undone::Gone);
    });
}

#[test]
fn a_daemon_that_hangs_has_the_clients_that_the_driver_lists() {
    with_each_driver(|ground| {
        let (mut stage, mut device) = on_one_gpu(ground);
        stage.settings.command_timeout = ground.settings.command_timeout;
        stage.fake.change("process", &["0", "add", "4711", "--kind", "mps"]);
        let held = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        let control = device.daemon_folder().unwrap().join("client/control");
        connect(&held, &SocketAddrUnix::new(control).unwrap()).unwrap();
        let in_use = stage.undo(&mut device);
        assert!(matches!(&in_use, Undone::InUse { pids, .. } if *pids == [4711]), "{in_use:?}");
        stage.fake.change("process", &["0", "rm", "4711"]);
        assert_eq!(stage.undo(&mut device), Undone::Gone);
        assert_eq!(stage.gpu().compute_mode, divvy::inventory::ComputeMode::Default);
    });
}

#[test]
fn a_lost_gpu_keeps_no_daemon_alive() {
    with_each_driver(|ground| {
        let (stage, mut device) = on_one_gpu(ground);
        stage.fake.change("lose", &["0"]);
        assert_eq!(stage.undo(&mut device), Undone::Lost);
        assert_eq!(fs::read_dir(stage.host.state_dir.join("mps")).unwrap().count(), 0);
    });
}
