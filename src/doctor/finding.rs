//! What can be found, by name.

use super::mend::Mend;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// How bad something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing is wrong.
    #[default]
    Ok,
    /// Worth knowing.
    Note,
    /// Some containers fail, or get something else than was meant.
    Warning,
    /// Containers fail.
    Error,
}

impl Level {
    /// Its name, as in the report.
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Something that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Which of the known ones.
    pub name: Name,
    /// How bad it is: the name's level, or less where it matters less on this machine.
    pub level: Level,
    /// What is wrong, on what.
    pub what: String,
    /// How that is known.
    pub how: String,
    /// A command for a shell that mends it, or tells more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What to do, where no command does it, and what to know of the command, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn new(
        name: Name,
        what: impl Into<String>,
        how: impl Into<String>,
        mend: Mend,
    ) -> Finding {
        let Mend { command, advice } = mend;
        Finding { name, level: name.level(), what: what.into(), how: how.into(), command, advice }
    }

    /// Less bad than as a rule.
    pub(super) fn only(self, level: Level) -> Finding {
        Finding { level, ..self }
    }
}

macro_rules! names {
    ($($name:ident = $word:literal, $level:ident, $meaning:literal;)*) => {
        /// Everything that can be found. The words are for programs, and stay.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Name {
            $(#[doc = $meaning] $name,)*
        }

        impl Name {
            /// Every one, by check.
            pub const ALL: &'static [Name] = &[$(Name::$name,)*];

            /// Its word, as in the report.
            pub fn word(self) -> &'static str {
                match self { $(Name::$name => $word,)* }
            }

            /// How bad it is.
            pub fn level(self) -> Level {
                match self { $(Name::$name => Level::$level,)* }
            }

            /// What it means, in one line.
            pub fn meaning(self) -> &'static str {
                match self { $(Name::$name => $meaning,)* }
            }
        }
    };
}

names! {
    ModuleMissing = "module-missing", Error, "the NVIDIA kernel module isn't loaded";
    NouveauLoaded = "nouveau-loaded", Error, "nouveau has the GPUs, so the NVIDIA kernel module can't be loaded";
    LibraryMissing = "library-missing", Error, "the driver's NVML library can't be loaded";
    VersionMismatch = "version-mismatch", Error, "kernel module and NVML library are of different drivers";
    NvmlFails = "nvml-fails", Error, "the driver doesn't answer";
    LibrariesMissing = "libraries-missing", Error, "no user-space library is of the kernel module's version";
    NoGpu = "no-gpu", Warning, "the driver is loaded and has no GPU";
    GpuLost = "gpu-lost", Error, "a GPU doesn't answer";
    PersistenceOff = "persistence-off", Warning, "a GPU is initialised anew when its last user goes";
    FabricIncomplete = "fabric-incomplete", Error, "a GPU hasn't joined its NVSwitch fabric, so CUDA doesn't start on it";
    UvmMissing = "uvm-missing", Error, "the kernel module nvidia-uvm isn't loaded";
    NodeMissing = "node-missing", Error, "a device node that containers need is missing";
    NodeWrong = "node-wrong", Error, "a device node is another device, or none";
    NodeClosed = "node-closed", Warning, "a device node isn't open to users other than root";
    CapabilityMissing = "capability-missing", Warning, "a capability node of a MIG device is missing";
    MigPending = "mig-pending", Warning, "a MIG mode waits for a GPU reset";
    MigUnclaimed = "mig-unclaimed", Note, "a MIG device that no claim holds";
    MigHollow = "mig-hollow", Warning, "a GPU instance has no compute instance, and no claim";
    CdiConflict = "cdi-conflict", Error, "two files of one folder define a CDI device, so engines give it to nobody";
    CdiShadowed = "cdi-shadowed", Note, "a CDI device is hidden by another folder's";
    CdiDropped = "cdi-dropped", Error, "engines drop a CDI file";
    CdiStale = "cdi-stale", Error, "a CDI file names what isn't on the host any more";
    CdiTooNew = "cdi-too-new", Error, "an engine drops a CDI file whose version is newer than it knows";
    CdiClaimGone = "cdi-claim-gone", Warning, "the CDI file of a claim that isn't there";
    CdiForeign = "cdi-foreign", Warning, "another tool's CDI file gives whole GPUs beside divvy's claims; a note where divvy manages no GPU and keeps no spec";
    CdiNone = "cdi-none", Note, "no CDI file names a GPU";
    RequestsNone = "requests-none", Warning, "no CDI file has requests, though an engine or the configuration is set up for them";
    EngineNone = "engine-none", Warning, "no container engine is here";
    EngineOld = "engine-old", Warning, "an engine is too old for CDI";
    EngineCdiOff = "engine-cdi-off", Warning, "CDI is switched off in an engine";
    EngineUnreadable = "engine-unreadable", Warning, "an engine's configuration can't be read";
    EngineProgramMissing = "engine-program-missing", Error, "an engine's configuration names a program of divvy's that isn't there";
    EngineWithoutDivvy = "engine-without-divvy", Note, "an engine isn't set up to serve requests before a container is created";
    LegacyHook = "legacy-hook", Warning, "the NVIDIA toolkit's hook gives GPUs to containers beside divvy";
    LegacyRuntime = "legacy-runtime", Warning, "the NVIDIA runtime is an engine's default";
    CgroupNone = "cgroup-none", Error, "no control groups are mounted";
    CgroupHybrid = "cgroup-hybrid", Note, "control groups of both versions are mounted";
    CgroupSystemd = "cgroup-systemd", Note, "systemd keeps the containers' devices, and takes away what is opened later";
    SelinuxDevices = "selinux-devices", Warning, "SELinux keeps containers away from the host's devices";
    ApparmorUserns = "apparmor-userns", Warning, "AppArmor keeps programs from making user namespaces";
    UsernsOff = "userns-off", Warning, "user namespaces are off, so rootless containers can't start";
    SubidNone = "subid-none", Note, "no user has subordinate ids, which rootless podman needs";
    SubidHalf = "subid-half", Note, "a user has subordinate uids or gids, and not both";
    MpsDefault = "mps-default", Warning, "an MPS control daemon on the default path captures every container that gets its folder";
    MpsStale = "mps-stale", Warning, "an MPS pipe directory without a daemon";
    MpsDead = "mps-dead", Error, "the control daemon of a claim is gone";
    MpsUid = "mps-uid", Error, "a container's processes have another uid than their MPS server";
    MpsForeign = "mps-foreign", Note, "an MPS control daemon that isn't divvy's";
    StateUntrusted = "state-untrusted", Error, "others than root could write claims, so divvy reads none";
    StateClosed = "state-closed", Warning, "the state directory lets nobody but root pass, so other users' MPS clients don't reach their daemon";
    StateDisk = "state-disk", Warning, "the state directory isn't on tmpfs";
    UnitOff = "unit-off", Warning, "a systemd unit of divvy's is installed and off";
    ClaimDead = "claim-dead", Warning, "a claim whose container, starter or boot is gone";
    ClaimLost = "claim-lost", Error, "a claim holds a GPU or a MIG device that is gone";
    ClaimWithoutCdi = "claim-without-cdi", Error, "the CDI file of a prepared claim is gone, so no container gets it";
    RecordOrphan = "record-orphan", Warning, "a device was made, and no claim names it";
    ConfigurationWrong = "configuration-wrong", Error, "the configuration can't be read";
    ConfigurationIdle = "configuration-idle", Warning, "an entry of the configuration matches no GPU";
    Unmanaged = "unmanaged", Note, "divvy may change the modes of no GPU";
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = |name: &Name| schemars::json_schema!({ "const": name.word(), "description": name.meaning() });
        let all: Vec<schemars::Schema> = Name::ALL.iter().map(one).collect();
        schemars::json_schema!({ "oneOf": all })
    }
}
