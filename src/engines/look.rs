//! What engines there are, and what their configuration says, for those who report.

use super::read::{Current, below, read, version};
use super::toml::{merge, parse, table, words};
use super::{Engine, Options};
use crate::share::bounded;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use toml_edit::{Item, Table};

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(5);
const FOLDERS: [&str; 6] =
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"];
/// From these on, an engine knows CDI at all.
const KNOWS_CDI: [(Engine, (u32, u32)); 3] =
    [(Engine::Podman, (4, 1)), (Engine::Containerd, (1, 7)), (Engine::Docker, (25, 0))];
/// And from these on it is on unless somebody says otherwise.
const CDI_ON: [(Engine, (u32, u32)); 3] =
    [(Engine::Podman, (4, 1)), (Engine::Containerd, (2, 0)), (Engine::Docker, (28, 2))];

/// An engine that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub engine: Engine,
    /// Its program, as the engine's machine sees it.
    pub program: PathBuf,
    /// Major and minor, where it says so.
    pub version: Option<(u32, u32)>,
    /// Whether it serves CDI devices; `None` where that hangs on a version that it doesn't say.
    pub cdi: Option<bool>,
    /// Whether this version could serve them at all.
    pub knows_cdi: bool,
    /// Whether its configuration has divvy's runtime or hook.
    pub divvy: bool,
    /// Programs of divvy's that its configuration names and that aren't there.
    pub missing: Vec<PathBuf>,
    /// The runtime of containers that name none, where the configuration says one.
    pub default_runtime: Option<String>,
    /// Whether systemd keeps its containers' cgroups, where the configuration says so or not.
    pub systemd_cgroups: Option<bool>,
    /// Why its configuration can't be read.
    pub problem: Option<String>,
}

impl Found {
    /// `podman 5.4`.
    pub fn shown(&self) -> String {
        match self.version {
            Some((major, minor)) => format!("{} {major}.{minor}", self.engine.word()),
            None => self.engine.word().to_owned(),
        }
    }
}

/// What the configuration says.
#[derive(Debug, Default)]
struct Said {
    cdi: Option<bool>,
    /// Programs of divvy's.
    programs: Vec<PathBuf>,
    default_runtime: Option<String>,
    systemd_cgroups: Option<bool>,
}

/// The engines whose programs are below `root`, with what their configuration there says.
pub fn look(root: &Path) -> Vec<Found> {
    let engines = [Engine::Podman, Engine::Docker, Engine::Containerd, Engine::Crio];
    engines.into_iter().filter_map(|engine| found(engine, root)).collect()
}

fn found(engine: Engine, root: &Path) -> Option<Found> {
    let programs = FOLDERS.map(|folder| Path::new(folder).join(engine.program()));
    let program = programs.into_iter().find(|program| below(root, program).is_file())?;
    let version = asked(&below(root, &program));
    let (said, problem) = match said(engine, root) {
        Ok(said) => (said, None),
        // What it says of writing is for those who write.
        Err(error) => {
            (Said::default(), error.split("; nothing was written").next().map(str::to_owned))
        }
    };
    let since = |table: [(Engine, (u32, u32)); 3]| {
        table.into_iter().find(|(known, _)| *known == engine).map(|(_, since)| since)
    };
    let reaches = |since: Option<(u32, u32)>| match (since, version) {
        (None, _) => Some(true),
        (Some(since), version) => version.map(|version| version >= since),
    };
    let knows_cdi = reaches(since(KNOWS_CDI)) != Some(false);
    let missing = |program: &&PathBuf| !below(root, program).exists();
    Some(Found {
        engine,
        version,
        cdi: if knows_cdi { said.cdi.or_else(|| reaches(since(CDI_ON))) } else { Some(false) },
        knows_cdi,
        divvy: !said.programs.is_empty(),
        missing: said.programs.iter().filter(missing).cloned().collect(),
        default_runtime: said.default_runtime,
        systemd_cgroups: said.systemd_cgroups,
        problem,
        program,
    })
}

fn asked(program: &Path) -> Option<(u32, u32)> {
    let mut command = Command::new(program);
    command.arg("--version").env("LC_ALL", "C");
    let ended = bounded::run(command, None, Instant::now() + PATIENCE).ok()??;
    version(&ended.text)
}

fn said(engine: Engine, root: &Path) -> Result<Said, String> {
    let options = Options {
        runtime_name: String::new(),
        runtime_path: String::new(),
        hook_path: String::new(),
        set_as_default: false,
        cdi: false,
        config: None,
        drop_in: None,
    };
    let current = read(engine, &options, root).map_err(|error| error.to_string())?;
    match engine {
        Engine::Docker => docker(&current),
        Engine::Containerd => containerd(&joined(&current)?),
        Engine::Crio => Ok(crio(&joined(&current)?)),
        Engine::Podman => podman(&current),
    }
}

/// All TOML files laid over each other, by name.
fn joined(current: &Current) -> Result<Table, String> {
    let mut all = Table::new();
    for (path, text) in &current.files {
        if path.extension().is_some_and(|extension| extension == "toml" || extension == "conf") {
            merge(&mut all, &parse(path, text).map_err(|error| error.to_string())?);
        }
    }
    Ok(all)
}

fn is_divvys(path: &str) -> Option<PathBuf> {
    let name = Path::new(path).file_name()?.to_str()?;
    matches!(name, "divvy-runtime" | "divvy-hook").then(|| PathBuf::from(path))
}

fn text(item: Option<&Item>) -> Option<&str> {
    item.and_then(Item::as_str)
}

fn docker(current: &Current) -> Result<Said, String> {
    let Some(text) = current.files.get(Path::new(super::docker::CONFIG)) else {
        return Ok(Said::default());
    };
    let path = Path::new(super::docker::CONFIG);
    let value = super::json::parse(path, if text.trim().is_empty() { "{}" } else { text })
        .map_err(|error| error.to_string())?;
    let runtimes = value.get("runtimes").and_then(Value::as_object).into_iter().flatten();
    let paths = runtimes.filter_map(|(_, runtime)| is_divvys(runtime.get("path")?.as_str()?));
    let options = value.get("exec-opts").and_then(Value::as_array).into_iter().flatten();
    let mut options = options.filter_map(Value::as_str);
    let driver = options.find_map(|option| option.strip_prefix("native.cgroupdriver="));
    Ok(Said {
        cdi: value.get("features").and_then(|features| features.get("cdi")?.as_bool()),
        programs: paths.collect(),
        default_runtime: value.get("default-runtime").and_then(Value::as_str).map(str::to_owned),
        systemd_cgroups: driver.map(|driver| driver == "systemd"),
    })
}

fn containerd(all: &Table) -> Result<Said, String> {
    let plugins = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"];
    let find = |plugin: &&str| table(all, &["plugins", plugin]);
    let Some(cri) = plugins.iter().find_map(find) else { return Ok(Said::default()) };
    let engine = table(cri, &["containerd"]);
    let default = engine.and_then(|engine| text(engine.get("default_runtime_name")));
    let handlers = engine.and_then(|engine| table(engine, &["runtimes"]));
    let options = |handler: &str| table(handlers?, &[handler, "options"]);
    let programs = handlers
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| is_divvys(text(options(name)?.get("BinaryName"))?));
    let systemd = options(default.unwrap_or("runc"))
        .and_then(|options| options.get("SystemdCgroup")?.as_bool());
    Ok(Said {
        cdi: cri.get("enable_cdi").and_then(Item::as_bool),
        programs: programs.collect(),
        default_runtime: default.map(str::to_owned),
        systemd_cgroups: systemd,
    })
}

fn crio(all: &Table) -> Said {
    let Some(runtime) = table(all, &["crio", "runtime"]) else { return Said::default() };
    let handlers = table(runtime, &["runtimes"]).into_iter().flatten();
    let programs = handlers
        .filter_map(|(_, handler)| is_divvys(text(handler.as_table()?.get("runtime_path"))?));
    Said {
        cdi: Some(true),
        programs: programs.collect(),
        default_runtime: text(runtime.get("default_runtime")).map(str::to_owned),
        systemd_cgroups: text(runtime.get("cgroup_manager")).map(|manager| manager == "systemd"),
    }
}

fn podman(current: &Current) -> Result<Said, String> {
    let all = joined(current)?;
    let engine = table(&all, &["engine"]);
    let hooks = current.files.iter().filter(|(path, _)| path.ends_with("hooks.d/divvy.json"));
    let hook = |text: &String| {
        let hook: Value = serde_json::from_str(text).ok()?;
        is_divvys(hook.get("hook")?.get("path")?.as_str()?)
    };
    let mut programs: Vec<PathBuf> = hooks.filter_map(|(_, text)| hook(text)).collect();
    let runtimes = engine.and_then(|engine| table(engine, &["runtimes"])).into_iter().flatten();
    let runtimes = runtimes.flat_map(|(_, paths)| words(Some(paths)));
    programs.extend(runtimes.filter_map(is_divvys));
    programs.dedup();
    let of_engine = |key: &str| text(engine?.get(key));
    Ok(Said {
        cdi: None,
        programs,
        default_runtime: of_engine("runtime").map(str::to_owned),
        systemd_cgroups: of_engine("cgroup_manager").map(|manager| manager == "systemd"),
    })
}
