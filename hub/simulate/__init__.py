"""Synthetic facilities sending synthetic patients: claims, results and referral slips for load, benches and proofs."""

from hub.simulate.catalogues import write_catalogues
from hub.simulate.claim import KEYRING, MEAN_ROWS, RECEIVED_AT, Simulated, claims, claims_with_faults, nation
from hub.simulate.fault import SENT_AGAIN, Expected, Fault
from hub.simulate.faults import FAULTS
from hub.simulate.hl7 import referrals, results
from hub.simulate.money import cents, drug_amounts, service_amounts, shares, totals

__all__ = [
    "FAULTS",
    "KEYRING",
    "MEAN_ROWS",
    "RECEIVED_AT",
    "SENT_AGAIN",
    "Expected",
    "Fault",
    "Simulated",
    "cents",
    "claims",
    "claims_with_faults",
    "drug_amounts",
    "nation",
    "referrals",
    "results",
    "service_amounts",
    "shares",
    "totals",
    "write_catalogues",
]
