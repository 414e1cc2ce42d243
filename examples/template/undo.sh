#!/bin/bash
# A REPL whose lines can be taken back: before each line a template is made of it, and `undo` goes on with a copy of the last one.
#
#   undo.sh PROMPT PROGRAM [ARGUMENT]...     e.g.  undo.sh '>>> ' python3 -iq
set -eu

prompt=$1
shift
work=$(mktemp -d)
mkfifo "$work/in" "$work/out"
exec 8<>"$work/in" 9<>"$work/out"
before=() # templates, each of the moment before a line

over() {
    for template in "${before[@]}"; do cryo-thaw --end "$template"; done
    kill "$program" 2>/dev/null || true
    rm -r "$work"
}

# Makes a template of the program, which goes on.
held() {
    cryo-freeze "$program" --hold="$1" --leave-running --fd 0=inherit --fd 1=inherit --fd 2=inherit -- --pid namespace \
        2>"$work/said" || { cat "$work/said" >&2; return 1; }
}

# What the program says, up to its prompt.
hear() {
    local said= c
    until [[ $said == *"$prompt" ]]; do
        if IFS= read -r -N 1 -t 1 -u 9 c; then
            said+=$c
        else
            kill -0 "$program" || exit 1
        fi
    done
    printf %s "$said"
}

"$@" <"$work/in" >"$work/out" 2>&1 8>&- 9>&- &
program=$!
trap over EXIT
hear
while IFS= read -r line; do
    if [ "$line" != undo ]; then
        before+=("$(held "undo-$$-${#before[@]}")")
        printf '%s\n' "$line" >&8
        hear
    elif [ ${#before[@]} -gt 0 ]; then
        { kill -KILL "$program" && wait "$program"; } 2>/dev/null || true
        cryo-thaw --from "${before[-1]}" --pid-file "$work/pid" <"$work/in" >"$work/out" 2>&1 8>&- 9>&- &
        until [ -s "$work/pid" ]; do sleep 0.01; done
        program=$(cat "$work/pid")
        rm "$work/pid"
        cryo-thaw --end "${before[-1]}"
        unset 'before[-1]'
        printf %s "$prompt"
    fi
done
