#!/bin/sh
# Two containers of nerdctl on one GPU, each with a MIG device of its own. Once on the node, as root:
#   divvy runtime configure --runtime containerd && systemctl restart containerd
#
# nerdctl names an OCI runtime by its program; divvy-runtime finds the request in the annotation. Debian has no nerdctl, so
# unlike the other examples this one is not run by the tests.
set -eu
nerdctl run -d --name prod --runtime divvy-runtime --annotation divvy.request=mig:3g.40gb debian sleep infinity
nerdctl run -d --name dev --runtime divvy-runtime --annotation divvy.request=mig:1g.10gb debian sleep infinity
divvy status
