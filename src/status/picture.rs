//! Draws a status for a terminal.

use super::{GpuStatus, Holder, InstanceStatus, LostClaim, Sharing, Status};
use crate::claim::{Phase, Purpose};
use std::fmt::Write;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether to colour.
    pub colour: bool,
}

/// What a stretch of text is about; decides its colour.
#[derive(Clone, Copy)]
enum Tone {
    Heading,
    Held,
    Foreign,
    Free,
}

/// The status as text, a paragraph for each GPU.
pub fn draw(status: &Status, style: Style) -> String {
    let mut text = String::new();
    for gpu in &status.gpus {
        text.push_str(&gpu_lines(gpu, style));
        text.push('\n');
    }
    for gpu in &status.unusable {
        let line = fit(&format!("GPU {}  unusable: {}", gpu.index, gpu.says), style.width);
        text.push_str(&paint(&line, Tone::Foreign, style));
        text.push_str("\n\n");
    }
    if text.is_empty() {
        text.push_str("The driver sees no GPU.\n\n");
    }
    for claim in &status.lost {
        text.push_str(&paint(&fit(&lost(claim), style.width), Tone::Foreign, style));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A claim that stands nowhere in the picture, since what it holds is gone.
fn lost(claim: &LostClaim) -> String {
    let holder = claim
        .container
        .as_ref()
        .map(|container| format!("  container {}", container.chars().take(12).collect::<String>()));
    let holder = holder.unwrap_or_default();
    let devices = claim.devices.join(", ");
    format!("lost  {}  {}{holder}  {devices} is gone", claim.claim, claim.requests)
}

fn gpu_lines(gpu: &GpuStatus, style: Style) -> String {
    let gib = gpu.memory_mib.div_ceil(1024);
    let heading = format!("GPU {}  {}  {gib} GiB  {}", gpu.index, gpu.name, use_of(gpu));
    let mut text = paint(&fit(&heading, style.width), Tone::Heading, style);
    text.push('\n');
    let _ = writeln!(text, "  {}", fit(&gpu.uuid, style.width.saturating_sub(2)));
    if let Some(slices) = gpu.memory_slices {
        text.push_str(&slice_bar(slices, &gpu.instances, style));
    }
    let holders = gpu.sharing.iter().map(|sharing| (None, sharing));
    let inside = gpu.instances.iter().filter_map(|one| Some((Some(one), one.sharing.as_ref()?)));
    for (instance, sharing) in holders.chain(inside) {
        for holder in &sharing.holders {
            text.push_str(&holder_line(instance, sharing, holder, style));
        }
    }
    text
}

/// What the GPU is used for, in a few words.
fn use_of(gpu: &GpuStatus) -> String {
    match (&gpu.sharing, gpu.memory_slices, gpu.unclaimed_processes.as_slice()) {
        (Some(sharing), ..) => purpose(sharing),
        (None, Some(slices), _) => {
            let used: u32 = gpu.instances.iter().map(|one| one.placement.size).sum();
            format!("MIG, {} of {slices} slices free", slices.saturating_sub(used))
        }
        (None, None, []) => "free".to_owned(),
        (None, None, pids) => {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            format!("used by processes of nobody's claim: {}", pids.join(", "))
        }
    }
}

fn purpose(sharing: &Sharing) -> String {
    let words = match sharing.purpose {
        Purpose::MigMode => "MIG mode".to_owned(),
        Purpose::Exclusive => "exclusive".to_owned(),
        Purpose::TimeSlicing { interval: None } => "time-slicing".to_owned(),
        Purpose::TimeSlicing { interval: Some(interval) } => {
            format!("time-slicing, {interval} interval")
        }
        Purpose::Mps => "MPS".to_owned(),
    };
    if sharing.in_transition { format!("{words} (in transition)") } else { words }
}

/// A bar of the GPU's memory slices with its instances drawn in place.
fn slice_bar(slices: u32, instances: &[InstanceStatus], style: Style) -> String {
    let cell = (style.width.saturating_sub(4) / slices.max(1) as usize).clamp(4, 10);
    let mut cells: Vec<(usize, String, String, Tone)> = Vec::new();
    let mut at = 0;
    for one in instances {
        cells.extend(
            (at..one.placement.start).map(|_| (1, String::new(), "free".to_owned(), Tone::Free)),
        );
        let (who, tone) = match &one.sharing {
            Some(sharing) => (names(sharing), Tone::Held),
            None => ("foreign".to_owned(), Tone::Foreign),
        };
        cells.push((one.placement.size as usize, one.profile.clone(), who, tone));
        at = one.placement.start + one.placement.size;
    }
    cells.extend((at..slices).map(|_| (1, String::new(), "free".to_owned(), Tone::Free)));

    let edge = |left: char, joint: &str, right: char| {
        let parts: Vec<String> =
            cells.iter().map(|(size, ..)| "─".repeat(size * cell - 1)).collect();
        format!("  {left}{}{right}\n", parts.join(joint))
    };
    let row = |pick: fn(&(usize, String, String, Tone)) -> &str| {
        let part = |one: &(usize, String, String, Tone)| {
            let width = one.0 * cell - 1;
            paint(&format!("{:^width$}", fit(pick(one), width)), one.3, style)
        };
        let parts: Vec<String> = cells.iter().map(part).collect();
        format!("  │{}│\n", parts.join("│"))
    };
    let names = row(|one| &one.1);
    let holders = row(|one| &one.2);
    format!("{}{names}{holders}{}", edge('┌', "┬", '┐'), edge('└', "┴", '┘'))
}

fn names(sharing: &Sharing) -> String {
    match sharing.holders.as_slice() {
        [] => "nobody".to_owned(),
        [one] => one.claim.clone(),
        many => format!("{} claims", many.len()),
    }
}

/// A claim with its share: a bar of threads under MPS.
fn holder_line(
    instance: Option<&InstanceStatus>,
    sharing: &Sharing,
    holder: &Holder,
    style: Style,
) -> String {
    let mut words = vec![holder.claim.clone()];
    words.extend(instance.map(|one| format!("{} at {}", one.profile, one.placement.start)));
    words.extend(
        (sharing.purpose != Purpose::Exclusive && instance.is_some()).then(|| purpose(sharing)),
    );
    if let Some(threads) = holder.limits.threads {
        let full = usize::from(threads.get()).div_ceil(5);
        words.push(format!("{}{} {threads} % of threads", "█".repeat(full), "░".repeat(20 - full)));
    }
    words.extend(holder.limits.memory.map(|memory| format!("{memory} of memory")));
    words.push(match (&holder.container, holder.phase) {
        (Some(container), _) => {
            format!("container {}", container.chars().take(12).collect::<String>())
        }
        (None, Phase::Intent) => "being prepared".to_owned(),
        (None, Phase::Releasing) => "being released".to_owned(),
        (None, Phase::Granted | Phase::Bound) => "granted".to_owned(),
    });
    format!("  • {}\n", fit(&words.join("  "), style.width.saturating_sub(4)))
}

/// Cuts what doesn't fit, and shows that it did.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

fn paint(text: &str, tone: Tone, style: Style) -> String {
    let code = match tone {
        Tone::Heading => "1",
        Tone::Held => "32",
        Tone::Foreign => "33",
        Tone::Free => "2",
    };
    if style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}
