//! What each process uses of a GPU.

use super::{Gpu, Utilization};
use crate::nvml::{Code, NvmlError, ProcessUtilization, Session};
use std::collections::BTreeMap;

/// The newest sample of each process since a time, in microseconds of Unix time, by pid. A process that isn't in it
/// used nothing. `None` where the driver doesn't measure: it does so for no GPU in MIG mode.
///
/// # Errors
/// The GPU doesn't answer.
pub fn utilization(
    session: &Session,
    gpu: &Gpu,
    since_us: u64,
) -> Result<Option<Vec<Utilization>>, NvmlError> {
    if gpu.mig_enabled() {
        return Ok(None);
    }
    match session.device_by_uuid(&gpu.uuid)?.process_utilization(since_us) {
        Ok(samples) => Ok(Some(newest(samples))),
        // No process did anything since.
        Err(error) if error.is(Code::NotFound) => Ok(Some(Vec::new())),
        Err(error) if error.is_unsupported() => Ok(None),
        Err(error) => Err(error),
    }
}

fn newest(mut samples: Vec<ProcessUtilization>) -> Vec<Utilization> {
    samples.sort_by_key(|sample| sample.time_us);
    let by_pid: BTreeMap<u32, ProcessUtilization> =
        samples.into_iter().map(|sample| (sample.pid, sample)).collect();
    let read = |sample: ProcessUtilization| Utilization {
        pid: sample.pid,
        multiprocessors: sample.multiprocessors,
        memory: sample.memory,
        encoder: sample.encoder,
        decoder: sample.decoder,
    };
    by_pid.into_values().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sample_of_a_process_counts() {
        let sample = |pid, time_us, multiprocessors| ProcessUtilization {
            pid,
            time_us,
            multiprocessors,
            memory: 0,
            encoder: 0,
            decoder: 0,
        };
        let newest = newest(vec![sample(7, 20, 50), sample(7, 10, 90), sample(3, 5, 1)]);
        let seen: Vec<_> = newest.iter().map(|used| (used.pid, used.multiprocessors)).collect();
        assert_eq!(seen, [(3, 1), (7, 50)]);
    }
}
