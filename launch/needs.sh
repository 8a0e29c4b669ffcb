# shellcheck shell=bash
# What does a launch script need here, and how are its commands shown instead of run?
# Sourced by the scripts in the folders beside it.

# Which script this is, from the repository on, and whether it shows instead of running.
: "${name:?}" "${dry:?}"
# Each script's words, after its own options; `take_run` fills them in.
program='' config='' dataset='' workdir='' words=() surgvista=''
count='' command=() folder='' # of `take_parts`
stages=()                     # of `take_stages`
given=()                      # what `take_options` leaves
after=''                      # behind which word those of surgvista come, where they do
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lacking=false
told=0 # signals that came, counted by the scripts' traps

# The script's head, without its first line, as help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$repository/$name"; }

# What is wrong with the words of the command line ends the script.
refuse() {
  printf '%s: %s\n' "$name" "$*" >&2
  exit 2
}

say() { printf '%s: %s\n' "$name" "$*" >&2; }

# A thing that is missing is one line; `stop_if_lacking` ends the script after all of them.
lacks() {
  say "$@"
  lacking=true
}

# A dry run shows on a laptop what a cluster would run, so there nothing has to be here.
stop_if_lacking() {
  if $lacking && ! $dry; then exit 1; fi
}

need_command() { # NAME WHERE-FROM
  command -v "$1" >/dev/null || lacks "$1: no such command here ($2)"
}

need_sbatch() {
  need_command sbatch "run this on a login node of a Slurm cluster"
  # A shell within a step of another job hands down what would be taken for the new job's.
  unset "${!SLURM_STEP_@}"
}

need_variable() { # NAME MEANING
  [[ -n ${!1:-} ]] || lacks "$1 is not set: $2"
}

# One that the script alone has, if it is one; scripts that have any define it anew.
own_option() { # WORD
  false
}

# The options before all other words, which are left in `given`.
take_options() { # WORD …
  while (($#)); do
    case $1 in
      --dry-run) dry=true ;;
      -h | --help) usage && exit ;;
      -*) own_option "$1" ||
        refuse "$1 is no option${after:+; those of surgvista come after $after} (--help)" ;;
      *) break ;;
    esac
    shift
  done
  # shellcheck disable=SC2034 # for the scripts
  given=("$@")
}

# pretrain|finetune CONFIG DATASET WORKDIR [WORD …]
take_run() {
  (($# >= 4)) || refuse "PROGRAM, CONFIG, DATASET and WORKDIR are needed (--help)"
  program=$1 config=$2 dataset=$3 workdir=$4
  words=("${@:5}")
  case $program in
    pretrain | finetune) ;;
    *) refuse "'$program' is no program: pretrain or finetune comes before CONFIG (--help)" ;;
  esac
}

# N STUDY.py DIR [WORD …], of a study whose stages are divided by N
take_study() {
  local word
  (($# >= 3)) || refuse "N, STUDY.py and DIR are needed (--help)"
  count=$1 config=$2 workdir=$3 words=("${@:4}")
  [[ $count =~ ^[1-9][0-9]{0,3}$ ]] || refuse "'$count' should be a number of elements, 1 to 9999"
  for word in ${words[@]+"${words[@]}"}; do
    case $word in
      --stage* | --only* | --out* | --jobs* | --dry-run)
        refuse "$word: is said for each element; leave it out" ;;
    esac
  done
}

# data,pretrain,…: those of a study that are to be done, in this order
take_stages() {
  local stage
  IFS=, read -ra stages <<<"$1"
  for stage in ${stages[@]+"${stages[@]}"}; do
    case $stage in
      data | pretrain | features | cells) ;;
      *) refuse "--stages: '$stage' is none of data, pretrain, features and cells" ;;
    esac
  done
}

# N COMMAND …, of what is done in N parts: also its own words, and the folder that it writes to
take_parts() {
  local i
  (($# >= 2)) || refuse "N and COMMAND are needed (--help)"
  count=$1 words=("${@:2}")
  [[ $count =~ ^[1-9][0-9]{0,3}$ ]] || refuse "'$count' should be a number of parts, 1 to 9999"
  case "${words[0]} ${words[1]:-}" in
    'data convert' | 'data pack' | 'data check') command=("${words[@]:0:2}") ;;
    'features '* | 'predict '*) command=("${words[0]}") ;;
    *) refuse "'${words[*]:0:2}' has no parts: data convert, data pack, data check, features and" \
      "predict have" ;;
  esac
  for ((i = 0; i < ${#words[@]}; i++)); do
    case ${words[i]} in
      --part | --part=*) refuse "${words[i]}: is given to each part; leave it out" ;;
      --out) folder=${words[i + 1]:-} ;;
      --out=*) folder=${words[i]#*=} ;;
    esac
  done
  if [[ ${command[*]} == 'data '[pc]*ck ]]; then
    folder=${words[2]:-}
    [[ $folder != -* ]] || refuse "$folder: the folder comes right after '${command[*]}'"
  fi
  [[ -n $folder ]] || refuse "'${command[*]}' needs the folder that it writes to"
}

# The command itself: on the PATH, or where the README's installation puts it.
need_surgvista() {
  surgvista=$(command -v surgvista || true)
  [[ -n $surgvista ]] || surgvista=$repository/.venv/bin/surgvista
  [[ -x $surgvista ]] || lacks "surgvista: neither on the PATH nor $surgvista; install it first"
}

need_config() {
  local file=${config%%:*}
  [[ -f $file || -f $repository/$file ]] || lacks "CONFIG $file: no such file"
}

# What a URL names, only the program can tell.
need_folders() {
  local folder above folders
  IFS=, read -ra folders <<<"$dataset"
  for folder in "${folders[@]}"; do
    # Below config.data.root, relative ones may lie elsewhere.
    [[ -d $folder || $folder == *://* || " ${words[*]-}" == *" --config.data.root="* ]] ||
      lacks "DATASET $folder: no such folder"
  done
  [[ $workdir != *://* ]] || return 0
  above=$workdir
  until [[ -e $above || $above == . || $above == / ]]; do above=$(dirname "$above"); done
  [[ -d $above && -w $above ]] || lacks "WORKDIR $workdir: $above is no folder to write into"
}

# One command on a line, quoted as a shell reads it.
show() {
  local line
  printf -v line ' %q' "$@"
  printf '%s\n' "${line:1}"
}

run() {
  if $dry; then show "$@"; else "$@"; fi
}

# Waits for a process that this shell started and gives its status, however many signals come in
# between: each ends `wait`, and not the process.
wait_for() { # PID
  local status=0 again before
  while
    before=$told
    again=0
    wait "$1" || again=$?
    ((again == 127)) || status=$again # 127: it was waited for before
    ((told != before))
  do :; done
  return "$status"
}

# A job of Slurm that saved in time, or stood still, goes back into the queue, to go on from there.
queue_again() { # STATUS ID
  local how="stopped and saved" restarts=${SLURM_RESTART_COUNT:-0} state
  (($1 == 143 || $1 == 75)) || return 0
  (($1 == 143)) || how="stood still"
  state=$(squeue --noheader --jobs="$2" --format=%T 2>/dev/null || true)
  if [[ $state != RUNNING ]]; then
    say "$how; not queued again, as the job is ${state:-unknown to squeue}"
  elif ((restarts >= 100)); then
    say "$how; not queued again after $restarts starts: is its time too short?"
  else # Slurm ends this shell while it queues the job
    say "$how; into the queue again, to go on from here (start $((restarts + 2)))"
    scontrol requeue "$2" || say "Slurm does not queue it again; hand it in by the same command"
  fi
}
