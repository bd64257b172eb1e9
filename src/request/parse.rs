//! The grammar of requests: `2x mig:3g.40gb,compute=1c/mps:threads=50 @0`.

use super::alias::{ALIAS, Alias};
use super::error::{Problem, RequestError, Wrong};
use super::pin::PIN;
use super::values::{
    COMPUTE, COUNT, ComputeSlices, Count, Interval, MEMORY, Memory, Percent, THREADS, decimal,
};
use super::{MigShare, MigSharing, MpsLimits, Pin, Request, Share};
use crate::inventory::ProfileName;
use crate::suggest::nearest;

/// The longest request: several times what the longest sensible one needs.
const MAX_LENGTH: usize = 512;

/// A part of the text and where it begins.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    at: usize,
}

type Parsed<T> = Result<T, Wrong>;

impl<'a> Part<'a> {
    pub(super) fn whole(text: &'a str) -> Part<'a> {
        Part { text, at: 0 }
    }

    fn trim(self) -> Part<'a> {
        let text = self.text.trim_start();
        Part { text: text.trim_end(), at: self.at + self.text.len() - text.len() }
    }

    /// Cuts at a byte offset that is a character's beginning.
    fn cut(self, at: usize) -> (Part<'a>, Part<'a>) {
        let (left, right) = self.text.split_at(at);
        (Part { text: left, at: self.at }, Part { text: right, at: self.at + at })
    }

    /// What stands before and behind the first `sign`.
    fn split(self, sign: char) -> (Part<'a>, Option<Part<'a>>) {
        match self.text.find(sign) {
            Some(at) => {
                let (left, right) = self.cut(at);
                (left, Some(right.cut(sign.len_utf8()).1))
            }
            None => (self, None),
        }
    }

    pub(super) fn wrong(self, problem: Problem, example: &'static str) -> Wrong {
        Wrong { span: self.at..self.at + self.text.len(), problem, example }
    }

    fn unknown(self, kind: &'static str, words: &[&'static str], example: &'static str) -> Wrong {
        let word = self.text.chars().take(40).collect();
        let nearest = nearest(self.text, words);
        self.wrong(Problem::Unknown { kind, word, nearest }, example)
    }
}

/// Reads one request.
pub(super) fn request(text: &str) -> Result<Request, RequestError> {
    bounded(text).and_then(whole).map_err(|wrong| RequestError::new(text, wrong))
}

/// Refuses a text too long to be looked at.
pub(super) fn bounded(text: &str) -> Parsed<Part<'_>> {
    let part = Part::whole(text);
    if text.len() <= MAX_LENGTH {
        return Ok(part);
    }
    let fits = (0..=MAX_LENGTH).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let problem = Problem::TooMuch("it is longer than the 512 bytes that a request may have");
    Err(part.cut(fits).1.wrong(problem, "mig:1g.10gb"))
}

fn whole(part: Part<'_>) -> Parsed<Request> {
    let (part, alias) = alias(part)?;
    let request = pinned(part)?;
    Ok(match alias {
        Some(alias) => request.with_alias(alias),
        None => request,
    })
}

/// Reads the name behind the last `as`.
fn alias(part: Part<'_>) -> Parsed<(Part<'_>, Option<Alias>)> {
    let Some(at) = part.text.rfind(" as ") else { return Ok((part, None)) };
    let (before, behind) = part.cut(at);
    let name = behind.cut(" as ".len()).1.trim();
    match Alias::parse(name.text) {
        Some(alias) => Ok((before, Some(alias))),
        None => Err(name.wrong(Problem::Value(ALIAS), "time-slicing @0 as nvidia.com/gpu=0::3")),
    }
}

fn pinned(part: Part<'_>) -> Parsed<Request> {
    let (count, rest) = count(part.trim())?;
    let (share_part, pin_part) = rest.split('@');
    let request = Request::new(share(share_part.trim())?).with_count(count);
    let Some(pin_part) = pin_part.map(Part::trim) else { return Ok(request) };
    let wrong = |problem| pin_part.wrong(problem, "mig:1g.10gb @0");
    if pin_part.text.is_empty() {
        return Err(wrong(Problem::Missing("the GPU behind '@'")));
    }
    let pin = Pin::parse(pin_part.text).ok_or_else(|| wrong(Problem::Value(PIN)))?;
    request.with_pin(pin).map_err(|clash| wrong(Problem::Clash(clash)))
}

const BEHIND_MIG: &str = "a MIG profile stands behind 'mig:'";

/// Reads `2x` where it stands.
fn count(part: Part<'_>) -> Parsed<(Count, Part<'_>)> {
    let digits = part.text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Ok((Count::ONE, part));
    }
    let (number, rest) = part.cut(digits);
    if rest.text.starts_with("g.") {
        return Err(part.wrong(Problem::Value(BEHIND_MIG), "mig:1g.10gb"));
    }
    if !rest.text.starts_with('x') {
        let problem = Problem::Value("a number in front is a count, and an x follows it");
        return Err(number.wrong(problem, "2x mig:1g.10gb"));
    }
    let count = decimal(number.text)
        .and_then(Count::new)
        .ok_or_else(|| number.wrong(Problem::Value(COUNT), "2x mig:1g.10gb"))?;
    Ok((count, rest.cut(1).1.trim()))
}

const MODES: [&str; 4] = ["exclusive", "time-slicing", "mps", "mig"];

pub(super) fn share(part: Part<'_>) -> Parsed<Share> {
    let (mode, parameters) = part.split(':');
    match mode.text {
        "exclusive" => {
            bare(parameters, "exclusive takes no parameters", "exclusive")?;
            Ok(Share::Exclusive)
        }
        "time-slicing" => {
            Ok(Share::TimeSlicing { interval: parameters.map(interval).transpose()? })
        }
        "mps" => Ok(Share::Mps(mps_limits(parameters)?)),
        "mig" => match parameters {
            Some(parameters) => mig(parameters).map(Share::Mig),
            None => {
                let end = part.cut(part.text.len()).1;
                Err(end.wrong(Problem::Missing("the MIG profile"), "mig:1g.10gb"))
            }
        },
        "" => Err(mode.wrong(Problem::Missing("the sharing mode"), "mig:1g.10gb")),
        _ => Err(mode.unknown("sharing mode", &MODES, "mig:1g.10gb")),
    }
}

/// Refuses parameters where none are taken.
fn bare(part: Option<Part<'_>>, why: &'static str, example: &'static str) -> Parsed<()> {
    match part {
        None => Ok(()),
        Some(part) => Err(part.wrong(Problem::Value(why), example)),
    }
}

const INTERVALS: [&str; 4] = ["default", "short", "medium", "long"];
const TIME_SLICING: &str = "time-slicing:interval=short";

fn interval(parameters: Part<'_>) -> Parsed<Interval> {
    let mut found = None;
    for (key, value) in list(parameters, TIME_SLICING)? {
        match key.text {
            "interval" => {
                let read = Interval::parse(value.text)
                    .ok_or_else(|| value.unknown("interval", &INTERVALS, TIME_SLICING))?;
                once(&mut found, read, key, "interval")?;
            }
            _ => return Err(key.unknown("parameter of time-slicing", &["interval"], TIME_SLICING)),
        }
    }
    let missing = || parameters.wrong(Problem::Missing("the parameter"), TIME_SLICING);
    found.ok_or_else(missing)
}

const MPS: &str = "mps:threads=25,memory=10Gi";

fn mps_limits(parameters: Option<Part<'_>>) -> Parsed<MpsLimits> {
    let mut limits = MpsLimits::default();
    let Some(parameters) = parameters else { return Ok(limits) };
    for (key, value) in list(parameters, MPS)? {
        let wrong = |why| value.wrong(Problem::Value(why), MPS);
        match key.text {
            "threads" => {
                let threads = decimal(value.text).and_then(Percent::new);
                once(&mut limits.threads, threads.ok_or_else(|| wrong(THREADS))?, key, "threads")?;
            }
            "memory" => {
                let memory = Memory::parse(value.text).ok_or_else(|| wrong(MEMORY))?;
                once(&mut limits.memory, memory, key, "memory")?;
            }
            _ => return Err(key.unknown("parameter of mps", &["threads", "memory"], MPS)),
        }
    }
    Ok(limits)
}

pub(super) const PROFILE: &str =
    "a MIG profile is written as in 1g.10gb, with +me, +gfx, +me.all or -me where it has one";
const COMPUTE_EXAMPLE: &str = "mig:3g.40gb,compute=1c";

fn mig(part: Part<'_>) -> Parsed<MigShare> {
    let (device, sharing) = part.split('/');
    let (name, parameters) = device.split(',');
    if name.text.is_empty() {
        return Err(name.wrong(Problem::Missing("the MIG profile"), "mig:1g.10gb"));
    }
    let profile = ProfileName::parse(name.text)
        .ok_or_else(|| name.wrong(Problem::Value(PROFILE), "mig:1g.10gb"))?;
    let mut compute = None;
    if let Some(parameters) = parameters {
        for (key, value) in list(parameters, COMPUTE_EXAMPLE)? {
            if key.text != "compute" {
                return Err(key.unknown("parameter of mig", &["compute"], COMPUTE_EXAMPLE));
            }
            let read = ComputeSlices::parse(value.text)
                .ok_or_else(|| value.wrong(Problem::Value(COMPUTE), COMPUTE_EXAMPLE))?;
            once(&mut compute, read, key, "compute")?;
        }
    }
    let sharing = sharing.map_or(Ok(MigSharing::Exclusive), mig_sharing)?;
    Ok(MigShare { profile, compute, sharing })
}

fn mig_sharing(part: Part<'_>) -> Parsed<MigSharing> {
    let (mode, parameters) = part.split(':');
    let example = "mig:3g.40gb/mps:threads=50";
    match mode.text {
        "time-slicing" => {
            bare(parameters, NO_INTERVAL, "mig:3g.40gb/time-slicing")?;
            Ok(MigSharing::TimeSlicing)
        }
        "mps" => Ok(MigSharing::Mps(mps_limits(parameters)?)),
        "" => Err(mode.wrong(Problem::Missing("the way to share behind '/'"), example)),
        _ => Err(mode.unknown("way to share a MIG device", &["time-slicing", "mps"], example)),
    }
}

pub(super) const NO_INTERVAL: &str =
    "the interval is set for whole GPUs: time-slicing on a MIG device takes none";

/// Reads `key=value,key=value`.
fn list<'a>(part: Part<'a>, example: &'static str) -> Parsed<Vec<(Part<'a>, Part<'a>)>> {
    let mut pairs = Vec::new();
    let mut rest = Some(part);
    while let Some(part) = rest {
        let (pair, behind) = part.split(',');
        let (key, value) = pair.split('=');
        if key.text.is_empty() {
            return Err(key.wrong(Problem::Missing("a parameter"), example));
        }
        let missing = || key.wrong(Problem::Missing("the value of this parameter"), example);
        let value = value.filter(|value| !value.text.is_empty()).ok_or_else(missing)?;
        pairs.push((key, value));
        rest = behind;
    }
    Ok(pairs)
}

fn once<T>(slot: &mut Option<T>, value: T, key: Part<'_>, name: &'static str) -> Parsed<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(key.wrong(Problem::Repeated(name), MPS)),
    }
}
