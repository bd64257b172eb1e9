#!/bin/bash
# Epilog= of slurm.conf: takes back what the prolog made. An epilog that fails drains its node: what is still in
# use stays in Releasing, and divvy-reconcile.timer takes it.
set -u
PATH=$PATH:/usr/local/bin:/usr/bin:/bin # Slurm sets none
job=${DIVVY_SLURM_DIR:-/run/divvy-slurm}/$SLURM_JOB_ID
[ ! -e "$job.json" ] || divvy release "slurm-$SLURM_JOB_ID"
rm -f "$job.json" "$job.refused"
