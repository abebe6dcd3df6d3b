"""Both key servers in this process, for measurements that are not about them."""

from collections.abc import Sequence

from accord.identity import MatchKey
from accord.linkage import FamilyKey


class DirectKeyServer:
    """Both key servers in one, without blinding: it sees every key in the clear, so it is for measuring only."""

    def __init__(self, broker_seed: bytes, steward_seed: bytes, epoch: str) -> None:
        """Hold both seeds, which nobody does in a federation."""
        self._seeds, self._epoch = (broker_seed, steward_seed), epoch
        self._keys: dict[str, tuple[FamilyKey, FamilyKey]] = {}

    async def __call__(self, keys: Sequence[MatchKey]) -> list[bytes]:
        """The same tokens as through both servers."""
        return [self._both(key.family)[1].direct(self._both(key.family)[0].direct(key.input)) for key in keys]

    def _both(self, family: str) -> tuple[FamilyKey, FamilyKey]:
        if family not in self._keys:
            first, second = (FamilyKey(seed, self._epoch, family) for seed in self._seeds)
            self._keys[family] = first, second
        return self._keys[family]
