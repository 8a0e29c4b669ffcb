#!/usr/bin/env bash
# Pretrains on the GPUs of this machine: launch/local/pretrain.sh DATASET WORKDIR [--config.a.b=VALUE …]
set -euo pipefail
dataset=$1 workdir=$2
shift 2
exec surgvista pretrain --config=configs/pretrain/surgvista.py --workdir="$workdir" \
  --config.data.folder="$dataset" --config.loader.workers="$(($(nproc) - 2))" "$@"
