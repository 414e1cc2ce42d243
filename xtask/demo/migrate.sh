#!/bin/bash
# theprog moves from one host to another while its processes talk to each other. A host is a network namespace with a name and a file tree of its own; the
# two have a cable between them. Needs no privilege: `unshare --user --map-root-user --net --mount bash migrate.sh`.
set -eu
here=$PWD
export PATH=$here:$PATH

# host NAME ADDRESS: leaves the pid of a process in it in $NAME.
host() {
    unshare --net --uts --mount sleep 600 & local pid=$!
    eval "$1=$pid"
    until [ "$(readlink /proc/$pid/ns/uts)" != "$(readlink /proc/$$/ns/uts)" ] && [ "$(cat /proc/$pid/comm)" = sleep ]; do sleep 0.01; done
    ip link set "to_$1" netns $pid
    on "$1" bash -c "hostname $1; ip addr add $2/24 dev to_$1; ip link set to_$1 up; mount -t tmpfs $1 /srv; mkdir /srv/$1"
}
# on NAME COMMAND...: runs it there.
on() { local pid=${!1}; shift; nsenter --target "$pid" --net --uts --mount -- "$@"; }
# typed NAME DIRECTORY LINE: the same, shown as it would be typed.
typed() { echo "$1:$2$ $3"; on "$1" bash -c "cd $2 && $3"; }

ip link add to_alpha type veth peer name to_beta
host alpha 10.0.0.1
host beta 10.0.0.2
trap 'kill $alpha $beta 2> /dev/null || true' EXIT
on alpha cp "$here/theprog" /srv/alpha

typed alpha /srv/alpha 'ls; ls /srv' 
echo "alpha:/srv/alpha$ overseer run --dir ice --freeze-on SIGTERM -- ./theprog log 100 &"
nsenter --target "$alpha" --net --uts --mount --wd=/proc/$alpha/root/srv/alpha -- overseer run --dir ice --freeze-on SIGTERM -- ./theprog log 100 &
overseer=$!
until [ "$(on alpha bash -c 'cat /srv/alpha/log 2> /dev/null | wc -l')" -ge 42 ]; do sleep 0.02; done
echo "alpha:/srv/alpha$ kill -TERM %1; wait"
kill -TERM $overseer
status=0; wait $overseer || status=$?
echo "(its exit status: $status)"
[ $status = 85 ]

# Over the cable: all of the directory, the ice and the file that the program writes.
echo "alpha:/srv/alpha$ tar -c . | nc -l -p 7000"
on alpha bash -c 'cd /srv/alpha && tar -c . | busybox nc -l -p 7000' &
until on alpha grep -q ':1B58 .* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done
typed beta /srv/beta 'tar -x < /dev/tcp/10.0.0.1/7000; ls /srv'
kill $alpha

typed beta /srv/beta 'overseer resume ice --file-map /srv/alpha=/srv/beta'
typed beta /srv/beta 'wc -l log; tail -n 1 log'
on beta cat /srv/beta/log > log
