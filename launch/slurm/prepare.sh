#!/usr/bin/env bash
# Divides a preparation among jobs of Slurm, and merges what they made; typed where sbatch is:
#
#   launch/slurm/prepare.sh [--dry-run] [--NAME=VALUE of sbatch …] N COMMAND …
#
# where COMMAND is `data convert`, `data pack`, `data check`, `features` or `predict` with its words
# and without --part, such as
#
#   launch/slurm/prepare.sh --partition=cpu --cpus-per-task=32 16 \
#       data convert videos --source RAW --out DATA/videos
#   launch/slurm/prepare.sh --partition=gpu --gpus-per-node=1 8 \
#       features --init=RUNS/pixels --dataset=DATA/cholec80 --out=FEATURES/cholec80
#
# An array of N elements does a part each (--array=1-N%4: four at a time, by --array=%4); when all
# have ended, one job more merges, and says in one line which part is missing. The same command
# again goes on with what is missing; after a merge that was killed, type `surgvista merge FOLDER`
# alone: parts are refused then, and after a finished merge. The repository, the installation and
# all folders lie on a file system that the nodes share.
set -euo pipefail
name=launch/slurm/prepare.sh dry=false
# Slurm runs a copy of this file, which lies elsewhere: where the rest is, comes with the words.
if [[ ${1:-} == --job ]]; then
  # --job part N SURGVISTA WORD … | --job merge FOLDER SURGVISTA COMMAND
  job=$2 which=$3 surgvista=$4
  shift 4
  if [[ $job == merge ]]; then exec "$surgvista" merge "$which" --of="$*"; fi
  exec "$surgvista" "$@" --part="${SLURM_ARRAY_TASK_ID:?the element of the array}/$which"
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

options=(--job-name=surgvista --nodes=1 --ntasks=1 --requeue --open-mode=append) at_once=''
own_option() {
  case $1 in
    --array=%*) at_once=${1#*=} ;;
    --array=*) refuse "$1: the parts are the array; --array=%4 does four at a time" ;;
    --*) options+=("$1") ;;
    *) refuse "$1: sbatch's options go as --NAME=VALUE here" ;;
  esac
}
take_options "$@"
set -- ${given[@]+"${given[@]}"}
take_parts "$@"
need_sbatch
need_surgvista
stop_if_lacking

script=$repository/launch/slurm/prepare.sh
parts=(sbatch --parsable "${options[@]}" --array="1-$count$at_once"
  "$script" --job part "$count" "$surgvista" "${words[@]}")
# Whether all parts are whole is for the merge to see: one with an unreadable video ends with 1.
merge=("$script" --job merge "$folder" "$surgvista" "${command[@]}")
if $dry; then
  show "${parts[@]}"
  show sbatch --dependency=afterany:JOB "${options[@]}" "${merge[@]}"
  echo "# The jobs then run"
  show "$surgvista" "${words[@]}" --part="1/$count"
  show "$surgvista" merge "$folder" --of="${command[*]}"
  exit
fi
id=$("${parts[@]}")
id=${id%%;*} # JOB;CLUSTER where there are several
say "job $id: $count parts; when they have ended, all are merged in $folder"
sbatch --dependency="afterany:$id" "${options[@]}" "${merge[@]}"
