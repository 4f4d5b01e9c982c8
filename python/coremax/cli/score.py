"""Scores from files: what `coremax score KIND` reads for each kind, and the commands made of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from .. import scores
from .._inputs.keys import Keys
from ..graph import Graph, topk_graph
from ..graph._graph import METRICS
from ..scores._losses import STRATEGIES
from . import _write
from ._errors import bad_input_exits
from ._job import Job, open_job
from ._options import Files, SectionedCommand, SectionedOption, housekeeping
from ._read import ending_of
from .select import format_seconds

_TRIED_BYTES = 1 << 26  # up to here a dry run does all of the work, so that it refuses what the run would


@dataclass(frozen=True)
class Kind:
    """A score.

    Attributes
    ----------
    summary : str
        First line of the help.
    files : str
        What the files on the command line hold, for the help.
    run : callable
        run(arrays, options, call) -> array [n]; arrays as read, options those of `options`, call: threads and the like.
    options : tuple of click.Option
        Of this score alone.
    shape : str
        "matrices" [n, C] of models, "epochs" (one [T, n, C] or [T, n], or a file per epoch), "vector" [n].
    labels : str
        "required", "optional" or "".
    """

    summary: str
    files: str
    run: Callable[[list[Any], dict[str, Any], dict[str, Any]], Any]
    options: tuple[tuple[str, Any, Any, str], ...] = ()
    shape: str = "matrices"
    labels: str = ""


def _of_models(function: Callable[..., Any]) -> Callable[[list[Any], dict[str, Any], dict[str, Any]], Any]:
    """A score of predictions [n, C], one array or one per model; margin and el2n have labels."""

    def run(arrays: list[Any], options: dict[str, Any], call: dict[str, Any]) -> Any:
        labels = [options["labels"]] if "labels" in options else []
        return function(arrays if len(arrays) > 1 else arrays[0], *labels, threads=call["threads"])

    return run


def _of_epochs(
    function: Callable[..., Any], *names: str, threaded: bool = True
) -> Callable[[list[Any], dict[str, Any], dict[str, Any]], Any]:
    def run(arrays: list[Any], options: dict[str, Any], call: dict[str, Any]) -> Any:
        given = {name: options[name] for name in names if options.get(name) is not None}
        return function(arrays if len(arrays) > 1 else arrays[0], **given, **({"threads": call["threads"]} if threaded else {}))

    return run


def _sim(arrays: list[Any], options: dict[str, Any], call: dict[str, Any]) -> Any:
    probabilities = options["probabilities"] or None
    return scores.sim(arrays, options["labels"], probabilities, epsilon=options["epsilon"], threads=call["threads"])


def _ssp(arrays: list[Any], options: dict[str, Any], call: dict[str, Any]) -> Any:
    return scores.ssp(_only(arrays), options["n_clusters"], **call)


def _contradiction(arrays: list[Any], options: dict[str, Any], call: dict[str, Any]) -> Any:
    x = _only(arrays)
    graph = x if isinstance(x, Graph) else topk_graph(
        x, options["k"], metric=options["metric"], threads=call["threads"], progress=call["progress"]
    )  # fmt: skip
    return scores.contradiction(graph, options["labels"])


def _loss_weights(arrays: list[Any], options: dict[str, Any], _: dict[str, Any]) -> Any:
    return scores.loss_weights(_only(arrays), strategy=options["strategy"], temperature=options["temperature"])


def _only(arrays: list[Any]) -> Any:
    if len(arrays) != 1:
        raise ValueError(f"this score takes one file, got {len(arrays)}")
    return arrays[0]


_WINDOW = ("--window", click.INT, 10, "Epochs that are looked at together.")
_PROBABILITIES = "Softmax outputs [n, C], one file or one per model (then averaged)."
_EPOCHS = "one file [T, n, C], or a file [n, C] for each epoch in order"

KINDS = {
    "el2n": Kind(
        "Distance of the prediction to the label; higher is harder.", _PROBABILITIES, _of_models(scores.el2n), labels="required"
    ),
    "margin": Kind(
        "One minus the label's lead; higher is harder.", _PROBABILITIES, _of_models(scores.margin), labels="optional"
    ),
    "entropy": Kind("Entropy of the prediction in nats; higher is less certain.", _PROBABILITIES, _of_models(scores.entropy)),
    "sim": Kind(
        "How clearly a sample belongs to its class (SIM); higher is easier.",
        "Embeddings [n, d], one file or one per model.",
        _sim,
        (("--epsilon", click.FLOAT, 1e-6, "Least distance that is told from zero."),),
        labels="required",
    ),
    "ssp": Kind(
        "Distance to the nearest cluster, without labels; higher is harder.",
        "Embeddings [n, d], one file.",
        _ssp,
        (("--n-clusters", click.INT, None, "Clusters of k-means."),),
    ),
    "contradiction": Kind(
        "How much neighbours contradict a label; higher is harder.",
        "Embeddings [n, d], or a graph of `coremax graph`.",
        _contradiction,
        (("--k", click.INT, 10, "Neighbours, of embeddings."), ("--metric", click.Choice(METRICS), "cosine", "Of embeddings.")),
        labels="required",
    ),
    "forgetting": Kind(
        "How often a sample was learnt and forgotten; higher is harder.",
        "Whether predictions were right: one file [T, n], or a file [n] for each epoch in order.",
        _of_epochs(scores.forgetting, "never_learned", threaded=False),
        (("--never-learned", click.FLOAT, None, "Score of samples never right. Default: the number of epochs."),),
        "epochs",
    ),
    "aum": Kind(
        "By how much the label's logit led; higher is easier.",
        f"Logits: {_EPOCHS}. Without --labels: margins [T, n].",
        _of_epochs(scores.aum, "labels"),
        (),
        "epochs",
        "optional",
    ),
    "dual": Kind(
        "Difficulty times uncertainty early in training; higher is harder.",
        "Probability of the label: one file [T, n], or a file [n] for each epoch in order.",
        _of_epochs(scores.dual, "window", threaded=False),
        (_WINDOW,),
        "epochs",
    ),
    "tdds": Kind(
        "How unevenly predictions moved; higher contributes more.",
        f"Softmax outputs: {_EPOCHS}. Or losses [T, n].",
        _of_epochs(scores.tdds, "window", "decay", "epsilon"),
        (
            _WINDOW,
            ("--decay", click.FLOAT, 0.9, "Weight of the newest window."),
            ("--epsilon", click.FLOAT, 1e-8, "Added to probabilities."),
        ),
        "epochs",
    ),
    "loss-weights": Kind(
        "Sampling weights from losses; they sum to 1.",
        "Losses [n], one file.",
        _loss_weights,
        (
            ("--strategy", click.Choice(STRATEGIES), "linupper", "Which losses count."),
            ("--temperature", click.FLOAT, 1.0, "Below 1 sharper, above flatter."),
        ),
        "vector",
    ),
}


def command(name: str) -> click.Command:
    """Make the command of a score."""
    kind = KINDS[name]
    parameters: list[click.Parameter] = [Files(("files",), nargs=-1, required=True)]
    section = f"Of {name}"
    if kind.labels:
        need = {"required": kind.labels == "required"}
        text = "Classes [n]." if kind.labels == "required" else "Classes [n], where there are any."
        parameters.append(SectionedOption(("--labels",), metavar="FILE", help=text, section=section, **need))
    if name == "sim":
        text = "Softmax outputs [n, C] of a model; may be repeated."
        parameters.append(SectionedOption(("--probabilities",), multiple=True, metavar="FILE", help=text, section=section))
    for flag, kind_of_value, default, text in kind.options:
        # Without a default an option is required; click takes a default of None for one.
        shown = {"required": flag != "--never-learned"} if default is None else {"default": default, "show_default": True}
        parameters.append(SectionedOption((flag,), type=kind_of_value, help=text, section=section, **shown))
    parameters += housekeeping("Where the score goes: .npy, .parquet or .txt.")
    return SectionedCommand(
        name,
        callback=functools.partial(_run, name),
        params=parameters,
        help=f"{kind.summary}\n\nFILES: {kind.files}",
        short_help=kind.summary,
    )


@click.pass_context
@bad_input_exits()
def _run(context: click.Context, name: str, /, **parameters: Any) -> None:
    job = open_job(context, parameters)
    job.parameters = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in job.parameters.items()
        if value not in (None, ())
    }
    run_score(job, name, parameters)


def run_score(job: Job, name: str, parameters: dict[str, Any]) -> None:
    """Read, score, write; parameters: files, output, seed, threads and the options of the kind."""
    kind, output = KINDS[name], str(parameters["output"])
    probabilities = parameters.get("probabilities", ())
    labels = parameters.get("labels")
    roles = [("files", file) for file in parameters["files"]] + [("probabilities", file) for file in probabilities]
    job.begin({output: _write.FORMATS}, [*roles, ("labels", labels)])
    arrays = [_read(job, kind, file, name) for file in parameters["files"]]
    options: dict[str, Any] = {key: value for key, value in parameters.items() if key not in ("files", "output", "labels")}
    options["probabilities"] = [job.matrix(file, "probabilities") for file in probabilities]
    if labels is not None:
        classes = job.labels(labels)
        numbered = options["probabilities"] if name == "sim" else [] if name == "contradiction" else arrays
        options["labels"] = _of_columns(classes, numbered[0].shape[-1], labels) if numbered else classes
    call = {"threads": parameters["threads"], "progress": job.progress}
    if name == "ssp":
        call["seed"] = parameters["seed"]
    if job.dry_run:
        read = sum(getattr(array, "nbytes", 0) for array in arrays)
        if read <= _TRIED_BYTES:
            kind.run(arrays, options, call)
        job.tell(
            {"score": name, "input_bytes": read},
            lambda found: f"would read {found['input_bytes']:,} bytes; nothing was written",
        )
        return
    with job.stage("score"):
        found = np.asarray(kind.run(arrays, options, call))
    quartiles = [float(value) for value in np.quantile(found, [0, 0.25, 0.5, 0.75, 1])]
    summary = {"score": name, "n": len(found), "quartiles": quartiles, "output": output}
    job.finish({output: _write.columns_writer(output, {"score": found})}, summary, _format)


def _of_columns(classes: Any, n_columns: int, file: str) -> Any:
    """Labels that number columns: texts do where there are as many of them as columns, which are then in their order."""
    if not isinstance(classes, Keys):
        return classes
    if len(classes.present) != n_columns:
        raise ValueError(
            f"{file}: holds {len(classes.present)} different texts, but the predictions have {n_columns} columns: pass the "
            "number of the column of each label"
        )
    return classes.codes


def _read(job: Job, kind: Kind, file: str, name: str) -> Any:
    if name == "contradiction" and ending_of(file) == ".npz":
        return Graph.load(file)
    if kind.shape == "matrices":
        return job.matrix(file, "embeddings" if name in ("sim", "ssp", "contradiction") else "probabilities")
    return job.scores(file) if kind.shape == "vector" else job.array(file)


def _format(summary: dict[str, Any]) -> str:
    least, *middle, most = summary["quartiles"]
    return (
        f"{summary['score']} of {summary['n']:,} samples -> {summary['output']}\n"
        f"from {least:.4g} to {most:.4g}, quartiles {', '.join(f'{value:.4g}' for value in middle)}\n"
        + format_seconds(summary["seconds"])
    )
