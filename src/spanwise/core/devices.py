"""Where models run: the name in a config becomes a device of this machine. Torch is imported on the first call only."""

from spanwise.core.errors import ConfigError


def resolve_device(name: str) -> str:
    """The device called `name`; for auto a CUDA device where there is one, else the CPU.

    auto leaves out Apple's mps, which lacks the double precision that sampling draws in. Raises ConfigError for a name
    that torch does not know and for a device that this machine does not have.
    """
    import torch  # noqa: PLC0415 - heavy

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device={name}: no such device; give auto, cpu, cuda or cuda:1.") from error
    if device.type == "cuda":  # counted, not tried: trying would take memory there
        known = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= known:
            raise ConfigError(f"device={name}: this machine has {_counted(known)}; give auto, or another device.")
        return name
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device={name}: cannot be used on this machine; give auto, or another device.") from error
    return name


def device_line(asked: str, resolved: str) -> str:
    """What a command says of its device, for example "device: cpu (no CUDA device found)"."""
    if asked != "auto":
        return f"device: {resolved}"
    return f"device: {resolved} ({'no CUDA device found' if resolved == 'cpu' else _name_of_gpu()})"


def _counted(devices: int) -> str:
    return f"{devices or 'no'} CUDA device{'s' if devices > 1 else ''}"


def _name_of_gpu() -> str:
    import torch  # noqa: PLC0415 - heavy

    return torch.cuda.get_device_name()
