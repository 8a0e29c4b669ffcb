#!/usr/bin/env bash
# Pretrains on a TPU pod slice; run the same command on every host, such as with
# `gcloud compute tpus tpu-vm ssh NAME --worker=all --command=…`:
#   launch/tpu/pretrain.sh DATASET WORKDIR [--config.a.b=VALUE …]
# The workdir lies on a file system that all hosts share.
set -euo pipefail
dataset=$1 workdir=$2
shift 2
exec surgvista pretrain --distributed --config=configs/pretrain/surgvista.py --workdir="$workdir" \
  --config.data.folder="$dataset" --config.loader.workers="$(($(nproc) / 2))" "$@"
