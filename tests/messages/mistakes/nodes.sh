# Nodes whose driver, files or GPUs are broken.

== no driver
$ divvy --nvml-library /nowhere/libnvidia-ml.so.1 status
cp $(ls /lib*/*/libc.so.6 | head -1) libc.so.6
$ divvy --nvml-library $W/libc.so.6 status

== what NVML can answer
for code in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 999; do
  echo "nvmlSystemGetDriverVersion:1:$code" >"$NODE/faults"
  printf '%s: ' $code; divvy plan mps | head -1
done

== a library of another version than the driver
sed -i '1invml: {init-error: 18}' "$NODE/node.yaml"; sed -i '/^nvml:$/,/^gpus:/{/^gpus:/!d}' "$NODE/node.yaml"
$ divvy cdi generate --hook-path /bin/true
$ rm -r $NODE/proc/driver/nvidia/version; divvy cdi generate --hook-path /bin/true

== a driver that gives nonsense
sed -i "s/uuid: .*GPU-.*/uuid: 'GPU-a b'/" "$NODE/node.yaml"
$ divvy prepare exclusive
$ divvy cdi generate --device-name-strategy uuid --hook-path /bin/true

== two GPUs with one minor
node: --no-nodes --gpu L4:2
sed -i 's/minor: .*/minor: 0/' "$NODE/node.yaml"
$ divvy cdi generate --hook-path /bin/true

== a lost GPU
node: --no-nodes --gpu L4
node lose 0
$ divvy plan mps
$ divvy cdi generate --hook-path /bin/true
$ divvy cdi generate --device-id 0 --hook-path /bin/true
$ divvy status

== files of the driver that are missing
node: --gpu H100-80GB
$ mkdir empty; divvy --driver-root empty cdi generate --hook-path /bin/true
$ odd=$W/$(printf '\377'); mkdir $odd; cp -a $NODE/dev $odd/; divvy --dev-root $odd cdi generate --hook-path /bin/true | tr -c '[:print:]\n' '?'
$ rm $NODE/dev/nvidia-uvm; divvy cdi generate --hook-path /bin/true

== MIG devices whose nodes are missing
node: --gpu H100-80GB --mig on
$ divvy cdi generate --hook-path /bin/true
$ divvy cdi generate --device-id 0 --hook-path /bin/true
node mig 0 create 1g.10gb
rm -rf "$NODE"/dev/nvidia-caps/*
$ divvy cdi generate --hook-path /bin/true
rm -r "$NODE/proc/driver/nvidia/capabilities"; sed -i 's/.*/x/' "$NODE/proc/driver/nvidia-caps/mig-minors"
$ divvy cdi generate --hook-path /bin/true
$ divvy prepare mig:1g.10gb

== capability files that say nothing
node: --gpu H100-80GB --mig on
node mig 0 create 1g.10gb
for file in $(find "$NODE/proc/driver/nvidia/capabilities" -name access); do echo nonsense >$file; done
$ divvy cdi generate --hook-path /bin/true
sed -i '/nvidia-caps/d' "$NODE/proc/devices"
$ divvy prepare mig:1g.10gb

== a foreign node in the place of a capability's
node: --gpu H100-80GB --mig on
claim job mig:1g.10gb
caps=$(ls $NODE/dev/nvidia-caps/* | tail -1); divvy release job
mknod $caps c 1 3
$ divvy prepare mig:1g.10gb

== NVML refuses to make a device
node: --no-nodes --gpu H100-80GB --managed
fail() { printf "$1" >"$NODE/faults"; divvy prepare --claim job "$2"; rm "$NODE/faults"; divvy release --force job 2>/dev/null; }
$ fail 'nvmlDeviceCreateGpuInstanceWithPlacement:1:999' mig:1g.10gb
$ fail nvmlGpuInstanceCreateComputeInstance:1:999 mig:1g.10gb
$ fail nvmlDeviceSetMigMode:1:4 mig:1g.10gb
$ fail nvmlDeviceSetComputeMode:1:4 mps
$ printf 'nvmlGpuInstanceCreateComputeInstance:1:999\nnvmlGpuInstanceDestroy:1:999\n' >$NODE/faults; divvy prepare --claim job mig:1g.10gb
rm $NODE/faults
$ divvy reconcile

== what can't be set
node: --no-nodes --gpu H100-80GB --managed
sed -i 's/time-slice: true/time-slice: false/' "$NODE/node.yaml"
$ divvy prepare --claim job time-slicing:interval=short
$ rm $NODE/driver/usr/bin/nvidia-smi; divvy prepare --claim job time-slicing:interval=short
$ rm $NODE/driver/usr/bin/nvidia-cuda-mps-control; divvy prepare --claim job mps

== MPS whose daemon can't be
node: --gpu H100-80GB --managed
$ divvy prepare --claim job mps:threads=60
$ long=$W/$(printf 'x%.0s' {1..90}); divvy --state-dir $long prepare --claim job mps
mps=$NODE/driver/usr/bin/nvidia-cuda-mps-control; cp $mps control
printf '#!/bin/sh\n[ "$1" = -d ] || [ "$1" = -f ] || exit 0\necho no >&2; exit 3\n' >script; chmod +x script
$ rm -f $mps; cp script $mps; divvy prepare --claim job mps
rm -f $mps; cp control $mps
$ mkdir -m 0700 closed; divvy --state-dir $W/closed/state prepare --claim job --uid 1500 mps

== a boot id that can't be read
mkdir -p proc/sys/kernel/random
$ divvy --proc-root proc prepare --claim job time-slicing

== labels that can't say all
node: --no-nodes --gpu H100-80GB:2 --gpu A100-40GB --mig on
$ divvy labels --mig-strategy single >/dev/null
node mig 0 create 1g.10gb
node mig 1 create 2g.20gb
node mig 2 create 1g.5gb
$ divvy labels --mig-strategy single >/dev/null
node lose 0
$ divvy labels >/dev/null

== labels of a node that is cut in half
node: --no-nodes --gpu H100-80GB:2
node mig 1 on
$ divvy labels --mig-strategy single >/dev/null
printf 'resources: [{name: gpu, mode: time-slicing, replicas: 4, devices: [0]}]\n' >c
$ divvy --config c labels >/dev/null
node mig 1 create 1g.10gb
$ divvy labels --mig-strategy single >/dev/null
sed -i "s/^- board:/- name: $(printf 'x%.0s' {1..80})\n  board:/" "$NODE/node.yaml"
$ divvy labels >/dev/null
sed -i "s/^- name: .*/- fabric: {cluster: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], clique: 1}/" "$NODE/node.yaml"
sed -i '0,/clique: 1/s//clique: 2/' "$NODE/node.yaml"
$ divvy labels >/dev/null

== a state directory that can't be used
$ touch file; chmod 600 file; divvy --state-dir file prepare --claim job time-slicing
$ divvy --state-dir /proc/x prepare --claim job time-slicing
$ mkdir -p s; touch s/claims; chmod 600 s/claims; divvy --state-dir s prepare --claim job time-slicing
$ rm -rf "$DIVVY_CDI_DIR"; touch "$DIVVY_CDI_DIR"; divvy prepare --claim job time-slicing

== devices that are gone, in a folder that is read-only
namespace
node: --gpu H100-80GB --managed
divvy cdi refresh --no-additional-gids --hook-path /bin/true >/dev/null
node lose 0
mount --bind $DIVVY_CDI_DIR $DIVVY_CDI_DIR; mount -o remount,bind,ro $DIVVY_CDI_DIR
$ divvy cdi refresh --no-additional-gids --hook-path /bin/true

== what doctor looks at
node: --gpu H100-80GB
doctor() { divvy doctor --root root --verbose "$@" 2>&1; }
mkdir -p root/{etc/docker,usr/bin,sys/fs/selinux}
printf 'a:1:65536\nb:70000:65536\n' >root/etc/subuid; echo 0 >root/sys/fs/selinux/enforce
$ doctor | grep -E 'subordinate|SELinux'
$ divvy --config /nonexistent doctor --root root --verbose | grep defaults
mkdir -p $DIVVY_CDI_DIR; divvy prepare --claim job time-slicing >/dev/null; rm $DIVVY_STATE_DIR/claims/job.json
$ doctor | grep -A2 "claim that isn't"
printf '#!/bin/sh\necho "containerd github.com/containerd/containerd v1.7.0"\n' >root/usr/bin/containerd; printf '#!/bin/sh\necho "Docker version 28.5.0"\n' >root/usr/bin/dockerd; chmod +x root/usr/bin/*
echo '{"runtimes":{"divvy":{"path":"/usr/bin/divvy-runtime"}}}' >root/etc/docker/daemon.json
$ doctor | grep -E "enable_cdi|runtime don't start"
sed -i '/nvidia-caps/d' $NODE/proc/devices; node mig 0 on; node mig 0 create 1g.10gb
$ doctor | grep caps
