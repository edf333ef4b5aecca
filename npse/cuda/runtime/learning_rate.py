"""Kernels with a learning rate, which is a number or a device array without axes.

A recorded sequence of launches repeats the numbers that it was recorded with, but reads the arrays again each time. So
an array can give it a new learning rate.
"""

from npse.cuda.runtime.device import device_function, is_device_array, scalar


def with_rate(make):
    """Make a kernel in both forms; ``make(number)`` returns it, where ``number(lr)`` is the rate within the kernel.

    Return a function of lr and of an array with the dtype of the arithmetic: the kernel, and lr as its argument.
    """
    of_number, of_array = (make(device_function(read)) for read in (lambda lr: lr, lambda lr: lr[()]))

    def chosen(lr, like):
        return (of_array, lr) if is_device_array(lr) else (of_number, scalar(lr, like))
    return chosen
