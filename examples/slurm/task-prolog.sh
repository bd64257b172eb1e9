#!/bin/bash
# TaskProlog= of slurm.conf: "export NAME=VALUE" becomes the task's environment, "print TEXT" its output, and
# a failure ends the task.
set -u
PATH=$PATH:/usr/bin:/bin # Slurm sets none
job=${DIVVY_SLURM_DIR:-/run/divvy-slurm}/${SLURM_JOB_ID:-}
if [ -r "$job.refused" ]; then
  sed 's/^/print /' "$job.refused"
  exit 1
fi
[ ! -r "$job.json" ] ||
  python3 -c 'import json, sys; [print("export", pair) for pair in json.load(open(sys.argv[1]))["env"]]' "$job.json"
