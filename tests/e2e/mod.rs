//! divvy with real engines, each in a bed of its own: `make test-engines` runs them.
//!
//! A test here is `#[ignore]`d, since it needs root and the engines that `tests/e2e/setup` fetches.

mod aftermath;
mod bed;
mod config_edit;
mod documents;
mod ground;
mod live;
mod metrics;
mod mps;
mod rootless;
mod runtime_configure;
mod site;
mod static_cdi;
mod static_work;
mod together;

use bed::{Bed, Cgroup, Ran, Suite};

use crate::support::skip;

/// The two OCI runtimes that every suite has.
const RUNTIMES: [&str; 2] = ["runc", "crun"];

/// Makes one ignored test for each suite and cgroup layout, out of a `fn(Bed)`, or one with a `&str` more for each
/// text behind them: an OCI runtime, say.
macro_rules! in_each_bed {
    ($check:ident: $($name:ident = $suite:ident $cgroup:ident $($text:literal)*),+ $(,)?) => {
        mod $check {
            use $crate::e2e::{Bed, Cgroup, Suite};
            $(
                #[test]
                #[ignore = "needs the engines: make test-engines"]
                fn $name() {
                    if let Some(bed) = Bed::start(Cgroup::$cgroup, Suite::$suite) {
                        super::$check(bed $(, $text)*);
                    }
                }
            )+
        }
    };
}
use in_each_bed;

/// [`in_each_bed`] with every podman: three suites, two cgroup layouts, two runtimes.
macro_rules! with_each_podman {
    ($check:ident) => {
        $crate::e2e::in_each_bed!($check:
            bookworm_v1_runc = Bookworm V1 "runc", bookworm_v1_crun = Bookworm V1 "crun",
            bookworm_v2_runc = Bookworm V2 "runc", bookworm_v2_crun = Bookworm V2 "crun",
            trixie_v1_runc = Trixie V1 "runc", trixie_v1_crun = Trixie V1 "crun",
            trixie_v2_runc = Trixie V2 "runc", trixie_v2_crun = Trixie V2 "crun",
            sid_v1_runc = Sid V1 "runc", sid_v1_crun = Sid V1 "crun",
            sid_v2_runc = Sid V2 "runc", sid_v2_crun = Sid V2 "crun",
        );
    };
}
use with_each_podman;

/// [`in_each_bed`] where there are containerd and Docker: two suites, two cgroup layouts.
macro_rules! with_each_daemon {
    ($check:ident) => {
        $crate::e2e::in_each_bed!($check:
            trixie_v1 = Trixie V1, trixie_v2 = Trixie V2, sid_v1 = Sid V1, sid_v2 = Sid V2,
        );
    };
}
use with_each_daemon;

/// Whether bookworm's crun stopped for lack of CAP_SYS_RESOURCE, which it wants on cgroup v2; said as a skip.
fn lacks_capability(ran: &Ran) -> bool {
    let lacks = ran.code != 0
        && [&ran.stdout, &ran.stderr]
            .iter()
            .any(|text| text.contains("setrlimit (RLIM_MEMLOCK): Operation not permitted"));
    if lacks {
        skip("crun 1.8 on cgroup v2 wants CAP_SYS_RESOURCE, which root lacks on this machine");
    }
    lacks
}
