#!/usr/bin/env python3
"""Runs the simulator as a test: many seeds without a violation and with everything rare seen, the same bytes for
the same seed, exit codes as documented, and planted bugs found by a judge.

usage: sim_test.py PATH-OF-RINGLOCK-SIM seeds COUNT | barriers COUNT | replay | usage | canaries | mutants | all-mutants | loss
"""
import statistics
import subprocess
import sys

# What random runs must have met at least once, or they have proved nothing about it.
NAMED_COUNTERS = [
    "fault.crash_at.enter_gather", "fault.crash_at.enter_commit", "fault.crash_at.enter_recovery",
    "fault.crash_at.recovered", "fault.crash_at.install_transitional", "fault.crash_at.token_lost",
    "fault.partition", "fault.adjacency", "fault.flap", "fault.restart_before_token_loss", "fault.core",
    "size.over_8", "size.over_24", "numbers.ring_over_32_bits", "numbers.packet_over_32_bits", "fault.pause", "fault.client_pause", "fault.blackout",
    "fault.client_connection", "fault.client_death", "fault.disk_loss",
    "ring.delivered_transitional", "ring.delivered_beyond_gap", "ring.recoveries_failed",
    "ring.recoveries_with_obligation", "ring.obligations_outside_transitional",
    "ring.failures_forced", "ring.strangers_barred", "ring.acknowledgements_sent", "ring.safe_by_acknowledgement",
    "ring.packets_retransmitted", "ring.token_retransmissions", "ring.safe_delivered_regular",
    "seal.replays_refused", "seal.unproved_refused", "seal.forgeries_refused",
    "replica.activations", "replica.activations_in_transition", "replica.cold_starts",
    "replica.snapshots_loaded", "replica.held_told", "replica.held_discarded",
    "replica.applied_in_transition", "replica.attempts_refuted", "replica.observers",
    "replica.orphans_expired", "replica.orphans_resumed", "replica.digest_comparisons",
    "client.grants", "client.losses", "client.conversions", "client.conversion_deadlocks", "client.adoptions",
    "client.blocks", "client.lockspace_changes", "locks.deadlocks",
    "fault.farewell", "clocks.at_bound", "clocks.one_far", "clocks.astray",
    "undisturbed.healed", "undisturbed.from_the_start",
]
BARRIER_COUNTERS = [
    "barriers.released", "barriers.participant_died", "barriers.timed_out", "barriers.cancelled", "barriers.deleted",
    "barriers.left", "barriers.broken_inside", "barriers.withdrawn", "barriers.refused_or_lost",
]

# A sample over the layers, each found within few seeds; docs/testing.md tells of all.
SAMPLE_MUTANTS = [
    "safe_when_received_here", "before_gap_only_from_deliver", "gap_ignored", "seal_no_replay_window",
    "barrier_released_early", "state_barrier_death_untold",
    "dlm_token_repeats", "dlm_grant_incompatible", "state_departure_frees_at_once", "wait_two_percent_short",
]

# Bugs that each run has to report, by the judge that they are for: one that does not has stopped judging. The
# workloads, and what is to be said.
CANARIES = [
    ("canary_ring", "ring", "S1"), ("canary_ring", "cluster", "S1"),
    ("canary_seal", "ring", "seal"), ("canary_seal", "cluster", "seal"),
    ("canary_locks", "cluster", "NPG"),
    ("canary_barriers", "barriers", "barrier ONE"),
]
CANARY_SEEDS = range(1, 21)


def run(arguments):
    return subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def fail(message, output=""):
    print(output)
    sys.exit(f"sim_test: {message}")


def seeds(program, count, wanted, *options):
    result = run([program, "--seeds", f"1-{count}", "--jobs", "2", *options])
    if result.returncode != 0:
        fail("a seed failed; the command that repeats it stands above", result.stdout[-4000:])
    seen = {}
    for line in result.stdout.splitlines():
        if line.startswith("sometimes "):
            name, times = line.removeprefix("sometimes ").split("=")
            seen[name] = int(times)
    print(result.stdout)
    # A short run, as under sanitizers, can not be asked to have met everything.
    missing = [name for name in wanted if seen.get(name, 0) == 0]
    if missing and count >= 400:
        fail("never happened: " + ", ".join(missing))
    if not result.stdout.splitlines()[-1].startswith(f"seeds={count} violations=0 "):
        fail("the last line is not the summary")


def replay(program):
    for seed, *options in (["3"], ["11"], ["42"], ["3", "--workload", "barriers"]):
        first = run([program, "--seed", seed, "--trace", *options])
        second = run([program, "--seed", seed, "--trace", *options])
        if first.returncode != 0:
            fail(f"seed {seed} failed", first.stdout[-4000:])
        if first.stdout != second.stdout:
            fail(f"two runs of seed {seed} differ")


def usage(program):
    for arguments in ([], ["--seeds", "5-1"], ["--seeds", "x"], ["--mutant", "no_such"], ["--nonsense"]):
        if run([program, *arguments]).returncode != 2:
            fail(f"{arguments} is not answered with exit code 2")


def listed_mutants(program):
    return [line.split(" ")[0] for line in run([program, "--list-mutants"]).stdout.splitlines()]


def seeds_to_find(program, name):
    """None, and what was printed, if no judge found it."""
    result = run([program, "--mutant", name, "--jobs", "2"])
    last = result.stdout.splitlines()[-1]
    found = result.returncode == 1 and last.startswith("violations=1 seeds=")
    return (int(last.split("seeds=")[1].split()[0]) if found else None), result.stdout


def canaries(program):
    for name, workload, property_name in CANARIES:
        for seed in CANARY_SEEDS:
            result = run([program, "--seed", str(seed), "--workload", workload, "--mutant", name])
            if result.returncode != 1 or f"VIOLATION {property_name}: " not in result.stdout:
                fail(f"{name} was not reported with seed {seed}, workload {workload}", result.stdout[-2000:])


def mutants(program):
    listed = listed_mutants(program)
    for name in SAMPLE_MUTANTS:
        if name not in listed:
            fail(f"{name} is not listed")
        count, output = seeds_to_find(program, name)
        if count is None:
            fail(f"the planted bug {name} was not found", output[-2000:])
        print(name, count)


def all_mutants(program):
    counts = {}
    for name in listed_mutants(program):
        counts[name], _ = seeds_to_find(program, name)
        print(f"{name:45} {counts[name] or 'not found'}", flush=True)
    found = [count for count in counts.values() if count is not None]
    print(f"RESULT mutants={len(counts)} found={len(found)} median_seeds={statistics.median(found):g}")
    if len(found) < len(counts):
        sys.exit(1)


def loss(program):
    for nodes in ("3", "5"):
        result = run([program, "--loss", "30", "--nodes", nodes, "--minutes", "2"])
        print(result.stdout)
        if result.returncode != 0 or "configuration_changes=0 token_timeouts=0" not in result.stdout:
            fail(f"a ring of {nodes} did not stay whole at 30 % loss")
        rate = float(result.stdout.split("messages_per_second=")[1].split()[0])
        if rate < 250:
            fail(f"of 300 messages a second only {rate} were delivered")
    # A storm: five safe messages a second in every minute of ten.
    result = run([program, "--loss", "99.9", "--storm", "--nodes", "3", "--minutes", "10", "--rate", "10", "--size", "64",
                  "--at-least", "5"])
    print(result.stdout)
    if result.returncode != 0 or "configuration_changes=0" not in result.stdout:
        fail("a ring of three did not stand a storm")
    # Without copies it can not.
    if run([program, "--loss", "99.9"]).returncode != 1:
        fail("99.9 % loss is no storm")
    # And what can not form a ring is told.
    if run([program, "--loss", "100"]).returncode != 1:
        fail("a ring that does not form is not told by exit code 1")


if __name__ == "__main__":
    program, what = sys.argv[1:3]
    if what == "seeds":
        seeds(program, int(sys.argv[3]), NAMED_COUNTERS + BARRIER_COUNTERS)
    elif what == "barriers":
        seeds(program, int(sys.argv[3]), BARRIER_COUNTERS, "--workload", "barriers")
    else:
        {"replay": replay, "usage": usage, "canaries": canaries, "mutants": mutants,
         "all-mutants": all_mutants, "loss": loss}[what](program)
