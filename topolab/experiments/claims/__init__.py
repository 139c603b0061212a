"""Claims: what the articles that this project starts from found. Is it so with today's releases?

Each claim measures figures, and judges them; a verdict never comes from anything else. What the articles' words leave
open is in `text`.
"""

from topolab.experiments.claims import asynchronous, crash, speed, standing
from topolab.experiments.claims.claim import Claim, check, check_all

CLAIMS = (*standing.CLAIMS, *asynchronous.CLAIMS, *crash.CLAIMS, *speed.CLAIMS)

__all__ = ["CLAIMS", "Claim", "check", "check_all"]
