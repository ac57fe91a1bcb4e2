#include "tests/sim/mutants.h"

#include <string>

#include "base/mutant.h"

namespace sim {

namespace {

std::string active_name;

// Found by a judge within 2,000 seeds.
constexpr Mutant kMutants[] = {
    {"canary_ring", "a member tells a wrong place of each delivery: always reported"},
    {"canary_seal", "each datagram is sealed with one nonce: always reported"},
    {"canary_locks", "each grant is told with a token that is not its own: always reported"},
    {"safe_when_received_here", "rule 4: safe delivery without waiting for anybody"},
    {"safe_without_predecessor", "rule 3: stable without the predecessor's entry"},
    {"acknowledges_highest_seen", "rule 1: the entry is the highest number seen, gaps or not"},
    {"acknowledges_asked_with_gaps", "rule 3: an acknowledgement of what was not received"},
    {"acknowledges_before_install", "rule 6: an acknowledgement of what is not yet installed"},
    {"discard_by_own_delivery", "rule 5: packets are discarded once delivered here"},
    {"duplicate_tokens_accepted", "rule 2: a copy of a token is a token"},
    {"before_gap_only_from_deliver", "rule 14(c'): before the gap too, only senders in D"},
    {"gap_ignored", "rule 14(c'): beyond the gap everybody's packets are delivered"},
    {"nothing_beyond_gap", "rule 14(c'): nothing is delivered beyond the gap"},
    {"stable_not_exchanged", "rule 8: the highest known-stable is not exchanged"},
    {"safe_above_stable_in_regular", "rule 14(a): does not stop at a safe packet above H"},
    {"recovered_too_early", "rule 12: recovered without having received up to the token's number"},
    {"recovered_without_done", "rule 12: recovered without waiting for all done bits"},
    {"install_on_transitional_bits", "rule 6: installs on the bits of its transitional set alone"},
    {"previous_visit_counts_as_stable", "rule 3: what my previous visit numbered counts as stable"},
    {"numbers_before_install", "rule 15: messages are numbered before all have recovered"},
    {"message_goes_on_in_next_ring", "a message cut in two by a ring change is not begun again"},
    {"ring_id_without_nonce", "identifiers: ring ids have no nonce"},
    {"installs_one_visit_late",
     "rule 6: all but the representative install a visit after all bits were seen"},
    {"release_stamped_at_return", "rule 6.1: r is stamped after the send, when the token is back"},
    {"receipt_stamped_before_it", "rule 6.2: c_p is stamped before the token came"},
    {"token_rests_too_long", "rule 6.5: an idle token is held longer than its time-out"},
    {"release_stamped_at_retransmission",
     "rule 6.1: the release of a token is stamped when it is sent again"},
    {"seal_replay_window_before_authentication", "a forged counter moves the replay window"},
    {"seal_no_replay_window", "a datagram can be replayed"},
    {"seal_nonce_reset_at_subkey", "a nonce is used twice under a key"},
    {"seal_tag_ignored", "a forged datagram is accepted"},
    {"seal_old_boot_accepted", "a recording of an old boot is accepted"},
    {"seal_any_answer_proves", "an old answer proves a life that is over"},
    {"renewal_before_activate", "rule 6.4: leases are renewed before ACTIVATE is delivered"},
    {"reply_told_without_live_lease", "rule 6.3: sessions tell replies without a live lease"},
    {"marks_at_transitional", "rule 6.14: departures are marked at the transitional configuration"},
    {"slot_extended_for_lost_session",
     "rule 6.7: a slot is extended although its session may be lost"},
    {"ready_skipped", "rule 7.B4: a newcomer counts as a holder before READY"},
    {"label_is_highest_activate", "rule 7.B1: a table claims the highest ACTIVATE delivered"},
    {"unequal_chains_both_hold", "rule 6.13: tables of unequal chains both stay"},
    {"activate_before_majority_wrote", "rule 6.17: ACTIVATE before a majority has written"},
    {"token_base_from_donor_only", "rule 7.C: the token base is the donor's counter alone"},
    {"hangup_by_daemon_frees_at_once",
     "rule 7.A5: a daemon that hangs up on a client frees what it holds"},
    {"wait_two_percent_short", "the inequality: W is two percent short"},
    {"grant_on_agreed", "what replicas order is delivered agreed, not safe"},
    {"attempt_taken_for_active", "rule 8.C1: an attempt counts as an active epoch"},
    {"label_refuted", "rule 8.C2: an active epoch counts as an attempt, and is refuted"},
    {"cold_grants_at_once", "rule 6.15: a cold table grants without a wait"},
    {"stranger_waits_from_its_start", "rule 7.A2: who was not in the ring counts from its start"},
    {"purge_forgotten", "rule 7.B8: what an expired session held is never freed"},
    {"c_p_of_active_rings_only",
     "rule 6.4: tokens of a ring that is not active yet count for nothing"},
    {"log_after_snapshot_lost", "rule 7.B3: a newcomer drops what follows the snapshot"},
    {"image_is_of_a_later_table", "rule 7.B9: the image is frozen when it is written, not before"},
    {"ready_before_log_is_replayed", "rule 7.B9: READY is said with a log that is not replayed"},
    {"departures_forgotten", "rule 6.14: who departed is not marked at ACTIVATE"},
    {"lease_by_boot_clock", "clocks: a holder trusts one clock alone"},
    {"wait_by_boot_clock", "clocks: a waiter trusts one clock alone"},
    {"wait_ten_percent_short", "the inequality: W is ten percent short"},
    {"cold_end_from_own_start", "rule 7.A1: the cold wait counts from the sender's own start"},
    {"persisted_before_written", "rule 7.C: PERSISTED is said before the record is durable"},
    {"state_departure_frees_at_once", "4.6: a departure frees what was held"},
    {"state_retry_executed_again", "rule 6.22: a repeated request is executed again"},
    {"state_acknowledged_executed",
     "rule 6.22: a request at or below the acknowledged mark is executed"},
    {"dlm_grant_incompatible", "ME: PR is granted beside PW"},
    {"dlm_overtakes_waiter", "FIFO: a request overtakes a waiter that it is compatible with"},
    {"dlm_token_repeats", "TM: a grant from the queue repeats the last token"},
    {"dlm_state_diverges", "E11: a replica's table depends on something of its own"},
    {"dlm_shared_is_exclusive", "LIN: a shared lock is refused beside a shared one"},
    {"dlm_cancel_wakes_nobody", "NLW: who stood behind a cancelled request is not granted"},
    {"client_deadline_from_receipt", "4.4: the client counts its deadline from the receipt"},
    {"client_grant_without_recheck", "4.4: a grant is believed without looking at the deadline"},
    {"client_lost_forgotten", "rule 6.7: a lost grant is held again"},
    {"dlm_conversion_beside_conflict", "ME: a conversion is granted beside a conflicting holder"},
    {"dlm_conversion_keeps_token", "TM: a conversion does not renew the token"},
    {"dlm_cancelled_conversion_drops", "NLR: the end of a conversion's wait drops the lock"},
    {"dlm_force_ignored", "rest: by force, what waits is not released"},
    {"dlm_value_lost_on_conversion", "LVB: a conversion does not write the value"},
    {"dlm_scan_tells_nobody", "BLK: who stands against those that stay in the queue is not told"},
    {"dlm_deadlock_unseen", "NLW: no wait closes a deadlock"},
    {"dlm_queue_is_no_obstacle", "NLW: who waits before is no part of a deadlock"},
    {"state_time_out_told_only", "NLR: who is told that his time is over waits on"},
    {"sessions_value_not_told", "LVB: a grant is told without the value that it read"},
    {"client_conversion_not_told", "ONE: a conversion has no end"},
    {"dlm_conversion_overtakes", "FIFO: a conversion overtakes those that wait before it"},
    {"dlm_request_overtakes_conversion", "FIFO: a request overtakes those that convert"},
    {"dlm_refused_wait_stays", "NLR: a refused conversion stays in the queue"},
    {"dlm_value_written_from_pr", "LVB: a release from PR writes the value"},
    {"dlm_dead_writer_unmarked", "LVB: the value of a dead writer is not marked"},
    {"dlm_mark_not_in_snapshot", "LVB: a snapshot forgets the mark of a value"},
    {"dlm_notified_for_ever", "BLK: after a conversion a holder is not told again"},
    {"dlm_part_granted_alone", "ALL: a part of a request for several is granted alone"},
    {"dlm_orphan_dropped", "ORPHAN: a lock that should outlive its process does not"},
    {"state_adopts_from_any_node", "ORPHAN: a lock left behind at another node is adopted"},
    {"state_orphans_not_dropped", "NLO: what processes left behind is dropped in word only"},
    {"state_conversion_executed_again", "rule 6.22: a repeated conversion is executed again"},
    {"sessions_waiting_told_granted", "NPG: after a resume what waits is told granted"},
    {"client_demotion_unseen", "NLR: a client keeps a mode that its conversion has lost"},
    {"lockspace_generation_not_raised", "SPACE: a departure does not raise the generation"},
    {"lockspace_slot_twice", "SPACE: members share a slot"},
    {"lockspace_recovered_too_early", "SPACE: recovered with locks of failed members"},
    {"sessions_blocks_lost_at_resume", "BLK: after a resume nobody hears who waits for him"},
    {"dlm_newcomer_hears_nothing", "BLK: who is granted past those who wait does not hear of them"},
    {"dlm_head_that_fits_waits",
     "LIN: at the head of the queue, with nothing in its way, one waits"},
};

// Not found by 2,000 random seeds, or not yet tried that long: their rules are tested by the unit
// tests alone.
constexpr Mutant kRareMutants[] = {
    {"amnesiac_votes", "4.9: a node without a record votes"},
    {"restarted_member_refutes", "rule 6.11: a member that restarted refutes an attempt"},
    {"obligation_taken_early", "rule 12: an obligation is taken on before everything has arrived"},
    {"old_token_taken", "rule 7: a token of the old ring is taken after leaving Operational"},
    {"obligation_reset_for_newcomer",
     "rule 13: obligations are forgotten if one of the transitional set has none"},
    {"obligation_only_shrinks", "rule 13: the obligation set never grows"},
    {"no_exchange_if_all_recovered", "rule 10: no exchange if all have recovered before"},
    {"recovered_carried_over", "rule 12: the recovered bit of an earlier attempt counts"},
    {"gains_forgotten", "rule 10: what an attempt brought is forgotten when it fails"},
    {"rests_unseen", "rule 16: the token rests before all know that everything is stable"},
    {"stale_join_taken", "membership: a Join of before the install ends the ring"},
    {"deaf_stranger_taken", "membership: a ring ends for a stranger who does not hear its members"},
    {"recovery_without_end", "membership: in Recovery nobody is named who fails to receive"},
    {"repairs_need_numbers", "flow control: where no number is left nothing is sent again either"},
    {"acknowledgement_of_another_ring", "rule 3: an acknowledgement of another ring counts"},
    {"obligation_dropped", "rule 13: the obligation set is dropped at the second recovery"},
    {"obligation_not_united", "rule 9: obligation sets are not united over the transitional set"},
    {"readmission_in_step",
     "membership: pauses are equally long, so two rings can bar each other in turns for ever"},
    {"same_consensus_again",
     "the same consensus is tried again and again without a forced failure"},
    {"old_data_during_recovery", "rule 11: takes data of the old ring during recovery"},
    {"grant_on_lapsed_lease", "rule 6.3: a grant is told although the lease is over"},
    {"told_in_transitional", "rule 7.A6: outcomes of a transitional configuration are told"},
    {"held_replies_after_load", "rule 6.12: held replies survive the loading of a snapshot"},
    {"c_p_not_frozen", "rule 6.4: the waiter's stamp moves on with later rings"},
    {"leave_frees_at_once", "rule 7.A5: what a leaving daemon's clients hold is freed at once"},
    {"staging_kept_across_chains", "rule 7.B5: a staging survives though its chain was not chosen"},
    {"any_old_table_donates", "rule 7.B2: an older table than the last epoch's is the donor"},
    {"epoch_by_number_only", "rule 6.11: an epoch is its number alone"},
    {"unrefuted_attempt_ignored", "rule 8.C1: an attempt that may have been active is forgotten"},
    {"state_old_generation_accepted", "rule 6.22: commands of an older attachment are executed"},
    {"state_open_revives", "rule 8: OPEN brings an ended session back"},
    {"state_mark_by_ring_alone", "rule 8.C3: EXPIRE compares the ring of the mark alone"},
    {"state_expire_frees_without_mark", "rule 6.6: EXPIRE hits whatever its mark"},
    {"state_detached_frees_at_once", "rule 7.A5: DETACHED frees what was held"},
    {"state_resume_keeps_generation", "rule 6.20: RESUME does not raise the generation"},
    {"state_resume_without_proof", "rule 6.20: another process resumes a session"},
    {"state_purge_forgets_waiter", "rule 7.B8: a dead session is granted what it waited for"},
    {"state_cold_flag_not_replicated", "rule 6.15: a ring change ends the cold wait"},
    {"dlm_release_ignores_token", "a release frees whatever its token"},
    {"groups_leave_forgotten", "groups: who has left a group goes on receiving"},
    {"groups_delivered_twice", "groups: once for each group that message and receiver share"},
    {"groups_pause_ignored", "groups: messages are handed on though a reader is behind"},
    {"groups_wait_for_ever", "groups: a reader that does not catch up is waited for all the same"},
    {"groups_window_ignored", "groups: a sender is not bounded by its window"},
    {"groups_hole_for_slow_reader", "groups: a slow reader misses messages in the middle"},
    {"client_resends_with_new_request_id", "rule 6.22: a retry takes a new request id"},
};

}  // namespace

std::span<const Mutant> mutants() {
  return kMutants;
}

std::span<const Mutant> rare_mutants() {
  return kRareMutants;
}

void activate_mutant(std::string_view name) {
  active_name = name;
}

}  // namespace sim

namespace base {

bool mutant_active(const char* name) {
  return sim::active_name == name;
}

}  // namespace base
