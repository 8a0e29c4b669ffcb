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
# shellcheck source-path=SCRIPTDIR source=until_done.sh
source "$here/until_done.sh"

after=WORKDIR
take_options "$@"
set -- ${given[@]+"${given[@]}"}
take_run "$@"
need_tpus
[[ $config != /* ]] || refuse "CONFIG $config: a file of the repository, which all hosts get"
need_config
for path in "$dataset" "$workdir"; do
  [[ $path == /* || $path == *://* ]] || refuse "$path: as the hosts see it, from / on"
done
stop_if_lacking

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
until_done || {
  status=$?
  say "$TPU_NAME stays (launch/tpu/slice.sh delete)"
  exit "$status"
}
$keep || slice delete
