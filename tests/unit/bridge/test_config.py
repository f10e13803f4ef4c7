"""What the control plane writes is what the bridge reads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from meshgate.bridge.config import BridgeConfig, parse_config, write_config
from meshgate.core.secret import Secret
from meshgate.core.typed_json import _reachable
from meshgate.model.policies.oauth import OAuth2
from meshgate.model.policies.openid import (
    NeededClaim,
    OpenidClient,
    OpenidClientAuth,
    OpenIdConnect,
    OpenidMethod,
    OpenidProvider,
    OpenidSession,
    TokenDemands,
)


def test_policies_of_the_bridge_come_back_as_they_were(tmp_path: Path) -> None:
    login = OpenIdConnect(
        provider=OpenidProvider(issuer="https://a", discovery_headers=(("x-key", Secret.of("hush")),)),
        methods=frozenset({OpenidMethod.SESSION, OpenidMethod.BEARER}),
        clients=(OpenidClient(id="a", secret=Secret.of("hush"), auth=OpenidClientAuth.POST),),
        session=OpenidSession(disabled_for=frozenset({OpenidMethod.PASSWORD})),
        demands=TokenDemands(needed=(NeededClaim(claim=("a", "b"), any_of=("c d", "e")),)),
    )
    tokens = OAuth2(name="default/a", grants=frozenset({"password"}), provision_key=Secret.of("hush"))
    config = BridgeConfig(rules={"a": (tokens, login)})
    file = tmp_path / "bridge.json"
    write_config(file, config)
    assert file.stat().st_mode & 0o777 == 0o600
    assert dict(parse_config(file.read_bytes()).rules) == dict(config.rules)


def test_no_two_kinds_in_the_file_have_one_name() -> None:
    names = Counter(kind.__name__ for kind in set(_reachable(BridgeConfig)))
    assert [name for name, count in names.items() if count > 1] == []
