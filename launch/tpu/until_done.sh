# shellcheck shell=bash
# How does a run get from the queue for TPUs to its end, whenever they are taken away?
# Sourced by the scripts beside it that start runs.

# The caller's folder, and what starts a run on its hosts and shows its log until it ends.
: "${here:?}" "${dry:?}"
start=() follow=()
keep=false

own_option() {
  # shellcheck disable=SC2034 # for the scripts
  [[ $1 == --keep ]] && keep=true
}

need_tpus() {
  need_command gcloud "the Google Cloud CLI"
  need_variable TPU_NAME "a name for these TPUs"
  need_variable TPU_ZONE "the zone where they are, such as us-west4-a"
  need_variable TPU_TYPE "the type, such as v5litepod-16"
  need_variable TPU_RUNTIME "the system for TPU_TYPE, such as v2-alpha-tpuv5-lite"
}

slice() {
  if $dry; then "$here/slice.sh" --dry-run "$1"; else "$here/slice.sh" "$1"; fi
}

# Google's service and the way to it fail for moments; one that fails for five minutes, fails.
again() { # SECONDS
  failures=$((failures + 1))
  ((failures < 10)) || { say "gave up after $failures tries" && exit 1; }
  sleep "$1"
}

# Asks for the TPUs where they are not there, installs, starts and follows the run; its status.
until_done() {
  local before='' now status still=0
  failures=0
  while :; do
    now=$(slice state) || { again 30 && continue; }
    [[ $now == "$before" ]] || say "$TPU_NAME: ${now:-not asked for yet}"
    before=$now
    case $now in
      '')
        if slice create; then sleep 10; else again 30; fi # it is listed a moment later
        continue
        ;;
      SUSPENDED)
        say "$TPU_NAME was taken away; asking for it again"
        still=0
        slice delete || again 30
        continue
        ;;
      FAILED)
        say "$TPU_NAME: the request failed"
        return 1
        ;;
      ACTIVE) ;;
      *)
        failures=0 # days may pass here
        sleep 30
        continue
        ;;
    esac

    status=0
    "${start[@]}" || status=$?
    case $status in
      0) failures=0 ;;
      127) # nothing is installed yet
        slice install || again 30
        continue
        ;;
      255) # a host is not to be reached
        again 30
        continue
        ;;
      *)
        say "a host cannot start (status $status)"
        return "$status"
        ;;
    esac

    "${follow[@]}" || status=$?
    ((status)) || return 0
    # Hosts that are taken away end the others by an error; that they are, is seen a little later,
    # and by then all processes have ended.
    ((status == 143)) || sleep 90
    if [[ $status == 75 || $status == 255 || $(slice state) != ACTIVE ]]; then
      # One that always stands still (75) would have the TPUs for ever.
      ((status != 75)) || still=$((still + 1))
      ((still < 10)) || { say "gave up: it ended so $still times on the same TPUs" && return 75; }
      say "the run was cut off (status $status); it goes on when $TPU_NAME is there"
      continue
    fi
    say "the run ended with status $status"
    return "$status"
  done
}
