"""sbert train: data, model, loss and dev evaluator put together; the loop is training/loop.py."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sbert_cli import console
from sbert_cli.config import pick, plain, settings
from sbert_cli.errors import UsageError
from sbert_cli.training.settings import TrainSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig

    from sbert_cli.data import Records
    from sbert_cli.encoder import SentenceEncoder
    from sbert_cli.engine.device import Compute
    from sbert_cli.evaluation import Evaluator, Result
    from sbert_cli.report.run import RunFolder
    from sbert_cli.training.loop import Scores, Trainer

GROUPS = (
    "model", "pooling", "head", "loss", "dataset", "evaluator", "optimizer", "scheduler", "engine",
)  # fmt: skip
OTHER = ("teacher", "run_dir", "offline", "json")


def run(cfg: DictConfig) -> float | None:
    """Train, keep the best model, test it; gives the best dev score, for sweepers."""
    config = plain(cfg)
    asked = settings(TrainSettings, config, (*GROUPS, *OTHER))
    records, dev, test = _load_data(config)
    from omegaconf import OmegaConf

    from sbert_cli.report.run import RunFolder

    with RunFolder("train", config["run_dir"]) as folder:
        folder.begin(OmegaConf.to_yaml(cfg, resolve=True))
        trainer, results = _train(config, asked, records, dev, folder)
        tested = _test(trainer, test) if test else None
        _report(config, folder, trainer, results, tested)
    return trainer.best.score if trainer.evaluate else None


def _load_data(config: dict[str, Any]) -> tuple[Records, Evaluator | None, Evaluator | None]:
    """Training rows, dev and test evaluators: all read and checked before anything is built."""
    from sbert_cli.data import DATASETS
    from sbert_cli.evaluation import EVALUATORS
    from sbert_cli.losses import LOSSES

    offline = config["offline"]
    dataset = pick(DATASETS, config["dataset"], "dataset", offline=offline)
    records = dataset.load("train")
    console.note(f"train: {len(records):,} rows from {records.source}")
    name = config["loss"]["name"]
    if name in LOSSES:
        _check_fit(LOSSES[name], config, records)
    dev, test = (
        pick(EVALUATORS, config["evaluator"], "evaluator", offline=offline, split=split)
        for split in ("dev", "test")
    )
    return records, dev, test


def _check_fit(loss: Any, config: dict[str, Any], records: Records) -> None:
    """Raises UsageError when the dataset has not what the loss needs."""
    from sbert_cli.losses import LOSSES, Labels, misfit

    labels: Labels
    labels = "none" if records.label is None else "class" if records.num_labels else "score"
    has = (records.texts, labels, records.num_labels)
    problem = misfit(loss, *has)
    if not problem:
        return
    every: dict[str, Any] = dict(LOSSES)
    fitting = [name for name, other in every.items() if not misfit(other, *has)]
    ignoring = [name for name in fitting if every[name].labels == "none"]
    advice = [f"loss={name}" for name in fitting if name not in ignoring]
    unsaid = "" if labels == "none" else " (it ignores the labels)"
    advice += [f"loss={name}{unsaid}" for name in ignoring]
    loss_name, data_name = config["loss"]["name"], config["dataset"]["name"]
    if data_name == "file" and "text column" in problem:
        advice.append("dataset.texts=[...] naming the columns")
    elif data_name == "file" and labels == "none":
        advice.append("dataset.label=... naming the label column")
    raise UsageError(
        f"loss '{loss_name}' {problem}",
        where=f"config key loss={loss_name}, dataset={data_name}",
        fix=" or ".join(advice) or "another dataset",
    )


def _train(
    config: dict[str, Any],
    asked: TrainSettings,
    records: Records,
    dev: Evaluator | None,
    folder: RunFolder,
) -> tuple[Trainer, list[Result]]:
    import torch

    from sbert_cli.commands.assemble import build_compute, build_encoder
    from sbert_cli.losses import LOSSES
    from sbert_cli.training.examples import tokenize
    from sbert_cli.training.loop import Trainer, total_steps
    from sbert_cli.training.optimizer import OPTIMIZERS
    from sbert_cli.training.schedule import SCHEDULERS

    compute = build_compute(config)
    columns = [records.column(name) for name in records.texts]
    torch.manual_seed(asked.seed)  # heads and classifiers start from the seed
    texts = [text for column in columns for text in column]
    encoder = build_encoder(config, bare="mean", texts=texts).to(compute.device)
    loss = pick(LOSSES, config["loss"], "loss", dim=encoder.dim, num_labels=records.num_labels).to(
        compute.device
    )
    start = time.perf_counter()
    examples = tokenize(encoder.tokenizer, columns, records.labels())
    steps = total_steps(len(examples), asked)
    seconds = time.perf_counter() - start
    console.note(
        f"{len(examples.tokens):,} distinct texts tokenised in {seconds:.1f} s; "
        f"{examples.truncated:,} of {len(texts):,} cut at {encoder.max_seq_length} tokens"
    )
    named = [
        (name, parameter)
        for module in (encoder, loss)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    ]
    rows = asked.batch_size * asked.accumulate
    console.note(f"{steps:,} steps of {rows} rows, {len(named)} parameter tensors → {folder.path}")
    results: list[Result] = []
    trainer = Trainer(
        encoder,
        loss,
        examples,
        settings=asked,
        compute=compute,
        optimizer=pick(OPTIMIZERS, config["optimizer"], "optimizer", parameters=named),
        schedule=pick(SCHEDULERS, config["scheduler"], "scheduler", total_steps=steps),
        run=folder,
        evaluate=_judge(dev, encoder, compute, folder, results) if dev else None,
    )
    trainer.fit()
    return trainer, results


def _judge(
    dev: Evaluator,
    encoder: SentenceEncoder,
    compute: Compute,
    folder: RunFolder,
    results: list[Result],
) -> Callable[[int], Scores]:
    """The dev evaluation that the loop calls; its results are collected for the report."""
    from sbert_cli.engine.embedder import Embedder

    embedder = Embedder(encoder, compute)

    def evaluate(step: int) -> Scores:
        result = dev(embedder.encode)
        result.append_csv(folder.path, epoch=0, steps=step)
        results.append(result)
        return result.metrics, result.primary

    return evaluate


def _test(trainer: Trainer, test: Evaluator) -> Result:
    """The test score of the best model, read back from its folder."""
    from sbert_cli.encoder import load_folder
    from sbert_cli.engine.embedder import Embedder

    best = load_folder(trainer.best_folder)
    result = test(Embedder(best, trainer.compute).encode)
    result.append_csv(trainer.run.path, epoch=-1, steps=-1)
    trainer.run.record({"step": trainer.best.step, "test": result.to_json()})
    return result


def _report(
    config: dict[str, Any],
    folder: RunFolder,
    trainer: Trainer,
    results: list[Result],
    tested: Result | None,
) -> None:
    from sbert_cli.report import Section, curves, html

    best = trainer.best
    name = f"{config['model'].get('path', config['model']['name'])} on {config['dataset']['name']}"
    history = [(f"{step:,}" if step else "start", score) for step, score in best.history]
    parts = [
        Section(
            "Training",
            text=f"{_in_words(config)} The score is that on the dev set.",
            image=curves(folder.metrics, folder.plots / "curves.png"),
            header=("step", "dev score"),
            rows=history,
        )
    ]
    parts += tested.sections(folder.plots) if tested else []
    summary = [("model", name), ("loss", config["loss"]["name"]), ("seed", str(config["seed"]))]
    summary += [("best dev score", f"{best.score:.2f} at step {best.step:,}")] if results else []
    summary += [("test", tested.headline)] if tested else []
    words = (folder.path / "config.yaml").read_text(encoding="utf-8")
    parts.append(Section("Configuration", text="Every choice of this run.", verbatim=words))
    html.write_report(
        folder.path / "report.html", title=f"sbert train: {name}", summary=summary, sections=parts
    )
    outcome = {
        "best_step": best.step,
        "best_dev": best.score if results else None,
        "test": tested.to_json() if tested else None,
    }
    folder.status("finished", **outcome)
    _say(folder, trainer, tested)
    if config["json"]:
        console.write_json({"run_dir": str(folder.path), **outcome})


def _in_words(config: dict[str, Any]) -> str:
    """What was trained, on what and how, as a sentence."""
    epochs, optimizer = config["epochs"], config["optimizer"]
    rows = config["batch_size"] * config["accumulate"]
    return (
        f"{config['model'].get('path', config['model']['name'])} was trained on "
        f"{config['dataset']['name']} with the {config['loss']['name']} loss for {epochs} "
        f"epoch{'s' if epochs != 1 else ''} in steps of {rows} rows; {optimizer['name']} with a "
        f"peak learning rate of {optimizer['lr']:g}, schedule {config['scheduler']['name']}."
    )


def _say(folder: RunFolder, trainer: Trainer, tested: Result | None) -> None:
    """The end of the run for people: scores, where things are, what to type next."""
    best = trainer.best
    rows: list[tuple[object, object]] = []
    if best.history:
        if trainer.settings.eval_start:
            rows.append(("dev before training", best.history[0][1]))
        rows.append((f"dev, best (step {best.step:,})", best.score))
    if tested:
        rows.append(("test of the best model", tested.score))
    if rows:
        primary = tested.primary if tested else "score"
        console.show_table("", ("", f"{primary} × 100"), rows)
    console.note(f"model   {trainer.best_folder}")
    console.note(f"report  {folder.path / 'report.html'}")
    console.note(f"next    sbert encode texts.txt model={trainer.best_folder}")
