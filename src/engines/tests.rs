use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use tempfile::TempDir;

/// A machine's files, in a folder of their own.
struct Machine {
    root: TempDir,
    version: Option<(u32, u32)>,
}

fn options() -> Options {
    Options {
        runtime_name: "divvy".into(),
        runtime_path: "/usr/bin/divvy-runtime".into(),
        hook_path: "/usr/bin/divvy-hook".into(),
        set_as_default: false,
        cdi: true,
        config: None,
        drop_in: None,
    }
}

impl Machine {
    fn new(files: &[(&str, &str)]) -> Machine {
        let machine = Machine { root: tempfile::tempdir().unwrap(), version: None };
        for folder in ["etc/podman", "etc/containerd", "etc/crio", "etc/docker", "etc/containers"] {
            fs::create_dir_all(machine.root.path().join(folder)).unwrap();
        }
        for (path, text) in files {
            machine.write(path, text);
        }
        machine
    }

    fn with_containerd(mut self, major: u32, minor: u32) -> Machine {
        self.version = Some((major, minor));
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        below(self.root.path(), Path::new(path))
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn current(&self, engine: Engine, options: &Options) -> Current {
        Current { version: self.version, ..read(engine, options, self.root.path()).unwrap() }
    }

    fn plan(&self, engine: Engine, options: &Options) -> Result<Plan, Error> {
        let current = read(engine, options, self.root.path())?;
        plan(engine, options, &Current { version: self.version, ..current })
    }

    fn configure(&self, engine: Engine, options: &Options) -> Plan {
        let plan = self.plan(engine, options).unwrap();
        apply(&plan, self.root.path()).unwrap();
        plan
    }

    fn remove(&self, engine: Engine) -> Plan {
        let options = options();
        let plan = plan_removal(engine, &options, &self.current(engine, &options)).unwrap();
        apply(&plan, self.root.path()).unwrap();
        plan
    }

    /// Every file's text and mode, and every folder.
    fn tree(&self) -> BTreeMap<PathBuf, Option<(u32, String)>> {
        fn walk(folder: &Path, tree: &mut BTreeMap<PathBuf, Option<(u32, String)>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    tree.insert(path.clone(), None);
                    walk(&path, tree);
                } else {
                    let mode = fs::metadata(&path).unwrap().mode() & 0o7777;
                    tree.insert(path.clone(), Some((mode, fs::read_to_string(&path).unwrap())));
                }
            }
        }
        let mut tree = BTreeMap::new();
        walk(self.root.path(), &mut tree);
        // Where the record lay stays, empty.
        tree.retain(|path, _| !path.starts_with(self.path("/var")));
        tree
    }
}

fn diffs(plan: &Plan) -> String {
    let mut text: String = plan.changes.iter().map(diff).collect();
    text.push_str(&format!("{:?}\n", plan.activation));
    for note in &plan.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

/// What is shown of a case, after the properties that every case has: a second run changes nothing, and a removal
/// leaves every byte, mode and folder as it was.
fn story(machine: &Machine, engine: Engine, options: &Options) -> String {
    let before = machine.tree();
    let plan = machine.configure(engine, options);
    let configured = machine.tree();
    let again = machine.configure(engine, options);
    assert_eq!((again.changes, again.activation), (vec![], Activation::Nothing));
    assert_eq!(machine.tree(), configured);
    machine.remove(engine);
    assert_eq!(machine.tree(), before);
    assert!(
        !machine.path("/var/lib/divvy/engines").join(format!("{}.json", engine.word())).exists()
    );
    assert_eq!(machine.remove(engine).changes, []);
    diffs(&plan)
}

/// A name, the files that are there, and containerd's version.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<(u32, u32)>);

fn stories(engine: Engine, cases: &[Case]) -> String {
    let mut text = String::new();
    for (name, files, version) in cases {
        for set_as_default in [false, true] {
            let mut machine = Machine::new(files);
            machine.version = *version;
            let story = story(&machine, engine, &Options { set_as_default, ..options() });
            if !set_as_default {
                text.push_str(&format!("# {name}\n{story}\n"));
            }
        }
    }
    text
}

const DAEMON: &str = "/etc/docker/daemon.json";
const CONFIG: &str = "/etc/containerd/config.toml";
const DROP_IN: &str = "/etc/containerd/conf.d/99-divvy.toml";

#[test]
fn docker() {
    let typical = "{\n    \"log-driver\": \"json-file\",\n    \"features\": {\"buildkit\": true},\n    \
                   \"default-address-pools\": [{\"base\": \"10.0.0.0/8\", \"size\": 24}]\n}";
    let nvidia = "{\n    \"features\": {\n        \"cdi\": true\n    },\n    \"log-driver\": \"json-file\",\n    \
                  \"runtimes\": {\n        \"nvidia\": {\n            \"args\": [],\n            \
                  \"path\": \"nvidia-container-runtime\"\n        }\n    }\n}\n";
    let cases: [Case; 9] = [
        ("no file", &[], None),
        ("Docker 28.2: CDI is on", &[(DAEMON, "{}\n")], Some((28, 2))),
        (
            "Docker 28.2: CDI is said to be off",
            &[(DAEMON, "{\"features\": {\"cdi\": false}}\n")],
            Some((28, 2)),
        ),
        ("an empty file", &[(DAEMON, "")], None),
        ("no members", &[(DAEMON, "{}\n")], None),
        ("features kept", &[(DAEMON, typical)], None),
        ("beside nvidia-ctk", &[(DAEMON, nvidia)], None),
        (
            "one line, another default",
            &[(DAEMON, "{\"default-runtime\": \"crun\", \"x\": 1e3}")],
            None,
        ),
        (
            "CDI said to be off",
            &[(DAEMON, "{\r\n\t\"features\": { \"cdi\": false }\r\n}\r\n")],
            None,
        ),
    ];
    insta::assert_snapshot!(stories(Engine::Docker, &cases));
}

#[test]
fn docker_s_default_runtime_comes_back() {
    let machine = Machine::new(&[(DAEMON, "{\"default-runtime\": \"crun\"}")]);
    machine.configure(Engine::Docker, &Options { set_as_default: true, ..options() });
    assert!(machine.read(DAEMON).contains("\"default-runtime\": \"divvy\""));
    // An option left out is undone.
    machine.configure(Engine::Docker, &options());
    assert!(machine.read(DAEMON).contains("\"default-runtime\": \"crun\""));
    machine.configure(Engine::Docker, &Options { set_as_default: true, ..options() });
    // Somebody edits it meanwhile.
    machine.write(DAEMON, &machine.read(DAEMON).replacen('{', "{\"debug\": true, ", 1));
    machine.remove(Engine::Docker);
    assert_eq!(machine.read(DAEMON), "{\"debug\": true, \"default-runtime\": \"crun\"}");
}

#[test]
fn what_somebody_changed_in_docker_s_file_stays() {
    let machine = Machine::new(&[]);
    machine.configure(Engine::Docker, &options());
    let edited = "{\"features\": {\"cdi\": false}, \"runtimes\": {\"divvy\": {\"path\": \"/usr/bin/divvy-runtime\"}, \"kata\": {\"path\": \"/k\"}}}";
    machine.write(DAEMON, edited);
    machine.remove(Engine::Docker);
    assert_eq!(
        machine.read(DAEMON),
        "{\"features\": {\"cdi\": false}, \"runtimes\": {\"kata\": {\"path\": \"/k\"}}}"
    );
    // The path was changed: it is somebody's own runtime by now.
    let machine = Machine::new(&[]);
    machine.configure(Engine::Docker, &options());
    let own = "{\"runtimes\": {\"divvy\": {\"path\": \"/opt/mine\"}}}";
    machine.write(DAEMON, own);
    machine.remove(Engine::Docker);
    assert_eq!(machine.read(DAEMON), own);
}

#[test]
fn without_a_record_names_tell_what_is_divvy_s() {
    for engine in [Engine::Docker, Engine::Containerd, Engine::Crio, Engine::Podman] {
        let config = "# mine\nversion = 2\nimports = [\"/a/*.toml\"]\n";
        let machine = Machine::new(&[(CONFIG, config)]);
        machine.configure(engine, &options());
        fs::remove_dir_all(machine.path("/var")).unwrap();
        let configured = machine.tree();
        assert_eq!(machine.configure(engine, &options()).changes, []);
        assert_eq!(machine.tree(), configured);
        fs::remove_dir_all(machine.path("/var")).unwrap();
        machine.remove(engine);
        assert_eq!(machine.read(CONFIG), config);
        let left = machine.tree().into_values().flatten();
        let cdi = "{\n  \"features\": {\n    \"cdi\": true\n  }\n}\n";
        let docker = (engine == Engine::Docker).then(|| cdi.to_owned());
        let texts: Vec<String> = left.map(|(_, text)| text).collect();
        let wanted: Vec<String> = [config.to_owned()].into_iter().chain(docker).collect();
        assert_eq!(texts, wanted, "{engine}");
    }
}

/// As nvidia-ctk 1.20 leaves it.
const NVIDIA_DROP_IN: &str = r#"version = 2

[plugins]

  [plugins."io.containerd.grpc.v1.cri"]
    enable_cdi = true

    [plugins."io.containerd.grpc.v1.cri".containerd]
      default_runtime_name = "nvidia"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]

        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
          runtime_type = "io.containerd.runc.v2"

          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]
            BinaryName = "/usr/bin/nvidia-container-runtime"
            SystemdCgroup = true
"#;

const TYPICAL: &str = r#"# The administrator's words.
version = 2 # stays
root = "/data/containerd"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry/pause:3.9" # stays, too
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    pod_annotations = ["mine.*"]
    options = { SystemdCgroup = true }
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]
    runtime_type = "io.containerd.kata.v2"
"#;

#[test]
fn containerd() {
    let third = "version = 3\nimports = [\n  '/etc/containerd/conf.d/*.toml', # ours\n]\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n\
                 [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
    let other = "version = 2\nimports = [\"own/*.toml\", ]\r\n";
    let debian = "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.internal.v1.opt\"]\n    path = \"/var/lib/containerd\"\n";
    let cases: [Case; 9] = [
        ("no file, 1.7", &[], Some((1, 7))),
        ("no file, 2.1", &[], Some((2, 1))),
        ("an empty file, unknown containerd", &[(CONFIG, "")], None),
        ("without the CRI's table, 1.7", &[(CONFIG, debian)], Some((1, 7))),
        ("typical, 1.7", &[(CONFIG, TYPICAL)], Some((1, 7))),
        ("typical, 2.1", &[(CONFIG, TYPICAL)], Some((2, 1))),
        ("version 3, imported already, the CRI off", &[(CONFIG, third)], Some((2, 2))),
        (
            "other imports, 2.1",
            &[(CONFIG, other), ("/etc/containerd/own/a.toml", NVIDIA_DROP_IN)],
            Some((2, 1)),
        ),
        (
            "imports = [], no last line break",
            &[(CONFIG, "imports = []\nversion = 2")],
            Some((2, 1)),
        ),
    ];
    insta::assert_snapshot!(stories(Engine::Containerd, &cases));
}

#[test]
fn nvidia_s_drop_in_is_read_later_and_would_hide_divvy_s_before_2_1() {
    let config = format!("imports = [\"/etc/containerd/conf.d/*.toml\"]\n{TYPICAL}");
    let files =
        [(CONFIG, config.as_str()), ("/etc/containerd/conf.d/99-nvidia.toml", NVIDIA_DROP_IN)];
    let machine = Machine::new(&files).with_containerd(1, 7);
    let refused = machine.plan(Engine::Containerd, &options()).unwrap_err();
    assert!(refused.is_refusal());
    insta::assert_snapshot!(refused, @"/etc/containerd/conf.d/99-nvidia.toml is read after /etc/containerd/conf.d/99-divvy.toml and replaces its whole CRI section (containerd before 2.1 does not join them); give --drop-in /etc/containerd/conf.d/zz-divvy.toml");
    let remedy =
        Options { drop_in: Some("/etc/containerd/conf.d/zz-divvy.toml".into()), ..options() };
    insta::assert_snapshot!(story(&machine, Engine::Containerd, &remedy));
    let machine = Machine::new(&files).with_containerd(2, 1);
    story(&machine, Engine::Containerd, &options());
    let default = machine.plan(Engine::Containerd, &Options { set_as_default: true, ..options() });
    assert!(default.unwrap_err().to_string().contains("names another default runtime"));
}

#[test]
fn an_import_that_somebody_added_stays() {
    let machine = Machine::new(&[(CONFIG, "version = 2\n")]);
    machine.configure(Engine::Containerd, &options());
    let edited = machine.read(CONFIG).replace("imports = [", "imports = [\"/b/*.toml\", ")
        + "root = \"/r\"\n";
    machine.write(CONFIG, &edited);
    machine.remove(Engine::Containerd);
    assert_eq!(machine.read(CONFIG), "version = 2\nimports = [\"/b/*.toml\"]\nroot = \"/r\"\n");
    assert!(!machine.path(DROP_IN).exists());
}

#[test]
fn crio() {
    let packaged = "[crio.runtime]\ndefault_runtime = \"crun\"\n[crio.runtime.runtimes.crun]\nruntime_path = \"/usr/libexec/crio/crun\"\n\
                    runtime_root = \"/run/crun\"\nmonitor_path = \"/usr/libexec/crio/conmon\"\nallowed_annotations = [\"io.containers.trace-syscall\"]\n";
    let cases: [Case; 3] = [
        ("no file", &[], None),
        ("as packaged", &[("/etc/crio/crio.conf.d/10-crio.conf", packaged)], None),
        ("everything in crio.conf", &[("/etc/crio/crio.conf", packaged)], None),
    ];
    insta::assert_snapshot!(stories(Engine::Crio, &cases));
}

#[test]
fn podman() {
    let own = "[engine]\nhooks_dir = [\"/opt/hooks\"]\n[containers]\npids_limit = 0 # mine\n";
    let append = "[engine]\nhooks_dir = [\"/opt/more\", {append=true}]\n";
    let hook = include_str!("../../packaging/hooks.d/divvy.json");
    assert_eq!(hook, podman::hook_file("/usr/bin/divvy-hook"));
    let cases: [Case; 4] = [
        ("no file", &[], None),
        ("hook folders of one's own", &[("/etc/containers/containers.conf", own)], None),
        (
            "hook folders appended to",
            &[
                ("/etc/containers/containers.conf", own),
                ("/etc/containers/containers.conf.d/a.conf", append),
            ],
            None,
        ),
        (
            "the package's hook is in place",
            &[("/usr/share/containers/oci/hooks.d/divvy.json", hook)],
            None,
        ),
    ];
    insta::assert_snapshot!(stories(Engine::Podman, &cases));
    let machine = Machine::new(&[("/etc/containers/containers.conf.d/x.conf", own)]);
    let refused = machine.plan(Engine::Podman, &options()).unwrap_err();
    insta::assert_snapshot!(refused, @"/etc/containers/containers.conf.d/x.conf is read after /etc/containers/containers.conf.d/divvy.conf and has a hooks_dir of its own; give --drop-in /etc/containers/containers.conf.d/zz-divvy.conf");
}

#[test]
fn an_edited_drop_in_is_kept_aside() {
    let machine = Machine::new(&[]);
    machine.configure(Engine::Podman, &options());
    let drop_in = "/etc/containers/containers.conf.d/divvy.conf";
    let edited = machine.read(drop_in) + "# by hand\n";
    machine.write(drop_in, &edited);
    let plan = machine.remove(Engine::Podman);
    assert_eq!(
        plan.notes,
        [
            "/etc/containers/containers.conf.d/divvy.conf was edited after divvy wrote it: the edited file is kept as /var/lib/divvy/engines/divvy.conf.edited"
        ]
    );
    assert_eq!(machine.read("/var/lib/divvy/engines/divvy.conf.edited"), edited);
    assert!(!machine.path(drop_in).exists());
}

#[test]
fn what_can_t_be_understood_is_left_alone() {
    let cases = [
        (Engine::Docker, DAEMON, "{\n  \"a\": 1,\n}"),
        (Engine::Docker, DAEMON, "[]"),
        (Engine::Docker, DAEMON, "{\"a\": 1}\n{}"),
        (Engine::Docker, DAEMON, "{\n  \"runtimes\": []\n}"),
        (Engine::Containerd, CONFIG, "version = 2\n[plugins\n"),
        (Engine::Containerd, CONFIG, "version = 2\nimports = \"x\"\n"),
        (Engine::Containerd, CONFIG, "version = 2\nversion = 2\n"),
        (Engine::Containerd, CONFIG, "disabled_plugins = [\"cri\"]\n"),
        (
            Engine::Containerd,
            CONFIG,
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\ncontainerd = 3\n",
        ),
        (Engine::Containerd, DROP_IN, "version = 2\n"),
        (Engine::Crio, "/etc/crio/crio.conf.d/99-divvy.conf", ""),
        (Engine::Crio, "/etc/crio/crio.conf", "crio = 1 1\n"),
        (Engine::Podman, "/etc/containers/containers.conf", "[engine]\nü = \"\u{1}\"\n"),
        (Engine::Podman, "/etc/containers/oci/hooks.d/divvy.json", "{}"),
    ];
    let mut told = String::new();
    for (engine, path, text) in cases {
        let machine = Machine::new(&[(path, text)]);
        let before = machine.tree();
        let error = machine.plan(engine, &options()).expect_err(text);
        assert_eq!(machine.tree(), before);
        told.push_str(&format!("{}{error}\n", if error.is_refusal() { "refused: " } else { "" }));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn an_engine_that_is_not_here_is_said() {
    let root = tempfile::tempdir().unwrap();
    let error = read(Engine::Crio, &options(), root.path()).unwrap_err();
    insta::assert_snapshot!(error, @"CRI-O isn't on this machine: there is neither the program crio nor /etc/crio; to write its configuration all the same, name the file with --drop-in");
    let named = Options { drop_in: Some("/x/y/divvy.conf".into()), ..options() };
    let current = read(Engine::Crio, &named, root.path()).unwrap();
    apply(&plan(Engine::Crio, &named, &current).unwrap(), root.path()).unwrap();
    assert!(root.path().join("x/y/divvy.conf").exists());
    let current = read(Engine::Crio, &named, root.path()).unwrap();
    apply(&plan_removal(Engine::Crio, &named, &current).unwrap(), root.path()).unwrap();
    assert!(!root.path().join("x").exists());
}

#[test]
fn mode_owner_and_links_are_kept() {
    let machine = Machine::new(&[("/srv/daemon.json", "{}")]);
    fs::set_permissions(machine.path("/srv/daemon.json"), fs::Permissions::from_mode(0o640))
        .unwrap();
    symlink("../../srv/daemon.json", machine.path(DAEMON)).unwrap();
    machine.configure(Engine::Docker, &options());
    assert!(fs::symlink_metadata(machine.path(DAEMON)).unwrap().is_symlink());
    assert!(machine.read("/srv/daemon.json").contains("divvy-runtime"));
    assert_eq!(fs::metadata(machine.path("/srv/daemon.json")).unwrap().mode() & 0o7777, 0o640);
    let record = fs::metadata(machine.path("/var/lib/divvy/engines/docker.json")).unwrap();
    assert_eq!(record.mode() & 0o7777, 0o600);
}

#[test]
fn a_link_out_of_the_root_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("daemon.json");
    fs::write(&target, "{}").unwrap();
    let machine = Machine::new(&[]);
    symlink(&target, machine.path(DAEMON)).unwrap();
    let plan = machine.plan(Engine::Docker, &options()).unwrap();
    let error = apply(&plan, machine.root.path()).unwrap_err();
    assert!(matches!(error, Error::Outside { .. }), "{error}");
    assert_eq!(fs::read_to_string(target).unwrap(), "{}");
    // A folder on the way is no other.
    let machine = Machine::new(&[]);
    fs::remove_dir(machine.path("/etc/crio")).unwrap();
    symlink(outside.path(), machine.path("/etc/crio")).unwrap();
    let plan = machine.plan(Engine::Crio, &options()).unwrap();
    let error = apply(&plan, machine.root.path()).unwrap_err();
    assert!(matches!(error, Error::Outside { .. }), "{error}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    // Nor is a link that leads nowhere written through, or replaced.
    let machine = Machine::new(&[]);
    symlink("nowhere", machine.path(DAEMON)).unwrap();
    let plan = machine.plan(Engine::Docker, &options()).unwrap();
    assert!(apply(&plan, machine.root.path()).is_err());
    assert!(fs::symlink_metadata(machine.path(DAEMON)).unwrap().is_symlink());
}

#[test]
fn a_file_that_changes_meanwhile_stops_it() {
    let machine = Machine::new(&[(DAEMON, "{}")]);
    let plan = machine.plan(Engine::Docker, &options()).unwrap();
    machine.write(DAEMON, "{\"debug\": true}");
    let error = apply(&plan, machine.root.path()).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert_eq!(machine.read(DAEMON), "{\"debug\": true}");
    // What it left behind stands in nobody's way.
    machine.configure(Engine::Docker, &options());
    machine.remove(Engine::Docker);
    assert_eq!(machine.read(DAEMON), "{\"debug\": true}");
}

#[test]
fn a_run_that_stopped_half_way_is_taken_up() {
    for written in 0..3 {
        let machine = Machine::new(&[(CONFIG, TYPICAL)]).with_containerd(1, 7);
        let before = machine.tree();
        let whole = machine.plan(Engine::Containerd, &options()).unwrap();
        let mut half = whole.clone();
        half.changes.truncate(written);
        apply(&half, machine.root.path()).unwrap();
        if written == 1 {
            machine.configure(Engine::Containerd, &options());
            assert_eq!(machine.read(CONFIG), whole.changes[1].after.clone().unwrap());
        }
        machine.remove(Engine::Containerd);
        assert_eq!(machine.tree(), before);
    }
}

#[test]
fn a_pipe_in_place_of_a_file_is_not_waited_for() {
    let machine = Machine::new(&[]);
    fs::create_dir(machine.path(DAEMON)).unwrap();
    let error = read(Engine::Docker, &options(), machine.root.path()).unwrap_err();
    assert!(error.to_string().ends_with("it is no regular file"), "{error}");
    fs::remove_dir(machine.path(DAEMON)).unwrap();
    fs::write(machine.path(DAEMON), vec![b' '; (1 << 20) + 1]).unwrap();
    let error = read(Engine::Docker, &options(), machine.root.path()).unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[test]
fn versions_are_read() {
    let cases = [
        ("containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6", Some((1, 7))),
        ("containerd github.com/containerd/containerd/v2 v2.1.9 abc", Some((2, 1))),
        ("Docker version 28.5.2+dfsg4, build 3ef3c07", Some((28, 5))),
        ("containerd", None),
        ("", None),
    ];
    for (said, version) in cases {
        assert_eq!(super::read::version(said), version, "{said}");
    }
}

#[test]
fn docker_started_again_only_where_it_must_be() {
    let on = "{\"features\": {\"cdi\": true}}";
    let default = Options { set_as_default: true, ..options() };
    for (text, options, again_after_removal) in
        [(on, options(), false), (on, default, true), ("{}", options(), true)]
    {
        let machine = Machine::new(&[(DAEMON, text)]);
        let configured = machine.configure(Engine::Docker, &options).activation;
        assert_eq!(configured == Activation::Reload { service: "docker" }, text == on);
        let removed = machine.remove(Engine::Docker).activation;
        assert_eq!(matches!(removed, Activation::Restart { .. }), again_after_removal, "{text}");
    }
}
