"""A command that several processes of MPI run together: it ends together, and one process speaks."""

import contextlib
import os
import traceback

import typer

from npse.cli.console import complain


@contextlib.contextmanager
def together():
    """Within the ``with`` block provide the ranks. An error ends all of them, and rank 0 prints it.

    If rank 0 gives no answer, another rank says so. A process that no launcher such as mpiexec started is rank 0 of 1,
    and its errors pass.
    """
    from npse.support import nvidia_driver
    from npse.training.ranks import RankLost, world

    ranks = world()
    if ranks.size == 1:
        yield ranks
        return
    nvidia_driver.see_one_gpu(ranks.local_rank)
    try:
        with _few_blas_threads(ranks):
            yield ranks
    except typer.Exit:
        ranks.leave(None)
        raise
    except KeyboardInterrupt:
        ranks.leave(RankLost())
        raise
    except Exception as error:
        if os.environ.get("NPSE_TRACEBACK"):
            traceback.print_exc()
        elif ranks.rank == 0 or isinstance(error, RankLost):
            complain(error)
        ranks.leave(error)
        raise typer.Exit(2) from None
    ranks.leave(None)


def threads_of(edition, threads, ranks):
    """Return the threads of the cpu edition: as asked, or with several ranks on this machine their share of the cores.

    None leaves the number as it is.
    """
    from npse import backend
    from npse.support import environment

    if threads is None and ranks.local_size > 1 and backend.choose(edition)[0] == "cpu":
        return max(1, environment.threads() // ranks.local_size)
    return threads


def _few_blas_threads(ranks):
    """Return a context in which the ranks of a machine share its cores in BLAS, which else takes all in each rank."""
    from threadpoolctl import threadpool_limits

    from npse.support import environment

    return threadpool_limits(max(1, environment.cores() // ranks.local_size), user_api="blas")
