"""What a network has learned: statistics of its gates, the accuracy without them, pictures, the report of a run."""

from npse.analysis.inspection import Inspection, inspect, inspect_run

__all__ = ["Inspection", "inspect", "inspect_run"]
