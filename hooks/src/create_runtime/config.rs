//! What a container's `config.json` already gives it.

use divvy::hook_args::CREATE_CONTAINER;
use serde_json::Value;

use crate::state::Root;

/// A container's configuration, as a tree that may be anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config<'a>(pub(crate) &'a Value);

impl<'a> Config<'a> {
    /// The root directory, absolute or below the bundle.
    pub(crate) fn root(self) -> Option<Root> {
        let root = self.0.get("root")?;
        let path = text(root, "path").filter(|path| !path.is_empty())?;
        let readonly = root.get("readonly").and_then(Value::as_bool).unwrap_or(false);
        Some(Root { path: path.to_owned(), readonly })
    }

    pub(crate) fn has_variable(self, variable: &str) -> bool {
        self.list("/process/env").iter().any(|entry| entry.as_str() == Some(variable))
    }

    pub(crate) fn has_node(self, path: &str) -> bool {
        self.list("/linux/devices").iter().any(|device| text(device, "path") == Some(path))
    }

    /// Whether it has the node of any GPU, which none but a road of divvy's puts there for a claim.
    pub(crate) fn has_gpu(self) -> bool {
        let devices = self.list("/linux/devices").iter();
        devices.filter_map(|device| text(device, "path")).any(|path| {
            path.strip_prefix("/dev/nvidia")
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        })
    }

    pub(crate) fn has_mount(self, source: &str, destination: &str) -> bool {
        self.list("/mounts").iter().any(|mount| {
            text(mount, "destination") == Some(destination) && text(mount, "source") == Some(source)
        })
    }

    /// Whether the runtime will run the static work of a start itself.
    pub(crate) fn has_static_work(self, hook: &str) -> bool {
        self.list("/hooks/createContainer").iter().any(|entry| {
            text(entry, "path") == Some(hook)
                && entry.pointer("/args/1").and_then(Value::as_str) == Some(CREATE_CONTAINER)
        })
    }

    /// The container's user and group, who own its nodes.
    pub(crate) fn user(self) -> (u32, u32) {
        let id = |name: &str| {
            let id = self.0.pointer(&format!("/process/user/{name}")).and_then(Value::as_u64);
            id.and_then(|id| u32::try_from(id).ok()).unwrap_or(0)
        };
        (id("uid"), id("gid"))
    }

    fn list(self, pointer: &str) -> &'a [Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_there_is_found() {
        let value = json!({
            "root": {"path": "rootfs", "readonly": true},
            "process": {"env": ["A=1"], "user": {"uid": 7, "gid": 8}},
            "mounts": [{"destination": "/d", "source": "/s"}],
            "linux": {"devices": [{"path": "/dev/nvidia12"}]},
            "hooks": {"createContainer": [{"path": "/h", "args": ["h", "create-container", "x"]}]},
        });
        let config = Config(&value);
        let root = Root { path: "rootfs".into(), readonly: true };
        assert_eq!((config.root(), config.user()), (Some(root), (7, 8)));
        assert!(config.has_variable("A=1") && !config.has_variable("A=2"));
        assert!(config.has_node("/dev/nvidia12") && !config.has_node("/dev/nvidia1"));
        assert!(config.has_mount("/s", "/d") && !config.has_mount("/d", "/s"));
        assert!(config.has_static_work("/h") && !config.has_static_work("/g"));
        assert!(config.has_gpu());
    }

    #[test]
    fn anything_else_gives_nothing() {
        for path in ["/dev/nvidia", "/dev/nvidiactl", "/dev/nvidia-caps/nvidia-cap1", "/nvidia0"] {
            assert!(!Config(&json!({"linux": {"devices": [{"path": path}]}})).has_gpu(), "{path}");
        }
        for value in [json!(null), json!([1]), json!({"linux": [], "root": {"path": 7}})] {
            let config = Config(&value);
            assert!(config.root().is_none() && !config.has_gpu() && config.user() == (0, 0));
        }
    }
}
