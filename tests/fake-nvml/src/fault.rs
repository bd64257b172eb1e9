//! Faults on demand: an error or a death at the nth call of a symbol.
//!
//! A fault is `SYMBOL:N:CODE` (the nth call answers that code and does nothing),
//! `SYMBOL:N:CODE:after` (it acts, and answers that code all the same),
//! `SYMBOL:N:abort` (the process dies before the nth call acts) or `SYMBOL:N:after` (it dies
//! after the call has acted). `*` as the symbol counts all calls that change something.
//! Calls are counted from 1, per process.

use crate::code::Code;
use std::collections::HashMap;

/// One fault that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    symbol: String,
    call: u32,
    effect: Effect,
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call answers this and does nothing.
    Error(Code),
    /// The call acts, and answers this all the same.
    ErrorAfter(Code),
    /// The process dies before the call acts.
    Abort,
    /// The process dies after the call has acted.
    AbortAfter,
}

impl Fault {
    /// Reads a list of faults, by commas or lines; `#` starts a comment.
    pub fn list(text: &str) -> Result<Vec<Fault>, String> {
        let entries = text.lines().filter_map(|line| line.split('#').next());
        let entries = entries.flat_map(|line| line.split(',')).map(str::trim);
        entries.filter(|entry| !entry.is_empty()).map(Fault::parse).collect()
    }

    /// The list of `FAKE_NVML_ABORT_AT`: a fault without an effect aborts.
    pub fn abort_list(text: &str) -> Result<Vec<Fault>, String> {
        let whole = |entry: &str| match entry.matches(':').count() {
            1 => format!("{entry}:abort"),
            _ => entry.to_owned(),
        };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| Fault::parse(&whole(entry))).collect()
    }

    fn parse(text: &str) -> Result<Fault, String> {
        let wrong = || {
            format!("{text:?} is no fault: SYMBOL:N:CODE[:after], SYMBOL:N:abort or SYMBOL:N:after")
        };
        let mut parts = text.split(':');
        let (symbol, call, effect) = (parts.next(), parts.next(), parts.next());
        let call = call.and_then(|call| call.parse().ok()).filter(|call| *call > 0);
        let code = |code: &str| code.parse().map(Code).map_err(|_| wrong());
        let effect = match (effect.ok_or_else(wrong)?, parts.next()) {
            ("abort", None) => Effect::Abort,
            ("after", None) => Effect::AbortAfter,
            (answer, None) => Effect::Error(code(answer)?),
            (answer, Some("after")) => Effect::ErrorAfter(code(answer)?),
            (_, Some(_)) => return Err(wrong()),
        };
        let symbol = symbol.filter(|symbol| !symbol.is_empty() && parts.next().is_none());
        let symbol = symbol.ok_or_else(wrong)?.to_owned();
        Ok(Fault { symbol, call: call.ok_or_else(wrong)?, effect })
    }
}

/// The faults of a process and its calls so far.
#[derive(Debug, Default)]
pub struct Faults {
    due: Vec<Fault>,
    calls: HashMap<&'static str, u32>,
    changes: u32,
}

impl Faults {
    /// Counts nothing yet.
    pub fn new(due: Vec<Fault>) -> Faults {
        Faults { due, ..Faults::default() }
    }

    /// Adds faults that were learned of later.
    pub fn add(&mut self, more: Vec<Fault>) {
        self.due.extend(more);
    }

    /// Counts a call and says what must happen to it.
    pub fn count(&mut self, symbol: &'static str, changes: bool) -> Option<Effect> {
        let call = self.calls.entry(symbol).or_insert(0);
        *call += 1;
        self.changes += u32::from(changes);
        let of_all = if changes { self.changes } else { 0 };
        let call = *call;
        let hit = |fault: &&Fault| match fault.symbol.as_str() {
            "*" => fault.call == of_all,
            name => name == symbol && fault.call == call,
        };
        self.due.iter().find(hit).map(|fault| fault.effect)
    }
}

#[cfg(test)]
mod tests;
