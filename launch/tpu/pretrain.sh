#!/usr/bin/env bash
# Pretrains on a TPU pod slice; run the same command on every host, such as with
# `gcloud compute tpus tpu-vm ssh NAME --worker=all --command=…`:
#   launch/tpu/pretrain.sh CONFIG DATASET WORKDIR [--config.a.b=VALUE …]
# such as CONFIG=configs/pretrain/pixels_only.py. The workdir lies on a file system that all hosts share.
set -euo pipefail
config=$1 dataset=$2 workdir=$3
shift 3
exec surgvista pretrain --distributed --config="$config" --workdir="$workdir" \
  --config.data.folder="$dataset" --config.loader.workers="$(($(nproc) / 2))" "$@"
