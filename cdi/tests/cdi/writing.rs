//! Writing where there is no room.

use std::{env, fs, path::Path, process::Command};

use cdi::write_atomically;

/// Names the small file system to the test when it runs itself there.
const FOLDER: &str = "CDI_TEST_FULL_DISK";
/// What the shell below answers where mounting isn't allowed; `unshare` itself answers 1.
const NOT_ALLOWED: i32 = 77;

#[test]
fn a_full_disk_leaves_the_old_content_and_nothing_else() {
    if let Some(folder) = env::var_os(FOLDER) {
        return on_a_full_disk(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=64k tmpfs \"$0\" || exit 77; exec \"$1\" --exact \"$2\"";
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(folder.path())
        .arg(env::current_exe().unwrap())
        .arg("writing::a_full_disk_leaves_the_old_content_and_nothing_else")
        .env(FOLDER, folder.path())
        .status();
    match status.map(|status| status.code()) {
        Ok(Some(0)) => {}
        Ok(Some(1 | NOT_ALLOWED)) => {
            println!("skipped: mounting a small file system to fill is not allowed here");
        }
        other => panic!("{other:?}"),
    }
}

fn on_a_full_disk(folder: &Path) {
    let path = folder.join("x.json");
    write_atomically(&path, b"old").unwrap();
    let error = write_atomically(&path, &vec![b'x'; 1 << 20]).unwrap_err().to_string();
    let expected = "x.json: the content can't be written: No space left on device (os error 28)";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}
