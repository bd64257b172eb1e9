#!/bin/bash
# Prolog= of slurm.conf: makes what the job asks for in its comment (sbatch --comment=divvy:mig:1g.10gb).
# A prolog that fails drains its node, so a refusal doesn't: the task prolog tells it, and ends the task.
set -u
PATH=$PATH:/usr/local/bin:/usr/bin:/bin # Slurm sets none
case ${SLURM_JOB_COMMENT:-} in divvy:*) ;; *) exit 0 ;; esac
folder=${DIVVY_SLURM_DIR:-/run/divvy-slurm}
mkdir -p "$folder"
job=$folder/$SLURM_JOB_ID
# For the job's user alone, who reads it in the task prolog.
umask 077
# What the job says is a request, and no option of a command of root's. A prolog that hangs drains its node, too.
if ! timeout 120 divvy prepare --claim "slurm-$SLURM_JOB_ID" --uid "$SLURM_JOB_UID" --output json \
  -- "${SLURM_JOB_COMMENT#divvy:}" >"$job.new" 2>"$job.refused"; then
  rm -f "$job.new"
  chown "$SLURM_JOB_UID" "$job.refused"
  cat "$job.refused" >&2
  exit 0
fi
chown "$SLURM_JOB_UID" "$job.new"
mv "$job.new" "$job.json"
rm -f "$job.refused"
