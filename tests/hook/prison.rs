//! What ldconfig could do if an image's libraries took it over.

use super::*;

#[test]
fn ldconfig_is_locked_up() {
    let mut start = Start::new();
    let prisoner = start.dir.path().join("prisoner");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hook/prisoner.c");
    compile(&source, &prisoner, &["-static"]);
    start.before = "mknod zero c 1 5; cat zero | head -c 1 | wc -c >&2".into();
    // What the runtime has open, and its environment, are not for the hook.
    start.call = format!("export SECRET=1; {} 5</ 9<\"$STATE\"", start.call);
    let ran = start.run(&[&format!("--ldconfig={}", prisoner.display()), "--folder=/usr/lib/more"]);
    assert_eq!(ran.stderr, "1\n", "the node is none outside");
    assert_eq!(ran.code, 7, "its exit code is the hook's");
    assert_eq!(ran.stdout, LOCKED_UP);
}

const LOCKED_UP: &str = "\
argument -X
argument -i
argument -f
argument /
argument -C
argument ld.so.cache
argument --
argument /usr/lib/more
argument /opt/own
argument /lib/x86_64-linux-gnu
argument /usr/lib/x86_64-linux-gnu
argument /lib64
argument /usr/lib64
argument /lib
argument /usr/lib
variables: none
files: 2
capabilities: 2
write to its directory: yes
write elsewhere: Read-only file system
write to /usr: Read-only file system
reach the host through proc: Too many levels of symbolic links
reach the host through its own root: Too many levels of symbolic links
read a device node: Permission denied
climb: no
make a node: Operation not permitted
change the host's name: Operation not permitted
mount: Operation not permitted
change its root: Operation not permitted
";
