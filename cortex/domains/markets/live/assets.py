"""Assets that live sources know: the chains' coins, and the best-known tokens of Ethereum and Solana."""

from typing import NamedTuple


class Asset(NamedTuple):
    """One asset. Its chain is by Flipside's name; a chain's own coin has no address."""

    symbol: str
    chain: str
    address: str | None = None

    @property
    def key(self) -> str:
        """Its name in the answers of `sql/crosschain_prices.sql`."""
        return self.address or self.symbol


NATIVES = (Asset("NEAR", "near"), Asset("ETH", "ethereum"), Asset("SOL", "solana"))

TOKENS = (
    Asset("LINK", "ethereum", "0x514910771af9ca656af840dff83e8264ecf986ca"),
    Asset("UNI", "ethereum", "0x1f9840a85d5af5bf1d1762f925bdaddc4201f984"),
    Asset("AAVE", "ethereum", "0x7fc66500c84a76ad7e9c93437bfc5ac33e2ddae9"),
    Asset("MKR", "ethereum", "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2"),
    Asset("LDO", "ethereum", "0x5a98fcbea516cf06857215779fd812ca3bef1b32"),
    Asset("CRV", "ethereum", "0xd533a949740bb3306d119cc777fa900ba034cd52"),
    Asset("SNX", "ethereum", "0xc011a73ee8576fb46f5e1c5751ca3b9fe0af2a6f"),
    Asset("COMP", "ethereum", "0xc00e94cb662c3520282e6f5717214004a7f26888"),
    Asset("ENS", "ethereum", "0xc18360217d8f7ab5e7c516566761ea12ce7f9d72"),
    Asset("GRT", "ethereum", "0xc944e90c64b2c07662a292be6244bdf05cda44a7"),
    Asset("SUSHI", "ethereum", "0x6b3595068778dd592e39a122f4f5a5cf09c90fe2"),
    Asset("YFI", "ethereum", "0x0bc529c00c6401aef6d220be8c6ea1667f6ad93e"),
    Asset("BAL", "ethereum", "0xba100000625a3754423978a60c9317c58a424e3d"),
    Asset("1INCH", "ethereum", "0x111111111117dc0aa78b770fa6a738034120c302"),
    Asset("APE", "ethereum", "0x4d224452801aced8b2f0aebe155379bb5d594381"),
    Asset("MANA", "ethereum", "0x0f5d2fb29fb7d3cfee444a200298f468908cc942"),
    Asset("SAND", "ethereum", "0x3845badade8e6dff049820680d1f14bd3903a5d0"),
    Asset("SHIB", "ethereum", "0x95ad61b0a150d79219dcf64e1e6cc01f0b64c4ce"),
    Asset("PEPE", "ethereum", "0x6982508145454ce325ddbe47a25d4ec3d2311933"),
    Asset("LPT", "ethereum", "0x58b6a8a3302369daec383334672404ee733ab239"),
    Asset("BAT", "ethereum", "0x0d8775f648430679a709e98d2b0cb6250d2887ef"),
    Asset("ZRX", "ethereum", "0xe41d2489571d322189246dafa5ebde1f4699f498"),
    Asset("JUP", "solana", "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"),
    Asset("BONK", "solana", "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"),
    Asset("RAY", "solana", "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R"),
    Asset("ORCA", "solana", "orcaEKTdK7LKz57vaAYr9QeNsVEPfiu6QeMU1kektZE"),
    Asset("JTO", "solana", "jtojtomepa8beP8AuQc6eXt5FriJwfFMwQx2v2f9mCL"),
    Asset("PYTH", "solana", "HZ1JovNiVvGrGNiiYvEozEVgZ58xaU3RKwX8eACQBCt3"),
    Asset("WIF", "solana", "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm"),
    Asset("HNT", "solana", "hntyVP6YFm1Hg25TN9WGLqM12b8TQmcknKrdu1oxWux"),
)


def assets_of(chains: tuple[str, ...], tokens: bool) -> tuple[Asset, ...]:
    """The coins of some chains, and their tokens where asked for."""
    return tuple(asset for asset in NATIVES + (TOKENS if tokens else ()) if asset.chain in chains)
