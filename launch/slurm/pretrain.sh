#!/usr/bin/env bash
# Pretrains on several nodes: sbatch launch/slurm/pretrain.sh DATASET WORKDIR [--config.a.b=VALUE …]
# The workdir lies on a file system that all nodes share. Slurm's own limits end a job with SIGTERM,
# on which the run saves; submitted again with the same workdir, it goes on.
#SBATCH --job-name=surgvista
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
set -euo pipefail
dataset=$1 workdir=$2
shift 2
exec srun surgvista pretrain --config=configs/pretrain/surgvista.py --workdir="$workdir" \
  --config.data.folder="$dataset" --config.loader.workers=32 "$@"
