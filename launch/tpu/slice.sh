#!/usr/bin/env bash
# Makes and removes TPUs of Google Cloud, as a queued resource; typed on your own machine:
#
#   launch/tpu/slice.sh [--dry-run] create    # puts the request into the queue
#   launch/tpu/slice.sh [--dry-run] install   # this commit and what it needs, on all hosts
#   launch/tpu/slice.sh [--dry-run] state     # ACTIVE, WAITING_FOR_RESOURCES, …; empty: none
#   launch/tpu/slice.sh [--dry-run] stop      # the run saves and ends; the TPUs stay
#   launch/tpu/slice.sh [--dry-run] delete    # they cost money until then
#
# launch/tpu/train.sh does all of it for a run. Which TPUs, these variables say:
#
#   TPU_NAME=surgvista TPU_ZONE=us-west4-a   # their name and place
#   TPU_TYPE=v5litepod-16                    # what `gcloud compute tpus accelerator-types list` names
#   TPU_RUNTIME=v2-alpha-tpuv5-lite          # the system for that type (tpu-vm versions list)
#   TPU_SLICES=2                             # so many of that type, joined by the network (1)
#   TPU_SPOT=true                            # cheaper, and taken away at any time (false)
#
# The project is the one of `gcloud config`. For several hosts gcloud asks that ssh-add knows the
# key: `ssh-add ~/.ssh/google_compute_engine`. Written by gcloud's own description (version 528);
# it was not run on TPUs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=launch/tpu/slice.sh dry=false
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

take_options "$@"
set -- ${given[@]+"${given[@]}"}
(($# == 1)) || refuse "one of create, install, state, stop and delete is needed (--help)"
slices=${TPU_SLICES:-1}
need_command gcloud "the Google Cloud CLI"
need_variable TPU_NAME "a name for these TPUs"
need_variable TPU_ZONE "the zone where they are, such as us-west4-a"
[[ ! ${TPU_NAME:-} =~ [^a-z0-9-] ]] ||
  lacks "TPU_NAME=$TPU_NAME: small letters, digits and hyphens alone"
[[ $slices =~ ^[1-9][0-9]{0,2}$ ]] || lacks "TPU_SLICES=$slices: should be a number from 1 to 999"
[[ ${TPU_SPOT:-false} =~ ^(true|false)$ ]] || lacks "TPU_SPOT=$TPU_SPOT: should be true or false"
if [[ $1 == create ]]; then
  need_variable TPU_TYPE "the type, such as v5litepod-16"
  need_variable TPU_RUNTIME "the system for TPU_TYPE, such as v2-alpha-tpuv5-lite"
fi
if [[ $1 == install ]]; then
  git -C "$repository" rev-parse HEAD >/dev/null 2>&1 ||
    lacks "$repository: is no clone of the repository; install takes its last commit"
fi
stop_if_lacking
at=(--zone="${TPU_ZONE:-ZONE}")
tpus=(gcloud compute tpus queued-resources)
resource=${TPU_NAME:-NAME}

state() {
  run "${tpus[@]}" list "${at[@]}" --filter="name~/queuedResources/$resource\$" \
    --format="value(state.state)"
}

create() {
  local words=("${tpus[@]}" create "$resource" "${at[@]}"
    --accelerator-type="${TPU_TYPE:-TYPE}" --runtime-version="${TPU_RUNTIME:-RUNTIME}")
  if ((slices > 1)); then
    words+=(--node-count="$slices" --node-prefix="$resource")
  else
    words+=(--node-id="$resource")
  fi
  [[ ${TPU_SPOT:-false} == false ]] || words+=(--spot)
  run "${words[@]}"
}

everywhere=(--node=all --worker=all)
install() {
  local folder=${TMPDIR:-/tmp} archive
  if ! $dry; then
    folder=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$folder'" EXIT
    [[ -z $(git -C "$repository" status --porcelain) ]] ||
      say "what is not committed in $repository does not come along"
  fi
  archive=$folder/surgvista.tar.gz
  run git -C "$repository" archive --format=tar.gz --output="$archive" HEAD
  run "${tpus[@]}" scp "$archive" "$resource:surgvista.tar.gz" "${at[@]}" "${everywhere[@]}"
  run "${tpus[@]}" ssh "$resource" "${at[@]}" "${everywhere[@]}" --command="mkdir -p surgvista && \
tar -xzf surgvista.tar.gz -C surgvista && bash surgvista/launch/tpu/host.sh install"
}

case $1 in
  create | install | state) "$1" ;;
  # One process told is all told.
  stop) run "${tpus[@]}" ssh "$resource" "${at[@]}" --node=0 --worker=0 \
    --command="bash surgvista/launch/tpu/host.sh stop" ;;
  delete) run "${tpus[@]}" delete "$resource" "${at[@]}" --force --quiet ;;
  *) refuse "'$1' should be create, install, state, stop or delete (--help)" ;;
esac
