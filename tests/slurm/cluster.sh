#!/usr/bin/env bash
# A real Slurm cluster of one node on this machine, with two GPUs that are none: character devices that Slurm hands out.
#   cluster.sh start [FOLDER]   munge, controller and node daemon; their state and logs go to FOLDER
#   cluster.sh stop             ends what start began and removes its configuration
# Needs root and the packages slurm-wlm and munge (Debian). A cluster that is configured already is left alone.
set -eu

# the job step drops SLURM_CONF, so that the configuration must lie where Slurm looks for it
CONFIG=/etc/slurm/slurm.conf
MARK="# facemill: a cluster for tests"
STATE=/run/facemill-slurm  # names the folder of the cluster that runs

refuse() { echo "cluster.sh: $1" >&2; exit 1; }

begin() {  # begin NAME COMMAND...: a daemon in the foreground of its own session, its process id noted
    local name=$1
    shift
    setsid "$@" >"$FOLDER/$name.log" 2>&1 &
    echo $! >"$FOLDER/$name.pid"
}

wait_for() {  # wait_for WHAT COMMAND...
    local what=$1
    shift
    for _ in $(seq 150); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    tail -n 20 "$FOLDER"/*.log >&2
    refuse "$what did not start within 30 seconds"
}

configure() {  # the node has more cores and memory to its name than this machine may have: rules ask for a cluster's
    mkdir -p /etc/slurm
    cat >"$CONFIG" <<END
$MARK
ClusterName=facemill
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.own.pid
SlurmdPidFile=$FOLDER/slurmd.own.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=200000
SlurmdParameters=config_overrides
KillWait=10
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=ALL MaxTime=2-0 Default=YES State=UP
PartitionName=gpu Nodes=ALL MaxTime=7-0 State=UP
END
    echo "Name=gpu File=$FOLDER/gpu[0-1]" >/etc/slurm/gres.conf
    echo "CgroupAutomount=no" >/etc/slurm/cgroup.conf
}

start() {
    FOLDER=$(realpath -m "${1:-/tmp/facemill-slurm}")
    [ "$(id -u)" = 0 ] || refuse "must be run as root"
    for program in munged slurmctld slurmd sbatch; do
        command -v $program >/dev/null || refuse "no $program; install the packages slurm-wlm and munge"
    done
    if [ -e "$CONFIG" ]; then
        grep -qxF "$MARK" "$CONFIG" || refuse "$CONFIG is there already: a cluster that is not mine"
        stop
    fi
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER/state" "$FOLDER/spool" /run/munge
    echo "$FOLDER" >"$STATE"
    for gpu in 0 1; do  # as /dev/null; what a job opens is no matter, which it is given is
        mknod "$FOLDER/gpu$gpu" c 1 3 || refuse "this machine does not let make devices"
    done
    configure
    if [ ! -S /run/munge/munge.socket.2 ] || ! munge -n </dev/null >/dev/null 2>&1; then
        [ -s /etc/munge/munge.key ] || (umask 077; head -c 1024 /dev/urandom >/etc/munge/munge.key)
        chown -R munge: /run/munge /etc/munge /var/log/munge /var/lib/munge
        begin munged runuser -u munge -- munged --foreground
        wait_for munged munge -n --output /dev/null
    fi
    begin slurmctld slurmctld -D
    begin slurmd slurmd -D
    wait_for "the node" sh -c "sinfo --noheader --format %T | grep -qx idle"
}

stop() {
    [ -e "$STATE" ] || return 0
    FOLDER=$(cat "$STATE")
    scancel --user=root 2>/dev/null || true
    for _ in $(seq 100); do  # a job that outlived this cluster would drain the next one's node
        pgrep slurmstepd >/dev/null || break
        sleep 0.2
    done
    for name in slurmd slurmctld munged; do
        [ -e "$FOLDER/$name.pid" ] && kill "$(cat "$FOLDER/$name.pid")" 2>/dev/null || true
    done
    sleep 1
    rm -rf "$STATE" "$CONFIG" /etc/slurm/gres.conf /etc/slurm/cgroup.conf
}

case ${1-} in
    start) start "${2-}" ;;
    stop) stop ;;
    *) refuse "accepted: start [FOLDER], stop" ;;
esac
