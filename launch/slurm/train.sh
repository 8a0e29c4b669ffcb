#!/usr/bin/env bash
# Hands a run to Slurm, on one node or several; typed where sbatch is:
#
#   launch/slurm/train.sh [--dry-run] [--NAME=VALUE of sbatch …] pretrain|finetune \
#       CONFIG DATASET WORKDIR [--config.a.b=VALUE …]
#
# such as
#
#   launch/slurm/train.sh --partition=gpu --nodes=2 --gpus-per-node=8 --cpus-per-task=64 \
#       pretrain configs/pretrain/pixels_only.py DATA/videos RUNS/pixels
#   launch/slurm/train.sh --array=0-4 finetune configs/finetune/cholec80.py DATA/cholec80 \
#       RUNS/cholec80 --config.init=RUNS/pixels
#
# What it asks for without options stands in launch/slurm/job.sh: one node, one GPU, a day. One
# process a node has all its GPUs; --ntasks-per-node=8 starts one a GPU. The repository, the
# installation, DATASET and WORKDIR lie on a file system that all nodes share.
#
# --array: the element with index I trains with --config.seed=I in WORKDIR/seedI.
#
# Two minutes before its time is over, and when others preempt it, Slurm tells the run to stop; it
# saves, and the job goes back into the queue under the same number, to go on from there.
# `scancel JOB` ends it for good: it saves, if Slurm leaves it the time (KillWait, 30 s).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=launch/slurm/train.sh dry=false
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

options=() array='' cores=''
own_option() {
  case $1 in
    --array=*) array=${1#*=} && options+=("$1") ;;
    --cpus-per-task=*) cores=${1#*=} && options+=("$1") ;;
    --*) options+=("$1") ;;
    *) refuse "$1: sbatch's options go as --NAME=VALUE here" ;;
  esac
}
take_options "$@"
set -- ${given[@]+"${given[@]}"}
take_run "$@"
need_sbatch
need_surgvista
need_config
need_folders
stop_if_lacking

job=("$repository/launch/slurm/job.sh" "$repository/launch" "$surgvista"
  "$program" "$config" "$dataset" "$workdir" ${words[@]+"${words[@]}"})
run sbatch ${options[@]+"${options[@]}"} "${job[@]}"
if $dry; then
  printf '# The job then runs%s:\n' "${array:+, of the array its first element}"
  # 0-4, 3,7 and 2-8:2 begin with their first index.
  [[ -z $array ]] || export SLURM_ARRAY_JOB_ID=JOB SLURM_ARRAY_TASK_ID="${array%%[-,:%]*}"
  SLURM_CPUS_PER_TASK=${cores:-$(sed -n 's/^#SBATCH --cpus-per-task=//p' "${job[0]}")}
  export SLURM_CPUS_PER_TASK
  SLURM_JOB_ID=JOB LAUNCH_DRY_RUN=1 bash "${job[@]}"
fi
