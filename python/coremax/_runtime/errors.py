"""Exceptions of the package beyond Python's own."""


class DeviceError(RuntimeError):
    """Something about a device: no driver, the wrong device, an error from CUDA."""
