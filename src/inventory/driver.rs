//! The driver's values and ours, each from the other.

use super::{ComputeMode, PciAddress, Placement};
use crate::nvml::{self, Pci, Slices};

impl From<nvml::ComputeMode> for ComputeMode {
    fn from(mode: nvml::ComputeMode) -> Self {
        match mode {
            nvml::ComputeMode::Default => ComputeMode::Default,
            nvml::ComputeMode::Prohibited => ComputeMode::Prohibited,
            nvml::ComputeMode::ExclusiveProcess => ComputeMode::ExclusiveProcess,
        }
    }
}

impl From<ComputeMode> for nvml::ComputeMode {
    fn from(mode: ComputeMode) -> Self {
        match mode {
            ComputeMode::Default => nvml::ComputeMode::Default,
            ComputeMode::Prohibited => nvml::ComputeMode::Prohibited,
            ComputeMode::ExclusiveProcess => nvml::ComputeMode::ExclusiveProcess,
        }
    }
}

impl PciAddress {
    /// The address as NVML tells it; `None` where that is none.
    pub(crate) fn of(pci: &Pci) -> Option<PciAddress> {
        let (bus, device) = (u8::try_from(pci.bus).ok()?, u8::try_from(pci.device).ok()?);
        Some(PciAddress { domain: pci.domain, bus, device })
    }
}

impl From<Placement> for Slices {
    fn from(place: Placement) -> Self {
        Slices { start: place.start, size: place.size }
    }
}

/// A placement that makes sense: of at least one slice, on a board of fewer than 256.
pub(super) fn placement(place: Slices) -> Option<Placement> {
    let sane = place.size >= 1 && place.start < 256 && place.size < 256;
    sane.then_some(Placement { start: place.start, size: place.size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_without_sense_is_left_out() {
        assert_eq!(placement(Slices { start: 0, size: 0 }), None);
        assert_eq!(placement(Slices { start: u32::MAX, size: 2 }), None);
        assert_eq!(placement(Slices { start: 4, size: 4 }), Some(Placement { start: 4, size: 4 }));
    }

    #[test]
    fn compute_modes_come_back_as_they_went() {
        use ComputeMode::{Default, ExclusiveProcess, Prohibited};
        for mode in [Default, Prohibited, ExclusiveProcess] {
            assert_eq!(ComputeMode::from(nvml::ComputeMode::from(mode)), mode);
        }
    }
}
