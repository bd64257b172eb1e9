#!/bin/bash
# Epilog= of slurm.conf: takes back what the prolog made. An epilog that fails drains its node: what is still in
# use stays in Releasing, and divvy-reconcile.timer takes it.
set -u
PATH=$PATH:/usr/local/bin:/usr/bin:/bin # Slurm sets none
job=${DIVVY_SLURM_DIR:-/run/divvy-slurm}/$SLURM_JOB_ID
# The second is there, too, where the prolog was killed.
if [ -e "$job.json" ] || [ -e "$job.new" ]; then divvy release "slurm-$SLURM_JOB_ID"; fi
rm -f "$job.json" "$job.new" "$job.refused"
