#!/usr/bin/env bash
# Builds the image of this repository, as it lies here:
#
#   launch/container/build.sh [--dry-run] gpu|tpu [TAG]
#
# TAG is surgvista:gpu or surgvista:tpu without one; such as
# us-docker.pkg.dev/PROJECT/REPOSITORY/surgvista:tpu, to be pushed for launch/tpu/jobset.yaml.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=launch/container/build.sh dry=false
# shellcheck source-path=SCRIPTDIR source=../needs.sh
source "$here/../needs.sh"

take_options "$@"
set -- ${given[@]+"${given[@]}"}
[[ ${1:-} =~ ^(gpu|tpu)$ ]] || refuse "gpu or tpu is needed (--help)"
(($# <= 2)) || refuse "$3: one TAG is enough (--help)"
need_command docker "Docker, or a podman that is called so"
stop_if_lacking

run docker build --file="$here/$1.Dockerfile" --tag="${2:-surgvista:$1}" "$repository"
