"""Policy bundles: build."""

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.app import HomeOption, app, load, out

policy = typer.Typer(help="The rules that decide every question.", no_args_is_help=True)
app.add_typer(policy, name="policy")
STARTER = Path(__file__).parent.parent / "starter_policies"
CHECKOUT = Path(__file__).parent.parent.parent / "policies"


def starter_policies() -> Path:
    """The policies that come with the broker: in an installed package, else in a checkout."""
    return STARTER if STARTER.is_dir() else CHECKOUT


@policy.command("build")
def policy_build(
    home: HomeOption,
    policies: Annotated[
        Path | None, typer.Argument(help="The policies folder; the starter policies if left out.")
    ] = None,
    profile: Annotated[str, typer.Option(help="demo, or production: refuses law that nobody has verified.")] = "demo",
) -> None:
    """Check the policies, sign them and put the bundle where the broker reads it."""
    from accord import bundle as bundles
    from broker import keys
    from broker.policy import PROFILES, build

    if profile not in PROFILES:
        raise typer.BadParameter("say demo or production", param_hint="--profile")
    told = load(home)
    key = keys.read_p256(told.policy_key)
    data = build(policies or starter_policies(), profile, key, told.policy_key_id)
    opened = bundles.open_bundle(data, {told.policy_key_id: key.public_key()})
    keys.replace(told.policy_bundle.parent, told.policy_bundle.name, data)
    out.print(f"Policy revision {opened.revision} is in {told.policy_bundle}; restart the broker to use it.")
