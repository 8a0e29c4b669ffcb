#!/usr/bin/env bash
# Divides a preparation among the hosts of TPUs, and merges what they made; typed on your machine:
#
#   launch/tpu/prepare.sh [--dry-run] N COMMAND …
#
# where N is the number of hosts and COMMAND is `data convert`, `data pack` or `data check` with its
# words and without --part, such as
#
#   TPU_NAME=surgvista TPU_ZONE=us-west4-a launch/tpu/prepare.sh 4 \
#       data convert videos --source /mnt/raw --out /mnt/data/videos
#
# Host I does part I of N, by its processors alone; the first one then merges. The paths are those of
# the hosts, of a disk that all of them have mounted (Filestore). The same command again goes on
# where a lost connection ended it; if that was in the merge, type `surgvista merge FOLDER` alone on
# a host. What TPU_NAME and TPU_ZONE mean, and `install`, which comes
# before: launch/tpu/slice.sh. It was not run on TPUs.
set -euo pipefail
name=launch/tpu/prepare.sh dry=false
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

take_options "$@"
set -- ${given[@]+"${given[@]}"}
take_parts "$@"
# Each would want the TPUs of all hosts.
[[ ${words[0]} == data ]] ||
  refuse "${words[0]}: runs on the TPUs; on hosts apart, data alone does (docs/data.md: what else)"
need_command gcloud "the Google Cloud CLI"
need_variable TPU_NAME "the name of the TPUs"
need_variable TPU_ZONE "the zone where they are, such as us-west4-a"
stop_if_lacking

on_host() { # WORKER WORD …
  local line
  line=$(show surgvista/.venv/bin/surgvista "${@:2}")
  run gcloud compute tpus queued-resources ssh "${TPU_NAME:-NAME}" --zone="${TPU_ZONE:-ZONE}" \
    --node=0 --worker="$1" --command="$line" </dev/null
}

started=()
for ((part = 1; part <= count; part++)); do
  on_host $((part - 1)) "${words[@]}" --part="$part/$count" &
  started+=($!)
  if $dry; then wait $!; fi # in their order
done
for process in "${started[@]}"; do
  # Which parts are whole, the merge sees: one with an unreadable video ends with 1.
  wait "$process" || true
done
on_host 0 merge "$folder" --of="${command[*]}"
