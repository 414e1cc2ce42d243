#!/bin/bash
# A fuzzer of a program that takes long to start: it starts once, and each input is read by a copy of it, whatever the one before has done to its memory.
#
#   fuzz.sh COUNT PROGRAM [ARGUMENT]...     inputs are files of `seeds` in which up to four bytes were changed; one that kills a copy is kept in `crashes`
#
# PROGRAM makes the file `ready` when it has done what takes long, and reads its input from standard input. SEED=N repeats a run.
set -eu

count=$1
shift
RANDOM=${SEED:=$(($$ % 32768))}
echo "SEED=$SEED"
rm -f ready
mkfifo held
"$@" <held >/dev/null 2>&1 &
program=$!
exec 9>held
until [ -e ready ]; do kill -0 "$program"; sleep 0.05; done
template=$(cryo-freeze "$program" --hold --fd 0=inherit --fd 1=inherit --fd 2=inherit)
exec 9>&-
rm held
trap 'cryo-thaw --end "$template"; rm -f input' EXIT

mkdir -p crashes
seeds=(seeds/*)
found=0
for ((n = 0; n < count; n++)); do
    cp "${seeds[RANDOM % ${#seeds[@]}]}" input
    size=$(stat -c %s input)
    for ((i = RANDOM % 4; i >= 0; i--)); do
        printf "\\x$(printf %x $((RANDOM % 256)))" | dd of=input bs=1 seek=$((RANDOM % size)) conv=notrunc status=none
    done
    status=0
    cryo-thaw --from "$template" <input >/dev/null 2>&1 || status=$?
    if ((status > 128)); then
        cp input "crashes/$n"
        echo "crashes/$n: signal $((status - 128))"
        found=$((found + 1))
    fi
done
echo "$found of $count inputs killed it"
