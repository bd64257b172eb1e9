//! The stand-in for `nvidia-smi`: lists GPUs, sets compute mode and time-slice interval.

use super::{answer, own_node, say};
use fake_nvml::code::Code;
use fake_nvml::machine;
use fake_nvml::node::Node;
use fake_nvml::state::{Failure, State, Store};
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// `nvidia-smi`'s exit codes.
const USAGE: u8 = 2;
const NOT_SUPPORTED: u8 = 3;
const NO_PERMISSION: u8 = 4;
const NOT_FOUND: u8 = 6;
const NO_DRIVER: u8 = 9;
const OTHER: u8 = 255;

/// A refusal: exit code and sentence.
type No = (u8, String);

const INTERVALS: [&str; 4] = ["Default", "Short", "Medium", "Long"];
const COMPUTE_MODES: [&str; 4] = ["DEFAULT", "EXCLUSIVE_THREAD", "PROHIBITED", "EXCLUSIVE_PROCESS"];

/// Runs `nvidia-smi`'s command line.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match open().and_then(|store| run(&store, &words)) {
        Ok(text) => {
            answer(&text);
            ExitCode::SUCCESS
        }
        Err((code, why)) => {
            say(&why);
            ExitCode::from(code)
        }
    }
}

fn open() -> Result<Store, No> {
    let none = || {
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.".to_owned()
    };
    let dir = own_node().ok_or_else(|| (NO_DRIVER, none()))?;
    let node = Node::read(&dir).map_err(|why| (OTHER, why))?;
    if node.file.nvml.init_error != 0 {
        let code = node.file.nvml.init_error;
        let why = fake_nvml::code::sentence(code);
        return Err((
            u8::try_from(code).unwrap_or(OTHER),
            format!("Failed to initialize NVML: {why}"),
        ));
    }
    Store::open(Arc::new(node)).map_err(|why| (OTHER, why))
}

fn run(store: &Store, words: &[&str]) -> Result<String, No> {
    match words {
        ["-L" | "--list-gpus"] => list(store),
        ["compute-policy", rest @ ..] => compute_policy(store, rest),
        ["-i", gpu, "-c", mode] | ["-c", mode, "-i", gpu] => {
            set_compute_mode(store, Some(gpu), mode)
        }
        ["-c", mode] => set_compute_mode(store, None, mode),
        _ => {
            Err((USAGE, format!("this stand-in for nvidia-smi doesn't know: {}", words.join(" "))))
        }
    }
}

fn list(store: &Store) -> Result<String, No> {
    let state = now(store)?;
    let node = store.node();
    let mut text = String::new();
    for (index, (gpu, of_gpu)) in node.file.gpus.iter().zip(&state.gpus).enumerate() {
        if of_gpu.lost {
            let _ = writeln!(
                text,
                "Unable to determine the device handle for GPU{index}: {}: GPU is lost",
                gpu.pci
            );
            continue;
        }
        let _ = writeln!(text, "GPU {index}: {} (UUID: {})", node.product(index), gpu.uuid);
        let mut devices: Vec<_> = of_gpu
            .instances
            .iter()
            .flat_map(|gi| gi.compute.iter().map(move |ci| (gi, ci)))
            .collect();
        devices.sort_by_key(|(_, compute)| compute.index);
        for (instance, compute) in devices {
            let profile = node.boards.get(index).and_then(|board| board.profile(instance.profile));
            let name = profile.map_or("?", |profile| &profile.name);
            let uuid = machine::mig_uuid(node, index, instance.id, compute.id);
            let _ = writeln!(text, "  MIG {name:<15} Device {:>2}: (UUID: {uuid})", compute.index);
        }
    }
    Ok(text)
}

fn compute_policy(store: &Store, words: &[&str]) -> Result<String, No> {
    let (gpu, rest) = match words {
        ["-i", gpu, rest @ ..] => (Some(*gpu), rest),
        rest => (None, rest),
    };
    match rest {
        ["-l" | "--list"] => list_policies(store, gpu),
        ["--set-timeslice", interval] => set_time_slice(store, gpu, interval),
        [assigned] if assigned.starts_with("--set-timeslice=") => {
            set_time_slice(store, gpu, assigned.trim_start_matches("--set-timeslice="))
        }
        _ => Err((USAGE, format!("compute-policy doesn't know: {}", rest.join(" ")))),
    }
}

fn list_policies(store: &Store, gpu: Option<&str>) -> Result<String, No> {
    let state = now(store)?;
    let line = "+------------------------------------+\n";
    let mut text = format!(
        "{line}| GPU compute policies:              |\n| GPU     Name             Value     |\n"
    );
    text += "|====================================|\n";
    for index in chosen(store, gpu)? {
        let (_, of_gpu) = machine::gpu(store.node(), &state, index).map_err(refused)?;
        let place = usize::try_from(of_gpu.time_slice).unwrap_or(0);
        let interval = INTERVALS.get(place).copied().unwrap_or("?");
        let _ = writeln!(text, "| {index:>3}     {:<16} {interval:<9} |", "Timeslice");
    }
    Ok(text + line)
}

fn set_time_slice(store: &Store, gpu: Option<&str>, interval: &str) -> Result<String, No> {
    let named = INTERVALS.iter().position(|name| name.eq_ignore_ascii_case(interval));
    let number = named.or_else(|| interval.parse().ok()).filter(|number| *number < INTERVALS.len());
    let number = number
        .ok_or_else(|| (USAGE, format!("{interval:?} is no time slice: 0 to 3, or a name")))?;
    let interval = u32::try_from(number).unwrap_or(0);
    let gpus = chosen(store, gpu)?;
    change(store, |state, node| {
        gpus.iter().try_for_each(|gpu| machine::set_time_slice(node, state, *gpu, interval))
    })?;
    let name = INTERVALS.get(number).copied().unwrap_or("?");
    Ok(gpus.iter().map(|gpu| format!("Timeslice for GPU {gpu} set to {name}.\n")).collect())
}

fn set_compute_mode(store: &Store, gpu: Option<&str>, mode: &str) -> Result<String, No> {
    let named = COMPUTE_MODES.iter().position(|name| name.eq_ignore_ascii_case(mode));
    let number = named.or_else(|| mode.parse().ok()).filter(|number| *number < COMPUTE_MODES.len());
    let number = number.ok_or_else(|| (USAGE, format!("{mode:?} is no compute mode")))?;
    let of_mode = u32::try_from(number).unwrap_or(0);
    let gpus = chosen(store, gpu)?;
    change(store, |state, node| {
        gpus.iter().try_for_each(|gpu| machine::set_compute_mode(node, state, *gpu, of_mode))
    })?;
    let name = COMPUTE_MODES.get(number).copied().unwrap_or("?");
    let pci = |gpu: &usize| store.node().gpu(*gpu).map_or("", |(gpu, _)| gpu.pci.as_str());
    let lines = gpus.iter().map(|gpu| {
        format!("Set compute mode to {name} for GPU 0000{}.\n", pci(gpu).to_uppercase())
    });
    Ok(lines.collect::<String>() + "All done.\n")
}

/// The GPUs that `-i` names: an index, a UUID or a PCI address; all of them without it.
fn chosen(store: &Store, gpu: Option<&str>) -> Result<Vec<usize>, No> {
    let gpus = &store.node().file.gpus;
    let Some(wanted) = gpu else { return Ok((0..gpus.len()).collect()) };
    let index = wanted.parse().ok().filter(|index| *index < gpus.len());
    let index =
        index.or_else(|| gpus.iter().position(|gpu| gpu.uuid == wanted || gpu.pci == wanted));
    index
        .map(|index| vec![index])
        .ok_or_else(|| (NOT_FOUND, format!("No devices were found: {wanted}")))
}

fn now(store: &Store) -> Result<Arc<State>, No> {
    store.now().map_err(|why| (OTHER, why))
}

fn change(
    store: &Store,
    act: impl FnOnce(&mut State, &Node) -> Result<(), Code>,
) -> Result<(), No> {
    if store.node().file.nvml.needs_root && !rustix::process::geteuid().is_root() {
        return Err(refused(Code::NO_PERMISSION));
    }
    store.change(|state| act(state, store.node())).map_err(|failure| match failure {
        Failure::Refused(code) => refused(code),
        Failure::Files(why) => (OTHER, why),
    })
}

fn refused(code: Code) -> No {
    let exit = match code {
        Code::NOT_SUPPORTED => NOT_SUPPORTED,
        Code::NO_PERMISSION => NO_PERMISSION,
        Code::INVALID_ARGUMENT => USAGE,
        code => u8::try_from(code.0).unwrap_or(OTHER),
    };
    (exit, format!("the GPU refuses: {}", fake_nvml::code::sentence(code.0)))
}
