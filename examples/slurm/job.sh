#!/bin/sh
# A job that survives its time limit: shortly before, Slurm sends SIGTERM; the program is frozen, and the job is queued again, where the same script
# continues it, on this node or another one that sees the directory.
#
#     sbatch job.sh ./program its arguments
#
#SBATCH --time=04:00:00
# To this script alone (B:), so long before the limit. Slurm looks twice a minute: leave it some time more than a freeze takes.
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
# What each start says is put behind what was said before.
#SBATCH --open-mode=append

ice=${SLURM_SUBMIT_DIR:-.}/ice-$SLURM_JOB_ID

overseer run --dir "$ice" --resume-if-any --freeze-on SIGTERM --exit-code 85 -- "$@" &
overseer=$!
# A shell takes a signal only when nothing runs in its foreground: hence the wait.
trap 'kill -TERM $overseer' TERM
wait $overseer
status=$?
# What the trap interrupted goes on; 143 is the status of a wait that a SIGTERM ended, or of a program.
while kill -0 $overseer 2>/dev/null; do
    wait $overseer
    status=$?
done

if [ $status -eq 85 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
