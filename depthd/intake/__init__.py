"""Intake: from files that appear in the inbox to candidates that are whole."""

from depthd.intake.inbox import Intake
from depthd.intake.settle import Candidate

__all__ = ["Candidate", "Intake"]
