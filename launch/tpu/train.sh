#!/usr/bin/env bash
# Trains on TPUs of Google Cloud from the queue to the end; typed on your own machine:
#
#   TPU_NAME=… TPU_ZONE=… TPU_TYPE=… TPU_RUNTIME=… launch/tpu/train.sh [--dry-run] [--keep] \
#       pretrain|finetune CONFIG DATASET WORKDIR [--config.a.b=VALUE …]
#
# What the variables mean, `launch/tpu/slice.sh --help` says. This asks for the TPUs if they are not
# there, installs this commit on all hosts where none is yet (launch/tpu/slice.sh install: another
# one), starts the run on each, and shows the log of the first.
# TPUs that are taken away (TPU_SPOT=true) are asked for again, and the run goes on from its newest
# checkpoint. When it is done they are deleted, with --keep not; when it fails they stay, so that
# one can look. Ctrl-C leaves the run alone; the same command shows its log again.
#
# CONFIG is a file of the repository. DATASET and WORKDIR are paths on the hosts, the same on all,
# and outlive them: a Filestore share, or a bucket that is mounted there.
#
# With TPU_SLICES above 1 the mesh lays `data` over the slices, as far as its size divides by their
# number, and keeps `fsdp` and `model` inside them: --config.mesh.fsdp=8 shards over 8 chips of one
# slice, and between slices only gradients are added up, once a step. It is tested with devices that
# say they are of several slices; neither one slice nor several were run on TPUs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=launch/tpu/train.sh dry=false
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

keep=false
own_option() {
  [[ $1 == --keep ]] && keep=true
}
after=WORKDIR
take_options "$@"
set -- ${given[@]+"${given[@]}"}
take_run "$@"
need_command gcloud "the Google Cloud CLI"
need_variable TPU_NAME "a name for these TPUs"
need_variable TPU_ZONE "the zone where they are, such as us-west4-a"
need_variable TPU_TYPE "the type, such as v5litepod-16"
need_variable TPU_RUNTIME "the system for TPU_TYPE, such as v2-alpha-tpuv5-lite"
[[ $config != /* ]] || refuse "CONFIG $config: a file of the repository, which all hosts get"
need_config
for path in "$dataset" "$workdir"; do
  [[ $path == /* || $path == *://* ]] || refuse "$path: as the hosts see it, from / on"
done
stop_if_lacking

slice() {
  if $dry; then "$here/slice.sh" --dry-run "$1"; else "$here/slice.sh" "$1"; fi
}
# What a shell of the host reads, in which every word arrives as it was typed here.
remote="bash surgvista/launch/tpu/host.sh start $(show "$@")"
ssh=(gcloud compute tpus queued-resources ssh "${TPU_NAME:-NAME}" --zone="${TPU_ZONE:-ZONE}")
start=("${ssh[@]}" --node=all --worker=all --command="$remote")
follow=("${ssh[@]}" --node=0 --worker=0 --command="bash surgvista/launch/tpu/host.sh follow")
if $dry; then
  slice create
  echo "# when they are ACTIVE:"
  slice state
  slice install
  run "${start[@]}"
  run "${follow[@]}"
  echo "# when they were taken away, and then all of it again:"
  slice delete
  if ! $keep; then echo "# when the run is done:" && slice delete; fi
  exit
fi

trap 'say "the run goes on; launch/tpu/slice.sh stop ends it, delete removes the TPUs"; exit 130' INT
failures=0 before=''
# Google's service and the way to it fail for moments; one that fails for five minutes, fails.
again() { # SECONDS
  failures=$((failures + 1))
  ((failures < 10)) || { say "gave up after $failures tries" && exit 1; }
  sleep "$1"
}
while :; do
  now=$(slice state) || { again 30 && continue; }
  [[ $now == "$before" ]] || say "$TPU_NAME: ${now:-not asked for yet}"
  before=$now
  case $now in
    '')
      if slice create; then sleep 10; else again 30; fi # it is listed a moment later
      continue
      ;;
    SUSPENDED)
      say "$TPU_NAME was taken away; asking for it again"
      slice delete || again 30
      continue
      ;;
    FAILED)
      say "$TPU_NAME: the request failed; launch/tpu/slice.sh delete removes it"
      exit 1
      ;;
    ACTIVE) ;;
    *)
      failures=0 # days may pass here
      sleep 30
      continue
      ;;
  esac

  status=0
  "${start[@]}" || status=$?
  case $status in
    0) failures=0 ;;
    127) # nothing is installed yet
      slice install || again 30
      continue
      ;;
    255) # a host is not to be reached
      again 30
      continue
      ;;
    *)
      say "a host cannot start (status $status); $TPU_NAME stays (launch/tpu/slice.sh delete)"
      exit "$status"
      ;;
  esac

  "${follow[@]}" || status=$?
  if ((status == 0)); then
    $keep || slice delete
    exit 0
  fi
  # Hosts that are taken away end the others by an error; that they are, is seen a little later,
  # and by then all processes have ended.
  ((status == 143)) || sleep 90
  if [[ $status == 75 || $status == 255 || $(slice state) != ACTIVE ]]; then
    say "the run was cut off (status $status); it goes on when $TPU_NAME is there"
    continue
  fi
  say "the run ended with status $status; $TPU_NAME stays (launch/tpu/slice.sh delete)"
  exit "$status"
done
