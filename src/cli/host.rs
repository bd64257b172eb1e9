//! Options that say where things are on this machine.

use super::answer::{Exit, Failure};
use crate::config::{Config, HostPaths};
use crate::host::Host;
use clap::Args;
use std::path::{Path, PathBuf};

// Each beats `host:` in the configuration.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where things are")]
pub(super) struct HostArgs {
    /// The NVML library to load [default: libnvidia-ml.so.1 below the driver root, or as the dynamic linker finds it]
    #[arg(
        long,
        value_name = "FILE",
        env = "DIVVY_NVML_LIBRARY",
        global = true,
        hide_env_values = true
    )]
    nvml_library: Option<PathBuf>,
    /// The root below which the driver's files lie [default: /]
    #[arg(
        long,
        value_name = "DIR",
        env = "DIVVY_DRIVER_ROOT",
        global = true,
        hide_env_values = true
    )]
    driver_root: Option<PathBuf>,
    /// The root whose dev folder holds the device nodes [default: the driver root]
    #[arg(long, value_name = "DIR", env = "DIVVY_DEV_ROOT", global = true, hide_env_values = true)]
    dev_root: Option<PathBuf>,
    /// Stands for /proc
    #[arg(
        long,
        value_name = "DIR",
        env = "DIVVY_PROC_ROOT",
        global = true,
        hide_env_values = true
    )]
    proc_root: Option<PathBuf>,
    /// Stands for /sys
    #[arg(long, value_name = "DIR", env = "DIVVY_SYS_ROOT", global = true, hide_env_values = true)]
    sys_root: Option<PathBuf>,
    /// Claims and locks [default: /run/divvy]
    #[arg(
        long,
        value_name = "DIR",
        env = "DIVVY_STATE_DIR",
        global = true,
        hide_env_values = true
    )]
    state_dir: Option<PathBuf>,
    /// A folder that engines read CDI specs from; repeated, a later one wins [default: /etc/cdi and /var/run/cdi]
    #[arg(
        long = "cdi-dir",
        value_name = "DIR",
        env = "DIVVY_CDI_DIR",
        global = true,
        value_delimiter = ':',
        hide_env_values = true
    )]
    cdi_dirs: Vec<PathBuf>,
    /// The administrator's configuration
    #[arg(
        long,
        value_name = "FILE",
        env = "DIVVY_CONFIG",
        global = true,
        default_value = "/etc/divvy/config.yaml",
        hide_env_values = true
    )]
    config: PathBuf,
}

impl HostArgs {
    /// The host: what the options say, else the configuration, else the defaults. With absolute paths, since
    /// specs and claims outlive the current folder.
    pub(super) fn host(self) -> Result<Host, Failure> {
        let config = std::path::absolute(&self.config)?;
        if let Some(message) = missing(&config) {
            return Err(Failure::new(Exit::Usage, message));
        }
        let said = Config::load(&config)?.host;
        Ok(Host { config, ..self.paths()?.or(said).host() })
    }

    /// The host as far as it can be told, and what is wrong with the configuration: for those who report on it.
    pub(super) fn host_all_the_same(self) -> Result<(Host, Option<String>), Failure> {
        let config = std::path::absolute(&self.config)?;
        let (said, wrong) = match (Config::load(&config), missing(&config)) {
            (Ok(said), None) => (said.host, None),
            (Ok(_), Some(message)) => (HostPaths::default(), Some(message)),
            (Err(error), _) => (HostPaths::default(), Some(error.to_string())),
        };
        Ok((Host { config, ..self.paths()?.or(said).host() }, wrong))
    }

    fn paths(self) -> Result<HostPaths, Failure> {
        let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
        let cdi_dirs: Result<Vec<PathBuf>, _> =
            self.cdi_dirs.iter().map(std::path::absolute).collect();
        Ok(HostPaths {
            // A bare file name is the dynamic linker's to find.
            nvml_library: self.nvml_library,
            driver_root: absolute(self.driver_root)?,
            dev_root: absolute(self.dev_root)?,
            proc_root: absolute(self.proc_root)?,
            sys_root: absolute(self.sys_root)?,
            state_dir: absolute(self.state_dir)?,
            cdi_dirs: Some(cdi_dirs?).filter(|dirs| !dirs.is_empty()),
        })
    }
}

/// What is wrong with the configuration's place. One that is named must be there: under a mistyped name there
/// would be no policy at all.
fn missing(config: &Path) -> Option<String> {
    let usual = Host::default().config;
    let gone = config != usual && matches!(config.try_exists(), Ok(false));
    gone.then(|| {
        format!(
            "there is no configuration {}, which --config or DIVVY_CONFIG names: only {} may be missing",
            config.display(),
            usual.display()
        )
    })
}

/// Where packages put programs.
pub(super) const PROGRAMS: &str = "/usr/bin";

/// Another program of divvy's: the one beside this one, else where packages put it.
pub(super) fn installed(program: &str) -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(program)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| Path::new(PROGRAMS).join(program))
}
