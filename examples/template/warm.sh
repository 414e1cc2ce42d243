#!/bin/sh
# What takes long to start is started once: the first call leaves a template of it behind, and each call runs a copy.
#
#   warm.sh NAME PROGRAM [ARGUMENT]...     e.g.  warm.sh service java -jar service.jar     (cryo-thaw --end service)
#
# PROGRAM makes the file $READY when it has done what takes long, and then reads its standard input.
set -eu

name=$1
shift
if ! cryo-thaw --templates | grep -q "^$name "; then
    work=$(mktemp -d)
    trap 'rm -r "$work"' EXIT
    mkfifo "$work/held"
    READY=$work/ready "$@" <"$work/held" >/dev/null 2>&1 &
    program=$!
    exec 9>"$work/held"
    until [ -e "$work/ready" ]; do kill -0 "$program"; sleep 0.05; done
    cryo-freeze "$program" --hold="$name" --fd 0=inherit --fd 1=inherit --fd 2=inherit >/dev/null
    exec 9>&-
    rm -r "$work"
    trap - EXIT
fi
exec cryo-thaw --from "$name"
