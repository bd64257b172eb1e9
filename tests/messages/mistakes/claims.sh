# Claims that can't be made, kept or taken back: refusals, others in the way, what was changed meanwhile.

== no GPU serves it
node: --no-nodes --gpu H100-80GB --gpu L4
$ divvy plan mig:9g.90gb @0
$ divvy plan mig:1g.10gb @1
$ divvy plan mig:1g.10gb @0
$ divvy plan exclusive @7
$ divvy plan 'exclusive @*A100*'
$ divvy plan 'exclusive @*H10O*'
$ divvy plan exclusive @MIG-12345678-1234-1234-1234-123456789abc
$ divvy plan mps mps:threads=10
$ divvy plan 5x exclusive
$ divvy plan mps:memory=900Gi @0

== a driver without GPUs
sed -i '/^gpus:/,$d' "$NODE/node.yaml"; echo 'gpus: []' >>"$NODE/node.yaml"
$ divvy plan exclusive
$ divvy labels >/dev/null
$ divvy cdi generate --hook-path /bin/true
$ divvy status

== claims are in the way
node: --no-nodes --gpu H100-80GB --managed
claim one time-slicing
$ divvy plan exclusive
$ divvy plan mps
$ divvy plan mig:1g.10gb
$ divvy plan time-slicing:interval=long
$ divvy prepare --claim one exclusive
$ divvy plan 2x time-slicing
claim two time-slicing; claim three time-slicing; claim four time-slicing
$ divvy plan time-slicing

== MIG devices are in the way
node: --no-nodes --gpu H100-80GB --mig on
claim big mig:7g.80gb
$ divvy plan mig:1g.10gb
$ divvy plan exclusive
divvy release big >/dev/null
node mig 0 create 3g.40gb 2g.20gb
$ divvy plan mig:7g.80gb
$ divvy plan mig:3g.40gb,compute=7c
$ divvy plan 3x mig:1g.10gb
claim share mig:1g.10gb/time-slicing
device=$(node show | grep -o 'MIG-[-0-9a-f]*' | tail -1)
$ divvy plan exclusive @$device

== MPS devices of one claim
node: --no-nodes --gpu H100-80GB:2 --managed
$ divvy plan mig:3g.40gb/mps mig:2g.20gb/mps
$ divvy plan mps:threads=10 @0 mps:threads=20 @1

== what policy doesn't let
node: --no-nodes --gpu H100-80GB:2
try() { printf "$1" >c; shift; divvy --config c plan "$@"; }
$ try 'gpus: [{match: "*", modes: [mig]}]\n' exclusive @0
$ try 'gpus: [{match: "*", modes: []}]\nshares: {a: mps}\n' exclusive @0
$ try 'gpus: [{match: "*", only-shares: true}]\nshares: {a: mps}\n' exclusive @0
$ try 'gpus: [{match: "*", managed: true, compute-mode: leave}]\n' mps @0
$ try 'gpus: [{match: "*", require: {memory: hardware}}]\n' time-slicing @0
claim one time-slicing @0
$ try 'gpus: [{match: "*", replicas: 1}]\n' time-slicing @0
$ try 'gpus: [{match: "*", claims: 1}]\n' time-slicing @0
$ try 'shares: {small: {request: mps, users: [1000]}}\n' 'mps as small' --uid 1500
$ try 'shares: {small: {request: mps, users: [1000]}}\n' 'exclusive @1 as small'
$ try 'shares: {small: mps}\n' 'exclusive @1 as big'
$ try '' 'exclusive @1 as big'
$ try 'resources: [{name: nvidia.com/gpu, mode: time-slicing, replicas: 4, one-per-claim: true}]\n' 'time-slicing @1 as nvidia.com/gpu=1::0' 'time-slicing @1 as nvidia.com/gpu=1::1'

== somebody else has the GPU
node: --no-nodes --gpu H100-80GB --managed
node process 0 add 4711
$ divvy plan mps
$ divvy plan time-slicing
$ divvy plan mig:1g.10gb

== MIG mode that waits for a reset
node: --no-nodes --gpu A100-40GB
$ divvy plan mig:1g.5gb
printf 'gpus: [{match: "*", managed: true, mig-mode: enable}]\n' >c
$ divvy --config c plan mig:1g.5gb
$ divvy --config c prepare mig:1g.5gb

== a claim that a container has
node: --no-nodes --gpu H100-80GB --mig on
claim job mig:1g.10gb
$ divvy release jib
$ divvy claims

== a device that is still in use
node: --no-nodes --gpu H100-80GB --mig on
claim job mig:2g.20gb
place=0:$(node show | grep -o ' gi [0-9]*' | grep -o '[0-9]*'):0
node process $place add 4711
$ divvy release job
$ divvy reconcile
node process $place rm 4711
$ divvy reconcile
$ divvy reconcile

== what a reboot leaves
node: --no-nodes --gpu H100-80GB --mig on
claim one mig:1g.10gb
claim two mig:1g.10gb
node reboot
$ divvy reconcile --dry-run
$ divvy reconcile

== records that were changed
node: --no-nodes --gpu H100-80GB --mig on
claim job mig:1g.10gb
state=$DIVVY_STATE_DIR
$ chmod o+w $state/claims; divvy claims
chmod 0700 $state/claims
record=$(ls $state/claims/*.json | head -1)
$ cp $record kept; echo '{' >$record; divvy claims
$ divvy prepare --claim other mig:1g.10gb
cp kept $record
$ echo '{}' >$state/devices/0123456789abcdef.json; divvy reconcile
rm $state/devices/*

== a device record that no claim names
node: --no-nodes --gpu H100-80GB --mig on
claim job mig:1g.10gb
rm $DIVVY_STATE_DIR/claims/job.json
$ divvy plan exclusive
$ divvy reconcile --dry-run
$ echo nvmlGpuInstanceDestroy:1:999 >$NODE/faults; divvy reconcile
rm $NODE/faults
$ divvy reconcile

== a shared device that is being taken back
node: --no-nodes --gpu H100-80GB --mig on
claim job mig:7g.80gb/time-slicing
place=0:$(node show | grep -o ' gi [0-9]*' | grep -o '[0-9]*'):0
node process $place add 4711
divvy release job 2>/dev/null
$ divvy plan mig:7g.80gb/time-slicing

== a device that is gone
node: --no-nodes --gpu H100-80GB --mig on
claim job mig:1g.10gb
$ mv $DIVVY_STATE_DIR/devices/* .; divvy prepare --claim job mig:1g.10gb
$ divvy release job
claim shared mig:2g.20gb/time-slicing
node mig 0 destroy $(node show | grep '2g.20gb' | grep -o 'gi [0-9]*' | grep -o '[0-9]*')
$ divvy prepare --claim more mig:2g.20gb/time-slicing
$ divvy release shared

== another process is at work
node: --no-nodes --gpu H100-80GB --mig on
mkdir -p $DIVVY_STATE_DIR; divvy status >/dev/null; claim a mig:1g.10gb
export DIVVY_WAIT=0
$ flock $DIVVY_STATE_DIR/locks/directory divvy prepare --claim job mig:1g.10gb
$ flock $DIVVY_STATE_DIR/locks/GPU-* divvy prepare --claim job mig:1g.10gb
$ flock $DIVVY_STATE_DIR/locks/GPU-* divvy release a
$ rm -r $DIVVY_STATE_DIR/locks; mkdir $DIVVY_STATE_DIR/locks; mkdir $DIVVY_STATE_DIR/locks/directory; divvy prepare --claim job mig:1g.10gb

== a process that died at work
node: --no-nodes --gpu H100-80GB --mig on
(FAKE_NVML_ABORT_AT=nvmlGpuInstanceCreateComputeInstance:1 divvy prepare --claim job mig:1g.10gb; true) 2>/dev/null
doctor() { divvy doctor --root . 2>&1 | grep -A2 "claim $1"; }
$ doctor job
divvy reconcile >/dev/null
claim job mig:1g.10gb
(FAKE_NVML_ABORT_AT=nvmlGpuInstanceDestroy:1 divvy release job; true) 2>/dev/null
$ doctor job
divvy reconcile >/dev/null
sleep 100 & pid=$!
divvy prepare --claim job --start-process $pid mig:1g.10gb >/dev/null
$ divvy claims
kill $pid; wait $pid 2>/dev/null
$ doctor job
$ divvy prepare --claim other --start-process $$ 'mig:1g.10gb/time-slicing' >/dev/null; divvy plan 'mig:1g.10gb/time-slicing'

== a process that works on the claim
node: --no-nodes --gpu H100-80GB --mig on
sed -i 's/create-ms: 0/create-ms: 300000/' "$NODE/node.yaml"
divvy prepare --claim job mig:1g.10gb >/dev/null & worker=$!
until [ -e $DIVVY_STATE_DIR/claims/job.json ]; do sleep 0.05; done
$ divvy release job
{ kill -9 $worker; wait $worker; } 2>/dev/null
sed -i 's/create-ms: 300000/create-ms: 0/; s/destroy-ms: 0/destroy-ms: 300000/' "$NODE/node.yaml"
claim job mig:1g.10gb
divvy release job & worker=$!
until grep -q releasing $DIVVY_STATE_DIR/claims/job.json; do sleep 0.05; done
$ DIVVY_WAIT=0 divvy prepare --claim job mig:1g.10gb
{ kill -9 $worker; wait $worker; } 2>/dev/null

== modes that somebody else set
node: --no-nodes --gpu H100-80GB:2 --managed
$NODE/driver/usr/bin/nvidia-smi -i 0 -c PROHIBITED >/dev/null
$ divvy plan mps @0
printf '{version: v1, mig-configs: {a: [{devices: [0], mig-enabled: true, mig-devices: {1g.10gb: 1}}]}}' >l.yaml
$ divvy mig apply -f l.yaml
printf 'nvmlDeviceSetComputeMode:1:0\n' >$NODE/faults
$ divvy prepare --claim job mps @1
printf 'nvmlDeviceSetMigMode:1:0\n' >$NODE/faults
$ divvy prepare --claim job mig:1g.10gb @1

== a dry run
node: --gpu H100-80GB --managed
$ divvy prepare --dry-run mig:1g.10gb
$ divvy prepare --dry-run mps:threads=10
$ divvy prepare --dry-run time-slicing:interval=short
claim job mig:1g.10gb
$ divvy release --dry-run job
divvy release job
$ divvy plan exclusive
$ divvy prepare --claim job exclusive
divvy release job >/dev/null

== a state directory that isn't divvy's alone
node: --no-nodes --gpu L4
claim job exclusive
chmod 777 $DIVVY_STATE_DIR
$ divvy claims
$ divvy doctor --root . | grep -A2 state-untrusted
chmod 711 $DIVVY_STATE_DIR; chown 1234 $DIVVY_STATE_DIR
$ divvy claims
$ divvy doctor --root . | grep -A2 state-untrusted
mv $DIVVY_STATE_DIR away; touch $DIVVY_STATE_DIR
$ divvy claims
$ divvy doctor --root . | grep -A2 state-untrusted

== an answer that can't be written
node: --no-nodes --gpu L4
$ divvy prepare --claim job exclusive >/dev/full
$ divvy --nvml-library /nowhere/libnvidia-ml.so.1 claims | sed 's/  *[^ ]* *caller/ … caller/'

== CDI files that divvy doesn't keep
node: --no-nodes --gpu L4
$ divvy cdi refresh --remove
$ divvy cdi generate --device-id 0 --device-name-strategy index --no-all-device --hook-path /usr/bin/divvy-hook --output $DIVVY_CDI_DIR/own.yaml
$ divvy cdi refresh --remove
rm $DIVVY_CDI_DIR/own.yaml
divvy cdi generate --requests --hook-path /nowhere/divvy-hook --output $DIVVY_CDI_DIR/mine.yaml >/dev/null 2>&1
$ divvy doctor --root . | grep -A3 cdi-stale

== a MIG device that somebody destroyed
node: --no-nodes --gpu H100-80GB --mig on
claim job mig:4g.40gb/time-slicing
node mig 0 destroy $(node show | sed -n 's/.*4g.40gb.* gi \([0-9]*\).*/\1/p')
$ divvy prepare --claim job mig:4g.40gb/time-slicing
$ divvy plan mig:4g.40gb/time-slicing
