#!/usr/bin/env bash
# What does each host of TPUs run? Called through ssh by slice.sh and train.sh, which lie beside it:
#
#   host.sh install                                   # this folder's repository, into its .venv
#   host.sh start PROGRAM CONFIG DATASET WORKDIR …    # the run, which no lost connection ends
#   host.sh start study STAGE I/N STUDY.py DIR …      # every Nth job of a study's stage, likewise
#   host.sh follow                                    # its log until it ends; status 75: cut off
#   host.sh stop                                      # it saves and ends
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=launch/tpu/host.sh dry=false
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

runs=$HOME/.surgvista # what of a run is kept on this host: its words, log, process, how it ended
action=${1:-}
[[ -z $action ]] || shift

# By its words, too: after a new start of the host its number may be another program's.
is_running() { [[ -f $runs/pid ]] && grep -q surgvista "/proc/$(<"$runs/pid")/cmdline" 2>/dev/null; }

wait_until() { # CONDITION FILE; ten seconds at most
  local i
  for ((i = 0; i < 50; i++)); do
    ! test "$1" "$2" || return 0
    sleep 0.2
  done
}

case $action in
  install)
    need_command python3 "any version; it brings another one by uv"
    stop_if_lacking
    cd "$repository"
    # The systems for TPUs bring Python 3.10, which is too old.
    if [[ ! -x .venv/bin/python ]]; then
      PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --user uv
      python3 -m uv venv --quiet --seed --python 3.12 .venv
    fi
    .venv/bin/pip install --quiet -e ".[tpu,gcs]"
    ;;
  start)
    if [[ ${1:-} == study ]]; then
      (($# >= 5)) || refuse "STAGE, I/N, STUDY.py and DIR are needed"
      config=$4 workdir=$5
    else
      take_run "$@"
    fi
    need_surgvista
    [[ -x $surgvista ]] || exit 127 # as where not even this script is
    need_config
    need_folders
    need_command setsid "part of util-linux"
    stop_if_lacking
    typed=$(show "$@")
    if is_running; then
      there=$(cat "$runs/words" 2>/dev/null || echo "one of an earlier version")
      # Of a study that is followed again, the stage may be a later one.
      [[ ${there#study * } == "${typed#study * }" ]] ||
        refuse "another run is here (stop ends it): $there"
      say "a run is here already; it goes on"
      exit
    fi
    mkdir -p "$runs"
    rm -f "$runs/pid" "$runs/status" "$runs/stopped"
    printf '%s\n' "$typed" >"$runs/words"
    if [[ $1 == study ]]; then
      command=("$surgvista" study run "$config" --out="$workdir" --stage="$2" --only="$3" "${@:6}")
    else
      cores=$((($(nproc) + 1) / 2))
      command=("$surgvista" "$program" --distributed --config="$config" --workdir="$workdir"
        --config.data.folder="$dataset" --config.loader.workers="$cores" ${words[@]+"${words[@]}"})
    fi
    cd "$repository" # where CONFIG lies
    # shellcheck disable=SC2016 # the inner shell expands them
    setsid nohup bash -c '
      runs=$1 status=0
      shift
      "$@" &
      echo $! >"$runs/pid"
      wait $! || status=$?
      echo "$status" >"$runs/status"
    ' run "$runs" "${command[@]}" >"$runs/log" 2>&1 </dev/null &
    wait_until -s "$runs/pid"
    ;;
  follow)
    [[ -s $runs/pid ]] || lacks "no run was started on this host"
    stop_if_lacking
    tail --lines=100 --follow=name --pid="$(<"$runs/pid")" "$runs/log" &
    wait $! || true
    wait_until -s "$runs/status"
    status=$(cat "$runs/status" 2>/dev/null || echo 137)
    # Told to stop, but not by `stop`: the host is being taken away.
    if [[ $status == 143 && ! -f $runs/stopped ]]; then status=75; fi
    exit "$status"
    ;;
  stop)
    is_running || lacks "no run is here"
    stop_if_lacking
    touch "$runs/stopped"
    kill -s TERM "$(<"$runs/pid")"
    ;;
  *) refuse "'$action' should be install, start, follow or stop" ;;
esac
