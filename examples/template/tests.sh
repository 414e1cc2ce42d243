#!/bin/sh
# A test suite whose cases each start the same slow program: it starts once, is held where it has read nothing yet, and each case gets a copy.
#
#   tests.sh PROGRAM [ARGUMENT]...     each file *.in beside is given to a copy, and what it says is compared with *.out
#
# PROGRAM makes the file `ready` when it has done what takes long, and reads its case from standard input.
set -eu

rm -f ready
mkfifo held
"$@" <held >/dev/null 2>&1 &
program=$!
exec 9>held
until [ -e ready ]; do kill -0 "$program"; sleep 0.05; done
template=$(cryo-freeze "$program" --hold --fd 0=inherit --fd 1=inherit --fd 2=inherit)
exec 9>&-
rm held
trap 'cryo-thaw --end "$template"' EXIT

failed=0
for case in *.in; do
    if cryo-thaw --from "$template" <"$case" 2>"${case%.in}.err" | cmp -s - "${case%.in}.out"; then
        echo "ok ${case%.in}"
    else
        echo "not ok ${case%.in}"
        failed=1
    fi
done
exit "$failed"
