"""All ops of the book for device arrays. An op copies its arguments to the host and its results to the device.

Ops without a kernel run in this way.
"""

import functools

from npse import reference
from npse.cuda.runtime.device import to_device, to_host

__all__ = reference.OPS


def _on_host(op):
    @functools.wraps(op)
    def on_host(*arguments, **options):
        result = op(*map(to_host, arguments), **{name: to_host(value) for name, value in options.items()})
        return tuple(map(to_device, result)) if isinstance(result, tuple) else to_device(result)
    return on_host


globals().update({name: _on_host(getattr(reference, name)) for name in reference.OPS})
