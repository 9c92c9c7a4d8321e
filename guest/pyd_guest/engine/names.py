"""Names for containers that were given none: an adjective and a person of science."""

import secrets
from collections.abc import Callable
from typing import Final

_ADJECTIVES: Final = (
    "able agile amber apt bold brave breezy bright brisk calm candid careful cheerful clever "
    "cosmic crisp curious daring deft eager earnest elated fair fearless fluent fond frank "
    "gallant gentle gifted glad golden graceful happy hardy honest humble jolly keen kind lively "
    "loyal lucid mellow merry mighty modest neat nimble noble patient placid plucky polite proud "
    "quick quiet radiant serene sharp silent sincere sleek smooth snappy solid steady sunny swift "
    "tender tidy tranquil trusty upbeat vivid warm wise witty zealous zesty"
).split()
_PEOPLE: Final = (
    "abel agnesi ampere archimedes avogadro babbage bell bernoulli bohr boltzmann boole born bose "
    "brahe cantor carson cauchy celsius chandrasekhar copernicus coulomb crick curie dalton "
    "darwin descartes dijkstra dirac einstein erdos euclid euler faraday fermat fermi feynman "
    "fourier franklin galileo galois gauss germain goedel goodall hamilton hawking heisenberg "
    "hermite hertz hilbert hopper hubble humboldt huygens hypatia jacobi johnson joule kelvin "
    "kepler kirchhoff knuth kovalevskaya lagrange laplace lavoisier leibniz liskov lorentz "
    "lovelace maxwell mayer meitner mendel mendeleev mirzakhani newton nightingale noether ohm "
    "pascal pasteur pauling payne planck poincare ramanujan riemann rubin rutherford schroedinger "
    "shannon somerville tesla thompson turing volta watt weyl wiles wu yalow"
).split()


def free_name(is_free: Callable[[str], bool]) -> str:
    """Return a name that nobody has; a number is added once the plain ones get rare."""
    for attempt in range(1000):
        name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_PEOPLE)}"
        if attempt > 5:
            name += str(secrets.randbelow(10**6))
        if is_free(name):
            return name
    raise AssertionError("a thousand random names were all taken")
