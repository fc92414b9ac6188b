"""Explicit Runge–Kutta methods by their coefficients.

Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I, 2nd edition: sections II.1 (Euler, Heun,
RK4), II.5 (5(4) of Dormand & Prince), II.6 (its dense output) and II.10 (8(5,3), DOP853, with its dense output).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial

__all__ = ("TABLEAUS", "Tableau")


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge–Kutta method for dX/dt = F(X).

    Stage i has the derivative K_i = F(X + h Σ_j a_ij K_j); a step of size h gives X + h Σ_i b_i K_i. What an adaptive
    solver needs besides is written with all derivatives of a step in this order: the stages, the derivative at the end of
    the step, the extra stages.
    """

    name: str
    """As a recipe has it."""
    order: int
    """p: the error at a given time shrinks like the p-th power of the step."""
    a: tuple[tuple[float, ...], ...]
    """Row i holds the i weights of the stages before stage i."""
    b: tuple[float, ...]
    """Weights of the step, one per stage."""
    c: tuple[float, ...]
    """Nodes, in steps: the sums of the rows of `a`."""
    fsal: bool = False
    """Whether the derivative at the end is needed within the step: it is the first stage of the next one."""
    error: tuple[float, ...] = ()
    """Weights of the estimated error over the stages and the end; empty for a method without one. For dop853 those of
    order 5."""
    error_third: tuple[float, ...] = ()
    """For dop853 alone: weights of its second estimate, of order 3. With e5 and e3 the sums of squares of the two, scaled
    by the tolerances, over n variables, the error norm is h e5 / sqrt(n (e5 + 0.01 e3))."""
    error_order: int = 0
    """q: the error norm shrinks like the (q + 1)-th power of the step."""
    extra_a: tuple[tuple[float, ...], ...] = ()
    """Rows of the extra stages that the dense output needs, over all derivatives before each."""
    extra_c: tuple[float, ...] = ()
    """Nodes of the extra stages."""
    dense: tuple[tuple[float, ...], ...] = ()
    """Dense output: row i holds the coefficients of θ, θ², … of the weight of derivative i, so that the state at θ, from 0
    to 1 of the step, is X + h Σ_i K_i Σ_j dense_ij θ^(j + 1)."""

    @property
    def stages(self) -> int:
        """Evaluations of the field in a step."""
        return len(self.b)

    @property
    def adaptive(self) -> bool:
        """Whether it estimates its error, so that steps can be chosen by it."""
        return bool(self.error)


# fmt: off
_DOP853_A: tuple[tuple[float, ...], ...] = (
    (),
    (0.05260015195876773,),
    (0.0197250569845379, 0.0591751709536137),
    (0.02958758547680685, 0.0, 0.08876275643042054),
    (0.2413651341592667, 0.0, -0.8845494793282861, 0.924834003261792),
    (0.037037037037037035, 0.0, 0.0, 0.17082860872947386, 0.12546768756682242),
    (0.037109375, 0.0, 0.0, 0.17025221101954405, 0.06021653898045596, -0.017578125),
    (
        0.03709200011850479, 0.0, 0.0, 0.17038392571223998, 0.10726203044637328, -0.015319437748624402,
        0.008273789163814023,
    ),
    (
        0.6241109587160757, 0.0, 0.0, -3.3608926294469414, -0.868219346841726, 27.59209969944671, 20.154067550477894,
        -43.48988418106996,
    ),
    (
        0.47766253643826434, 0.0, 0.0, -2.4881146199716677, -0.590290826836843, 21.230051448181193, 15.279233632882423,
        -33.28821096898486, -0.020331201708508627,
    ),
    (
        -0.9371424300859873, 0.0, 0.0, 5.186372428844064, 1.0914373489967295, -8.149787010746927, -18.52006565999696,
        22.739487099350505, 2.4936055526796523, -3.0467644718982196,
    ),
    (
        2.273310147516538, 0.0, 0.0, -10.53449546673725, -2.0008720582248625, -17.9589318631188, 27.94888452941996,
        -2.8589982771350235, -8.87285693353063, 12.360567175794303, 0.6433927460157636,
    ),
)
_DOP853_B = (
    0.054293734116568765, 0.0, 0.0, 0.0, 0.0, 4.450312892752409, 1.8915178993145003, -5.801203960010585,
    0.3111643669578199, -0.1521609496625161, 0.20136540080403034, 0.04471061572777259,
)
_DOP853_C = (
    0.0, 0.05260015195876773, 0.0789002279381516, 0.1183503419072274, 0.2816496580927726, 0.3333333333333333, 0.25,
    0.3076923076923077, 0.6512820512820513, 0.6, 0.8571428571428571, 1.0,
)
_DOP853_ERROR = (
    0.01312004499419488, 0.0, 0.0, 0.0, 0.0, -1.2251564463762044, -0.4957589496572502, 1.6643771824549864,
    -0.35032884874997366, 0.3341791187130175, 0.08192320648511571, -0.022355307863886294, 0.0,
)
_DOP853_THIRD = (
    -0.18980075407240762, 0.0, 0.0, 0.0, 0.0, 4.450312892752409, 1.8915178993145003, -5.801203960010585,
    -0.4226823213237919, -0.1521609496625161, 0.20136540080403034, 0.02265179219836082, 0.0,
)
_DOP853_EXTRA_A = (
    (
        0.056167502283047954, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25350021021662483, -0.2462390374708025, -0.12419142326381637,
        0.15329179827876568, 0.00820105229563469, 0.007567897660545699, -0.008298,
    ),
    (
        0.03183464816350214, 0.0, 0.0, 0.0, 0.0, 0.028300909672366776, 0.053541988307438566, -0.05492374857139099, 0.0,
        0.0, -0.00010834732869724932, 0.0003825710908356584, -0.00034046500868740456, 0.1413124436746325,
    ),
    (
        -0.42889630158379194, 0.0, 0.0, 0.0, 0.0, -4.697621415361164, 7.683421196062599, 4.06898981839711,
        0.3567271874552811, 0.0, 0.0, 0.0, -0.0013990241651590145, 2.9475147891527724, -9.15095847217987,
    ),
)
_DOP853_EXTRA_C = (0.1, 0.2, 0.7777777777777778)
_DOP853_D = (
    (
        -8.428938276109013, 0.0, 0.0, 0.0, 0.0, 0.5667149535193777, -3.0689499459498917, 2.38466765651207,
        2.117034582445028, -0.871391583777973, 2.2404374302607883, 0.6315787787694688, -0.08899033645133331,
        18.148505520854727, -9.194632392478356, -4.436036387594894,
    ),
    (
        10.427508642579134, 0.0, 0.0, 0.0, 0.0, 242.28349177525817, 165.20045171727028, -374.5467547226902,
        -22.113666853125306, 7.733432668472264, -30.674084731089398, -9.332130526430229, 15.697238121770845,
        -31.139403219565178, -9.35292435884448, 35.81684148639408,
    ),
    (
        19.985053242002433, 0.0, 0.0, 0.0, 0.0, -387.0373087493518, -189.17813819516758, 527.8081592054236,
        -11.57390253995963, 6.8812326946963, -1.0006050966910838, 0.7777137798053443, -2.778205752353508,
        -60.19669523126412, 84.32040550667716, 11.99229113618279,
    ),
    (
        -25.69393346270375, 0.0, 0.0, 0.0, 0.0, -154.18974869023643, -231.5293791760455, 357.6391179106141,
        93.40532418362432, -37.45832313645163, 104.0996495089623, 29.8402934266605, -43.53345659001114,
        96.32455395918828, -39.17726167561544, -149.72683625798564,
    ),
)
# fmt: on


def _dop853_dense() -> tuple[tuple[float, ...], ...]:
    """Expands the published form of the dense output: the sum of F_i times 1, θ(1 - θ), θ²(1 - θ), θ²(1 - θ)², …"""
    b, first, end = np.zeros(16), np.zeros(16), np.zeros(16)
    b[:12], first[0], end[12] = _DOP853_B, 1.0, 1.0
    weights = np.vstack([b, first - b, 2 * b - first - end, _DOP853_D])
    up, down = Polynomial([0.0, 1.0]), Polynomial([1.0, -1.0])
    powers = np.zeros((7, 8))
    for k in range(7):
        shape = up ** (k // 2 + 1) * down ** ((k + 1) // 2)
        powers[k, : len(shape.coef)] = shape.coef
    return tuple(tuple(float(value) for value in row) for row in (weights.T @ powers)[:, 1:])


_METHODS = (
    Tableau("euler", 1, a=((),), b=(1.0,), c=(0.0,)),
    Tableau("heun", 2, a=((), (1.0,)), b=(1 / 2, 1 / 2), c=(0.0, 1.0)),
    Tableau(
        "rk4",
        4,
        a=((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
        b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
        c=(0.0, 1 / 2, 1 / 2, 1.0),
    ),
    Tableau(
        "dopri5",
        5,
        a=(
            (),
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        ),
        b=(35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        c=(0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0),
        fsal=True,
        error=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
        error_order=4,
        dense=(
            (1.0, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432),
            (0.0, 0.0, 0.0, 0.0),
            (0.0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799),
            (0.0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072),
            (0.0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632),
            (0.0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844),
            (0.0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423),
        ),
    ),
    Tableau(
        "dop853",
        8,
        a=_DOP853_A,
        b=_DOP853_B,
        c=_DOP853_C,
        fsal=True,
        error=_DOP853_ERROR,
        error_third=_DOP853_THIRD,
        error_order=7,
        extra_a=_DOP853_EXTRA_A,
        extra_c=_DOP853_EXTRA_C,
        dense=_dop853_dense(),
    ),
)

TABLEAUS: dict[str, Tableau] = {tableau.name: tableau for tableau in _METHODS}
"""The methods by name."""
