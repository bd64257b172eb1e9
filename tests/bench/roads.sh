#!/bin/bash
# usage: tests/bench/roads.sh [ROUNDS]
# Measures what divvy adds to containers that ask for nothing: `divvy-runtime` beside a program that does no
# more than exec the same runtime (an empty one, so that the time is divvy's alone), and `divvy-hook precreate`
# beside an empty process. Then to one that asks for a MIG device of a simulated node, whose driver answers at once:
# beside one NVML session with its plan, which is the driver's part. DIVVY_BIN names the folder of other programs than target/dist.
set -eu
. "$(dirname "$0")/../../tools/lib.sh"
rounds=${1:-500}
bin=${DIVVY_BIN:-$DIST}

# In a mount namespace of its own, with a configuration at the place where hooks look for it.
if [ "${ROADS_BENCH_INSIDE:-}" != 1 ]; then
  need_root
  [ -x "$bin/divvy-runtime" ] || die "no $bin/divvy-runtime: run make build"
  (cd "$ROOT" && cargo build --quiet --release --locked --package fake-nvml)
  ROADS_BENCH_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

work=$(mktemp -d)
trap 'umount -l /etc /run "$work"; rmdir "$work"' EXIT
mount -t tmpfs tmpfs "$work"
# CDI files of claims go there, and nothing waits for a disk.
mount -t tmpfs tmpfs /run
mkdir -p "$work"/{up,work,plain,static,bundle}
mount -t overlay -o "lowerdir=/etc,upperdir=$work/up,workdir=$work/work" overlay /etc
printf 'int main(void) { return 0; }' | cc -O2 -static -x c - -o "$work/empty"
printf '#include <unistd.h>\nint main(int c, char **v) { return execv("%s/empty", v); }' "$work" | cc -O2 -static -x c - -o "$work/exec"
cc -O2 -o "$work/measure" "$(dirname "$0")/measure.c"
mkdir -p /etc/divvy
cat >/etc/divvy/config.yaml <<END
gpus:
  - {match: "*A100*", managed: true, modes: [mps, mig], replicas: 4, mig-mode: enable, compute-mode: exclusive}
  - {match: "*", managed: true, mig-mode: enable, compute-mode: exclusive}
shares: {notebook: "mig:1g.10gb/time-slicing", half: "mps:threads=50"}
requests: {from-environment: false, from-pod-annotations: false}
runtime: $work/empty
END

# A configuration as engines write it, of the size that podman's have; the second has a static device of divvy's.
python3 - "$work" <<'END'
import json, sys
mounts = [{"destination": f"/mnt/{n}", "source": f"/srv/volumes/{n}/_data", "type": "bind", "options": ["rbind", "nosuid", "nodev", "rprivate"]} for n in range(40)]
syscalls = [{"names": [f"call_{n}_{m}" for m in range(12)], "action": "SCMP_ACT_ALLOW", "args": []} for n in range(60)]
config = {"ociVersion": "1.0.2", "process": {"args": ["sh"], "env": [f"VARIABLE_{n}=value" for n in range(20)], "user": {"uid": 0, "gid": 0}},
          "root": {"path": "/rootfs"}, "mounts": mounts, "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": syscalls}}}
json.dump(config, open(f"{sys.argv[1]}/plain/config.json", "w"))
config["hooks"] = {"createContainer": [{"path": "/usr/bin/divvy-hook", "args": ["divvy-hook", "create-container", "--folder=/usr/lib"], "env": ["A=1"]}]}
json.dump(config, open(f"{sys.argv[1]}/static/config.json", "w"))
config["annotations"] = {"divvy.request": "mig:1g.10gb"}
json.dump(config, open(f"{sys.argv[1]}/asking.json", "w"))
END
size=$(stat -c %s "$work/plain/config.json")

create() { printf '%s\n' --root /run/r --log /dev/null --log-format json create --bundle "$1" --pid-file /dev/null c1; }
mapfile -t plain < <(create "$work/plain")
mapfile -t static < <(create "$work/static")
"$work/measure" "$rounds" true \
  -- empty "$work/plain/config.json" "$work/empty" \
  -- exec /dev/null "$work/exec" state c1 \
  -- state /dev/null "$bin/divvy-runtime" state c1 \
  -- create /dev/null "$bin/divvy-runtime" "${plain[@]}" \
  -- create-static /dev/null "$bin/divvy-runtime" "${static[@]}" \
  -- precreate "$work/plain/config.json" "$bin/divvy-hook" precreate \
  -- precreate-static "$work/static/config.json" "$bin/divvy-hook" precreate |
  awk -v size="$size" -v disk="$(stat -c %s "$bin/divvy-runtime")" '
  { wall[$1] = $2; least[$1] = $3; cpu[$1] = $4; rss[$1] = $5 }
  function row(name, than, text) {
    printf "%-52s %7.2f %7.2f %7.2f %7d %s\n", text, wall[name] / 1000, least[name] / 1000, cpu[name] / 1000, rss[name],
      than ? sprintf("%+8.2f", (wall[name] - wall[than]) / 1000) : "" }
  END {
    printf "configuration of %d bytes; divvy-runtime %d KiB on disk\n", size, disk / 1024
    printf "%-52s %7s %7s %7s %7s %8s\n", "", "ms", "least", "CPU ms", "KiB", "more"
    row("empty", "", "an empty process"); row("exec", "", "a program that execs it")
    row("state", "exec", "divvy-runtime state"); row("create", "exec", "divvy-runtime create, no request")
    row("create-static", "exec", "divvy-runtime create, a static device of divvy'"'"'s")
    row("precreate", "empty", "divvy-hook precreate, no request")
    row("precreate-static", "empty", "divvy-hook precreate, a static device of divvy'"'"'s")
    print "to reach: at most 1.5 ms more"
  }'

# The configuration of a node takes the other's place; what hooks know is there and nowhere else.
"$ROOT/target/release/fake-node" create "$work/node" --gpu H100-80GB:8 --mig on --managed >"$work/node.env"
cp "$work/node/config.yaml" /etc/divvy/config.yaml
printf 'runtime: %s\n' "$work/empty" >>/etc/divvy/config.yaml
cat >"$work/reset" <<END
#!/bin/bash
. "$work/node.env"
export "\${!DIVVY_@}"
cp "$work/asking.json" "$work/bundle/config.json"
"$bin/divvy" claims --output json | sed -n 's/^    "id": "\(.*\)",$/\1/p' | xargs -r "$bin/divvy" release --force
END
chmod +x "$work/reset"
# shellcheck source=/dev/null
. "$work/node.env"
export "${!DIVVY_@}"
mapfile -t asking < <(create "$work/bundle")
few=$((rounds < 100 ? rounds : 100))
"$work/measure" "$few" "$work/reset" \
  -- exec /dev/null "$work/exec" state c1 \
  -- plan /dev/null "$bin/divvy" plan mig:1g.10gb \
  -- prepare /dev/null "$bin/divvy" prepare --claim bench mig:1g.10gb \
  -- create /dev/null "$bin/divvy-runtime" "${asking[@]}" \
  -- precreate "$work/asking.json" "$bin/divvy-hook" precreate |
  awk '
  { wall[$1] = $2; least[$1] = $3; cpu[$1] = $4; rss[$1] = $5 }
  function row(name, than, text) {
    printf "%-52s %7.2f %7.2f %7.2f %7d %s\n", text, wall[name] / 1000, least[name] / 1000, cpu[name] / 1000, rss[name],
      than ? sprintf("%+8.2f", (wall[name] - wall[than]) / 1000) : "" }
  END {
    print ""
    row("exec", "", "a program that execs it"); row("plan", "", "one NVML session, and a plan: the driver'"'"'s part")
    row("prepare", "plan", "divvy prepare mig:1g.10gb")
    row("create", "plan", "divvy-runtime create, mig:1g.10gb"); row("precreate", "plan", "divvy-hook precreate, mig:1g.10gb")
    print "to reach: at most 10 ms more than the driver'"'"'s part"
  }'
