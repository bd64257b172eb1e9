# Shared by the scripts of this repository: where things are, and how they speak.
# shellcheck shell=bash disable=SC2034 # used by those who source it
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CARGO_TARGET_DIR=$ROOT/target
DIST=$CARGO_TARGET_DIR/dist
# Kept between runs and shared by checkouts: engine roots, package lists, tools.
CACHE=${DIVVY_TEST_CACHE:-/var/cache/divvy-tests}
ARCH=$(uname -m)

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() { warn "error: $*"; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "this needs root: it makes namespaces and device nodes"; }

# quietly LABEL cmd...: runs cmd; the end of its output is shown, and only when it fails.
quietly() {
  local label=$1 log rc=0
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || rc=$?
  [ "$rc" = 0 ] || { warn "$label failed ($rc):"; tail -n 40 "$log" >&2; }
  rm -f "$log"
  return "$rc"
}

# debs PACKAGE...: makes sure that the machine has these Debian packages.
debs() {
  local package missing=()
  for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  need_root
  say "  installing ${missing[*]}"
  install_debs "${missing[@]}" 2>/dev/null && return 0
  # The package lists may be absent, or too old for the mirror.
  quietly "apt-get update" apt-get update -q && quietly "apt-get install" install_debs "${missing[@]}"
}
install_debs() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null </dev/null
}

# has_musl: whether the hook can be built for musl, its best form; rustup is asked for the target once.
MUSL=$ARCH-unknown-linux-musl
has_musl() {
  musl_is_here || rustup target add "$MUSL" >/dev/null 2>&1 || true
  musl_is_here
}
musl_is_here() { [ -d "$(rustc --print target-libdir --target "$MUSL" 2>/dev/null)" ]; }

# locked NAME cmd...: runs cmd while no other checkout does the same in the cache.
locked() {
  local name=$1
  shift
  mkdir -p "$CACHE"
  (
    flock 9
    "$@"
  ) 9>"$CACHE/$name.lock"
}

# Programs that cargo installs, unoptimised: they build in a minute instead of five, and have little to do.
# cargo_tool NAME VERSION: makes sure that the cache has it.
CARGO_DENY_VERSION=0.20.2
CARGO_DEB_VERSION=3.8.0
CARGO_GENERATE_RPM_VERSION=0.21.1
cargo_tool() {
  local name=$1 version=$2 has=$CACHE/tools/$1.version
  [ -x "$CACHE/tools/bin/$name" ] && [ "$(cat "$has" 2>/dev/null)" = "$version" ] && return 0
  CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$CACHE/tools/target-$name locked "tools-$name" \
    cargo install --quiet --locked --debug --force --root "$CACHE/tools" --version "$version" "$name" || return
  rm -rf "$CACHE/tools/target-$name"
  say "$version" >"$has"
}
