#!/usr/bin/env bash
# Pretrains on the devices of this machine:
#   launch/local/pretrain.sh CONFIG DATASET WORKDIR [--config.a.b=VALUE …]
# such as CONFIG=configs/pretrain/pixels_only.py.
set -euo pipefail
config=$1 dataset=$2 workdir=$3
shift 3
exec surgvista pretrain --config="$config" --workdir="$workdir" \
  --config.data.folder="$dataset" --config.loader.workers="$(nproc)" "$@"
