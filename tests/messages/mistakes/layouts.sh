# Layouts of MIG devices that can't be applied.

== files of layouts
node: --no-nodes --gpu H100-80GB:2
try() { cat >l.yaml; divvy mig apply -f l.yaml "$@"; }
$ divvy mig apply -f absent.yaml
$ try <<<'version: v1'
$ try <<<'{version: v1, mig-configs: {}}'
$ try <<<'{version: v1, mig-configs: {a: [], b: []}}'
$ try <<<'{version: v1, mig-configs: {a: []}}'
$ try --label c <<<'{version: v1, mig-configs: {a: [{devices: all, mig-enabled: false}], b: [{devices: all, mig-enabled: false}]}}'
$ try <<<'{version: v1, mig-configs: {a: [{devices: all, mig-enabled: false}], b: [{devices: all, mig-enabled: false}]}}'
entry() { echo "{version: v1, mig-configs: {a: [{$1}]}}" | try; }
$ entry 'devices: some, mig-enabled: false'
$ entry 'devices: {}, mig-enabled: false'
$ entry 'devices: 0, mig-enabled: false'
$ entry 'devices: [], mig-enabled: false'
$ entry 'devices: [0, 0], mig-enabled: false'
$ entry 'devices: [x], mig-enabled: false'
$ entry 'devices: all, mig-enabled: false, mig-devices: {1g.10gb: 1}'
$ entry 'devices: all, mig-enabled: true'
$ entry 'devices: all, mig-enabled: true, mig-devices: [1g.10gb]'
$ entry 'devices: all, mig-enabled: true, mig-devices: {1g.10gb: -1}'
$ entry 'devices: all, mig-enabled: true, mig-devices: {1g.10gb: 0}'
$ entry 'devices: all, mig-enabled: true, mig-devices: {1g: 1}'
$ entry 'devices: all, mig-enabled: true, mig-devices: {4c.3g.40gb: 1}'
$ entry 'devices: all, device-filter: H100, mig-enabled: false'
$ entry 'devices: all, device-filter: 1, mig-enabled: false'
$ entry 'devices: all, device-filter: {}, mig-enabled: false'
$ try <<<'{kind: ConfigMap, apiVersion: v1, metadata: {name: m}, data: {other: x, more: y}}'
$ try <<<'{kind: ConfigMap, apiVersion: v1, metadata: {name: m}, data: {}}'

== more engines than a GPU has
node: --no-nodes --gpu A30-24GB --mig on --managed
echo '{version: v1, mig-configs: {a: [{devices: all, mig-enabled: true, mig-devices: {1g.6gb+me: 1, 2g.12gb+me: 1}}]}}' >l.yaml
$ divvy mig apply -f l.yaml

== layouts for other nodes
node: --no-nodes --gpu H100-80GB --gpu L4 --mig on --managed
entry() { echo "{version: v1, mig-configs: {a: [$1]}}" >l.yaml; divvy mig apply -f l.yaml; }
$ entry '{devices: [7], mig-enabled: false}'
$ entry '{devices: [1], mig-enabled: true, mig-devices: {1g.10gb: 1}}'
$ entry '{devices: [0], mig-enabled: false}, {devices: all, mig-enabled: true, mig-devices: {}}'
$ entry '{devices: [0], mig-enabled: true, mig-devices: {1g.5gb: 1}}'
$ entry '{devices: [0], mig-enabled: true, mig-devices: {5c.7g.80gb: 1}}'
$ entry '{devices: [0], mig-enabled: true, mig-devices: {3g.40gb: 2, 1g.10gb: 1}}'
$ entry '{devices: [0], mig-enabled: true, mig-devices: {7g.80gb: 2}}'
$ entry '{devices: [0], mig-enabled: true, mig-devices: {1g.10gb+me: 2}}'
$ entry '{devices: [0], mig-enabled: true, mig-devices: {1g.10gb+me: 1, 4g.40gb: 1, 3g.40gb: 1}}'
$ entry '{devices: [0], device-filter: "0x20B010DE", mig-enabled: false}'
$ entry '{devices: [0, 1], device-filter: "0x233010DE", mig-enabled: false}'
$ entry '{devices: all, device-filter: "0x20B010DE", mig-enabled: false}'
$ entry '{devices: all, device-filter: "0x20B010DE", mig-enabled: false}, {devices: all, mig-enabled: true, mig-devices: {1g.10gb: 1}}'
node lose 0
$ entry '{devices: [0], mig-enabled: false}'
node lose 1
$ entry '{devices: all, mig-enabled: false}'

== what stands in the way of a layout
node: --no-nodes --gpu H100-80GB --mig on
layout() { echo "{version: v1, mig-configs: {a: [{devices: all, $1}]}}" >l.yaml; }
layout 'mig-enabled: false'
$ divvy mig apply -f l.yaml
claim job mig:1g.10gb
$ divvy mig apply --unmanaged -f l.yaml
layout 'mig-enabled: true, mig-devices: {7g.80gb: 1}'
$ divvy mig apply -f l.yaml
$ divvy mig assert -f l.yaml
place=0:$(node show | grep -o ' gi [0-9]*' | grep -o '[0-9]*'):0
node process $place add 4711
$ divvy mig apply -f l.yaml
node process $place rm 4711
divvy release job
node mig 0 create 2g.20gb
node process 0:$(node show | grep -o ' gi [0-9]*' | grep -o '[0-9]*'):0 add 4711
$ divvy mig apply -f l.yaml

== processes and modes in the way
node: --no-nodes --gpu H100-80GB --managed
echo '{version: v1, mig-configs: {a: [{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 1}}]}}' >l.yaml
node process 0 add 4711
$ divvy mig apply -f l.yaml
node process 0 rm 4711
claim job time-slicing
$ divvy mig apply -f l.yaml
divvy release job

== NVML refuses a layout
node: --no-nodes --gpu H100-80GB --mig on --managed
echo '{version: v1, mig-configs: {a: [{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 2}}]}}' >l.yaml
node mig 0 create 3g.40gb
fail() { printf "$1" >"$NODE/faults"; divvy mig apply -f l.yaml; local code=$?; rm "$NODE/faults"; return $code; }
$ fail 'nvmlDeviceCreateGpuInstanceWithPlacement:2:23\n'
$ fail 'nvmlGpuInstanceCreateComputeInstance:1:999\n'
$ fail 'nvmlGpuInstanceDestroy:1:19\n'
$ fail 'nvmlGpuInstanceCreateComputeInstance:2:999\nnvmlGpuInstanceDestroy:2:999\nnvmlComputeInstanceDestroy:2:999\n'
$ divvy mig export
divvy reconcile >/dev/null

== a mode that can't be put back
node: --no-nodes --gpu H100-80GB --managed
echo '{version: v1, mig-configs: {a: [{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 2}}]}}' >l.yaml
fail() { printf "$1" >"$NODE/faults"; divvy mig apply -f l.yaml; local code=$?; rm "$NODE/faults"; return $code; }
$ fail 'nvmlDeviceCreateGpuInstanceWithPlacement:2:999\nnvmlDeviceSetMigMode:2:999\nnvmlComputeInstanceDestroy:1:999\n'
$ fail 'nvmlDeviceCreateGpuInstanceWithPlacement:1:999\nnvmlGpuInstanceDestroy:2:999\n'

== what was destroyed and can't be made again
node: --no-nodes --gpu H100-80GB --mig on --managed
echo '{version: v1, mig-configs: {a: [{devices: all, mig-enabled: true, mig-devices: {7g.80gb: 1}}]}}' >l.yaml
node mig 0 create 3g.40gb
$ printf 'nvmlDeviceCreateGpuInstanceWithPlacement:1:999\nnvmlDeviceCreateGpuInstanceWithPlacement:2:999\nnvmlDeviceCreateGpuInstanceWithPlacement:3:999\nnvmlDeviceCreateGpuInstanceWithPlacement:4:999\n' >"$NODE/faults"; divvy mig apply -f l.yaml
rm "$NODE/faults"
node mig 0 create 2g.20gb
$ printf 'nvmlGpuInstanceDestroy:1:999\nnvmlGpuInstanceCreateComputeInstance:1:999\n' >"$NODE/faults"; divvy mig apply -f l.yaml
rm "$NODE/faults"
$ divvy mig apply -f l.yaml >/dev/null
claim job mig:7g.80gb

== a mode that waits
node: --no-nodes --gpu A100-40GB --managed
echo '{version: v1, mig-configs: {a: [{devices: all, mig-enabled: true, mig-devices: {1g.5gb: 1}}]}}' >l.yaml
$ divvy mig apply -f l.yaml
$ divvy mig apply -f l.yaml
$ divvy plan mig:1g.5gb
