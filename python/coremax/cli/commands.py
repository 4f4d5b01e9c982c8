"""The commands. Each imports what it needs when it runs, so that the others work without its libraries."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from .._config import format_config, show_config
from .._core import __version__
from ..graph import METRICS
from ..selection import NORMALIZATIONS, TARGETS
from ._options import BUDGET, SHARE, WEIGHT, BadInput, OneLineGroup, bad_input_exits, progress_printer, require_extra
from .demo_data import DATA_SETS, load
from .select import METHODS, format_summary, run_select


@click.group(cls=OneLineGroup, invoke_without_command=True)
@click.version_option(__version__, prog_name="coremax")
@click.pass_context
def coremax(context: click.Context) -> None:
    """Decide which part of a data set is worth training on."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@coremax.command()
@click.option("--data", type=click.Choice(DATA_SETS), default="digits", show_default=True, help="Images to select from.")
@click.option("--folder", type=click.Path(path_type=Path), help="Folder of the four IDX files of Fashion-MNIST.")
@click.option("--budget", type=BUDGET, default="10%", show_default=True, help="A share (10%, 0.1) or a count (500).")
@click.option(
    "--output", type=click.Path(path_type=Path), default="coremax-demo.html", show_default=True, help="Page to write."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@click.option("--threads", type=click.IntRange(1, 4096), help="Default: COREMAX_NUM_THREADS, else every CPU.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@bad_input_exits()
def demo(
    data: str, folder: Path | None, budget: int | float, output: Path, seed: int, threads: int | None, as_json: bool
) -> None:
    """Tell the whole story on real images.

    Scores the images, selects with InfoMax, trains the same classifier on the selection, on random choices of the same size
    and on everything, and writes a page with the results and pictures of what was kept and pruned. Takes seconds on digits
    and about a minute on Fashion-MNIST.
    """
    require_extra("demo", "sklearn", "matplotlib", "jinja2")
    from ..report.demo_page import write_page
    from .demo import format_result, run_demo, to_json

    if output.is_dir() or not output.parent.is_dir():
        raise BadInput(f"--output {output}: {'is a folder' if output.is_dir() else f'there is no folder {output.parent}'}")
    log = progress_printer()
    result = run_demo(load(data, folder), budget=budget, seed=seed, threads=threads, log=log)
    write_page(result, output)
    if as_json:
        click.echo(json.dumps({**to_json(result), "page": str(output)}))
    else:
        click.echo(f"{format_result(result)}\npage: {output}")


@coremax.command()
@click.argument("embeddings")
@click.option("--importance", metavar="FILE", help="Scores [n], higher = more informative. Not needed for --method random.")
@click.option("--budget", type=BUDGET, required=True, help="What to keep: a share (10%, 0.1) or a count (500).")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where the numbers kept go: .npy or .txt.")
@click.option("--method", type=click.Choice(METHODS), default="infomax", show_default=True)
@click.option("--labels", metavar="FILE", help="Classes [n]: contradicted labels are left out first, classes kept in balance.")
@click.option("--alpha", type=WEIGHT, default="auto", show_default=True, help="Weight of the redundancy.")
@click.option("--target", type=click.Choice(TARGETS), default="coverage", show_default=True, help="What the scores are made.")
@click.option("-k", "--neighbors", "k", type=int, default=10, show_default=True, help="Neighbours per sample in the graph.")
@click.option("--metric", type=click.Choice(METRICS), default="cosine", show_default=True)
@click.option("--partitions", type=int, default=1, show_default=True, help="Build the graph within this many random parts.")
@click.option("--normalize", type=click.Choice(NORMALIZATIONS), default="minmax", show_default=True, help="Of the importance.")
@click.option(
    "--drop-hardest", type=SHARE, default="auto", show_default=True, help="Share left out first, 0 to 1 or 0% to 100%."
)
@click.option("--memory-limit", help="For the graph, for example 2GB.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@click.option("--threads", type=click.IntRange(1, 4096), help="Default: COREMAX_NUM_THREADS, else every CPU.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@bad_input_exits()
def select(
    embeddings: str,
    importance: str | None,
    labels: str | None,
    budget: int | float,
    output: str,
    method: str,
    seed: int,
    as_json: bool,
    drop_hardest: float | str,
    **options: Any,
) -> None:
    """Select from files.

    EMBEDDINGS is an array [n, d]: a .npy file (mapped, not loaded) or an .npz file (FILE.npz:NAME where it holds several).
    """
    options["drop_hardest"] = drop_hardest
    options["progress"] = sys.stderr.isatty() and not as_json
    summary = run_select(embeddings, importance, budget, output, labels=labels, method=method, seed=seed, options=options)
    click.echo(json.dumps(summary) if as_json else format_summary(summary))


@coremax.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@bad_input_exits()
def info(as_json: bool) -> None:
    """Show version, instruction-set level, threads and the optional libraries found."""
    config = show_config("dicts")
    click.echo(json.dumps(config) if as_json else format_config(config))
