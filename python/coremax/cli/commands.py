"""The commands. Each imports what it needs when it runs, so that the others work without its libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .._core import __version__
from .._runtime.config import format_config, show_config
from .._runtime.files import require_local, require_writable
from ..graph._graph import METRICS, MODES
from ._errors import BadInput, bad_input_exits, require_extra, tell
from ._job import open_job
from ._methods import KNOBS, METHODS
from ._options import (
    BUDGET,
    SEED,
    SIZE,
    THREADS,
    OneLineGroup,
    SectionedCommand,
    SectionedOption,
    housekeeping,
    progress_printer,
)
from .demo_data import DATA_SETS, load
from .engines import run_graph, run_sample
from .score import KINDS
from .score import command as score_command
from .select import run_select

_FORMATS = (
    "Arrays come from .npy and .safetensors (mapped, not loaded), .npz and .parquet files; FILE:NAME names one of several: "
    "data.npz:x, model.safetensors:emb.weight, table.parquet:embedding (a column of lists), table.parquet:emb_* (several)."
)


@click.group(cls=OneLineGroup, invoke_without_command=True)
@click.version_option(__version__, prog_name="coremax")
@click.pass_context
def coremax(context: click.Context) -> None:
    """Decide which part of a data set is worth training on.

    `coremax COMMAND --help` tells more about each. Exit code 2 and one line on stderr for bad input, 130 after Ctrl-C.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@click.pass_context
@bad_input_exits()
def _select(context: click.Context, /, **parameters: Any) -> None:
    job = open_job(context, parameters)
    names = ("embeddings", "importance", "ids", "only", "titles", "images", "output", "report")
    files = {name: parameters[name] for name in names}
    given = {knob.name: parameters[knob.name] for knob in KNOBS}
    run_select(job, parameters["method"], parameters["budget"], files, given)


coremax.add_command(
    SectionedCommand(
        "select",
        callback=_select,
        short_help="Select samples from files.",
        help="Select samples from files.\n\n"
        "EMBEDDINGS is an array [n, d]; for --method dsir texts: .txt (a document a line), "
        f"JSON Lines or .parquet (FILE:FIELD), packed or not.\n\n{_FORMATS}",
        params=[
            click.Argument(["embeddings"]),
            SectionedOption(
                ["--budget"], section="What to keep", type=BUDGET,
                help="A share (10%, 0.1) or a count (500); semdedup: or --eps.",
            ),
            SectionedOption(
                ["--importance", "--score"], section="What to keep", metavar="FILE",
                help="Scores [n]. Of infomax, ccs, d2 and top (higher = harder) and of sims (higher = easier); "
                "--higher turns them. A score of quality, where high is good: infomax with --target score --drop-hardest 0.",
            ),
            SectionedOption(
                ["--method"], section="What to keep", type=click.Choice(list(METHODS)), default="infomax", show_default=True,
                help="Each has options of its own, below.",
            ),
            SectionedOption(
                ["--ids"], section="What to keep", metavar="FILE",
                help="Ids [n], or a .txt of lines: write the ids kept instead of their numbers.",
            ),
            SectionedOption(
                ["--only"], section="What to keep", metavar="FILE",
                help="Choose among these alone, as if there were no others: numbers (with --ids: ids), such as what an earlier "
                "step kept, .npy, .txt or .parquet. A share as --budget stays one of all.",
            ),
            *housekeeping("Where the numbers kept go: .npy, .parquet (with weights) or .txt."),
            SectionedOption(["--report"], section="Report", metavar="FILE", help="Write a page about the selection, .html."),
            SectionedOption(
                ["--titles"], section="Report", metavar="FILE", help="Texts [n] that stand for the samples there; default: ids."
            ),
            SectionedOption(
                ["--images"], section="Report", metavar="FILE",
                help="Pictures there: an array [n, h, w] or [n, h, w, 3], or paths, a .txt of lines or a column, seen from the "
                "file's folder.",
            ),
            *(knob.option() for knob in KNOBS),
        ],
    )
)  # fmt: skip


@click.pass_context
@bad_input_exits()
def _graph(context: click.Context, /, **parameters: Any) -> None:
    run_graph(open_job(context, parameters), parameters)


coremax.add_command(
    SectionedCommand(
        "graph",
        callback=_graph,
        short_help="Find the k most similar rows of every row.",
        help="Find the k most similar other rows of every row, exactly.\n\n"
        f"EMBEDDINGS is an array [n, d]. The output is read by coremax.Graph.load.\n\n{_FORMATS}",
        params=[
            click.Argument(["embeddings"]),
            SectionedOption(["-k", "--neighbors", "k"], section="Graph", type=click.INT, default=10, show_default=True,
                            help="Neighbours per row."),
            SectionedOption(["--metric"], section="Graph", type=click.Choice(METRICS), default="cosine", show_default=True),
            SectionedOption(["--mode"], section="Graph", type=click.Choice(MODES), default="exact", show_default=True),
            SectionedOption(["--recall"], section="Graph", type=click.FLOAT, default=0.95, show_default=True,
                            help="Of --mode approximate: the share of true neighbours aimed at."),
            SectionedOption(["--memory-limit"], section="Graph", help="For example 2GB."),
            SectionedOption(["--isa"], section="Graph", help="Instruction-set level, see `coremax info`."),
            *housekeeping("Where the graph goes: .npz."),
        ],
    )
)  # fmt: skip


@click.pass_context
@bad_input_exits()
def _sample(context: click.Context, /, **parameters: Any) -> None:
    run_sample(open_job(context, parameters), parameters)


coremax.add_command(
    SectionedCommand(
        "sample",
        callback=_sample,
        short_help="Draw numbers by weight.",
        help=f"Draw numbers by weight.\n\nWEIGHTS is an array [n].\n\n{_FORMATS}",
        params=[
            click.Argument(["weights"]),
            SectionedOption(["--size"], section="Draw", type=SIZE, required=True, help="How many."),
            SectionedOption(["--replace"], section="Draw", is_flag=True, help="With replacement."),
            SectionedOption(["--log-weights"], section="Draw", is_flag=True, help="The weights are logarithms."),
            SectionedOption(["--ids"], section="Draw", metavar="FILE", help="Ids [n]: write those drawn instead of numbers."),
            *housekeeping("Where the numbers go, in the order drawn: .npy, .parquet or .txt."),
        ],
    )
)  # fmt: skip


@coremax.group(invoke_without_command=True, short_help="Compute a score of every sample.")
@click.pass_context
def score(context: click.Context) -> None:
    """Compute a score of every sample, from arrays of predictions, embeddings or what training recorded."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _kind in KINDS:
    score.add_command(score_command(_kind))


@coremax.command()
@click.option(
    "--rows", type=click.IntRange(2000, 10**7), default=20_000, show_default=True, help="Of the graph and the solver."
)
@click.option("--dimensions", type=click.IntRange(1, 10**5), default=128, show_default=True, help="Of the embeddings.")
@click.option("--weights", type=click.IntRange(1000, 10**9), default=1_000_000, show_default=True, help="Of the sampling.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Medians are over these.")
@click.option("--threads", type=THREADS, help="Default: COREMAX_NUM_THREADS, else every CPU.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@bad_input_exits()
def bench(rows: int, dimensions: int, weights: int, rounds: int, threads: int | None, as_json: bool) -> None:
    """Time the three engines on this machine.

    Every engine's answer is first compared with one of plain NumPy; NumPy's time stands beside where it does the same.
    """
    from .bench import format_bench, run_bench

    found = run_bench(rows, dimensions, weights, rounds=rounds, threads=threads, log=progress_printer())
    tell(json.dumps(found) if as_json else format_bench(found))


@coremax.command()
@click.option("--data", type=click.Choice(DATA_SETS), default="digits", show_default=True, help="Images to select from.")
@click.option("--folder", type=click.Path(path_type=Path), help="Folder of the four IDX files of Fashion-MNIST.")
@click.option("--budget", type=BUDGET, default="10%", show_default=True, help="A share (10%, 0.1) or a count (500).")
@click.option(
    "--output", type=click.Path(path_type=Path), default="coremax-demo.html", show_default=True, help="Page to write."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of everything random.")
@click.option("--threads", type=THREADS, help="Default: COREMAX_NUM_THREADS, else every CPU.")
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

    require_local(str(output), to_write=True)
    if folder is not None:
        require_local(str(folder))
    if output.is_dir() or not output.parent.is_dir():
        raise BadInput(f"--output {output}: {'is a folder' if output.is_dir() else f'there is no folder {output.parent}'}")
    require_writable(output)
    log = progress_printer()
    result = run_demo(load(data, folder), budget=budget, seed=seed, threads=threads, log=log)
    failure = None
    try:
        write_page(result, output)
    except OSError as error:  # the results are worth telling all the same
        failure = BadInput(f"the page is not written: {error}")
    if as_json:
        tell(json.dumps({**to_json(result), "page": None if failure else str(output)}))
    else:
        tell(format_result(result) + ("" if failure else f"\npage: {output}"))
    if failure is not None:
        raise failure


@coremax.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@bad_input_exits()
def info(as_json: bool) -> None:
    """Show version, CPU, threads and optional libraries."""
    config = show_config("dicts")
    tell(json.dumps(config) if as_json else format_config(config))
