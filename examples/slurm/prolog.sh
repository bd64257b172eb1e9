#!/bin/bash
# Prolog= of slurm.conf: makes what the job asks for in its comment (sbatch --comment=divvy:mig:1g.10gb).
# A prolog that fails drains its node, so a refusal doesn't: the task prolog tells it, and ends the task.
set -u
PATH=$PATH:/usr/local/bin:/usr/bin:/bin # Slurm sets none
case ${SLURM_JOB_COMMENT:-} in divvy:*) ;; *) exit 0 ;; esac
folder=${DIVVY_SLURM_DIR:-/run/divvy-slurm}
mkdir -p "$folder"
# For the job's user alone, who reads it in the task prolog.
umask 077
if ! divvy prepare --claim "slurm-$SLURM_JOB_ID" --uid "$SLURM_JOB_UID" --output json \
  "${SLURM_JOB_COMMENT#divvy:}" >"$folder/$SLURM_JOB_ID.json" 2>"$folder/$SLURM_JOB_ID.refused"; then
  rm -f "$folder/$SLURM_JOB_ID.json"
  chown "$SLURM_JOB_UID" "$folder/$SLURM_JOB_ID.refused"
  cat "$folder/$SLURM_JOB_ID.refused" >&2
  exit 0
fi
rm -f "$folder/$SLURM_JOB_ID.refused"
chown "$SLURM_JOB_UID" "$folder/$SLURM_JOB_ID.json"
