//! Claims of Kubernetes' dynamic resource allocation, as NVIDIA's DRA driver takes them: a ResourceClaim or
//! ResourceClaimTemplate (`resource.k8s.io`) with requests for `gpu.nvidia.com` and `mig.nvidia.com`, and the
//! driver's own configurations in it (`resource.nvidia.com/v1beta1`), which are also read alone.
//!
//! What isn't done is refused where it stands, never left out.

mod claim;
mod config;
mod convert;
mod quantity;
mod selector;
#[cfg(test)]
mod tests;

#[cfg(feature = "cli")]
pub use claim::Manifest;
pub use claim::{ReadError, is_one, read};
