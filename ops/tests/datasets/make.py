"""Makes the small datasets of the tests in this folder. Needs numpy 2."""

import pathlib

import numpy

HERE = pathlib.Path(__file__).parent
WORDS = numpy.array(["ox", "ass", "ox", "hen", "ass", "ox"])


def main():
    pixels = (numpy.arange(36) * 7).astype("uint8").reshape(6, 2, 1, 3)
    labels = numpy.array([0, 1, 2, 0, 1, 2])
    numpy.savez(HERE / "bytes.npz", x=pixels, y=labels)
    # The same images with the channels last.
    numpy.savez(HERE / "channels_last.npz", x=pixels.transpose(0, 2, 3, 1), y=labels)
    rows = numpy.linspace(-1, 1, 24).reshape(6, 4)
    numpy.savez(HERE / "rows.npz", x=rows, y=WORDS)
    numpy.savez_compressed(HERE / "compressed.npz", x=rows.astype("float32"), y=WORDS[:, None])
    numpy.savez(HERE / "unlabelled.npz", x=rows.astype("int16"))


if __name__ == "__main__":
    main()
