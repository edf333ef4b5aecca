"""The course: exercises made from the book, their check with diagnoses, and grading for a class."""

from npse.exercises.annotated import exercises, find

__all__ = ["exercises", "find"]
