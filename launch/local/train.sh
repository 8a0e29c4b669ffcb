#!/usr/bin/env bash
# Trains on the devices of this machine:
#
#   launch/local/train.sh [--dry-run] [--processes=N|gpus] pretrain|finetune \
#       CONFIG DATASET WORKDIR [--config.a.b=VALUE …]
#
# such as CONFIG=configs/pretrain/pixels_only.py. One process has all GPUs, which is the simplest.
# --processes=gpus starts one for each GPU, and --processes=N so many, that share the GPUs out
# evenly; where there is no GPU, they share the cores. CUDA_VISIBLE_DEVICES chooses the GPUs.
#
# Ctrl-C and SIGTERM have all of them save at one step and end with status 143; the same command
# goes on from there. A second Ctrl-C kills. When one of them dies, all end, with its status.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=launch/local/train.sh dry=false
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

processes=1
own_option() {
  [[ $1 == --processes=* ]] && processes=${1#*=}
}
after=WORKDIR
take_options "$@"
set -- ${given[@]+"${given[@]}"}
take_run "$@"
need_surgvista
need_config
need_folders

gpus=()
if [[ -n ${CUDA_VISIBLE_DEVICES+set} ]]; then
  IFS=, read -ra gpus <<<"$CUDA_VISIBLE_DEVICES"
elif command -v nvidia-smi >/dev/null; then
  count=$(nvidia-smi --list-gpus 2>/dev/null | grep -c '^GPU ' || true)
  for ((i = 0; i < count; i++)); do gpus+=("$i"); done
fi
if [[ $processes == gpus ]]; then
  processes=${#gpus[@]}
  ((processes)) || lacks "--processes=gpus: no GPU is here (CUDA_VISIBLE_DEVICES, nvidia-smi)"
elif [[ ! $processes =~ ^[1-9][0-9]{0,2}$ ]]; then
  refuse "--processes=$processes: should be a number from 1 to 999, or gpus"
elif ((${#gpus[@]} % processes)); then
  lacks "--processes=$processes: should divide the ${#gpus[@]} GPUs here (CUDA_VISIBLE_DEVICES)"
fi
stop_if_lacking
((processes)) || exit 1

cores=$(nproc 2>/dev/null || sysctl -n hw.ncpu)
workers=$((cores / processes > 0 ? cores / processes : 1))
command=("$surgvista" "$program" --config="$config" --workdir="$workdir"
  --config.data.folder="$dataset" --config.loader.workers="$workers")
if ((processes == 1)); then
  $dry || exec "${command[@]}" ${words[@]+"${words[@]}"}
  show "${command[@]}" ${words[@]+"${words[@]}"}
  exit
fi

# A port that nobody listens to; process 0 says so in one line should another take it meanwhile.
port=$((20000 + RANDOM % 10000))
while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((20000 + RANDOM % 10000)); done
each=$((${#gpus[@]} / processes))
pids=() next=TERM
# Processes in the background of a script do not hear Ctrl-C themselves until a run listens to it.
trap 'told=$((told + 1)); kill -s "$next" "${pids[@]}" 2>/dev/null || true; next=KILL' INT
trap 'told=$((told + 1)); kill -s TERM "${pids[@]}" 2>/dev/null || true' TERM HUP
for ((i = 0; i < processes; i++)); do
  one=("${command[@]}" --coordinator="localhost:$port" --num-processes="$processes"
    --process-id="$i" --join-timeout=120 ${words[@]+"${words[@]}"})
  if ((each)); then
    mine=$(IFS=, && printf '%s' "${gpus[*]:i*each:each}")
    one=(env CUDA_VISIBLE_DEVICES="$mine" "${one[@]}")
  fi
  if $dry; then
    printf '%s &\n' "$(show "${one[@]}")"
  else
    "${one[@]}" &
    pids+=($!)
  fi
done
if $dry; then exit; fi
# A signal that came meanwhile has not reached those that were not there yet.
((told == 0)) || kill -s TERM "${pids[@]}" 2>/dev/null || true

# What went wrong says more than that the run was stopped.
worst=0
for pid in "${pids[@]}"; do
  status=0
  wait_for "$pid" || status=$?
  ((status == 0 || (worst != 0 && worst != 143))) || worst=$status
done
exit "$worst"
