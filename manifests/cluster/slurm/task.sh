# Sourced by the scripts beside it: runs one program of the pipeline as one task of Slurm.
#
#   GLASS_HOME     the checkout [default: the folder where sbatch was called]
#   GLASS_BIN      the programs [default: $GLASS_HOME/target/release]
#   GLASS_SCRATCH  a folder on the node's own disk [default: $TMPDIR, or /tmp]; the task has a folder of
#                  its own in there, which is removed at its end
#
# What becomes of the program's exit code:
#   0   the task succeeded; with `aftercorr` the same task of the next stage may start
#   3   the same: quarantined samples are rows of the dataset, and a task that fails would hold up the next stage
#   75  interrupted. If it was the warning before the time limit, the task goes back into the queue. If it
#       was SIGTERM, Slurm decides: it requeues what it preempted and does not requeue what was cancelled.
#       Where slurm.conf has RequeueExit=75, 75 for any other reason is requeued as well.
#   1   the user's input: the task fails, and those that wait for it are cancelled (--kill-on-invalid-dep)
#   2   ours or a bad node: the task fails, and submitting again does what is left
# A node that dies needs nothing of this: Slurm requeues its tasks (--requeue).

# One JSON object a line, as the programs log.
say() {
    printf '{"timestamp":"%s","level":"INFO","message":"%s","program":"%s","job":"%s","task":"%s","restart":"%s","node":"%s"%s,"target":"slurm"}\n' \
        "$(date --utc +%FT%T.%6NZ)" "$1" "$program" "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}" \
        "${SLURM_ARRAY_TASK_ID:-0}" "${SLURM_RESTART_COUNT:-0}" "${SLURMD_NODENAME:-}" "${2:-}" >&2
}

# Hands a signal on to the program: the warning (`--signal=B:`) reaches this shell alone.
pass_on() {
    warned=$1
    kill -s "$1" "$child" 2>/dev/null || true
}

# task PROGRAM [FLAG…]: runs it to its end and leaves with what Slurm should know.
task() {
    program=$1 warned='' child=''
    local code=0
    scratch=$(mktemp -d "${GLASS_SCRATCH:-${TMPDIR:-/tmp}}/glass-$SLURM_JOB_ID.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    export GLASS_SCRATCH=$scratch TMPDIR=$scratch
    PATH=${GLASS_BIN:-$GLASS_HOME/target/release}:$PATH

    # A signal that comes before the program is there must not be lost.
    trap 'warned=USR1' USR1
    trap 'warned=TERM' TERM
    "$@" --log-format json --threads "${SLURM_CPUS_PER_TASK:-1}" &
    child=$!
    trap 'pass_on USR1' USR1
    trap 'pass_on TERM' TERM
    if [[ $warned ]]; then pass_on "$warned"; fi
    say started ",\"pid\":$child"
    # A trapped signal ends `wait` before the program ends; the last one fetches the program's code.
    while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
    wait "$child" || code=$?
    say ended ",\"pid\":$child,\"code\":$code,\"signal\":\"$warned\""

    case $code in
    3) code=0 ;;
    75) if [[ $warned == USR1 ]]; then scontrol requeue "$SLURM_JOB_ID" || true; fi ;;
    esac
    exit "$code"
}
