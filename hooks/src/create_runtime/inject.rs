//! Live injection: device nodes and mounts put into a container that is already created.
//!
//! What comes from the host is opened on the host, before the container's mount namespace is entered; there,
//! every path is resolved below the container's root (`container`).

use std::os::fd::OwnedFd;
use std::path::Path;

use cdi::{ContainerEdits, HookName};
use divvy::hook_args::CREATE_CONTAINER;
use rustix::fs::{FileType, Stat};
use rustix::mount::OpenTreeFlags;

use super::config::Config;
use super::error::StartError;
use crate::container::{Container, private_tree};
use crate::device_cgroup::DeviceRule;
use crate::error::Error;

/// What is to be put into a container, opened on the host.
#[derive(Debug)]
pub(crate) struct Injection {
    nodes: Vec<Node>,
    mounts: Vec<Mount>,
    /// The file system of the host's /dev, where it is one of its own.
    host_dev: Option<u64>,
}

#[derive(Debug)]
struct Node {
    path: String,
    /// The host's node.
    stat: Stat,
    owner: (u32, u32),
    how: Make,
}

#[derive(Debug)]
enum Make {
    /// The runtime has made it.
    Nothing,
    Node,
    /// Nodes that are made in a user namespace can't be opened: the host's own is mounted there.
    Mount(OwnedFd),
}

#[derive(Debug)]
struct Mount {
    path: String,
    tree: OwnedFd,
}

impl Injection {
    /// Finds everything on the host. What the container's configuration has already is left out.
    pub(crate) fn plan(
        edits: &ContainerEdits,
        config: Config,
        hook: &str,
        user_namespace: bool,
    ) -> Result<Injection, StartError> {
        supported(edits)?;
        // Its time is the next stage's, when the container's own root can act in its namespaces.
        if !edits.hooks.is_empty() && !config.has_static_work(hook) {
            return Err(StartError::NoStaticWork);
        }
        let missing = edits.env.iter().find(|variable| !config.has_variable(variable));
        if let Some(variable) = missing {
            let name = variable.split('=').next().unwrap_or_default();
            return Err(StartError::Environment(name.to_owned()));
        }
        let (uid, gid) = config.user();
        let nodes = edits.device_nodes.iter().map(|node| {
            let from = Path::new(node.host_path.as_ref().unwrap_or(&node.path));
            let failed = |source| StartError::Host { path: from.to_owned(), source };
            let stat = rustix::fs::stat(from).map_err(failed)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
                return Err(StartError::NotANode(from.to_owned()));
            }
            let how = match (config.has_node(&node.path), user_namespace) {
                (true, _) => Make::Nothing,
                (false, false) => Make::Node,
                (false, true) => {
                    let closed = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
                    Make::Mount(tree(from, closed)?)
                }
            };
            let owner = (node.uid.unwrap_or(uid), node.gid.unwrap_or(gid));
            Ok(Node { path: node.path.clone(), stat, owner, how })
        });
        let new = |mount: &&cdi::Mount| !config.has_mount(&mount.host_path, &mount.container_path);
        let mounts = edits.mounts.iter().filter(new).map(|mount| {
            let tree = tree(Path::new(&mount.host_path), attributes(mount)?)?;
            Ok(Mount { path: mount.container_path.clone(), tree })
        });
        Ok(Injection {
            nodes: nodes.collect::<Result<_, StartError>>()?,
            mounts: mounts.collect::<Result<_, StartError>>()?,
            host_dev: host_dev(),
        })
    }

    /// What the container's device cgroup must allow more than it does.
    pub(crate) fn rules(&self) -> Vec<DeviceRule> {
        let made = self.nodes.iter().filter(|node| !matches!(node.how, Make::Nothing));
        made.map(|node| DeviceRule::of(&node.stat)).collect()
    }

    /// Makes the nodes and mounts. To be called in the container's mount namespace.
    pub(crate) fn carry_out(&self, container: &Container) -> Result<(), Error> {
        for node in &self.nodes {
            self.make(container, node)?;
        }
        for Mount { path, tree } in &self.mounts {
            container.mount(path, tree)?;
        }
        Ok(())
    }

    fn make(&self, container: &Container, node: &Node) -> Result<(), Error> {
        if matches!(node.how, Make::Nothing) {
            return Ok(());
        }
        let (parent, name) = split(&node.path)?;
        let folder = container.folder(parent)?;
        if folder.has_node(name, node.stat.st_rdev) {
            return Ok(());
        }
        // An engine's user may have mounted the host's /dev: a node made there would be the host's.
        if self.host_dev.is_some() && self.host_dev == folder.file_system() {
            return Err(StartError::HostDev(parent.to_owned()).into());
        }
        match &node.how {
            Make::Nothing => Ok(()),
            Make::Node => folder.put_node(name, &node.stat, node.owner),
            Make::Mount(tree) => container.mount(&node.path, tree),
        }
    }

    /// Opens every node by its path in the container, and makes sure that it is the host's device. To be called
    /// in the container's mount namespace, when all is made.
    pub(crate) fn find(&self, container: &Container) -> Result<Vec<(String, OwnedFd)>, Error> {
        let nodes = self.nodes.iter().map(|node| {
            let opened = container.open_node(&node.path)?;
            let failed = Error::system("look at the container's", &node.path);
            let stat = rustix::fs::fstat(&opened).map_err(failed)?;
            let kind = |stat: &Stat| FileType::from_raw_mode(stat.st_mode);
            if kind(&stat) != kind(&node.stat) || stat.st_rdev != node.stat.st_rdev {
                return Err(StartError::Changed(node.path.clone()).into());
            }
            let mount = rustix::fs::fstatvfs(&opened);
            if mount.is_ok_and(|it| it.f_flag.contains(rustix::fs::StatVfsMountFlags::NODEV)) {
                return Err(StartError::NoDev(node.path.clone()).into());
            }
            Ok((node.path.clone(), opened))
        });
        nodes.collect()
    }
}

/// Whether everything in the edits can be had at this stage. A part that can't must not be left out in silence.
fn supported(edits: &ContainerEdits) -> Result<(), StartError> {
    let refuse = |what: &str| Err(StartError::Unsupported(what.to_owned()));
    let static_work = |hook: &cdi::Hook| {
        hook.hook_name == HookName::CreateContainer
            && hook.args.get(1).is_some_and(|stage| stage == CREATE_CONTAINER)
    };
    if !edits.net_devices.is_empty() {
        return refuse("a network device");
    }
    if edits.intel_rdt.is_some() {
        return refuse("a setting of Intel RDT");
    }
    if !edits.additional_gids.is_empty() {
        return refuse("a group of its process");
    }
    if edits.hooks.len() > 1 || !edits.hooks.iter().all(static_work) {
        return refuse("a hook");
    }
    Ok(())
}

/// A copy of what is mounted at a path of the host, attached nowhere.
fn tree(path: &Path, attributes: u64) -> Result<OwnedFd, StartError> {
    let failed = |source| StartError::Host { path: path.to_owned(), source };
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    private_tree(rustix::fs::CWD, path, clone, attributes).map_err(failed)
}

/// A mount's options as attributes. All of a tree gets them, also where an option is for its top alone: that is
/// the stricter reading.
fn attributes(mount: &cdi::Mount) -> Result<u64, StartError> {
    let refuse = |what: &str| StartError::Unsupported(format!("a mount of {what}"));
    if mount.fs_type.as_ref().is_some_and(|kind| kind != "bind" && kind != "none") {
        return Err(refuse(mount.fs_type.as_deref().unwrap_or_default()));
    }
    mount.options.iter().try_fold(0, |all, option| {
        Ok(all
            | match option.as_str() {
                "ro" | "rro" => libc::MOUNT_ATTR_RDONLY,
                "nosuid" => libc::MOUNT_ATTR_NOSUID,
                "nodev" => libc::MOUNT_ATTR_NODEV,
                "noexec" => libc::MOUNT_ATTR_NOEXEC,
                "bind" | "rbind" | "rw" | "private" | "rprivate" => 0,
                other => return Err(refuse(other)),
            })
    })
}

fn host_dev() -> Option<u64> {
    let file_system = |path: &str| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    file_system("/dev").filter(|dev| Some(*dev) != file_system("/"))
}

/// A path's folder and its last name.
fn split(path: &str) -> Result<(&str, &str), StartError> {
    match path.rsplit_once('/') {
        Some((parent, name)) if parent.starts_with('/') && !name.is_empty() => Ok((parent, name)),
        _ => Err(StartError::Unsupported(format!("a device node at {path:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn edits(value: Value) -> ContainerEdits {
        serde_json::from_value(value).unwrap()
    }

    fn plan(given: Value, config: &Value) -> Result<Injection, String> {
        Injection::plan(&edits(given), Config(config), "/h", false).map_err(|e| e.to_string())
    }

    #[test]
    fn a_variable_must_stand_in_the_configuration() {
        let config = json!({"process": {"env": ["A=1", "B=2"]}});
        assert!(plan(json!({"env": ["A=1"]}), &config).is_ok());
        for missing in ["A=2", "C=1"] {
            let error = plan(json!({"env": ["A=1", missing]}), &config).unwrap_err();
            assert!(
                error.contains(&missing[..1]) && error.contains("runtime configure"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_cannot_be_injected_is_refused() {
        for given in [
            json!({"netDevices": [{"hostInterfaceName": "a", "name": "b"}]}),
            json!({"intelRdt": {"closID": "a"}}),
            json!({"additionalGids": [44]}),
            json!({"hooks": [{"hookName": "startContainer", "path": "/h", "args": ["h", "create-container"]}]}),
            json!({"hooks": [{"hookName": "createContainer", "path": "/h", "args": ["h", "other"]}]}),
            json!({"mounts": [{"hostPath": "tmpfs", "containerPath": "/a", "type": "tmpfs"}]}),
            json!({"mounts": [{"hostPath": "/etc", "containerPath": "/a", "options": ["rshared"]}]}),
        ] {
            let error = plan(given.clone(), &json!({})).unwrap_err();
            assert!(error.contains("already created"), "{given}: {error}");
        }
    }

    #[test]
    fn nodes_and_mounts_that_the_configuration_has_are_not_made_again() {
        let given = json!({
            "deviceNodes": [{"path": "/dev/null"}, {"path": "/dev/zero"}],
            "mounts": [
                {"hostPath": "/etc", "containerPath": "/a", "options": ["ro", "rbind"]},
                {"hostPath": "/etc", "containerPath": "/b"},
            ],
        });
        let config = json!({
            "linux": {"devices": [{"path": "/dev/null"}]},
            "mounts": [{"destination": "/b", "source": "/etc"}],
        });
        let all = plan(given.clone(), &json!({})).unwrap();
        assert_eq!((all.rules().len(), all.mounts.len()), (2, 2));
        let rest = plan(given, &config).unwrap();
        assert_eq!(rest.rules(), [DeviceRule { block: false, major: 1, minor: 5 }]);
        assert_eq!((rest.nodes.len(), rest.mounts.len()), (2, 1));
    }

    #[test]
    fn the_static_work_is_left_to_the_runtime() {
        let given = json!({
            "hooks": [{"hookName": "createContainer", "path": "/h", "args": ["h", "create-container", "x"]}],
        });
        let error = plan(given.clone(), &json!({})).unwrap_err();
        assert!(error.contains("divvy cdi refresh"), "{error}");
        let config = json!({
            "hooks": {"createContainer": [{"path": "/h", "args": ["h", "create-container"]}]},
        });
        assert!(plan(given, &config).is_ok());
    }

    #[test]
    fn what_is_no_node_of_the_host_is_refused() {
        for (path, saying) in [("/etc/passwd", "is no device node"), ("/dev/gone", "can't use")] {
            let error = plan(json!({"deviceNodes": [{"path": path}]}), &json!({})).unwrap_err();
            assert!(error.contains(saying) && error.contains(path), "{error}");
        }
    }
}
