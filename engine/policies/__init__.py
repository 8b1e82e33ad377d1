"""Floor 2: one file, one sentence, one function: an event here becomes a command there."""

from engine.policies.alarm_rings_again import alarm_rings_again
from engine.policies.answer_to_assignment import answer_to_assignment
from engine.policies.assignment_evaluates_rules import assignment_evaluates_rules
from engine.policies.attested_to_seal import attested_to_seal
from engine.policies.cancel_to_withdraw import cancel_to_withdraw
from engine.policies.coverage_lapse_to_session import coverage_lapse_to_session
from engine.policies.debrief_refreshes import debrief_refreshes
from engine.policies.dose_treats_drill import dose_treats_drill
from engine.policies.dose_uses_kit import dose_uses_kit
from engine.policies.doses_reach_open_reactions import doses_reach_open_reactions
from engine.policies.drill_ends_session import drill_ends_session
from engine.policies.drill_opens_session import drill_opens_session
from engine.policies.end_disengages import end_disengages
from engine.policies.hand_off_moves_coverage import hand_off_moves_coverage
from engine.policies.late_reaction_reopens import late_reaction_reopens
from engine.policies.offline_log_merges import offline_log_merges
from engine.policies.reaction_closes import reaction_closes
from engine.policies.reaction_debits import reaction_debits
from engine.policies.reaction_opens import reaction_opens
from engine.policies.reaction_releases import reaction_releases
from engine.policies.request_to_ring import request_to_ring
from engine.policies.sealed_to_delivery import sealed_to_delivery
from engine.policies.weight_reaches_open_reactions import weight_reaches_open_reactions

POLICIES = (
    request_to_ring,
    answer_to_assignment,
    cancel_to_withdraw,
    reaction_opens,
    alarm_rings_again,
    offline_log_merges,
    reaction_debits,
    reaction_releases,
    dose_uses_kit,
    reaction_closes,
    doses_reach_open_reactions,
    coverage_lapse_to_session,
    hand_off_moves_coverage,
    end_disengages,
    assignment_evaluates_rules,
    attested_to_seal,
    sealed_to_delivery,
    late_reaction_reopens,
    drill_opens_session,
    dose_treats_drill,
    drill_ends_session,
    debrief_refreshes,
    weight_reaches_open_reactions,
)
