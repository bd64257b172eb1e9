//! What is being done, for somebody who watches.

use super::Node;
use crate::claim::Step;
use crate::plan::layout;
use std::time::{Duration, Instant};

/// What happens to a step.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// It begins.
    Begins {
        /// Which.
        work: Work<'a>,
        /// NVML's index of the GPU, where it is on one.
        gpu: Option<u32>,
    },
    /// It is over.
    Over {
        /// How long it took.
        took: Duration,
        /// How it went.
        end: End,
    },
}

/// What can be watched.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// A step for a claim.
    Do(&'a Step),
    /// Its undo.
    Undo(&'a Step),
    /// A step to a layout.
    Layout(&'a layout::Step),
    /// The undo of one, in words.
    LayoutUndo(&'a str),
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Well.
    Done,
    /// What was to be undone is in use, and stays.
    InUse,
    /// It failed.
    Failed,
}

/// A step under way. One that is dropped before its end is told has failed.
#[derive(Debug)]
pub(crate) struct Running {
    watch: Option<fn(Progress<'_>)>,
    since: Instant,
    end: End,
}

impl Running {
    /// Begins it, on the GPU of that UUID.
    pub(crate) fn begin(node: &Node<'_>, work: Work<'_>, gpu: Option<&str>) -> Running {
        let (watch, since) = (node.settings.watch, Instant::now());
        if let Some(watch) = watch {
            let device = gpu.and_then(|uuid| node.nvml.device_by_uuid(uuid).ok());
            let gpu = device.and_then(|device| device.index().ok());
            watch(Progress::Begins { work, gpu });
        }
        Running { watch, since, end: End::Failed }
    }

    /// Tells how it went.
    pub(crate) fn over(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(watch) = self.watch {
            watch(Progress::Over { took: self.since.elapsed(), end: self.end });
        }
    }
}
