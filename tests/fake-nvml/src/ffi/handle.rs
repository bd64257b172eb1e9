//! NVML's opaque handles, as numbers: what they stand for is read off them, so nothing is kept
//! and nothing can dangle. An instance's handle holds the serial of its creation: one made again
//! under the same ids is another instance.

use crate::code::Code;
use crate::machine;
use crate::mig::{ComputeInstance, GpuInstance};
use crate::node::Node;
use crate::state::State;

/// A handle of any kind; 0 is none.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle(usize);

/// What a handle stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// A GPU.
    Gpu(usize),
    /// A MIG device, by its compute instance.
    Mig(Part),
    /// A GPU instance; its part's `ci` is 0.
    GpuInstance(Part),
    /// A compute instance.
    ComputeInstance(Part),
}

/// An instance on a GPU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) gpu: usize,
    pub(super) gi: u32,
    pub(super) ci: u32,
    pub(super) serial: u32,
}

const BYTE: usize = 0xff;

impl From<Thing> for Handle {
    fn from(thing: Thing) -> Handle {
        let part = |kind: usize, part: Part| {
            let (gi, ci, serial) = (part.gi as usize, part.ci as usize, part.serial as usize);
            Handle(kind << 56 | serial << 24 | ci << 16 | gi << 8 | part.gpu)
        };
        match thing {
            Thing::Gpu(gpu) => Handle(1 << 56 | gpu),
            Thing::Mig(of) => part(2, of),
            Thing::GpuInstance(of) => part(3, of),
            Thing::ComputeInstance(of) => part(4, of),
        }
    }
}

impl Handle {
    fn thing(self) -> Result<Thing, Code> {
        let number = |shift: u32, mask: usize| u32::try_from(self.0 >> shift & mask).unwrap_or(0);
        let part = Part {
            gpu: self.0 & BYTE,
            gi: number(8, BYTE),
            ci: number(16, BYTE),
            serial: number(24, 0xffff_ffff),
        };
        match self.0 >> 56 {
            1 => Ok(Thing::Gpu(part.gpu)),
            2 => Ok(Thing::Mig(part)),
            3 => Ok(Thing::GpuInstance(part)),
            4 => Ok(Thing::ComputeInstance(part)),
            _ => Err(Code::INVALID_ARGUMENT),
        }
    }

    /// The device: a GPU, or a MIG device that exists.
    pub(super) fn device(self, node: &Node, state: &State) -> Result<Device, Code> {
        match self.thing()? {
            Thing::Gpu(gpu) => machine::gpu(node, state, gpu).map(|_| Device::Gpu(gpu)),
            Thing::Mig(part) => {
                machine::gpu(node, state, part.gpu)?;
                let found = find(state, part).filter(|(_, compute)| compute.serial == part.serial);
                found.map(|_| Device::Mig(part)).ok_or(Code::INVALID_ARGUMENT)
            }
            _ => Err(Code::INVALID_ARGUMENT),
        }
    }

    /// The GPU; a MIG device's handle is refused.
    pub(super) fn gpu(self, node: &Node, state: &State) -> Result<usize, Code> {
        match self.device(node, state)? {
            Device::Gpu(gpu) => Ok(gpu),
            Device::Mig(_) => Err(Code::NOT_SUPPORTED),
        }
    }

    /// A GPU instance that exists.
    pub(super) fn gpu_instance(
        self,
        node: &Node,
        state: &State,
    ) -> Result<(usize, GpuInstance), Code> {
        let Thing::GpuInstance(part) = self.thing()? else { return Err(Code::INVALID_ARGUMENT) };
        let (_, gpu) = machine::mig_gpu(node, state, part.gpu)?;
        let same =
            |instance: &&GpuInstance| instance.id == part.gi && instance.serial == part.serial;
        let instance = gpu.instances.iter().find(same).cloned();
        instance.map(|instance| (part.gpu, instance)).ok_or(Code::INVALID_ARGUMENT)
    }

    /// A compute instance that exists.
    pub(super) fn compute_instance(
        self,
        node: &Node,
        state: &State,
    ) -> Result<(Part, ComputeInstance), Code> {
        let Thing::ComputeInstance(part) = self.thing()? else {
            return Err(Code::INVALID_ARGUMENT);
        };
        machine::mig_gpu(node, state, part.gpu)?;
        let compute = find(state, part).map(|(_, compute)| compute.clone());
        let compute = compute.filter(|compute| compute.serial == part.serial);
        compute.map(|compute| (part, compute)).ok_or(Code::INVALID_ARGUMENT)
    }

    /// As the bindings' structs hold it.
    pub(super) fn pointer<T>(self) -> *mut T {
        std::ptr::without_provenance_mut(self.0)
    }

    /// Whether it is a MIG device's, alive or not.
    pub(super) fn is_mig(self) -> Result<bool, Code> {
        match self.thing()? {
            Thing::Gpu(_) => Ok(false),
            Thing::Mig(_) => Ok(true),
            _ => Err(Code::INVALID_ARGUMENT),
        }
    }
}

/// What a device handle stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Device {
    /// A whole GPU.
    Gpu(usize),
    /// A MIG device.
    Mig(Part),
}

impl Device {
    /// The GPU that it is or is part of.
    pub(super) fn gpu(self) -> usize {
        match self {
            Device::Gpu(gpu) => gpu,
            Device::Mig(part) => part.gpu,
        }
    }

    /// The MIG device; `None` for a whole GPU.
    pub(super) fn mig(self) -> Option<Part> {
        match self {
            Device::Gpu(_) => None,
            Device::Mig(part) => Some(part),
        }
    }
}

/// The instances that a part names.
pub(super) fn find(state: &State, part: Part) -> Option<(&GpuInstance, &ComputeInstance)> {
    let gpu = state.gpus.get(part.gpu)?;
    let instance = gpu.instances.iter().find(|instance| instance.id == part.gi)?;
    let compute = instance.compute.iter().find(|compute| compute.id == part.ci)?;
    Some((instance, compute))
}
