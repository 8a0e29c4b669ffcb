#!/usr/bin/env bash
# Runs a study on TPUs of Google Cloud, stage by stage; typed on your own machine:
#
#   TPU_NAME=… TPU_ZONE=… TPU_TYPE=… TPU_RUNTIME=… launch/tpu/study.sh [--dry-run] [--keep] \
#       [--stages=data,pretrain,features,cells] N STUDY.py DIR [WORD …]
#
# where the words are those of `surgvista study`, such as
#
#   TPU_NAME=study TPU_ZONE=us-west4-a TPU_TYPE=v5litepod-8 TPU_RUNTIME=v2-alpha-tpuv5-lite \
#       TPU_SPOT=true launch/tpu/study.sh 4 configs/studies/comparison.py /data/comparison \
#       --config.root=/data --config.weights.mvd=/data/mvd.pth
#
# This asks for N TPUs of one host each, TPU_NAME-1 to TPU_NAME-N, apart from one another, installs
# this commit where none is yet, and has the Ith do every Nth job of a stage, from the Ith on; the
# next stage begins when all have ended. TPUs that are taken away (TPU_SPOT=true) are asked for
# again, and their runs go on. What failed is told in DIR/logs, and what needs it is left out: the
# same command again does what is missing, and nothing twice. At the end the TPUs are deleted, with
# --keep not. Ctrl-C, or a terminal that is closed, leaves the runs alone, and nobody asks again for
# TPUs that are taken away; the same command goes on from there.
#
# STUDY.py is a file of the repository. DIR, data and weights are paths on the hosts, the same on
# all, of a disk that outlives them (Filestore). What the variables mean, `launch/tpu/slice.sh
# --help` says. It was not run on TPUs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=launch/tpu/study.sh dry=false
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"
# shellcheck source-path=SCRIPTDIR source=until_done.sh
source "$here/until_done.sh"

take_stages data,pretrain,features,cells
own_option() {
  case $1 in
    --keep) keep=true ;;
    --stages=*) take_stages "${1#*=}" ;;
    *) false ;;
  esac
}
after=DIR
take_options "$@"
set -- ${given[@]+"${given[@]}"}
take_study "$@"
need_tpus
[[ ${TPU_TYPE:-} =~ -[1-8]$ || -z ${TPU_TYPE:-} ]] ||
  refuse "TPU_TYPE=$TPU_TYPE: has several hosts; a run of a study has one (-8 or less)"
[[ ${TPU_SLICES:-1} == 1 ]] || refuse "TPU_SLICES=$TPU_SLICES: N says how many TPUs; leave it out"
[[ $config != /* ]] || refuse "STUDY.py $config: a file of the repository, which all hosts get"
need_config
[[ $workdir == /* ]] || refuse "DIR $workdir: as the hosts see it, from / on"
stop_if_lacking

base=${TPU_NAME:-name}
name_host() { # I
  local ssh
  export TPU_NAME=$base-$1
  ssh=(gcloud compute tpus queued-resources ssh "$TPU_NAME" --zone="${TPU_ZONE:-ZONE}" --node=0
    --worker=0)
  # What a shell of the host reads, in which every word arrives as it was typed here.
  start=("${ssh[@]}" --command="bash surgvista/launch/tpu/host.sh start $(show study "$stage" \
    "$1/$count" "$config" "$workdir" ${words[@]+"${words[@]}"})")
  follow=("${ssh[@]}" --command="bash surgvista/launch/tpu/host.sh follow")
}
if $dry; then
  stage=${stages[0]}
  name_host 1
  echo "# the first of $count:"
  slice create
  echo "# when it is ACTIVE:"
  slice state
  slice install
  for stage in "${stages[@]}"; do
    name_host 1
    run "${start[@]}"
    run "${follow[@]}"
    echo "# and when all have ended:"
  done
  if ! $keep; then slice delete; fi
  exit
fi

# What follows the hosts, in groups of their own, so that all of it ends with this script.
set -m
loops=()
# shellcheck disable=SC2329 # the traps call it
leave() { # STATUS
  local process
  for process in ${loops[@]+"${loops[@]}"}; do kill -- "-$process" 2>/dev/null || true; done
  say "the runs go on; TPU_NAME=$base-I launch/tpu/slice.sh stop ends the Ith, delete removes it" ||
    true # the terminal may be gone
  exit "$1"
}
trap 'leave 130' INT
trap 'leave 143' TERM
trap 'leave 129' HUP
failed=0
for stage in "${stages[@]}"; do
  loops=()
  for ((host = 1; host <= count; host++)); do
    (name_host "$host" && until_done) </dev/null &
    loops+=($!)
  done
  stopped=false
  for process in "${loops[@]}"; do
    status=0
    wait "$process" || status=$?
    ((status == 0)) || failed=$status
    ((status != 143)) || stopped=true
  done
  if $stopped; then break; fi # by `slice.sh stop`: all that follows would begin
done
if ! $keep; then
  for ((host = 1; host <= count; host++)); do
    TPU_NAME=$base-$host slice delete || failed=1
  done
fi
exit "$failed"
