"""README of an exported C program."""

from scenelet.export.c.layouts import Layout
from scenelet.export.limits import MISSING_RULE
from scenelet.export.model_card import markdown_text
from scenelet.model.scene_model import SceneModel

USE = {
    "c": """\
`make test` compiles the sources on this machine and compares them with training. `make` builds `listen`, which
classifies samples from standard input:

    ffmpeg -i recording.wav -f s16le -ac {channels} -ar {rate} - | ./listen

`make size` adds up flash and RAM on a Cortex-M4, and `make qemu` runs the network on an emulated one. Both need
`gcc-arm-none-eabi`. Copy `scenelet.c`, `scenelet_*.c`, `model_*.c` and all headers into a program of your own.
""",
    "arduino": """\
Pack this folder into a ZIP file. In the Arduino IDE, choose Sketch, Include Library, Add .ZIP Library. Open the example
Listen in the menu File, Examples, scenelet. Set the pins of your microphone and your LED at its top, and upload it.
The example is for an ESP32 and an I2S microphone. The library itself is plain C for any board with enough memory.
""",
    "esp-idf": """\
Set the pins of your microphone and your LED at the top of `main/main.c`. Then:

    idf.py set-target esp32s3
    idf.py flash monitor

The sound classifier is the component in `components/scenelet`, plain C without dependencies.
""",
}


def readme(model: SceneModel, name: str, layout: Layout, int8: bool) -> str:
    """Return the text of README.md.

    Args:
        model: the content of a `.scn` file.
        name: the model's name.
        layout: the layout of the folder.
        int8: True if the network runs in int8.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> readme(read_model(built_in("esc10")), "esc10", "c", int8=True).splitlines()[0]
    '# esc10: a sound classifier in C'
    """
    features = model.features
    channels = f"{features.n_channels} channel{'s' if features.n_channels > 1 else ''}"
    return "\n".join([
        f"# {markdown_text(name)}: a sound classifier in C",
        "",
        f"Takes samples at {features.sample_rate:,} Hz, {channels}, in windows of {model.window.seconds:g} s.",
        f"Labels: {', '.join(map(markdown_text, model.labels))}.",
        f"The network runs in {'int8, with integers only' if int8 else 'float'}. `scenelet.h` describes the functions.",
        "`model_frontend.h` and `model_network.h` state the bytes of flash and RAM.",
        *([] if model.known is None else [f"Note: {MISSING_RULE}."]),
        "",
        "## Use it",
        "",
        USE[layout].format(channels=features.n_channels, rate=features.sample_rate),
        "## License of the training data",
        "",
        *([f"- {markdown_text(license)}" for license in model.licenses] or ["Unknown."]),
        "",
    ])  # fmt: skip
