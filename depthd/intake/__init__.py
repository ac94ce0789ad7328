"""Intake: from files that appear in the inbox to candidates that are whole."""

from depthd.intake.candidate import Candidate
from depthd.intake.inbox import Intake
from depthd.intake.rights import Refusal

__all__ = ["Candidate", "Intake", "Refusal"]
