//! Container engines, and what the NVIDIA container toolkit set up in them.

use super::Judged;
use super::finding::{Finding, Name};
use super::mend::{advice, run};
use crate::engines::{Engine, Found};
use std::path::{Path, PathBuf};

pub(super) fn judge(engines: &[Found]) -> Judged {
    let mut findings: Vec<Finding> = engines.iter().flat_map(judge_one).collect();
    if engines.is_empty() {
        let how = "neither podman, dockerd, containerd nor crio is in /usr/bin, /usr/sbin, /usr/local/bin or /usr/local/sbin";
        let mend = advice("install one: podman, say");
        findings.push(Finding::new(Name::EngineNone, "no container engine is here", how, mend));
    }
    let shown: Vec<String> = engines.iter().map(Found::shown).collect();
    let says = if shown.is_empty() { "none".to_owned() } else { shown.join(", ") };
    Judged { says, findings }
}

fn judge_one(engine: &Found) -> Vec<Finding> {
    let shown = engine.shown();
    let configure = format!("divvy runtime configure --runtime {}", engine.engine.word());
    if let Some(problem) = &engine.problem {
        let what = format!("the configuration of {shown} can't be read");
        let mend = advice("mend the file that it names");
        return vec![Finding::new(Name::EngineUnreadable, what, problem, mend)];
    }
    let mut findings = Vec::new();
    if !engine.knows_cdi {
        let what = format!("{shown} doesn't know CDI devices");
        let how = format!("{} --version", engine.program.display());
        let mend =
            advice("update it: podman 4.1, Docker 25 and containerd 1.7 are the first that do");
        findings.push(Finding::new(Name::EngineOld, what, how, mend));
    } else if engine.cdi == Some(false) {
        let what = format!("CDI is off in {shown}: --device vendor/class=name fails");
        let how = match engine.engine {
            Engine::Docker => {
                "features.cdi in /etc/docker/daemon.json isn't true, and before 28.2 it is off by itself"
            }
            _ => "enable_cdi isn't true, and before containerd 2.0 it is off by itself",
        };
        findings.push(Finding::new(Name::EngineCdiOff, what, how, run(&configure)));
    }
    findings.extend(engine.missing.iter().map(|program| {
        let effect = match engine.engine {
            Engine::Podman => "podman passes over the hook in silence",
            _ => "containers with that runtime don't start",
        };
        Finding::new(
            Name::EngineProgramMissing,
            format!("{shown} is told to start {}, and {effect}", program.display()),
            "its configuration names the program, and it isn't there",
            run(&configure)
                .but("names the programs where they are; where divvy isn't installed, install it"),
        )
    }));
    if !engine.divvy {
        let what = format!(
            "{shown} isn't set up for divvy: requests are served when a container has been created already"
        );
        let how = "its configuration names neither divvy-hook nor divvy-runtime";
        findings.push(Finding::new(Name::EngineWithoutDivvy, what, how, run(configure)));
    }
    findings
}

/// What the NVIDIA container toolkit left.
#[derive(Clone, Debug, Default)]
pub struct Legacy {
    /// Files in podman's hook folders that start the toolkit's hook.
    pub hooks: Vec<PathBuf>,
}

impl Legacy {
    /// Looks in podman's and CRI-O's hook folders below `root`.
    pub fn look(root: &Path) -> Legacy {
        let folders = [
            "usr/share/containers/oci/hooks.d",
            "etc/containers/oci/hooks.d",
            "usr/libexec/oci/hooks.d",
        ];
        let mut hooks = Vec::new();
        for folder in folders {
            let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            paths.sort();
            let starts = |path: &PathBuf| {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                ["nvidia-container-toolkit", "nvidia-container-runtime-hook"]
                    .iter()
                    .any(|hook| text.contains(hook))
            };
            let named = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "json"));
            let named = named.filter(|path| path.is_file() && starts(path));
            hooks.extend(
                named
                    .filter_map(|path| path.file_name())
                    .map(|name| Path::new("/").join(folder).join(name)),
            );
        }
        Legacy { hooks }
    }
}

pub(super) fn judge_legacy(legacy: &Legacy, engines: &[Found]) -> Judged {
    let hook = |file: &PathBuf| {
        Finding::new(
            Name::LegacyHook,
            "the NVIDIA toolkit's hook gives whole GPUs to every container whose image sets NVIDIA_VISIBLE_DEVICES, beside what divvy gives",
            format!("{} starts it", file.display()),
            advice(format!(
                "take {} out of its folder: podman and CRI-O start what is named there",
                file.display()
            )),
        )
    };
    let mut findings: Vec<Finding> = legacy.hooks.iter().map(hook).collect();
    let nvidia = |engine: &&Found| {
        engine
            .default_runtime
            .as_deref()
            .is_some_and(|name| name == "nvidia" || name == "nvidia-legacy")
    };
    findings.extend(engines.iter().filter(nvidia).map(|engine| {
        let name = engine.default_runtime.as_deref().unwrap_or_default();
        Finding::new(
            Name::LegacyRuntime,
            format!("containers of {} that name no runtime get {name}, which gives GPUs by NVIDIA_VISIBLE_DEVICES", engine.shown()),
            format!("its configuration has {name} for the default runtime"),
            run(format!(
                "divvy runtime configure --runtime {} --set-as-default",
                engine.engine.word()
            )),
        )
    }));
    let hooks = match legacy.hooks.len() {
        0 => "no hook".to_owned(),
        1 => "1 hook".to_owned(),
        n => format!("{n} hooks"),
    };
    let runtimes: Vec<&str> = engines.iter().filter(nvidia).map(|e| e.engine.word()).collect();
    let runtime = match runtimes.as_slice() {
        [] => "no default runtime".to_owned(),
        engines => format!("the default runtime of {}", engines.join(" and ")),
    };
    Judged { says: format!("{hooks} and {runtime} of the NVIDIA toolkit"), findings }
}
