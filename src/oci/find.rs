//! Which request is in a configuration, and whether it counts.

use super::{CLAIM, REQUEST, REQUEST_VARIABLE, kind};
use crate::claim::{ClaimId, InvalidClaimId};
use crate::config::RequestSources;
use crate::hook_args::{CREATE_RUNTIME, CreateRuntime, CreateRuntimeError};
use crate::request::{ListError, Requests};
use serde_json::{Map, Value};

/// Whose word counts.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Paths of divvy's own hook. Arguments of hooks elsewhere are not believed.
    pub hooks: &'a [&'a str],
    /// What the administrator allows.
    pub sources: RequestSources,
    /// Whether the engine is known to be podman, whose user wrote its pods as well.
    pub podman: bool,
}

/// What a container asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// All of it, as one claim.
    pub requests: Requests,
    /// What of it no hook carries, so that none would bind the claim: an annotation's or a variable's.
    pub unhooked: Option<Requests>,
    /// The host's uid of the container's first process, the MPS client.
    pub uid: u32,
    /// The claim that an earlier road has made for it.
    pub claim: Option<ClaimId>,
    /// Whether it is in a CRI pod, where the claim's name may be the pod's author's word.
    pub in_pod: bool,
}

/// Why it is not known what a container asks for, or why it may not ask so.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// A field of another type than OCI says.
    #[error("the container's configuration has {found} where {expected} belongs, in {field}")]
    WrongType {
        /// The field, such as `hooks.createRuntime`.
        field: String,
        /// What stands there.
        found: &'static str,
        /// What should.
        expected: &'static str,
    },
    /// A hook entry of divvy's own that is not one.
    #[error(
        "the container's hook {CREATE_RUNTIME}: {0}; write the CDI spec anew with `divvy cdi refresh`"
    )]
    Hook(Box<CreateRuntimeError>),
    /// An annotation or a variable that is no request.
    #[error("{place}: {error}")]
    Request {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        error: Box<ListError>,
    },
    /// Too many of them together.
    #[error(transparent)]
    List(Box<ListError>),
    /// A pod asks by annotation, and may not.
    #[error(
        "the pod asks for GPUs by the annotation {0}, which by-passes the cluster's quota and is off: turn it on with requests: from-pod-annotations: true in divvy's configuration, or ask by a CDI device"
    )]
    PodAnnotation(String),
    /// A pod asks, and doesn't say for which of its containers.
    #[error(
        "in a pod, divvy.request doesn't say which container asks: write {REQUEST}/CONTAINER (divvy.request/{0} for this one)"
    )]
    WholePod(String),
    /// The claim's name stands there, and not the hook that comes with it.
    #[error(
        "the container asks for GPUs and has the annotation {CLAIM}, which is divvy's own: leave it out"
    )]
    Claimed,
    /// The claim's name is none.
    #[error("annotation {CLAIM}: {0}")]
    Claim(#[from] InvalidClaimId),
}

/// What the container asks for; `None` for one that asks for nothing.
///
/// CDI devices and the annotation count together; a request that is there several times counts once, since
/// engines run the hooks of a device once for each time that it is named. The environment counts only where
/// nothing else asks: it may be the image's.
///
/// # Errors
/// A request that can't be read or doesn't count where it stands: the container must not start without it.
pub fn find(config: &Value, rules: &Rules) -> Result<Option<Asked>, FindError> {
    let annotations = member(config, "annotations")?;
    let pod = if rules.podman { None } else { Pod::of(annotations) };
    if pod.as_ref().is_some_and(|pod| pod.pause) {
        return Ok(None);
    }
    let hooked = by_hooks(config, rules)?;
    let mut unhooked = match &pod {
        None => annotation(annotations, REQUEST)?,
        Some(pod) => by_pod(annotations, pod, rules, &hooked)?,
    };
    if hooked.is_empty() && unhooked.is_none() && rules.sources.from_environment {
        unhooked = by_environment(config)?;
    }
    let unhooked = unhooked.filter(|list| !hooked.contains(list));
    let lists: Vec<Requests> = hooked.iter().chain(&unhooked).cloned().collect();
    if lists.is_empty() {
        return Ok(None);
    }
    let claim = annotations.and_then(|all| all.get(CLAIM)).map(claim).transpose()?;
    if claim.is_some() && hooked.is_empty() {
        return Err(FindError::Claimed);
    }
    let requests = Requests::new(lists.into_iter().flat_map(Requests::into_vec).collect());
    let requests = requests.map_err(|error| FindError::List(Box::new(error)))?;
    Ok(Some(Asked { requests, unhooked, uid: uid(config)?, claim, in_pod: pod.is_some() }))
}

fn claim(value: &Value) -> Result<ClaimId, FindError> {
    match value {
        Value::String(id) => Ok(id.parse()?),
        other => Err(wrong_type(&format!("annotation {CLAIM}"), other, "a text")),
    }
}

/// The requests of divvy's own hooks, each list of them once.
fn by_hooks(config: &Value, rules: &Rules) -> Result<Vec<Requests>, FindError> {
    let mut found: Vec<Requests> = Vec::new();
    let Some(hooks) = member(config, "hooks")? else { return Ok(found) };
    for stage in ["createRuntime", "prestart"] {
        for entry in list(hooks.get(stage), &format!("hooks.{stage}"))? {
            let Some(args) = own_args(entry, rules) else { continue };
            let parsed = CreateRuntime::parse(&args);
            if let CreateRuntime::Request(requests) =
                parsed.map_err(|e| FindError::Hook(Box::new(e)))?
                && !found.contains(&requests)
            {
                found.push(requests);
            }
        }
    }
    Ok(found)
}

/// The arguments behind the stage, where the entry is divvy's own `create-runtime`. What isn't text becomes
/// an argument that there is none of.
fn own_args<'a>(entry: &'a Value, rules: &Rules) -> Option<Vec<&'a str>> {
    let path = entry.get("path")?.as_str()?;
    let args = entry.get("args")?.as_array()?;
    let own = rules.hooks.contains(&path) && args.get(1)?.as_str()? == CREATE_RUNTIME;
    own.then(|| args.iter().skip(2).map(|arg| arg.as_str().unwrap_or_default()).collect())
}

fn by_environment(config: &Value) -> Result<Option<Requests>, FindError> {
    let process = config.get("process").unwrap_or(&Value::Null);
    let variables = list(process.get("env"), "process.env")?;
    let said = variables.iter().rev().filter_map(Value::as_str);
    let text =
        said.filter_map(|entry| entry.split_once('=')).find(|(name, _)| *name == REQUEST_VARIABLE);
    text.map(|(_, text)| request(REQUEST_VARIABLE, text)).transpose()
}

/// A container of a pod, by the annotations that containerd and CRI-O set.
struct Pod {
    /// Whether it is the one that only holds the pod's namespaces.
    pause: bool,
    /// The container's name in the pod.
    name: Option<String>,
}

impl Pod {
    /// What every container of a pod has. podman 4 gives others of CRI-O's to all that it runs.
    const KEYS: [&str; 4] = [
        "io.kubernetes.cri.container-type",
        "io.kubernetes.cri.sandbox-id",
        "io.kubernetes.cri-o.ContainerType",
        "io.kubernetes.cri-o.SandboxID",
    ];

    fn of(annotations: Option<&Map<String, Value>>) -> Option<Pod> {
        let annotations = annotations?;
        let text = |key: &str| annotations.get(key).and_then(Value::as_str);
        if !Pod::KEYS.iter().any(|key| annotations.contains_key(*key)) {
            return None;
        }
        let kind = text("io.kubernetes.cri.container-type")
            .or_else(|| text("io.kubernetes.cri-o.ContainerType"));
        let name = text("io.kubernetes.cri.container-name")
            .or_else(|| text("io.kubernetes.container.name"));
        Some(Pod { pause: kind == Some("sandbox"), name: name.map(str::to_owned) })
    }
}

fn by_pod(
    annotations: Option<&Map<String, Value>>,
    pod: &Pod,
    rules: &Rules,
    hooked: &[Requests],
) -> Result<Option<Requests>, FindError> {
    let name = pod.name.as_deref().unwrap_or("NAME");
    let key = format!("{REQUEST}/{name}");
    // In podman's own pods precreate has made a hook of it by the time that others look.
    let whole = annotation(annotations, REQUEST)?.is_some_and(|list| !hooked.contains(&list));
    match annotation(annotations, &key)? {
        Some(_) if !rules.sources.from_pod_annotations => Err(FindError::PodAnnotation(key)),
        None if whole => Err(FindError::WholePod(name.to_owned())),
        found => Ok(found),
    }
}

fn annotation(
    annotations: Option<&Map<String, Value>>,
    key: &str,
) -> Result<Option<Requests>, FindError> {
    let Some(value) = annotations.and_then(|all| all.get(key)) else { return Ok(None) };
    let place = format!("annotation {key}");
    match value {
        Value::String(text) => request(&place, text).map(Some),
        other => Err(wrong_type(&place, other, "a text")),
    }
}

fn request(place: &str, text: &str) -> Result<Requests, FindError> {
    text.parse()
        .map_err(|error| FindError::Request { place: place.to_owned(), error: Box::new(error) })
}

/// The uid of the container's process as the host counts.
fn uid(config: &Value) -> Result<u32, FindError> {
    let said = config.pointer("/process/user/uid").and_then(Value::as_u64).unwrap_or(0);
    let mappings = config.pointer("/linux/uidMappings");
    let number = |mapping: &Value, key: &str| mapping.get(key).and_then(Value::as_u64);
    let mapped = list(mappings, "linux.uidMappings")?.iter().find_map(|mapping| {
        let inside = said.checked_sub(number(mapping, "containerID")?)?;
        let host = number(mapping, "hostID")?.checked_add(inside)?;
        (inside < number(mapping, "size")?).then_some(host)
    });
    let uid = u32::try_from(mapped.unwrap_or(said)).ok();
    uid.ok_or_else(|| FindError::WrongType {
        field: "process.user.uid".to_owned(),
        found: "a number beyond 32 bits",
        expected: "a uid",
    })
}

/// An object's member that is an object itself, where it is there and not null.
fn member<'a>(object: &'a Value, name: &str) -> Result<Option<&'a Map<String, Value>>, FindError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(member)) => Ok(Some(member)),
        Some(other) => Err(wrong_type(name, other, "an object")),
    }
}

/// The entries of a list; none, where it is not there or null.
fn list<'a>(value: Option<&'a Value>, field: &str) -> Result<&'a [Value], FindError> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(entries)) => Ok(entries),
        Some(other) => Err(wrong_type(field, other, "a list")),
    }
}

fn wrong_type(field: &str, found: &Value, expected: &'static str) -> FindError {
    FindError::WrongType { field: field.to_owned(), found: kind(found), expected }
}
