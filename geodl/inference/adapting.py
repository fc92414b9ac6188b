"""Networks whose input a scene does not hold, but can be made of it: its brightness, how noisy it is, another unit."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from functools import partial

import numpy as np

from geodl.contract import Band, Contract, Dim
from geodl.data.luma import LUMA, Colours, find_colours
from geodl.data.sar import radar_unit
from geodl.data.source import Source, are_nameless
from geodl.errors import BandMismatch, OptionError
from geodl.inference.converted import Call
from geodl.inference.noiselevel import noise_of_scene
from geodl.inference.sar import HALF_LOOK, PARTS, in_unit, of_parts
from geodl.physics.speckle import Unit

__all__ = ("NOISE_LEVEL", "Adapted", "adapt", "without_noise_level")

NOISE_LEVEL = "noise_level"
"""Last band of a network that is told how noisy its input is: the standard deviation, in the unit of the other bands."""

_OPTION = "noise_level (--noise-level)"
_REACH = 2
"""Pixels on each side that bicubic enlargement depends on."""

_log = logging.getLogger("geodl")


@dataclass(frozen=True)
class Adapted:
    """A network as a scene needs it. It goes through the engine like any other; exact tiling stays exact."""

    contract: Contract
    """What it eats and gives in terms of the scene."""
    network: Contract
    """The same of the network itself."""
    colours: Colours | None = None
    """Bands of which its `luma` is made; None: the scene has its bands."""
    noise_level: float | None = None
    """What was told of the noise."""
    units: tuple[Unit, Unit] | None = None
    """What a radar scene holds and what the network works in, where these differ."""
    of_parts: bool = False
    """Whether the scene is complex data, both parts of which go through the network."""

    @property
    def extra_bytes(self) -> int:
        """Bytes per input pixel that are taken beside the network while it works."""
        scale = self.contract.output.scale
        level = 4 * len(self.network.input.bands) if self._is_told else 0
        # Measured: 57 to 60 for each output pixel.
        return level + (0 if self.colours is None else 64 * scale**2)

    def call(self, network: Call, source: Source) -> Call:
        """Wraps the network.

        Args:
            network: float32 (batch, height, width, band) to (batch, height * scale, width * scale, channel).
            source: the scene, with the bands of `contract`. Some windows of it are read where its noise is not known.

        Returns:
            The same for arrays with the scene's bands.

        Raises:
            OptionError: the noise cannot be told from the scene.
            SourceUnreadable: the file is damaged.
        """
        if self.units is not None:
            return in_unit(network, scene=self.units[0], own=self.units[1], back=_gives_own_unit(self.network))
        if self.of_parts:
            return of_parts(network)
        if self._is_told:
            network = partial(_tell, network, self._level(source))
        if self.colours is not None:
            output = self.network.output
            joined = tuple(band.name for band in output.bands) == (LUMA,)
            network = partial(_through_luma, network, self.colours, output.scale, joined)
        return network

    def settled(self, source: Source) -> Adapted:
        """Returns the same with the level of noise, estimated now where the network wants to know it and nobody told.

        Raises:
            OptionError: it cannot be told from the scene.
            SourceUnreadable: the file is damaged.
        """
        if not self._is_told or self.units is not None:
            return self
        return dataclasses.replace(self, noise_level=self._level(source))

    @property
    def _is_told(self) -> bool:
        """Whether the network is told of the noise by a number."""
        if self.of_parts:
            return False
        seen = 1 if self.colours is not None else len(self.contract.input.bands)
        return seen < len(self.network.input.bands)

    def _level(self, source: Source) -> float:
        if self.noise_level is not None:
            return self.noise_level
        found = noise_of_scene(source, see=None if self.colours is None else self.colours.luma)
        if found is None:
            expected = f"a number: the noise of {source.name} cannot be told from the few valid pixels it has"
            raise OptionError(_OPTION, expected=expected, received=None)
        unit = self.network.input.bands[-1].unit
        _log.warning(
            "%s: the noise level is taken as %.4g%s, estimated from the scene. Set %s to tell it.",
            source.name, found, f" {unit}" if unit else "", _OPTION,
        )  # fmt: skip
        return found


def adapt(contract: Contract, source: Source, *, noise_level: float | None = None) -> Adapted:
    """Finds out how a network is given a scene.

    A last band `noise_level` that the scene does not have holds one number everywhere: `noise_level`, else an estimate.
    Radar bands that state intensity, amplitude or dB are converted to what the network states, and its answer back where
    it is in that unit too. A network of half a look (MERLIN) is given both parts of a scene with bands real and imaginary,
    or of two without names.
    A single band `luma` that it does not have is the brightness Y (ITU-R BT.601) of its colours; where the network gives
    `luma` too, the scene's Cb and Cr are enlarged bicubically to its size, and red, green and blue are given back.

    Args:
        contract: of the network.
        source: the scene as it was opened; only its description is looked at.
        noise_level: standard deviation of the noise, in the unit of the network's bands. It counts before a band of that
            name.

    Raises:
        OptionError: the network is not told of the noise, but `noise_level` is given.
        BandMismatch: the network wants `luma`, and the scene has no colours; or half a look, and it has not the two parts.
        UnitMismatch: they are not 0 to 255.
    """
    own = {band.name.casefold() for band in source.bands}
    if [band.name for band in contract.input.bands] == [HALF_LOOK] and HALF_LOOK not in own:
        return Adapted(_with_bands(contract, tuple(Band(name) for name in _parts_of(source))), contract, of_parts=True)
    stated, wanted = radar_unit(_wanted(contract, source)), radar_unit(contract.input.bands)
    if stated is not None and wanted is not None and stated != wanted:
        return Adapted(_in_unit(contract, stated), contract, units=(stated, wanted))
    adapted = contract
    if not _is_told(contract):
        if noise_level is not None:
            expected = f"a network whose last band is called {NOISE_LEVEL}, such as FFDNet"
            raise OptionError(_OPTION, expected=expected, received=noise_level)
    elif noise_level is not None or NOISE_LEVEL not in own:
        adapted = without_noise_level(contract)
    if [band.name for band in adapted.input.bands] != [LUMA] or LUMA in own:
        return Adapted(adapted, contract, None, noise_level)
    colours = find_colours(source.name, source.bands)
    return Adapted(_of_colours(adapted, colours), contract, colours, noise_level)


def without_noise_level(contract: Contract) -> Contract:
    """Returns a network's contract without the band that tells it of the noise, if it has one."""
    return _with_bands(contract, contract.input.bands[:-1]) if _is_told(contract) else contract


def _is_told(contract: Contract) -> bool:
    return len(contract.input.bands) > 1 and contract.input.bands[-1].name == NOISE_LEVEL


def _parts_of(source: Source) -> tuple[str, ...]:
    """Names of the real and of the imaginary band of a scene, in this order; its two bands where they have no names."""
    own = {band.name.casefold(): band.name for band in source.bands}
    if own.keys() >= set(PARTS):
        return tuple(own[name] for name in PARTS)
    if len(own) == len(PARTS) and are_nameless(own.values()):
        return tuple(own.values())
    raise BandMismatch(source.name, expected=PARTS, received=[band.name for band in source.bands])


def _wanted(contract: Contract, source: Source) -> tuple[Band, ...]:
    """The bands of a scene that a network is given: those of its names, else all."""
    names = {band.name.casefold() for band in contract.input.bands}
    return tuple(band for band in source.bands if band.name.casefold() in names) or source.bands


def _in_unit(contract: Contract, unit: Unit) -> Contract:
    """What a network for radar is together with the conversion of a scene in this unit, and back."""
    output = contract.output
    if _gives_own_unit(contract):
        output = dataclasses.replace(output, bands=tuple(dataclasses.replace(band, unit=unit) for band in output.bands))
    bands = tuple(dataclasses.replace(band, unit=unit) for band in contract.input.bands)
    return _with_bands(dataclasses.replace(contract, output=output), bands)


def _gives_own_unit(contract: Contract) -> bool:
    """Whether a network for radar gives what it eats, and not classes or another quantity."""
    return radar_unit(contract.output.bands) == radar_unit(contract.input.bands)


def _with_bands(contract: Contract, bands: tuple[Band, ...]) -> Contract:
    def fitted(dim: Dim) -> Dim:
        return dataclasses.replace(dim, size=len(bands)) if dim.name == "band" and dim.size else dim

    dims = tuple(fitted(dim) for dim in contract.input.dims)
    return dataclasses.replace(contract, input=dataclasses.replace(contract.input, dims=dims, bands=bands))


def _of_colours(contract: Contract, colours: Colours) -> Contract:
    """What a network of luma is together with what goes on around it."""
    bands = tuple(Band(band.name, band.unit) for band in colours.bands)
    output = contract.output
    if tuple(band.name for band in output.bands) == (LUMA,):
        output = dataclasses.replace(output, bands=bands)
    changed = _with_bands(dataclasses.replace(contract, output=output), bands)
    if output.scale == 1 or len(bands) == 1:
        return changed

    def reaching(dim: Dim) -> Dim:
        spatial = dim.name in ("y", "x") and dim.margin is not None
        return dataclasses.replace(dim, margin=max(dim.margin or 0, _REACH)) if spatial else dim

    dims = tuple(reaching(dim) for dim in changed.input.dims)
    return dataclasses.replace(changed, input=dataclasses.replace(changed.input, dims=dims))


def _tell(network: Call, level: float, inputs: np.ndarray) -> np.ndarray:
    """Runs a network on images and the level of their noise."""
    told = np.full((*inputs.shape[:3], 1), level, inputs.dtype)
    return network(np.concatenate([inputs, told], axis=-1))


def _through_luma(network: Call, colours: Colours, scale: int, joined: bool, inputs: np.ndarray) -> np.ndarray:
    """Runs a network on the luma of images; gives their colours back if its output is to be `joined` with them."""
    output = network(colours.luma(inputs))
    if not joined:
        return output
    from geodl.physics.sensor import enlarge

    images = np.empty((*output.shape[:3], len(colours.bands)), np.float32)
    for k, image in enumerate(inputs):
        chroma = colours.chroma(image)
        images[k] = colours.join(output[k], enlarge(chroma, scale) if scale > 1 and chroma.size else chroma)
    return images
