"""Whatever a file makes a task raise becomes one of the engine's errors."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from errors import BadPdfError, PagewireError
from extraction.values import DAMAGED

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


def guarded(task: Callable[Parameters, Value]) -> Callable[Parameters, Value]:
    """Decorate a task so that it raises nothing but PagewireErrors, and MemoryError."""

    @wraps(task)  # also what pickle finds it by
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Value:
        try:
            return task(*args, **kwargs)
        except (PagewireError, MemoryError):
            raise
        except FileNotFoundError as error:
            raise BadPdfError("Error processing PDF: the file is gone.") from error
        except Exception as error:  # the readers fail on damaged files in countless ways
            raise BadPdfError(DAMAGED) from error

    return run
