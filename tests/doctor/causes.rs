//! What each finding comes from.

use super::machine::Machine;
use crate::claims::site::Site;
use crate::common::node;
use divvy::inventory::{self, Scope};
use divvy::nvml::Slices;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Brings a machine into the state of a finding; or answers another machine that is.
type Cause = fn(Machine) -> Machine;

/// Those that take a real control daemon: `mps.rs` has them.
pub(super) const ELSEWHERE: [&str; 2] = ["mps-dead", "mps-uid"];

pub(super) fn causes() -> Vec<(&'static str, Cause)> {
    [driver(), nodes_and_mig(), cdi_folders(), engines(), system(), records()].concat()
}

fn after(machine: Machine, change: impl FnOnce(&Machine)) -> Machine {
    change(&machine);
    machine
}

fn in_node(machine: &Machine, path: &str) -> std::path::PathBuf {
    machine.site.node.dir().join(path)
}

fn driver() -> Vec<(&'static str, Cause)> {
    fn init_fails(machine: Machine, with: &str) -> Machine {
        after(machine, |machine| {
            let file = in_node(machine, "node.yaml");
            let text = fs::read_to_string(&file).unwrap();
            fs::write(file, text.replace("  init-error: 0\n", with)).unwrap();
        })
    }
    vec![
        ("module-missing", |machine| {
            after(machine, |m| fs::remove_file(in_node(m, "proc/driver/nvidia/version")).unwrap())
        }),
        ("nouveau-loaded", |machine| {
            after(machine, |m| {
                fs::remove_file(in_node(m, "proc/driver/nvidia/version")).unwrap();
                fs::create_dir_all(m.site.node.host().sys_root.join("module/nouveau")).unwrap();
            })
        }),
        ("library-missing", |machine| {
            after(machine, |m| m.env("DIVVY_NVML_LIBRARY", "/nonexistent/libnvidia-ml.so.1"))
        }),
        ("version-mismatch", |machine| {
            init_fails(machine, "  init-error: 18\n  library-version: 535.247.01\n")
        }),
        ("nvml-fails", |machine| init_fails(machine, "  init-error: 4\n")),
        ("libraries-missing", |machine| {
            after(machine, |m| {
                let version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  560.35.03\n";
                fs::write(in_node(m, "proc/driver/nvidia/version"), version).unwrap();
            })
        }),
        ("no-gpu", |machine| {
            after(machine, |m| {
                let file = in_node(m, "node.yaml");
                let text = fs::read_to_string(&file).unwrap();
                let (before, _) = text.split_once("gpus:\n").unwrap();
                fs::write(file, format!("{before}gpus: []\n")).unwrap();
                fs::remove_file(in_node(m, "state.json")).unwrap();
            })
        }),
        ("gpu-lost", |machine| after(machine, |m| drop(m.site.node.change("lose", &["1"])))),
        ("persistence-off", |machine| {
            let socket = "driver/run/nvidia-persistenced/socket";
            after(machine, |m| fs::remove_file(in_node(m, socket)).unwrap())
        }),
    ]
}

/// The first GPU is still joining its fabric.
fn fabric(machine: &Machine) {
    let file = in_node(machine, "node.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let fabric = format!("gpus:\n- fabric: {{cluster: {:?}, clique: 0, state: 2}}\n  ", [7; 16]);
    fs::write(file, text.replace("gpus:\n- ", &fabric)).unwrap();
}

fn nodes_and_mig() -> Vec<(&'static str, Cause)> {
    vec![
        ("fabric-incomplete", |machine| after(machine, fabric)),
        ("uvm-missing", |machine| {
            after(machine, |m| {
                let file = in_node(m, "proc/devices");
                let text = fs::read_to_string(&file).unwrap();
                fs::write(file, text.replace("510 nvidia-uvm\n", "")).unwrap();
            })
        }),
        ("node-missing", |machine| {
            after(machine, |m| fs::remove_file(m.dev("nvidia-uvm")).unwrap())
        }),
        ("node-wrong", |machine| {
            after(machine, |m| {
                fs::remove_file(m.dev("nvidia0")).unwrap();
                fs::write(m.dev("nvidia0"), "").unwrap();
            })
        }),
        ("node-closed", |machine| {
            let closed = fs::Permissions::from_mode(0o660);
            after(machine, |m| fs::set_permissions(m.dev("nvidia1"), closed).unwrap())
        }),
        ("capability-missing", |machine| {
            after(machine, |m| {
                m.site.node.change("mig", &["0", "on"]);
                m.site.node.change("mig", &["0", "create", "3g.40gb"]);
            })
        }),
        ("mig-pending", |_| {
            // On Ampere a new mode waits for a reset.
            let machine = Machine::with(Site::new(&["--gpu", "A100-40GB", "--managed"]));
            after(machine, |m| {
                let session = m.site.node.session();
                let _ = session.device(0).unwrap().set_mig_mode(true).unwrap();
            })
        }),
        ("mig-unclaimed", |machine| {
            after(machine, |m| {
                m.site.node.change("mig", &["0", "on"]);
                m.site.node.change("mig", &["0", "create", "3g.40gb"]);
            })
        }),
        ("mig-hollow", |machine| {
            after(machine, |m| {
                m.site.node.change("mig", &["0", "on"]);
                let session = m.site.node.session();
                let inventory = inventory::read(&session, Scope::Full).unwrap();
                let mig = inventory.gpus[0].mig.as_ref().unwrap();
                let profile = mig.profiles.iter().find(|one| one.name.to_string() == "3g.40gb");
                let profile = profile.unwrap();
                let device = session.device(0).unwrap();
                let place = profile.placements[0];
                let slices = Slices { start: place.start, size: place.size };
                let made = device.create_gpu_instance(profile.id, slices);
                made.unwrap();
            })
        }),
    ]
}

/// A spec of that kind with one device.
pub(super) fn spec(version: &str, kind: &str, edits: &str) -> String {
    format!(
        r#"{{"cdiVersion": "{version}", "kind": "{kind}", "devices": [{{"name": "7", "containerEdits": {{{edits}}}}}]}}"#
    )
}

pub(super) const ENV: &str = r#""env": ["A=b"]"#;
pub(super) const GONE: &str =
    r#""deviceNodes": [{"path": "/dev/nvidia7", "hostPath": "/nonexistent/nvidia7"}]"#;
pub(super) const GPU: &str = "nvidia.com/gpu";

fn cdi_folders() -> Vec<(&'static str, Cause)> {
    vec![
        ("cdi-conflict", |machine| {
            after(machine, |m| {
                fs::copy(m.cdi("divvy-gpu.json"), m.cdi("other.json")).unwrap();
            })
        }),
        ("cdi-shadowed", |machine| {
            after(machine, |m| {
                let folder = m.root("etc/cdi");
                fs::create_dir_all(&folder).unwrap();
                fs::copy(m.cdi("divvy-gpu.json"), folder.join("nvidia.json")).unwrap();
                m.env("DIVVY_CDI_DIR", &format!("{}:{}", folder.display(), m.cdi("").display()));
            })
        }),
        ("cdi-dropped", |machine| {
            after(machine, |m| {
                fs::write(m.cdi("other.json"), spec("0.5.0", GPU, r#""envs": []"#)).unwrap()
            })
        }),
        ("cdi-stale", |machine| {
            after(machine, |m| fs::write(m.cdi("nvidia.json"), spec("0.5.0", GPU, GONE)).unwrap())
        }),
        ("cdi-too-new", |machine| {
            after(machine, |m| {
                m.engine("podman", "podman version 4.3.1");
                fs::write(m.cdi("nvidia.json"), spec("0.7.0", GPU, ENV)).unwrap();
            })
        }),
        ("cdi-claim-gone", |machine| {
            after(machine, |m| {
                for name in ["divvy-claim_job.json", "divvy-claim_other.json"] {
                    let one = spec("0.5.0", "divvy/claim", ENV)
                        .replace(r#""name": "7""#, &format!(r#""name": "{name}""#));
                    fs::write(m.cdi(name), one).unwrap();
                }
            })
        }),
        ("cdi-none", |machine| {
            after(machine, |m| {
                fs::remove_file(m.cdi("divvy-gpu.json")).unwrap();
                fs::remove_file(m.cdi("divvy-requests.json")).unwrap();
                // Claims and other vendors' devices are no GPUs.
                let claim = spec("0.5.0", "divvy/claim", ENV);
                fs::write(m.cdi("divvy-claim_7.json"), claim).unwrap();
                fs::write(m.cdi("intel.json"), spec("0.5.0", "intel.com/gpu", ENV)).unwrap();
            })
        }),
        ("requests-none", |machine| {
            after(machine, |m| fs::remove_file(m.cdi("divvy-requests.json")).unwrap())
        }),
        ("cdi-foreign", |machine| {
            after(machine, |m| {
                let hook = r#""hooks": [{"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook"}]"#;
                m.write("usr/bin/nvidia-cdi-hook", "");
                fs::write(m.cdi("nvidia.yaml"), spec("0.5.0", GPU, hook)).unwrap();
            })
        }),
    ]
}

fn engines() -> Vec<(&'static str, Cause)> {
    fn docker(machine: Machine, version: &str, daemon: &str) -> Machine {
        after(machine, |m| {
            m.engine("dockerd", &format!("Docker version {version}, build 1234567"));
            m.write("etc/docker/daemon.json", daemon);
        })
    }
    vec![
        ("engine-none", |machine| {
            after(machine, |m| fs::remove_file(m.root("usr/bin/podman")).unwrap())
        }),
        ("engine-old", |machine| after(machine, |m| m.engine("podman", "podman version 3.4.4"))),
        ("engine-cdi-off", |machine| docker(machine, "26.1.5", "{}")),
        ("engine-unreadable", |machine| docker(machine, "28.5.2", "{\n  oops\n}\n")),
        ("engine-program-missing", |machine| {
            after(machine, |m| fs::remove_file(m.root("usr/bin/divvy-hook")).unwrap())
        }),
        ("engine-without-divvy", |machine| docker(machine, "28.5.2", "{}")),
        ("legacy-hook", |machine| {
            let hook = r#"{"hook": {"path": "/usr/bin/nvidia-container-runtime-hook"}}"#;
            let file = "usr/share/containers/oci/hooks.d/oci-nvidia-hook.json";
            after(machine, |m| m.write(file, hook))
        }),
        ("legacy-runtime", |machine| docker(machine, "28.5.2", r#"{"default-runtime": "nvidia"}"#)),
    ]
}

fn system() -> Vec<(&'static str, Cause)> {
    vec![
        ("cgroup-none", |machine| {
            let file = "sys/fs/cgroup/cgroup.controllers";
            after(machine, |m| fs::remove_file(m.root(file)).unwrap())
        }),
        ("cgroup-hybrid", |machine| {
            after(machine, |m| {
                fs::remove_file(m.root("sys/fs/cgroup/cgroup.controllers")).unwrap();
                m.write("sys/fs/cgroup/devices/devices.list", "");
                m.write("sys/fs/cgroup/unified/cgroup.controllers", "");
            })
        }),
        ("cgroup-systemd", |machine| {
            let hook = "usr/share/containers/oci/hooks.d/divvy.json";
            after(machine, |m| fs::remove_file(m.root(hook)).unwrap())
        }),
        ("selinux-devices", |machine| {
            after(machine, |m| {
                m.write("sys/fs/selinux/enforce", "1");
                m.write("sys/fs/selinux/booleans/container_use_devices", "0 0");
            })
        }),
        ("apparmor-userns", |machine| {
            let key = "proc/sys/kernel/apparmor_restrict_unprivileged_userns";
            after(machine, |m| m.write(key, "1\n"))
        }),
        ("userns-off", |machine| {
            after(machine, |m| m.write("proc/sys/user/max_user_namespaces", "0\n"))
        }),
        ("subid-none", |machine| after(machine, |m| m.write("etc/subgid", "\n"))),
        ("subid-half", |machine| {
            let users = "user:100000:65536\nother:200000:65536\n";
            after(machine, |m| m.write("etc/subuid", users))
        }),
        ("unit-off", |machine| {
            let link = "etc/systemd/system/timers.target.wants/divvy-reconcile.timer";
            after(machine, |m| fs::remove_file(m.root(link)).unwrap())
        }),
        ("state-untrusted", |machine| after(machine, |m| state(m, 0o777))),
        ("state-closed", |machine| after(machine, |m| state(m, 0o700))),
        ("state-disk", |machine| {
            after(machine, |m| {
                let state = m.root("state");
                fs::create_dir(&state).unwrap();
                fs::set_permissions(&state, fs::Permissions::from_mode(0o711)).unwrap();
                m.env("DIVVY_STATE_DIR", state.to_str().unwrap());
            })
        }),
    ]
}

/// The folder of the records, with that mode.
fn state(machine: &Machine, mode: u32) {
    let state = machine.site.node.host().state_dir;
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
}

fn records() -> Vec<(&'static str, Cause)> {
    const CONTROL: &str = "nvidia-cuda-mps-control";
    vec![
        ("mps-default", |machine| after(machine, |m| m.process(4242, &[CONTROL, "-d"], &["A=b"]))),
        ("mps-stale", |machine| after(machine, |m| m.write("tmp/nvidia-mps/control", ""))),
        ("mps-foreign", |machine| {
            let pipe = "CUDA_MPS_PIPE_DIRECTORY=/run/theirs";
            after(machine, |m| {
                m.process(4242, &["/usr/bin/nvidia-cuda-mps-control", "-f"], &[pipe])
            })
        }),
        ("claim-dead", |machine| {
            after(machine, |m| {
                m.site.prepare("job", &["mig:3g.40gb"]).done();
                m.site.node.change("reboot", &[]);
            })
        }),
        ("claim-lost", |_| {
            let machine = Machine::with(Site::new(&["--gpu", "H100-80GB", "--managed"]));
            after(machine, |m| {
                m.site.prepare("job", &["exclusive"]).done();
                m.site.node.change("lose", &["0"]);
            })
        }),
        ("claim-without-cdi", |machine| {
            after(machine, |m| {
                m.site
                    .divvy(&["prepare", "--claim", "job", "--uid", "1500", "mig:3g.40gb", "@0"])
                    .done();
                fs::remove_file(m.cdi("divvy-claim_job.json")).unwrap();
            })
        }),
        ("record-orphan", |machine| {
            after(machine, |m| {
                m.site.prepare("job", &["mig:3g.40gb"]).done();
                let state = m.site.node.host().state_dir;
                fs::remove_file(state.join("claims/job.json")).unwrap();
            })
        }),
        ("configuration-wrong", |machine| {
            let config = |m: &Machine| m.site.node.host().config;
            after(machine, |m| fs::write(config(m), "gpu: []\n").unwrap())
        }),
        ("configuration-idle", |machine| {
            let config = |m: &Machine| m.site.node.host().config;
            let text = "gpus:\n- match: \"*A100*\"\n- match: \"*\"\n  managed: true\n";
            after(machine, |m| fs::write(config(m), text).unwrap())
        }),
        ("unmanaged", |_| Machine::with(Site { node: node::create(&["--gpu", "H100-80GB"]) })),
    ]
}
