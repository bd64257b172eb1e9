//! The manifests around requests for devices.

use super::config::DeviceConfig;
use super::convert;
use super::selector::Selector;
use crate::document::{self, FileError, Wrong, nullable};
use crate::request::{ListError, Requests};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};
use std::path::Path;

/// Why a manifest is no list of requests.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Something in it has no meaning, or is not done.
    #[error(transparent)]
    File(#[from] FileError),
    /// It has several claims.
    #[error("{file} has the claims {names}: choose one with --manifest NAME")]
    Which {
        /// The file.
        file: String,
        /// Their names.
        names: String,
    },
    /// It has no claim of that name.
    #[error("{file} has no claim {wanted:?}, but {names}")]
    Unknown {
        /// The file.
        file: String,
        /// The name that was asked for.
        wanted: String,
        /// Those that there are.
        names: String,
    },
    /// More than one claim may want.
    #[error("{file}: {source}")]
    List {
        /// The file.
        file: String,
        /// Why.
        source: Box<ListError>,
    },
}

#[derive(Deserialize)]
struct Head {
    kind: Option<Spanned<String>>,
}

/// A ResourceClaim.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResourceClaim {
    #[allow(dead_code, reason = "read for what it may say")]
    api_version: ClaimVersion,
    #[allow(dead_code, reason = "read for what it may say")]
    kind: ClaimKind,
    #[serde(default)]
    metadata: Metadata,
    spec: ClaimSpec,
    /// What a cluster found for it: nothing here.
    #[serde(default)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    #[allow(dead_code, reason = "another machine's answer")]
    status: Option<IgnoredAny>,
}

/// A ResourceClaimTemplate.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResourceClaimTemplate {
    #[allow(dead_code, reason = "read for what it may say")]
    api_version: ClaimVersion,
    #[allow(dead_code, reason = "read for what it may say")]
    kind: TemplateKind,
    #[serde(default)]
    metadata: Metadata,
    spec: TemplateSpec,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct TemplateSpec {
    #[serde(default)]
    #[cfg_attr(feature = "cli", schemars(with = "Option<serde_json::Value>"))]
    #[allow(dead_code, reason = "labels of claims that a cluster makes")]
    metadata: Option<IgnoredAny>,
    spec: ClaimSpec,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
enum ClaimKind {
    ResourceClaim,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
enum TemplateKind {
    ResourceClaimTemplate,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
enum ClaimVersion {
    #[serde(rename = "resource.k8s.io/v1")]
    V1,
    #[serde(rename = "resource.k8s.io/v1beta2")]
    V1Beta2,
    #[serde(rename = "resource.k8s.io/v1beta1")]
    V1Beta1,
}

/// Names, labels and whatever else Kubernetes keeps with its objects.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "ManifestMetadata"))]
#[serde(default)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimSpec {
    pub(super) devices: ClaimDevices,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimDevices {
    #[cfg_attr(feature = "cli", schemars(with = "Vec<DeviceRequest>"))]
    pub(super) requests: Vec<Spanned<DeviceRequest>>,
    #[serde(default, deserialize_with = "no_constraints")]
    #[cfg_attr(feature = "cli", schemars(skip))]
    #[allow(dead_code, reason = "refused where it says anything")]
    constraints: (),
    #[serde(default, deserialize_with = "nullable")]
    pub(super) config: Vec<ClaimConfig>,
}

/// A request, in the form of `v1` and `v1beta2` (`exactly`) or that of `v1beta1`.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DeviceRequest {
    pub(super) name: String,
    #[serde(default)]
    pub(super) exactly: Option<Exactly>,
    #[serde(default, deserialize_with = "no_alternatives")]
    #[cfg_attr(feature = "cli", schemars(skip))]
    #[allow(dead_code, reason = "refused where it says anything")]
    first_available: (),
    #[serde(default)]
    device_class_name: Option<DeviceClass>,
    #[serde(default)]
    selectors: Option<Vec<SelectorForm>>,
    #[serde(default)]
    allocation_mode: Option<AllocationMode>,
    #[serde(default)]
    count: Option<u64>,
    #[serde(default, deserialize_with = "no_admin")]
    #[allow(dead_code, reason = "refused where it is true")]
    admin_access: Option<bool>,
}

/// What is asked for.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Exactly {
    pub(super) device_class_name: DeviceClass,
    #[serde(default)]
    pub(super) selectors: Vec<SelectorForm>,
    #[serde(default)]
    #[allow(dead_code, reason = "the only mode that is done")]
    allocation_mode: Option<AllocationMode>,
    #[serde(default)]
    pub(super) count: Option<u64>,
    #[serde(default, deserialize_with = "no_admin")]
    #[allow(dead_code, reason = "refused where it is true")]
    admin_access: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub(super) enum DeviceClass {
    #[serde(rename = "gpu.nvidia.com")]
    Gpu,
    #[serde(rename = "mig.nvidia.com")]
    Mig,
}

/// `All` isn't done: a claim of every device that there is would hold the node.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
enum AllocationMode {
    ExactCount,
}

#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct SelectorForm {
    pub(super) cel: Cel,
}

#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Cel {
    pub(super) expression: Selector,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimConfig {
    /// The requests that it is for; empty for all.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "cli", schemars(with = "Vec<String>"))]
    pub(super) requests: Vec<Spanned<String>>,
    pub(super) opaque: Opaque,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Opaque {
    #[allow(dead_code, reason = "read for what it may say")]
    driver: Driver,
    #[cfg_attr(feature = "cli", schemars(with = "DeviceConfig"))]
    pub(super) parameters: Spanned<DeviceConfig>,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
enum Driver {
    #[serde(rename = "gpu.nvidia.com")]
    Gpu,
}

fn no_constraints<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match nullable::<D, Vec<IgnoredAny>>(deserializer)?.is_empty() {
        true => Ok(()),
        false => Err(D::Error::custom(
            "constraints between devices are not done: choose the GPU by a selector on uuid or parentUUID, or by a request, as in 2x mig:1g.10gb @0",
        )),
    }
}

fn no_alternatives<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match nullable::<D, Vec<IgnoredAny>>(deserializer)?.is_empty() {
        true => Ok(()),
        false => Err(D::Error::custom(
            "firstAvailable is not done: keep the alternative that is wanted, under exactly, and try another claim where it is refused",
        )),
    }
}

fn no_admin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Option::<bool>::deserialize(deserializer)? {
        Some(true) => Err(D::Error::custom(
            "adminAccess is not done: a claim has its devices by the rules for all; a static CDI device (nvidia.com/gpu=0) is had beside claims",
        )),
        other => Ok(other),
    }
}

impl DeviceRequest {
    /// What is asked for, in whichever form.
    pub(super) fn exactly(&self, place: Location) -> Result<Exactly, Wrong> {
        match (&self.exactly, self.device_class_name) {
            (Some(exactly), None) => Ok(exactly.clone()),
            (None, Some(device_class_name)) => Ok(Exactly {
                device_class_name,
                selectors: self.selectors.clone().unwrap_or_default(),
                allocation_mode: self.allocation_mode,
                count: self.count,
                admin_access: None,
            }),
            (None, None) => Err(Wrong::at(
                place,
                "the request says no deviceClassName: gpu.nvidia.com or mig.nvidia.com",
            )),
            (Some(_), Some(_)) => {
                Err(Wrong::at(place, "the request says its deviceClassName twice: keep exactly"))
            }
        }
    }
}

/// Whether a document is a manifest: a list of requests has no kind.
#[must_use]
pub fn is_one(text: &str) -> bool {
    let kind = |one: &String| document::parse::<Head>(one).is_ok_and(|head| head.kind.is_some());
    document::split(text).iter().any(kind)
}

/// Reads the requests of a claim: the only one in the text, or the one of that name.
///
/// # Errors
/// Something in the text has no meaning or is not done, or it isn't clear which claim is meant.
pub fn read(text: &str, path: &Path, name: Option<&str>) -> Result<Requests, ReadError> {
    let wrong = |wrong| ReadError::File(FileError::wrong(path, wrong));
    let file = path.display().to_string();
    let claims =
        document::split(text).iter().map(|one| manifest(one)).collect::<Result<Vec<_>, Wrong>>();
    let claims = claims.map_err(wrong)?;
    let names = || claims.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match (name, claims.as_slice()) {
        (None, [one]) => one,
        (None, _) => return Err(ReadError::Which { file, names: names() }),
        (Some(wanted), all) => match all.iter().find(|(name, _)| name == wanted) {
            Some(one) => one,
            None => {
                return Err(ReadError::Unknown { file, wanted: wanted.to_owned(), names: names() });
            }
        },
    };
    let requests = match &chosen.1 {
        Read::Claim(spec) => convert::claim(&spec.devices).map_err(wrong)?,
        Read::Config(config) => {
            vec![convert::config(&config.value, config.referenced).map_err(wrong)?]
        }
    };
    Requests::new(requests).map_err(|source| ReadError::List { file, source: Box::new(source) })
}

enum Read {
    Claim(ClaimSpec),
    Config(Spanned<DeviceConfig>),
}

fn manifest(text: &str) -> Result<(String, Read), Wrong> {
    let head: Head = document::parse(text)?;
    let kind = head.kind.as_ref().map(|kind| kind.value.as_str());
    match kind {
        Some("ResourceClaim") => {
            let claim: ResourceClaim = document::parse(text)?;
            Ok((claim.metadata.name, Read::Claim(claim.spec)))
        }
        Some("ResourceClaimTemplate") => {
            let template: ResourceClaimTemplate = document::parse(text)?;
            Ok((template.metadata.name, Read::Claim(template.spec.spec)))
        }
        Some(kind @ ("GpuConfig" | "MigDeviceConfig")) => {
            Ok((kind.to_owned(), Read::Config(document::parse(text)?)))
        }
        other => {
            let place = head.kind.as_ref().map_or(Location::UNKNOWN, |kind| kind.referenced);
            let said = other.map_or_else(|| "this".to_owned(), |kind| format!("a {kind}"));
            Err(Wrong::at(
                place,
                format_args!(
                    "{said} asks for no devices: ResourceClaim, ResourceClaimTemplate, GpuConfig and MigDeviceConfig do"
                ),
            ))
        }
    }
}

/// Every document that is read, for its schema.
#[cfg(feature = "cli")]
#[derive(Debug)]
pub enum Manifest {}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for Manifest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Manifest".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let all = [
            generator.subschema_for::<ResourceClaim>(),
            generator.subschema_for::<ResourceClaimTemplate>(),
            generator.subschema_for::<DeviceConfig>(),
        ];
        schemars::json_schema!({ "anyOf": all })
    }
}
