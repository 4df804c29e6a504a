#!/usr/bin/env bash
# A real SLURM of one node, for trying things out and for the tests.
#
#   slurm/local_cluster.sh start [OPTIONS] [DIR]   start it; returns once its node is idle
#   eval "$(slurm/local_cluster.sh env [DIR])"     point this shell's sbatch, squeue, ... at it
#   slurm/local_cluster.sh stop [DIR]              cancel its jobs and stop its processes
#
# Needs root and the Debian packages slurm-wlm and munge; no systemd, nothing in /etc. Key,
# sockets, logs, state and configuration all lie in DIR (by default one folder per user under
# ${TMPDIR:-/tmp}), and it listens on loopback, so clusters in different folders run side by side.
# Every start begins with an empty queue.
#
# Options of start, each also as an environment variable:
#   --cpus N        SLURM_LOCAL_CPUS       CPUs the node claims (default: nproc); more than the
#                                          machine has is allowed, and jobs then share them
#   --memory MB     SLURM_LOCAL_MEMORY     memory the node claims (default: all of it)
#   --max-array N   SLURM_LOCAL_MAX_ARRAY  MaxArraySize (default: 1001)
#   --wait SECONDS  SLURM_LOCAL_WAIT       how long the node may take to be idle (default: 30)
#
# Partitions: `main` (default) and `high`, whose jobs preempt those in `main`.
# Exit status: 0 done; 69 not possible on this machine (one line says why); 64 wrong usage;
# 1 anything else.
set -euo pipefail

readonly NAME=local_cluster.sh
readonly NODE=node1
readonly DAEMONS=(slurmctld slurmd munged)   # in the order they are stopped
readonly KILL_WAIT=5                         # seconds from a job's TERM to its KILL
readonly FIRST_PORT=20000 LAST_PORT=31999    # below those the kernel hands out by itself
readonly LONGEST_DIR=70                      # a socket's path ends at 107, and slurmd's add 35
readonly MARK=.adaptbench-local-cluster      # in every DIR that a start made
readonly VARIABLE=ADAPTBENCH_LOCAL_CLUSTER   # in every daemon's environment, with DIR as value
PATH=$PATH:/usr/sbin:/sbin

say() {
    echo "$NAME: $*"
}

fail() { # STATUS MESSAGE
    echo "$NAME: $2" >&2
    exit "$1"
}

# --- what is asked for, and what the machine must have -------------------------------------------

whole_number() { # OPTION VALUE
    [[ $2 =~ ^[1-9][0-9]*$ ]] || fail 64 "$1 must be a whole number above 0, not '$2'"
}

read_arguments() {
    ACTION=${1:-}
    [[ $ACTION =~ ^(start|stop|env)$ ]] || fail 64 "usage: $NAME start|stop|env [OPTIONS] [DIR]"
    shift
    CPUS=${SLURM_LOCAL_CPUS:-$(nproc)}
    MEMORY=${SLURM_LOCAL_MEMORY:-$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)}
    MAX_ARRAY=${SLURM_LOCAL_MAX_ARRAY:-1001}
    WAIT=${SLURM_LOCAL_WAIT:-30}
    while [[ ${1:-} == -* ]]; do
        [[ $# -ge 2 ]] || fail 64 "$1 is no option, or lacks its value"
        case $1 in
            --cpus) CPUS=$2 ;;
            --memory) MEMORY=$2 ;;
            --max-array) MAX_ARRAY=$2 ;;
            --wait) WAIT=$2 ;;
            *) fail 64 "no such option: $1" ;;
        esac
        shift 2
    done
    [[ $# -le 1 ]] || fail 64 "one DIR at most, not: $*"
    whole_number cpus "$CPUS"
    whole_number memory "$MEMORY"
    whole_number max-array "$MAX_ARRAY"
    whole_number wait "$WAIT"
    read_folder "${1:-${TMPDIR:-/tmp}/adaptbench-slurm-$(id -un)}"
}

read_folder() { # DIR; slurm.conf has no way to quote a path
    DIR=$(realpath -m -- "$1")
    [[ $DIR =~ ^/[A-Za-z0-9_./+-]+$ ]] || fail 64 "only letters, digits and _./+- in DIR, not: $DIR"
    ((${#DIR} <= LONGEST_DIR)) ||
        fail 64 "DIR longer than $LONGEST_DIR, too long for a unix socket below it: $DIR"
}

require_machine() {
    local program
    [[ $(id -u) == 0 ]] || fail 69 "must run as root: slurmd starts job steps as their owners"
    for program in munged munge slurmctld slurmd sbatch srun scancel scontrol sinfo squeue; do
        type -P "$program" >/dev/null || fail 69 "$program is not installed; run: apt-get update\
 && apt-get install -y --no-install-recommends slurm-wlm munge"
    done
    HOST=$(uname -n)
    HOST=${HOST%%.*}
    ADDRESS=$(getent ahostsv4 "$HOST" | awk 'NR == 1 {print $1}') ||
        fail 69 "host name $HOST does not resolve; run: echo 127.0.0.1 $HOST >>/etc/hosts"
}

# --- processes: a PID may be somebody else's by now, so each goes with its start time -------------

process_table() { # -> "PID PARENT TIME" of every process that is not dead
    # A name may hold spaces and parentheses: the fields start after the last ") ".
    cat /proc/[0-9]*/stat 2>/dev/null | awk '
        { pid = $1; sub(/^.*\) /, "") }
        $1 != "Z" && $1 != "X" { print pid, $2, $20 }' || true
}

start_time() { # PID -> clock ticks since boot; fails where there is no such process
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} != [ZX] ]] || return 1 # dead, only not collected by its parent yet
    echo "${fields[19]}"
}

alive() { # PID TIME
    [[ $(start_time "$1") == "$2" ]]
}

daemon() { # DAEMON -> "PID TIME"; fails where it does not run
    local pid time
    { read -r pid time <"$DIR/run/$1.process"; } 2>/dev/null || return 1
    alive "$pid" "$time" && echo "$pid $time"
}

all_daemons() {
    local name
    for name in "${DAEMONS[@]}"; do
        daemon "$name" >/dev/null || return 1
    done
}

launch() { # DAEMON COMMAND...; it gets neither the caller's terminal, pipes, lock nor variables
    local name=$1 pid
    shift
    env -i PATH="$PATH" HOME=/ LANG=C.UTF-8 SLURM_CONF="$DIR/slurm.conf" "$VARIABLE=$DIR" \
        setsid "$@" </dev/null >>"$DIR/log/$name.out" 2>&1 9>&- &
    pid=$!
    # One that is dead already is found so by whoever waits for it.
    echo "$pid $(start_time "$pid" || echo none)" >"$DIR/run/$name.process"
}

with_variables() { # NAME=VALUE... -> PIDs of the processes that started with all of them
    local files=(/proc/[0-9]*/environ) variable
    for variable in "$@"; do
        mapfile -t files < <(grep -lszxF -- "$variable" "${files[@]}")
        ((${#files[@]})) || return 0
    done
    printf '%s\n' "${files[@]}" | tr -dc '0-9\n'
}

# slurmstepd leaves slurmd's process tree but keeps its environment; what runs below it is found
# from parent to child, and what left that tree in turn by the variables every job has.
job_processes() { # -> "PID TIME" of each process of this cluster but its daemons
    local name id marked=() daemons=() controller
    for name in "${DAEMONS[@]}"; do
        id=$(daemon "$name") && daemons+=("${id% *}")
    done
    controller=$(daemon slurmctld) || controller=none # it has a daemon of its own as a child
    mapfile -t marked < <(
        with_variables "$VARIABLE=$DIR"
        with_variables "SLURM_CONF=$DIR/slurm.conf" "SLURMD_NODENAME=$NODE"
    )
    process_table |
        awk -v marked="${marked[*]}" -v daemons="${daemons[*]}" -v controller="${controller% *}" '
        BEGIN {
            split(daemons, list); for (i in list) excepted[list[i]]
            split(marked, list); for (i in list) ours[list[i]]
        }
        { parent[$1] = $2; time[$1] = $3; if ($2 == controller) excepted[$1] }
        END {
            for (pid in excepted) delete ours[pid]
            do {
                more = 0
                for (pid in parent)
                    if (parent[pid] in ours && !(pid in ours)) { ours[pid]; more = 1 }
            } while (more)
            for (pid in ours) if (pid in time) print pid, time[pid]
        }'
}

send() { # SIGNAL, and lines "PID TIME" on standard input
    local pid time
    while read -r pid time; do
        [[ $pid ]] && alive "$pid" "$time" && kill "-$1" "$pid" 2>/dev/null
    done
    return 0
}

await() { # SECONDS COMMAND...: until it succeeds; fails where it did not in time
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS <= end)) || return 1
        sleep 0.15
    done
}

# --- stop -----------------------------------------------------------------------------------------

slurm() { # COMMAND...: of this cluster, whatever cluster the caller's variables name
    env -u SLURM_CLUSTERS SLURM_CONF="$DIR/slurm.conf" timeout 10 "$@" 9>&-
}

no_jobs_left() { # adds what it sees to JOB_PROCESSES
    local id left=0
    while read -r id; do
        JOB_PROCESSES[$id]=1
        left=1
    done < <(job_processes)
    ((left == 0))
}

stop_jobs() {
    local partition patience=$((KILL_WAIT + 3))
    no_jobs_left || true
    if daemon slurmctld >/dev/null && daemon slurmd >/dev/null && daemon munged >/dev/null; then
        # Pending jobs too, or the next would start where one is cancelled.
        for partition in main high; do
            slurm scancel --partition="$partition" >/dev/null 2>&1 || true
        done
    elif ((${#JOB_PROCESSES[@]})); then
        # A slurmstepd without its daemons does not end by itself: it keeps trying to report.
        patience=2
        printf '%s\n' "${!JOB_PROCESSES[@]}" | send TERM
    fi
    # Not a bare `return`: below an EXIT trap that is the status from before the trap.
    await "$patience" no_jobs_left && return 0
    # Twice, as one of them may have started another in between.
    job_processes | send KILL
    job_processes | send KILL
    await 5 no_jobs_left || fail 1 "job processes survive a KILL: $(job_processes | tr '\n' ';')"
}

gone() { # DAEMON
    ! daemon "$1" >/dev/null
}

stop_daemons() { # all at once, as each takes its time; but munged last, for the others' farewells
    local name id
    local -A ids=()
    for name in "${DAEMONS[@]}"; do
        id=$(daemon "$name") || continue
        ids[$name]=$id
        STOPPED+=("$name (${id% *})")
    done
    for name in slurmctld slurmd; do
        send TERM <<<"${ids[$name]:-}"
    done
    for name in "${DAEMONS[@]}"; do
        [[ $name != munged ]] || send TERM <<<"${ids[$name]:-}"
        await 10 gone "$name" || send KILL <<<"${ids[$name]}"
        await 5 gone "$name" || fail 1 "$name (${ids[$name]% *}) survives a KILL"
        rm -f "$DIR/run/$name.process"
    done
}

stop_cluster() { # STOPPED then says what there was
    local -A JOB_PROCESSES=()
    STOPPED=()
    stop_jobs
    stop_daemons
    ((${#JOB_PROCESSES[@]} == 0)) || STOPPED+=("${#JOB_PROCESSES[@]} job process(es)")
}

list() { # WORD...
    local all
    printf -v all '%s, ' "$@"
    echo "${all%, }"
}

action_stop() {
    STOPPED=()
    if [[ -e $DIR/$MARK ]]; then
        lock_folder
        stop_cluster
    fi
    if ((${#STOPPED[@]})); then
        say "stopped $(list "${STOPPED[@]}") in $DIR"
    else
        say "nothing was running in $DIR"
    fi
}

# --- start ----------------------------------------------------------------------------------------

make_folder() { # a folder that is not ours is never cleared, nor one that others can write
    if [[ ! -e $DIR/$MARK && -d $DIR && -n $(ls -A -- "$DIR") ]]; then
        fail 1 "$DIR holds something else; name another folder"
    fi
    mkdir -p -- "$DIR"
    [[ -O $DIR ]] || fail 1 "$DIR belongs to another user; name another folder"
    chmod go-w -- "$DIR"
    touch -- "$DIR/$MARK"
}

lock_folder() { # so that a start and a stop at the same time do not undo each other
    exec 9>>"$DIR/lock"
    flock -w 90 9 || fail 1 "another $NAME has been at work in $DIR for 90 seconds"
}

clear_folder() {
    rm -rf -- "$DIR"/{run,munge,state,spool,log} "$DIR/slurm.conf"
    mkdir -p -- "$DIR"/{run,state,spool,log}
    mkdir -m 755 -- "$DIR/munge"
}

free_port() { # [PORT]... -> one that nobody listens on, and none of these
    local port
    for _ in {1..200}; do
        port=$((FIRST_PORT + (RANDOM * 32768 + RANDOM) % (LAST_PORT - FIRST_PORT + 1)))
        [[ " $* " == *" $port "* ]] && continue
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port" && return 0; }
    done
    return 1
}

first_job() { # job ids differ from start to start: a client must not take an old result for a new one
    echo $((1000 + ($(date +%s) * 10) % 60000000))
}

write_configuration() { # CONTROLLER-PORT NODE-PORT
    local loopback="# host name $HOST is $ADDRESS: slurmctld would refuse to listen on loopback only"
    [[ $ADDRESS != 127.* ]] || loopback=CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
    cat >"$DIR/slurm.conf" <<CONFIGURATION
ClusterName=local
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$1
SlurmdPort=$2
$loopback
SlurmUser=root
SlurmdUser=root

# Credentials live 120 s by default, and every requeue waits until the old one has expired.
AuthType=auth/munge
AuthInfo=socket=$DIR/munge/munge.sock,cred_expire=5
CredType=cred/munge

StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.log
MailProg=/bin/true

ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none

SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=64
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5

# The user's own signal (sbatch --signal) precedes a preemption, as it precedes a time limit.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
KillWait=$KILL_WAIT
MinJobAge=86400
FirstJobId=$(first_job)
MaxArraySize=$MAX_ARRAY
MaxJobCount=$((MAX_ARRAY + 10000))

# config_overrides: the node may claim more CPUs than the machine has.
SlurmdParameters=config_overrides
ReturnToService=2
NodeName=$NODE NodeHostname=$HOST NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEMORY State=UNKNOWN
PartitionName=main Nodes=$NODE Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=$NODE MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
CONFIGURATION
}

munge_answers_or_dead() {
    munge -n -S "$DIR/munge/munge.sock" >/dev/null 2>&1 9>&- || gone munged
}

node_state() {
    slurm sinfo --noheader --nodes="$NODE" --partition=main --format=%T 2>/dev/null
}

node_idle_or_daemon_dead() {
    ! all_daemons || [[ $(node_state) == idle ]]
}

bring_up() { # fails where a daemon ends, or the node is not idle in time
    local socket=$DIR/munge/munge.sock controller node
    controller=$(free_port)
    node=$(free_port "$controller")
    clear_folder
    write_configuration "$controller" "$node"
    (umask 077 && head -c 128 /dev/urandom >"$DIR/munge/munge.key")
    # --force: folders above that others cannot enter are only worth a warning here.
    launch munged munged --foreground --force --num-threads=2 --socket="$socket" \
        --key-file="$DIR/munge/munge.key" --pid-file="$DIR/run/munged.pid" \
        --seed-file="$DIR/munge/munge.seed"
    await "$WAIT" munge_answers_or_dead || return 1
    ! gone munged || return 1
    launch slurmctld slurmctld -D
    launch slurmd slurmd -D
    await "$WAIT" node_idle_or_daemon_dead && all_daemons
}

bring_up_elsewhere() { # once more, where somebody took a port between the look and the use
    grep -qs "Address already in use" "$DIR"/log/* || return 1
    stop_cluster
    bring_up
}

show_logs() {
    local log
    for log in "$DIR"/log/*; do
        [[ -s $log ]] && echo "--- end of $log" && tail -n 15 "$log"
    done
    return 0
}

abandon() { # where a start fails or is interrupted: leave nothing running
    local name why="no idle node within $WAIT s, or interrupted"
    trap - EXIT
    for name in "${DAEMONS[@]}"; do
        [[ -e $DIR/run/$name.process ]] && gone "$name" && why="$name ended"
    done
    show_logs >&2
    stop_cluster
    fail 1 "$why; stopped $(list "${STOPPED[@]:-nothing}") again, logs above"
}

action_start() {
    require_machine
    make_folder
    lock_folder
    if all_daemons; then
        say "already running in $DIR ($(node_state || echo no answer))"
        return 0
    fi
    stop_cluster # what a cluster that was killed left running
    trap abandon EXIT
    bring_up || bring_up_elsewhere || exit 1
    trap - EXIT
    say "running in $DIR (node $NODE, $CPUS CPUs, $MEMORY MB); for its commands:" \
        "eval \"\$($0 env $DIR)\""
}

action_env() {
    all_daemons || fail 1 "nothing is running in $DIR; first: $0 start $DIR"
    printf 'export SLURM_CONF=%q\n' "$DIR/slurm.conf"
}

read_arguments "$@"
"action_$ACTION"
