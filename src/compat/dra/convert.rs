//! From what a claim says to requests.

use super::claim::{ClaimConfig, ClaimDevices, DeviceClass, Exactly, SelectorForm};
use super::config::{ConfigKind, DeviceConfig, MpsConfig, Sharing};
use super::selector::Attribute;
use crate::document::Wrong;
use crate::inventory::ProfileName;
use crate::request::{Count, Memory, MigShare, MigSharing, MpsLimits, Pin, Request, Share};
use serde_saphyr::{Location, Spanned};

/// The requests of a claim, in their order.
pub(super) fn claim(devices: &ClaimDevices) -> Result<Vec<Request>, Wrong> {
    for named in devices.config.iter().flat_map(|config| &config.requests) {
        if !devices.requests.iter().any(|request| request.value.name == named.value) {
            let message = format!("there is no request {:?} in this claim", named.value);
            return Err(Wrong::at(named.referenced, message));
        }
    }
    devices
        .requests
        .iter()
        .map(|request| {
            let place = request.referenced;
            let exactly = request.value.exactly(place)?;
            let sharing =
                sharing_of(&request.value.name, exactly.device_class_name, &devices.config)?;
            one(&exactly, sharing, place)
        })
        .collect()
}

/// The request that a configuration alone is: one GPU.
pub(super) fn config(config: &DeviceConfig, place: Location) -> Result<Request, Wrong> {
    match config.kind {
        ConfigKind::GpuConfig => Ok(Request::new(whole(config.sharing.as_ref(), 1, None, place)?)),
        ConfigKind::MigDeviceConfig => Err(Wrong::at(
            place,
            "a MigDeviceConfig alone names no profile: put it into a ResourceClaim whose request selects one, or ask as in mig:3g.40gb/mps:threads=50",
        )),
    }
}

/// How a request's devices are shared: the last configuration for it holds.
fn sharing_of<'a>(
    name: &str,
    class: DeviceClass,
    configs: &'a [ClaimConfig],
) -> Result<Option<&'a Sharing>, Wrong> {
    let mut found = None;
    for config in configs {
        let parameters = &config.opaque.parameters;
        let named = config.requests.iter().any(|one| one.value == name);
        let fits = matches!(
            (class, parameters.value.kind),
            (DeviceClass::Gpu, ConfigKind::GpuConfig)
                | (DeviceClass::Mig, ConfigKind::MigDeviceConfig)
        );
        match (named, fits) {
            (true, false) => {
                let message = format!(
                    "this configuration is for the other class of devices than the request {name:?}: GpuConfig is for gpu.nvidia.com, MigDeviceConfig for mig.nvidia.com"
                );
                return Err(Wrong::at(parameters.referenced, message));
            }
            (_, true) if named || config.requests.is_empty() => found = Some(parameters),
            _ => {}
        }
    }
    Ok(found.and_then(|parameters: &Spanned<DeviceConfig>| parameters.value.sharing.as_ref()))
}

/// What selectors come to.
#[derive(Default)]
struct Selected {
    profile: Option<ProfileName>,
    pin: Option<Pin>,
}

fn selected(
    selectors: &[SelectorForm],
    class: DeviceClass,
    place: Location,
) -> Result<Selected, Wrong> {
    let mut selected = Selected::default();
    for SelectorForm { cel } in selectors {
        let value = &cel.expression.value;
        let wrong = |what: &str| Wrong::at(place, format_args!("{value:?} is no {what}"));
        let twice = || Wrong::at(place, "two selectors choose the same thing: keep one");
        match (cel.expression.attribute, class) {
            (Attribute::Profile, DeviceClass::Mig) => {
                let profile =
                    ProfileName::parse(value).ok_or_else(|| wrong("MIG profile, as 1g.10gb is"))?;
                if selected.profile.replace(profile).is_some() {
                    return Err(twice());
                }
            }
            (Attribute::Profile | Attribute::ParentUuid, DeviceClass::Gpu) => {
                return Err(Wrong::at(
                    place,
                    "a GPU has no profile and no parentUUID: MIG devices have, of the class mig.nvidia.com",
                ));
            }
            (Attribute::ProductName | Attribute::Uuid | Attribute::ParentUuid, _) => {
                let pin = Pin::parse(value).ok_or_else(|| wrong("GPU, MIG device or product"))?;
                if selected.pin.replace(pin).is_some() {
                    return Err(twice());
                }
            }
        }
    }
    Ok(selected)
}

fn one(exactly: &Exactly, sharing: Option<&Sharing>, place: Location) -> Result<Request, Wrong> {
    let count = Count::new(exactly.count.unwrap_or(1))
        .ok_or_else(|| Wrong::at(place, "count is a number from 1 to 64"))?;
    let class = exactly.device_class_name;
    let Selected { profile, pin } = selected(&exactly.selectors, class, place)?;
    let uuid = pin
        .as_ref()
        .filter(|pin| matches!(pin, Pin::Gpu(_) | Pin::MigDevice(_)))
        .map(Pin::to_string);
    let share = match (class, profile, &pin) {
        (DeviceClass::Gpu, _, _) | (DeviceClass::Mig, None, Some(Pin::MigDevice(_))) => {
            whole(sharing, count.get(), uuid.as_deref(), place)?
        }
        (DeviceClass::Mig, Some(profile), _) => {
            let sharing = match sharing {
                None => MigSharing::Exclusive,
                Some(Sharing::TimeSlicing(None)) => MigSharing::TimeSlicing,
                Some(Sharing::TimeSlicing(Some(_))) => {
                    return Err(Wrong::at(
                        place,
                        "the interval is set for whole GPUs: leave timeSlicingConfig out of MigDeviceConfig",
                    ));
                }
                Some(Sharing::Mps(mps)) => MigSharing::Mps(limits(mps, count.get(), None, place)?),
            };
            Share::Mig(MigShare { profile, compute: None, sharing })
        }
        (DeviceClass::Mig, None, _) => {
            return Err(Wrong::at(
                place,
                "a MIG device of any profile can't be made: select one with device.attributes['gpu.nvidia.com'].profile == '1g.10gb'",
            ));
        }
    };
    let request = Request::new(share).with_count(count);
    match pin {
        None => Ok(request),
        Some(pin) => request.with_pin(pin).map_err(|clash| Wrong::at(place, clash)),
    }
}

/// A share of a GPU, or of a MIG device that exists.
fn whole(
    sharing: Option<&Sharing>,
    count: usize,
    uuid: Option<&str>,
    place: Location,
) -> Result<Share, Wrong> {
    Ok(match sharing {
        None => Share::Exclusive,
        Some(Sharing::TimeSlicing(interval)) => Share::TimeSlicing { interval: *interval },
        Some(Sharing::Mps(mps)) => Share::Mps(limits(mps, count, uuid, place)?),
    })
}

/// One memory limit for all devices of the request: those by device must say the same for each.
fn limits(
    mps: &MpsConfig,
    count: usize,
    uuid: Option<&str>,
    place: Location,
) -> Result<MpsLimits, Wrong> {
    let by_device = &mps.default_per_device_pinned_memory_limit;
    let default = mps.default_pinned_device_memory_limit.map(|limit| limit.0);
    let mut each: Vec<Option<Memory>> = vec![default; count];
    for (key, limit) in by_device {
        let index = match key.parse::<usize>() {
            Ok(index) => Some(index),
            Err(_) => (uuid == Some(key.as_str()) && count == 1).then_some(0),
        };
        match index.and_then(|index| each.get_mut(index)) {
            Some(slot) => *slot = Some(limit.0),
            None => {
                return Err(Wrong::at(
                    place,
                    format_args!(
                        "defaultPerDevicePinnedMemoryLimit has {key:?}, which is no device of this request: they are counted from 0, and one is chosen by a selector on uuid"
                    ),
                ));
            }
        }
    }
    let memory = each.first().copied().flatten();
    if each.iter().any(|one| *one != memory) {
        return Err(Wrong::at(
            place,
            "defaultPerDevicePinnedMemoryLimit differs between the devices of one request, and a claim's clients have one limit: make a claim for each",
        ));
    }
    Ok(MpsLimits { threads: mps.default_active_thread_percentage, memory })
}
