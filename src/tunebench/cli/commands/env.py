"""`tunebench env`: what the figures of a run depend on."""

from tunebench import __version__
from tunebench.cli.options import Json
from tunebench.cli.printing import print_json, print_table


def env(json_: Json = False) -> None:
    """Show what the figures of a run depend on: versions, processor, device, precision."""
    import torch
    from accelerate import PartialState

    from tunebench.engine.measure import environment
    from tunebench.engine.precision import resolve_precision

    device = PartialState().device
    assert device is not None, "a new PartialState has a device"
    values = {
        "tunebench": __version__,
        **environment(device, resolve_precision("auto", device)),
        "cuda": torch.version.cuda,
    }
    if json_:
        print_json(values)
        return
    packages = values.pop("packages")
    print_table("", ["", ""], [[key, str(value)] for key, value in {**values, **packages}.items()])
