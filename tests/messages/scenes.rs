//! Scenes: a simulated node, what is done to it, and commands that go wrong on it.
//!
//! A file of `mistakes/` has scenes that begin with `== title`. `node: ARGUMENTS` makes the node as
//! `fake-node create` does; `namespace` gives the scene an /etc and a /run of its own, for programs that know
//! fixed paths. The rest is bash: a line that begins with `$ ` is shown with all that it says and its exit code.

use crate::common::node::{self, Node};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every scene can use.
const PRELUDE: &str = r#"
exec 2>&1
node() { fake-node "$1" "$NODE" "${@:2}"; }
# A configuration, in addition to the node's own.
configure() { cat >>"$DIVVY_CONFIG"; }
claim() { divvy prepare --claim "$@" >/dev/null; }
mkdir -p "$W"; cd "$W"
"#;

/// Nothing outside of the scene sees what it mounts.
const NAMESPACE: &str = r#"
mount -t tmpfs tmpfs /run
mkdir "$W/over"; mount -t tmpfs tmpfs "$W/over"; mkdir "$W/over/up" "$W/over/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$W/over/up,workdir=$W/over/work" overlay /etc
mkdir -p /etc/divvy "$W/bundle/rootfs"
enter() { cp "$DIVVY_CONFIG" /etc/divvy/config.yaml; }
enter
"#;

/// One scene of a file.
struct Scene<'a> {
    title: &'a str,
    node: Vec<&'a str>,
    namespace: bool,
    script: Vec<&'a str>,
}

/// Plays a file of scenes; what was said, without what differs from run to run.
pub(super) fn play(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/mistakes");
    let text = fs::read_to_string(folder.join(file).with_extension("sh")).unwrap();
    let mut told = String::new();
    for scene in text.split("\n== ").skip(1).map(read) {
        write!(told, "== {}\n{}\n", scene.title, run(&scene)).unwrap();
    }
    told
}

fn read(text: &str) -> Scene<'_> {
    let mut lines = text.lines();
    let title = lines.next().unwrap();
    let mut scene = Scene { title, node: vec![], namespace: false, script: vec![] };
    for line in lines {
        match line.strip_prefix("node: ") {
            Some(arguments) => scene.node = arguments.split(' ').collect(),
            None if line == "namespace" => scene.namespace = true,
            None => scene.script.push(line),
        }
    }
    scene
}

fn run(scene: &Scene<'_>) -> String {
    let arguments = if scene.node.is_empty() {
        vec!["--no-nodes", "--gpu", "H100-80GB"]
    } else {
        scene.node.clone()
    };
    let node = node::create(&arguments);
    let mut script = String::from(PRELUDE);
    script.push_str(if scene.namespace { NAMESPACE } else { "" });
    for line in &scene.script {
        match line.strip_prefix("$ ") {
            Some(command) => {
                let shown = command.replace('\'', r"'\''");
                writeln!(script, "printf '%s\\n' '$ {shown}'\n{command}\necho \"exit $?\"")
                    .unwrap();
            }
            None => writeln!(script, "{line}").unwrap(),
        }
    }
    let mut command = Command::new("timeout");
    command.arg("300");
    if scene.namespace {
        command.args(["unshare", "--mount", "--propagation", "private"]);
    }
    command.args(["bash", "-c", &script]).stdin(Stdio::null()).envs(node.env());
    command.env("NODE", node.dir()).env("W", work(&node)).env("PATH", path(&node, scene));
    let output = command.output().unwrap();
    masked(&String::from_utf8_lossy(&output.stdout), &node)
}

/// The folder of a scene's own files.
fn work(node: &Node) -> PathBuf {
    node.dir().with_file_name("work")
}

/// Where programs are found: divvy's own before those of the machine.
fn path(node: &Node, scene: &Scene<'_>) -> String {
    let fake_node = node::mps_server();
    let mut folders = vec![Path::new(env!("CARGO_BIN_EXE_divvy")).parent().unwrap().to_owned()];
    folders.push(fake_node.parent().unwrap().to_owned());
    if scene.namespace {
        // divvy is looked for beside its hook.
        let bin = node.dir().with_file_name("bin");
        fs::create_dir_all(&bin).unwrap();
        let hook = crate::hook::hook();
        let divvy = Path::new(env!("CARGO_BIN_EXE_divvy"));
        for program in [hook, &hook.with_file_name("divvy-runtime"), divvy] {
            let place = bin.join(program.file_name().unwrap());
            fs::hard_link(program, &place)
                .or_else(|_| fs::copy(program, &place).map(drop))
                .unwrap();
        }
        folders.insert(0, bin);
    }
    let own: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    format!("{}:{}", own.join(":"), std::env::var("PATH").unwrap())
}

/// Names what differs from run to run: folders, UUIDs, made-up ids, process ids.
fn masked(text: &str, node: &Node) -> String {
    let base = node.dir().parent().unwrap().display().to_string();
    let text =
        text.replace(&format!("{base}/node"), "NODE").replace(&format!("{base}/work"), "WORK");
    let text =
        text.replace(&format!("{base}/bin"), "BIN").replace(env!("CARGO_MANIFEST_DIR"), "SOURCE");
    let mut text = text;
    for (pattern, name) in [
        ("(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "${1}-…"),
        (r"\b[0-9a-f]{16}\b", "ID"),
        (r"\b(process|processes|PID|pid) \[?[0-9]+\]?", "$1 N"),
        // The age of a claim, in its column.
        (r"  [0-9]+ s  ", "  N s  "),
        (r"\(looked in [^)]*\)", "(looked in …)"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?", "TIME"),
    ] {
        let pattern = regex_lite::Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, name).into_owned();
    }
    text
}
