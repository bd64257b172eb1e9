//! Options that say what a generated spec holds.

use crate::cli::answer::{Exit, Failure};
use crate::cli::host::installed;
use crate::compat::device_plugin::ResourceName;
use crate::config::Config;
use crate::driver_files::Search;
use crate::edits::{self, HookEntry, Job};
use crate::hook_args::{AbsolutePath, PROGRAM};
use crate::host::Host;
use crate::inventory::{self, Inventory, Scope};
use crate::ops::generate::{
    self, Generated, NameStrategy, Options, Shared, UnknownStrategy, requests, resources,
};
use crate::ops::refresh;
use cdi::Kind;
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(next_help_heading = "What the spec holds")]
pub(in crate::cli) struct SpecArgs {
    /// Requests in place of the devices that exist, kind divvy/gpu: a container that names one gets it made when it starts
    #[arg(long, conflicts_with_all = ["device_name_strategy", "device_id", "no_all_device", "vendor", "class"])]
    requests: bool,
    /// How devices are named: index (0, 0:1), uuid (GPU-…, MIG-…), type-index (gpu0, mig0:1); repeatable
    #[arg(long, value_name = "STRATEGY", env = "DIVVY_CDI_GENERATE_DEVICE_NAME_STRATEGIES", value_delimiter = ',', value_parser = strategy, default_values = ["index", "uuid"], hide_env_values = true)]
    device_name_strategy: Vec<NameStrategy>,
    /// Only this device, by index, UUID or type-index; repeatable [default: all]
    #[arg(
        long,
        value_name = "ID",
        env = "DIVVY_CDI_GENERATE_DEVICE_IDS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    device_id: Vec<String>,
    /// No device `all` with every one's nodes
    #[arg(long, env = "DIVVY_CDI_GENERATE_NO_ALL_DEVICE", hide_env_values = true)]
    no_all_device: bool,
    /// No groups of DRM nodes: keeps the CDI version at 0.5.0, for engines such as podman before 5.1
    #[arg(long, env = "DIVVY_CDI_GENERATE_NO_ADDITIONAL_GIDS", hide_env_values = true)]
    no_additional_gids: bool,
    /// No sockets of nvidia-persistenced and nvidia-fabricmanager: a container whose spec names one doesn't start once it is gone
    #[arg(long, env = "DIVVY_CDI_GENERATE_NO_SOCKETS", hide_env_values = true)]
    no_sockets: bool,
    /// Vendor of the devices' kind
    #[arg(
        long,
        env = "DIVVY_CDI_GENERATE_VENDOR",
        default_value = "nvidia.com",
        hide_env_values = true
    )]
    vendor: String,
    /// Class of the devices' kind
    #[arg(long, env = "DIVVY_CDI_GENERATE_CLASS", default_value = "gpu", hide_env_values = true)]
    class: String,
    /// A folder to look for the driver's libraries in, in place of the usual ones; repeatable
    #[arg(
        long,
        value_name = "DIR",
        env = "DIVVY_CDI_GENERATE_LIBRARY_SEARCH_PATHS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    library_search_path: Vec<PathBuf>,
    /// A folder to look for the driver's profile files in, in place of /etc and the data folders; repeatable
    #[arg(
        long,
        value_name = "DIR",
        env = "DIVVY_CDI_GENERATE_CONFIG_SEARCH_PATHS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    config_search_path: Vec<PathBuf>,
    /// divvy-hook on the host [default: the one beside this program, else /usr/bin/divvy-hook]
    #[arg(long, value_name = "FILE", env = "DIVVY_CDI_GENERATE_HOOK_PATH", aliases = ["nvidia-cdi-hook-path", "nvidia-ctk-path"], hide_env_values = true)]
    hook_path: Option<PathBuf>,
    /// ldconfig on the host, for the hook [default: the hook's own choice]
    #[arg(
        long,
        value_name = "FILE",
        env = "DIVVY_CDI_GENERATE_LDCONFIG_PATH",
        hide_env_values = true
    )]
    ldconfig_path: Option<String>,
    /// What the hook is not to do: create-symlinks, update-ldcache, enable-cuda-compat, disable-device-node-modification, update-application-profile, or all; repeatable
    #[arg(long, value_name = "JOB", env = "DIVVY_CDI_GENERATE_DISABLE_HOOKS", value_delimiter = ',', value_parser = disabled, aliases = ["disable-hooks"], hide_env_values = true)]
    disable_hook: Vec<Disabled>,
    /// nvidia-ctk's modes; divvy has the one that asks NVML
    #[arg(long, default_value = "auto", value_parser = mode, hide = true, env = "DIVVY_CDI_GENERATE_MODE")]
    mode: String,
    /// nvidia-ctk's names of --no-additional-gids and --no-sockets
    #[arg(long, value_delimiter = ',', value_parser = feature, hide = true, aliases = ["feature-flags"], env = "DIVVY_CDI_GENERATE_FEATURE_FLAGS")]
    feature_flag: Vec<Feature>,
}

/// The spec that is asked for, and those that stand beside the one of this node's devices.
pub(super) struct Specs {
    pub(super) own: Result<Generated, generate::Error>,
    /// Of kinds that the configuration's resources have besides.
    pub(super) resources: BTreeMap<ResourceName, Result<Generated, generate::Error>>,
    /// Of requests.
    pub(super) requests: Option<Result<Generated, generate::Error>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disabled {
    All,
    One(Job),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    NoAdditionalGids,
    NoSockets,
    /// Something that divvy doesn't do anyway.
    Nothing,
}

fn strategy(word: &str) -> Result<NameStrategy, UnknownStrategy> {
    word.parse()
}

fn disabled(word: &str) -> Result<Disabled, String> {
    Ok(match word {
        "all" => Disabled::All,
        "create-symlinks" => Disabled::One(Job::Links),
        "update-ldcache" => Disabled::One(Job::LibraryCache),
        "enable-cuda-compat" => Disabled::One(Job::CudaCompat),
        "disable-device-node-modification" => Disabled::One(Job::DeviceNodeParams),
        "update-application-profile" => Disabled::One(Job::ApplicationProfile),
        _ => return Err("the hook has no such job; use create-symlinks, update-ldcache, enable-cuda-compat, disable-device-node-modification, update-application-profile or all".to_owned()),
    })
}

fn mode(word: &str) -> Result<String, String> {
    match word {
        "auto" | "nvml" => Ok(word.to_owned()),
        "csv" | "gdrcopy" | "gds" | "imex" | "management" | "mofed" | "nvswitch" | "wsl" => {
            Err(format!(
                "divvy describes the GPUs that NVML knows (nvml); for the mode {word} use `nvidia-ctk cdi generate --mode {word}`"
            ))
        }
        _ => Err("there is no such mode; use nvml".to_owned()),
    }
}

fn feature(word: &str) -> Result<Feature, String> {
    match word {
        "no-additional-gids-for-device-nodes" => Ok(Feature::NoAdditionalGids),
        "disable-ipc-discoverer" => Ok(Feature::NoSockets),
        "disable-nvsandboxutils" | "disable-multiple-csv-devices" => Ok(Feature::Nothing),
        _ => Err("divvy has no such feature; use --no-additional-gids or --no-sockets".to_owned()),
    }
}

impl SpecArgs {
    /// What to generate, and notes on it.
    pub(super) fn options(&self) -> Result<(Options, Vec<String>), Failure> {
        let kind: Kind = self.kind().parse().map_err(|error| Failure::new(Exit::Usage, error))?;
        let (hook, notes) = self.hook()?;
        let has = |feature| self.feature_flag.contains(&feature);
        let options = Options {
            kind,
            shared: Shared::default(),
            strategies: self.device_name_strategy.clone(),
            wanted: self.device_id.clone(),
            all_device: !self.no_all_device,
            edits: edits::Options {
                hook,
                additional_gids: !self.no_additional_gids && !has(Feature::NoAdditionalGids),
                sockets: !self.no_sockets && !has(Feature::NoSockets),
            },
            search: Search {
                libraries: self.library_search_path.clone(),
                profiles: self.config_search_path.clone(),
            },
        };
        Ok((options, notes))
    }

    fn kind(&self) -> String {
        match self.requests {
            true => requests::KIND.to_owned(),
            false => format!("{}/{}", self.vendor, self.class),
        }
    }

    /// Whether it is about requests.
    pub(super) fn requests(&self) -> bool {
        self.requests
    }

    /// The name of the spec's file in a folder that engines read.
    pub(super) fn file_name(&self) -> &'static str {
        if self.requests { refresh::REQUESTS_FILE } else { refresh::FILE }
    }

    /// The spec, by one NVML session.
    pub(super) fn generate(&self, host: &Host, options: &Options) -> Result<Specs, Failure> {
        let (session, config) = (inventory::open(host)?, Config::load(&host.config)?);
        let shares = shares(&config, options);
        let scope = if self.requests || shares { Scope::Full } else { Scope::Devices };
        let inventory = inventory::read(&session, scope)?;
        if self.requests {
            let own = requests::generate(host, &inventory, &config, options);
            return Ok(Specs { own, resources: BTreeMap::new(), requests: None });
        }
        Ok(devices(host, &inventory, &config, options))
    }

    /// The spec and those that engines find beside it, by one NVML session.
    pub(super) fn generate_all(&self, host: &Host, options: &Options) -> Result<Specs, Failure> {
        if self.requests || options.kind.to_string() != ResourceName::gpu().as_str() {
            return self.generate(host, options);
        }
        let (session, config) = (inventory::open(host)?, Config::load(&host.config)?);
        let inventory = inventory::read(&session, Scope::Full)?;
        let kind = requests::KIND.parse().map_err(|error| Failure::new(Exit::Failed, error))?;
        let asked = Options { kind, ..options.clone() };
        // Without a hook nobody would serve them.
        let hook = options.edits.hook.is_some();
        let requests = hook.then(|| requests::generate(host, &inventory, &config, &asked));
        Ok(Specs { requests, ..devices(host, &inventory, &config, options) })
    }

    fn hook(&self) -> Result<(Option<HookEntry>, Vec<String>), Failure> {
        if self.disable_hook.contains(&Disabled::All) {
            return Ok((None, Vec::new()));
        }
        let path = self.hook_path.clone().unwrap_or_else(|| installed(PROGRAM));
        let usage = |option: &str, error: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format!("{option}: {error}"))
        };
        let text = path.to_str().unwrap_or_default();
        let absolute: AbsolutePath = text.parse().map_err(|error| usage("--hook-path", &error))?;
        let ldconfig = self.ldconfig_path.as_deref().map(str::parse).transpose();
        let without: BTreeSet<Job> = self
            .disable_hook
            .iter()
            .filter_map(|disabled| match disabled {
                Disabled::All => None,
                Disabled::One(job) => Some(*job),
            })
            .collect();
        let entry = HookEntry {
            path: absolute.as_str().to_owned(),
            ldconfig: ldconfig.map_err(|error| usage("--ldconfig-path", &error))?,
            without,
        };
        let missing = format!(
            "divvy: {text} is not there yet, and no container with this spec starts without it; install it, or name it with --hook-path"
        );
        let notes = if path.exists() { Vec::new() } else { vec![missing] };
        Ok((Some(entry), notes))
    }
}

/// Whether the configuration has this kind's devices shared.
fn shares(config: &Config, options: &Options) -> bool {
    options.kind.vendor() == resources::VENDOR && config.has_resources()
}

/// The spec of the devices that exist, and those of the configuration's other resources.
fn devices(host: &Host, inventory: &Inventory, config: &Config, options: &Options) -> Specs {
    let generate = |options: &Options| generate::generate(host, inventory, options);
    let specs = |own, resources| Specs { own, resources, requests: None };
    if !shares(config, options) {
        return specs(generate(options), BTreeMap::new());
    }
    match resources::kinds(inventory, config, options) {
        Err(error) => specs(Err(error), BTreeMap::new()),
        Ok(mut kinds) => {
            let name = ResourceName::parse(options.kind.class());
            let own = name.and_then(|name| kinds.remove(&name));
            let others = kinds.iter().map(|(name, options)| (name.clone(), generate(options)));
            specs(generate(own.as_ref().unwrap_or(options)), others.collect())
        }
    }
}

/// The hook that came with this program, for the containers of prepared claims.
pub(in crate::cli) fn installed_entry() -> Option<HookEntry> {
    let path = installed(PROGRAM).to_str()?.to_owned();
    Some(HookEntry { path, ldconfig: None, without: BTreeSet::new() })
}
