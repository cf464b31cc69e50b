#!/usr/bin/env bash
# Tests deploy/evaluate.slurm on a Slurm of this machine alone: a task of the array is killed in the middle and submitted again, and the
# folder must be that of one uninterrupted run. Needs root and Debian's slurm-wlm:
#
#   apt-get install --yes --no-install-recommends slurm-wlm
#   deploy/test_slurm.sh target/release/ae
set -euo pipefail

export AE=$(realpath "${1:?the program ae}")
deploy=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
place=$(mktemp -d)
export SLURM_CONF=$place/slurm.conf
cleanup() {
    local status=$? daemon pid
    scancel --user root 2>/dev/null || true
    for daemon in slurmd slurmctld munged; do
        pid=$(cat "$place/$daemon.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || true
        # They write into the folder until they are gone.
        for _ in {1..100}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    done
    rm -rf "$place" || true
    exit "$status"
}
trap cleanup EXIT

# One node, no accounting, no cgroups.
host=$(hostname -s)
cat >"$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$place/munge.socket
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
mkdir "$place/state" "$place/spool"
dd if=/dev/urandom of="$place/munge.key" bs=1 count=1024 2>/dev/null
chmod 400 "$place/munge.key"
munged --force --key-file "$place/munge.key" --socket "$place/munge.socket" --pid-file "$place/munged.pid" \
    --log-file "$place/munged.log" --seed-file "$place/munge.seed"
slurmctld
slurmd
until sinfo --noheader --states=idle | grep --quiet .; do sleep 1; done

cd "$place"
options=(--limit 2 --seeds 0-1 --steps 10)
pictures=$((2 * 3 * 2 * 4))
submit() {
    sbatch --array="$1" --export=ALL,AE_SHARDS=3 "$deploy/evaluate.slurm" --output "$place/shared" "${options[@]}"
}
drawn() { find "$place/shared" -name '[0-9]*.png' 2>/dev/null | wc -l; }
wait_for_all() { while squeue --noheader | grep --quiet .; do sleep 1; done; }

submit 0-2
while (($(drawn) < 6)); do sleep 0.2; done
victim=$(pgrep --full "eval run --output $place/shared" | head -n 1)
kill -KILL "$victim"
echo "killed a shard when $(drawn) of $pictures pictures were drawn"
wait_for_all
missing=$((pictures - $(drawn)))
((missing > 0)) || { echo "error: nothing is missing, so nothing was tested" >&2; exit 1; }
echo "$missing pictures are missing"
submit 0-2
wait_for_all
"$AE" eval run --quiet --output "$place/whole" "${options[@]}" >/dev/null
# What a picture cost depends on the machine and its load.
diff --recursive --exclude costs "$place/shared" "$place/whole"
echo "$(drawn) pictures, the same as of one uninterrupted run"
