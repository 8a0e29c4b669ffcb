#!/usr/bin/env bash
# Pretrains on several nodes:
#   sbatch launch/slurm/pretrain.sh CONFIG DATASET WORKDIR [--config.a.b=VALUE …]
# such as CONFIG=configs/pretrain/pixels_only.py. The workdir lies on a file system that all nodes share. Slurm's own limits end a job with SIGTERM,
# on which the run saves; submitted again with the same workdir, it goes on.
#SBATCH --job-name=surgvista
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
set -euo pipefail
config=$1 dataset=$2 workdir=$3
shift 3
# A process that fails takes the others along, which would wait for it in a collective.
exec srun --kill-on-bad-exit=1 surgvista pretrain --config="$config" --workdir="$workdir" \
  --config.data.folder="$dataset" --config.loader.workers=32 "$@"
