//! Which sharing modes can meet on one GPU, or inside one MIG device.

use serde::Serialize;

/// What is on a GPU, or on a MIG device, already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing.
    Nothing,
    /// A claim that has it alone.
    Exclusive,
    /// Claims that take turns.
    TimeSlicing,
    /// Claims that run at once.
    Mps,
    /// A compute mode that divvy did not set: EXCLUSIVE_PROCESS or PROHIBITED.
    ForeignComputeMode,
    /// MIG mode is on, and there is no MIG device.
    MigIdle,
    /// There are MIG devices.
    MigInUse,
    /// Compute processes that no claim accounts for.
    ForeignProcesses,
}

/// What a request wants there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Want {
    /// All of it.
    Exclusive,
    /// A turn.
    TimeSlicing,
    /// A share at the same time.
    Mps,
    /// A MIG device on it.
    MigDevice,
}

/// Whether the two can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They can.
    Yes,
    /// They can, if.
    If(Condition),
    /// They can't.
    No(Why),
}

/// Why two can't meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What is there doesn't share like that.
    Taken,
    /// The whole GPU can't be had while MIG mode is on; a MIG device can.
    MigIsOn,
    /// MPS sets the compute mode, under which other processes fail.
    WouldBreak,
}

/// What must hold besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// MIG mode is on, or policy, idleness and driver let it be turned on.
    MigOnOrMayBe,
    /// MIG mode is on already.
    MigOn,
    /// The interval is the same, and fewer claims take turns than there are replicas.
    IntervalAndReplicas,
    /// Threads, memory and clients are left.
    LimitsAndClients,
    /// A placement is free.
    PlacementFree,
    /// The processes are named in the grant.
    ProcessesNamed,
}

impl State {
    /// Every state, as the table has them.
    pub const ALL: [State; 8] = [
        State::Nothing,
        State::Exclusive,
        State::TimeSlicing,
        State::Mps,
        State::ForeignComputeMode,
        State::MigIdle,
        State::MigInUse,
        State::ForeignProcesses,
    ];

    fn words(self) -> &'static str {
        match self {
            State::Nothing => "nothing",
            State::Exclusive => "an exclusive claim",
            State::TimeSlicing => "time-slicing claims",
            State::Mps => "MPS claims",
            State::ForeignComputeMode => "EXCLUSIVE_PROCESS or PROHIBITED, set by someone else",
            State::MigIdle => "MIG on, idle",
            State::MigInUse => "MIG devices in use",
            State::ForeignProcesses => "processes nobody claims",
        }
    }
}

impl Want {
    /// Every want, as the table has them.
    pub const ALL: [Want; 4] = [Want::Exclusive, Want::TimeSlicing, Want::Mps, Want::MigDevice];

    pub(super) fn words(self) -> &'static str {
        match self {
            Want::Exclusive => "exclusive",
            Want::TimeSlicing => "time-slicing",
            Want::Mps => "MPS",
            Want::MigDevice => "a MIG device",
        }
    }
}

impl Condition {
    fn words(self) -> &'static str {
        match self {
            Condition::MigOnOrMayBe => "yes, if MIG is on or may be turned on",
            Condition::MigOn => "yes, if MIG is on: it is not turned on there",
            Condition::IntervalAndReplicas => "yes: same interval, replicas left",
            Condition::LimitsAndClients => "yes: threads, memory and client count left",
            Condition::PlacementFree => "yes, if a placement is free",
            Condition::ProcessesNamed => "yes, and says so",
        }
    }
}

/// The conflict matrix. Where several states meet on one GPU, each of them must agree.
pub fn answer(state: State, want: Want) -> Answer {
    use Answer::{If, No, Yes};
    match (state, want) {
        (State::Nothing, Want::MigDevice) => If(Condition::MigOnOrMayBe),
        (State::Nothing, _) => Yes,
        (State::TimeSlicing, Want::TimeSlicing) => If(Condition::IntervalAndReplicas),
        (State::Mps, Want::Mps) => If(Condition::LimitsAndClients),
        (State::ForeignComputeMode, Want::MigDevice) => If(Condition::MigOn),
        (State::MigIdle, Want::MigDevice) => Yes,
        (State::MigInUse, Want::MigDevice) => If(Condition::PlacementFree),
        (State::ForeignProcesses, Want::TimeSlicing) => If(Condition::ProcessesNamed),
        // They run in MIG devices; MIG mode is not turned on under them.
        (State::ForeignProcesses, Want::MigDevice) => If(Condition::MigOn),
        (State::ForeignProcesses, Want::Mps) => No(Why::WouldBreak),
        (State::MigIdle, _) => No(Why::MigIsOn),
        (
            State::Exclusive
            | State::TimeSlicing
            | State::Mps
            | State::ForeignComputeMode
            | State::MigInUse
            | State::ForeignProcesses,
            _,
        ) => No(Why::Taken),
    }
}

/// The matrix as a table in Markdown, as the README shows it.
pub fn markdown() -> String {
    let mut table = String::from("| the GPU has ↓ / a request wants → |");
    for want in Want::ALL {
        table.push_str(&format!(" {} |", want.words()));
    }
    table.push_str("\n|---|---|---|---|---|\n");
    for state in State::ALL {
        table.push_str(&format!("| {} |", state.words()));
        for want in Want::ALL {
            let words = match answer(state, want) {
                Answer::Yes => "yes",
                Answer::If(condition) => condition.words(),
                Answer::No(Why::Taken) => "no",
                Answer::No(Why::MigIsOn) => "no: names the remedy",
                Answer::No(Why::WouldBreak) => "no: they would break when the compute mode changes",
            };
            table.push_str(&format!(" {words} |"));
        }
        table.push('\n');
    }
    table
}
