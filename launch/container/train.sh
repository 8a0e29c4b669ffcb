#!/usr/bin/env bash
# Trains on the GPUs of this machine, or on its TPUs, in a container of launch/container/build.sh:
#
#   launch/container/train.sh [--dry-run] gpu|tpu pretrain|finetune \
#       CONFIG DATASET WORKDIR [--config.a.b=VALUE …]
#
# The image is surgvista:gpu or surgvista:tpu; IMAGE=TAG takes another one. DATASET (to be read
# alone) and WORKDIR are seen inside under the paths that they have here, and so is a CONFIG that is
# not of the repository; other files, such as weights, have to lie in one of the two folders. What
# the run writes belongs to you. Ctrl-C, or `docker stop --time=120` with the name that `docker ps`
# tells, has it save; the same command goes on from there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=launch/container/train.sh dry=false
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

after=WORKDIR
take_options "$@"
set -- ${given[@]+"${given[@]}"}
device=${1:-}
[[ $device =~ ^(gpu|tpu)$ ]] || refuse "gpu or tpu is needed (--help)"
take_run "${@:2}"
for path in "$dataset" "$workdir"; do
  [[ $path != *://* ]] || refuse "$path: a folder of this machine is needed"
done
need_command docker "Docker, or a podman that is called so"
need_config
need_folders
for path in "$dataset" "$workdir"; do
  # Docker's own way of naming folders separates with commas.
  [[ $path != *,* ]] || lacks "$path: one folder, without a comma in its name"
done
stop_if_lacking

absolute() { if [[ $1 == /* ]]; then printf '%s' "$1"; else printf '%s' "$PWD/$1"; fi; }
dataset=$(absolute "$dataset") workdir=$(absolute "$workdir")
mounts=(--mount="type=bind,source=$dataset,target=$dataset,readonly"
  --mount="type=bind,source=$workdir,target=$workdir")
if [[ -f ${config%%:*} ]]; then
  config=$(absolute "$config")
  case $config in
    "$repository"/configs/*) config=${config#"$repository"/} ;; # the image has it
    *) mounts+=(--mount="type=bind,source=${config%%:*},target=${config%%:*},readonly") ;;
  esac
fi
# --init passes signals on; loader workers hand over their batches in shared memory.
command=(docker run --rm --init --user="$(id -u):$(id -g)" --env=HOME=/tmp)
case $device in
  gpu) command+=(--gpus=all --ipc=host) ;;
  tpu) command+=(--privileged --network=host --ipc=host) ;;
esac
cores=$(nproc 2>/dev/null || echo 1)
$dry || mkdir -p "$workdir" # Docker would make it, and it would be root's
run "${command[@]}" "${mounts[@]}" "${IMAGE:-surgvista:$device}" \
  "$program" --config="$config" --workdir="$workdir" --config.data.folder="$dataset" \
  --config.loader.workers="$cores" ${words[@]+"${words[@]}"}
