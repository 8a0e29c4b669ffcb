#!/usr/bin/env bash
# What does a job of Slurm run? launch/slurm/train.sh hands it in, with its own options.
#SBATCH --job-name=surgvista
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
# The signal goes to what srun started, and not to this shell.
set -euo pipefail
name=launch/slurm/job.sh dry=false
[[ -z ${LAUNCH_DRY_RUN:-} ]] || dry=true
# Slurm runs a copy of this file, which lies elsewhere: where the rest is, comes with the words.
if [[ $# -lt 6 || ! -f $1/needs.sh ]]; then
  echo "$name: started by hand; launch/slurm/train.sh hands it in" >&2
  exit 2
fi
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$1/needs.sh"
take_run "${@:3}"
surgvista=$2

need_variable SLURM_JOB_ID "no job of Slurm is here; launch/slurm/train.sh hands one in"
[[ -z ${SLURM_STEP_NODELIST:-} ]] ||
  lacks "srun started this script; sbatch does, by launch/slurm/train.sh, and it calls srun itself"
need_command srun "is this a node of the cluster?"
[[ -x $surgvista ]] || lacks "$surgvista: not on this node; install it where all nodes see it"
need_config
need_folders
stop_if_lacking

id=${SLURM_JOB_ID:-}
if [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then
  # The number of one element is that of the whole array, which would all be queued again.
  id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  workdir=$workdir/seed$SLURM_ARRAY_TASK_ID
  words=("--config.seed=$SLURM_ARRAY_TASK_ID" ${words[@]+"${words[@]}"})
fi
cores=${SLURM_CPUS_PER_TASK:-1}
# srun takes most of what the job was given over by itself, but not the cores of a process. When
# one process ends, the others end themselves and say why; srun kills what is left a minute later.
# Each process finds out by itself whether srun started it, and refuses if not.
command=(srun --cpus-per-task="$cores" --kill-on-bad-exit=0 --wait=60
  "$surgvista" "$program" --config="$config" --workdir="$workdir"
  --config.data.folder="$dataset" --config.loader.workers="$cores" ${words[@]+"${words[@]}"})
if $dry; then
  show "${command[@]}"
  echo "# and when that was told to stop (status 143) or stood still (75), and nobody cancelled the job:"
  show scontrol requeue "$id"
  exit
fi

# Where Slurm tells this shell to end, it tells the processes, too; srun waits for them.
trap 'told=$((told + 1))' TERM
"${command[@]}" &
status=0
wait_for $! || status=$?
queue_again "$status" "$id"
exit "$status"
