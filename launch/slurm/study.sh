#!/usr/bin/env bash
# Hands a study to Slurm, an array of N elements for each of its stages; typed where sbatch is:
#
#   launch/slurm/study.sh [--dry-run] [--NAME=VALUE of sbatch …] N STUDY.py DIR [WORD …]
#
# where the words are those of `surgvista study`, such as
#
#   launch/slurm/study.sh --partition=gpu --gpus-per-node=1 --time=12:00:00 --array=%8 40 \
#       configs/studies/comparison.py STUDIES/comparison --config.root=DATA \
#       --config.weights.mvd=WEIGHTS/mvd.pth
#
# The stages are data, pretrain, features and cells; one begins when the one before has ended
# (--stages=cells hands in some alone). Element I does every Nth job of its stage, from the Ith on;
# --array=%8 lets eight work at a time. What failed is told in the job's log, and what needs it is
# left out: the same command again does what is missing, and nothing twice. Two minutes before its
# time is over an element saves and goes back into the queue. The repository, the installation, data
# and DIR lie on a file system that the nodes share.
set -euo pipefail
name=launch/slurm/study.sh dry=false
# Slurm runs a copy of this file, which lies elsewhere: where the rest is, comes with the words.
if [[ ${1:-} == --job ]]; then
  # --job LAUNCH STAGE N SURGVISTA STUDY DIR WORD …
  # shellcheck source-path=SCRIPTDIR source=../needs.sh
  source "$2/needs.sh"
  id=${SLURM_ARRAY_JOB_ID:?started by hand}_${SLURM_ARRAY_TASK_ID:?the element of the array}
  trap 'told=$((told + 1))' TERM
  srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" "$5" study run "$6" --out="$7" --stage="$3" \
    --only="$SLURM_ARRAY_TASK_ID/$4" "${@:8}" &
  status=0
  wait_for $! || status=$?
  queue_again "$status" "$id"
  exit "$status"
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

options=(--job-name=surgvista --nodes=1 --ntasks=1 --requeue --open-mode=append --signal=TERM@120)
at_once=''
take_stages data,pretrain,features,cells
own_option() {
  case $1 in
    --array=%*) at_once=${1#*=} ;;
    --array=*) refuse "$1: the jobs are the array; --array=%4 does four at a time" ;;
    --stages=*) take_stages "${1#*=}" ;;
    --*) options+=("$1") ;;
    *) refuse "$1: sbatch's options go as --NAME=VALUE here" ;;
  esac
}
take_options "$@"
set -- ${given[@]+"${given[@]}"}
take_study "$@"
need_sbatch
need_surgvista
need_config
stop_if_lacking

script=$repository/launch/slurm/study.sh before=()
for stage in "${stages[@]}"; do
  command=(sbatch --parsable "${options[@]}" ${before[@]+"${before[@]}"} --array="1-$count$at_once"
    "$script" --job "$repository/launch" "$stage" "$count" "$surgvista" "$config" "$workdir"
    ${words[@]+"${words[@]}"})
  if $dry; then
    show "${command[@]}"
    id=JOB_$stage
  else
    id=$("${command[@]}")
    id=${id%%;*} # JOB;CLUSTER where there are several
    say "job $id: $stage"
  fi
  # What failed in the stage before is known by its folders: the others go on.
  before=(--dependency="afterany:$id")
done
if $dry; then
  echo "# An element then runs, of the last stage"
  show srun "$surgvista" study run "$config" --out="$workdir" --stage="$stage" --only="1/$count" \
    ${words[@]+"${words[@]}"}
fi
