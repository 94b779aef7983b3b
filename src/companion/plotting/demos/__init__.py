"""Demonstrations in the page: one self-contained piece of HTML each, no server, no network.

`means`: how errors average; `states`: the three regimes as paths that one can drag;
`toy_runs`: the exponent of stored toy runs by range and floor; `cuts`: the depth exponent's
profile as rows are left out. Python computes what it embeds; a script in the page repeats the
rest, and a test holds both to the same numbers. `shared.js` and `shared.css` serve all of them.
"""

from companion.plotting.demos.cuts import profiles
from companion.plotting.demos.means import averaging
from companion.plotting.demos.states import paths
from companion.plotting.demos.toy_runs import explorer

__all__ = ["averaging", "explorer", "paths", "profiles"]
