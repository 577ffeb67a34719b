"""Names that people type, and where what they mean is found: the hub first, old servers by URL.

Only tables and name rules; nothing is fetched here. Hashes come from the servers, not from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from sbert_cli.errors import UsageError, nearest
from sbert_cli.hub.address import check_hop, public
from sbert_cli.hub.paths import stem
from sbert_cli.hub.repo import DATA_FILES
from sbert_cli.hub.store import Kind

OLD = "https://public.ukp.informatik.tu-darmstadt.de/reimers"
OLD_MODELS = f"{OLD}/sentence-transformers/v0.2"
OLD_DATASETS = f"{OLD}/sentence-transformers/datasets"
SBERT_NET = "https://sbert.net/datasets"
TREC = "https://cogcomp.seas.upenn.edu/Data/QA/QC"
TATOEBA = "https://downloads.tatoeba.org/exports"
WIKIMATRIX = "https://dl.fbaipublicfiles.com/laser/WikiMatrix/v1"
REPO = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset of the catalogue: a line about it, its hub repo and files there, its URLs."""

    about: str
    repo: str | None
    patterns: tuple[str, ...]
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What a name means: `kind` is None for a URL, whose content decides."""

    name: str
    kind: Kind | None
    folder: str
    repo: str | None
    patterns: tuple[str, ...]
    urls: tuple[str, ...]


# Names of 2019 and 2020 with their STS benchmark test score (Spearman x 100) as published.
CLASSIC = {
    "bert-base-nli-mean-tokens": "STSb 77.12",
    "bert-base-nli-max-tokens": "STSb 77.21",
    "bert-base-nli-cls-token": "STSb 76.30",
    "bert-large-nli-mean-tokens": "STSb 79.19",
    "bert-large-nli-max-tokens": "STSb 78.41",
    "bert-large-nli-cls-token": "STSb 78.29",
    "roberta-base-nli-mean-tokens": "STSb 77.49",
    "roberta-large-nli-mean-tokens": "STSb 78.69",
    "distilbert-base-nli-mean-tokens": "STSb 76.97",
    "bert-base-nli-stsb-mean-tokens": "STSb 85.14",
    "bert-large-nli-stsb-mean-tokens": "STSb 85.29",
    "roberta-base-nli-stsb-mean-tokens": "STSb 85.44",
    "roberta-large-nli-stsb-mean-tokens": "STSb 86.39",
    "distilbert-base-nli-stsb-mean-tokens": "STSb 85.16",
    "distilbert-base-nli-stsb-quora-ranking": "finds duplicate questions",
    "bert-base-wikipedia-sections-mean-tokens": "80.42 % of Wikipedia section triplets",
    "distiluse-base-multilingual-cased": "multilingual, STS 2017 mean 80.1",
    "xlm-r-base-en-ko-nli-ststb": "English and Korean, Korean STSb 81.47",
    "xlm-r-large-en-ko-nli-ststb": "English and Korean, Korean STSb 84.05",
    "xlm-r-40langs-bert-base-nli-mean-tokens": "40 languages",
    "xlm-r-40langs-bert-base-nli-stsb-mean-tokens": "40 languages",
    "average_word_embeddings_glove.6B.300d": "mean of GloVe vectors",
    "average_word_embeddings_glove.840B.300d": "mean of GloVe vectors",
    "average_word_embeddings_komninos": "mean of dependency-based vectors, STSb 60.98",
    "average_word_embeddings_levy_dependency": "mean of dependency-based vectors",
}
LATER = {
    "all-MiniLM-L6-v2": "small and fast, general, 384 dimensions, STSb 82.03",
    "all-MiniLM-L12-v2": "general, 384 dimensions",
    "all-mpnet-base-v2": "general, 768 dimensions",
    "all-distilroberta-v1": "general, 768 dimensions, up to 512 tokens",
    "paraphrase-MiniLM-L3-v2": "tiny, paraphrases, 384 dimensions",
    "paraphrase-MiniLM-L6-v2": "paraphrases, 384 dimensions",
    "paraphrase-mpnet-base-v2": "paraphrases, 768 dimensions",
    "paraphrase-albert-small-v2": "paraphrases, 768 dimensions, few parameters",
    "paraphrase-multilingual-MiniLM-L12-v2": "50 languages, 384 dimensions",
    "paraphrase-multilingual-mpnet-base-v2": "50 languages, 768 dimensions",
    "multi-qa-MiniLM-L6-cos-v1": "questions to passages, cosine",
    "multi-qa-distilbert-cos-v1": "questions to passages, cosine",
    "multi-qa-mpnet-base-cos-v1": "questions to passages, cosine",
    "multi-qa-mpnet-base-dot-v1": "questions to passages, dot product",
    "msmarco-distilbert-base-tas-b": "questions to passages, dot product",
    "distiluse-base-multilingual-cased-v1": "15 languages, 512 dimensions",
    "distiluse-base-multilingual-cased-v2": "50 languages, 512 dimensions",
    "stsb-xlm-r-multilingual": "50 languages, trained on STSb",
    "LaBSE": "109 languages, finds translations",
    "gtr-t5-base": "questions to passages, T5 encoder",
    "sentence-t5-base": "general, T5 encoder",
}
MODELS = {**CLASSIC, **LATER}

# Names that stand on the hub without an organisation.
_ROOT_NAMES = """
albert-base-v1 albert-base-v2 albert-large-v1 albert-large-v2 albert-xlarge-v1 albert-xlarge-v2
albert-xxlarge-v1 albert-xxlarge-v2 bert-base-cased bert-base-cased-finetuned-mrpc
bert-base-chinese bert-base-german-cased bert-base-german-dbmdz-cased
bert-base-german-dbmdz-uncased bert-base-multilingual-cased bert-base-multilingual-uncased
bert-base-uncased bert-large-cased bert-large-cased-whole-word-masking
bert-large-cased-whole-word-masking-finetuned-squad bert-large-uncased
bert-large-uncased-whole-word-masking bert-large-uncased-whole-word-masking-finetuned-squad
camembert-base ctrl distilbert-base-cased distilbert-base-cased-distilled-squad
distilbert-base-german-cased distilbert-base-multilingual-cased distilbert-base-uncased
distilbert-base-uncased-distilled-squad distilbert-base-uncased-finetuned-sst-2-english
distilgpt2 distilroberta-base gpt2 gpt2-large gpt2-medium gpt2-xl openai-gpt roberta-base
roberta-base-openai-detector roberta-large roberta-large-mnli roberta-large-openai-detector
t5-11b t5-3b t5-base t5-large t5-small transfo-xl-wt103 xlm-clm-ende-1024 xlm-clm-enfr-1024
xlm-mlm-100-1280 xlm-mlm-17-1280 xlm-mlm-en-2048 xlm-mlm-ende-1024 xlm-mlm-enfr-1024
xlm-mlm-enro-1024 xlm-mlm-tlm-xnli15-1024 xlm-mlm-xnli15-1024 xlm-roberta-base
xlm-roberta-large xlm-roberta-large-finetuned-conll02-dutch
xlm-roberta-large-finetuned-conll02-spanish xlm-roberta-large-finetuned-conll03-english
xlm-roberta-large-finetuned-conll03-german xlnet-base-cased xlnet-large-cased
"""
ROOT = frozenset(_ROOT_NAMES.split())


def _hub(about: str, repo: str, *urls: str, patterns: tuple[str, ...] = DATA_FILES) -> Dataset:
    return Dataset(about, repo, patterns, urls)


def _web(about: str, *urls: str) -> Dataset:
    return Dataset(about, None, (), urls)


DATASETS = {
    "nli": _hub(
        "AllNLI: SNLI and MultiNLI pairs, three labels",
        "sentence-transformers/all-nli",
        f"{SBERT_NET}/AllNLI.tsv.gz",
        patterns=("pair-class/*.parquet",),
    ),
    "nli-triplets": _hub(
        "AllNLI as anchor, entailment, contradiction",
        "sentence-transformers/all-nli",
        patterns=("triplet/*.parquet",),
    ),
    "stsb": _hub(
        "STS benchmark: pairs with a similarity",
        "sentence-transformers/stsb",
        f"{SBERT_NET}/stsbenchmark.tsv.gz",
        patterns=("*.parquet",),
    ),
    "wikipedia-sections": _hub(
        "triplets: two sentences of one Wikipedia section, one of another",
        "sentence-transformers/wikipedia-sections",
        f"{OLD_DATASETS}/wikipedia-sections-triplets.zip",
        patterns=("triplet/*.parquet",),
    ),
    "sts2017-en-de": _web("STS 2017, English-German", f"{OLD_DATASETS}/STS2017.en-de.txt.gz"),
    "sts2017-extended": _hub(
        "STS 2017 across languages",
        "mteb/sts17-crosslingual-sts",
        f"{OLD_DATASETS}/STS2017-extended.zip",
    ),
    "ted2013-en-de": _web("TED talks, English-German", f"{OLD_DATASETS}/TED2013-en-de.txt.gz"),
    "xnli-en-de": _web("XNLI sentences, English-German", f"{OLD_DATASETS}/xnli-en-de.txt.gz"),
    "ted2020": _hub(
        "TED talks in a hundred languages",
        "sentence-transformers/parallel-sentences-talks",
        f"{OLD_DATASETS}/ted2020.tsv.gz",
    ),
    "quora": _hub(
        "Quora question pairs: duplicate or not",
        "sentence-transformers/quora-duplicates",
        "https://qim.fs.quoracdn.net/quora_duplicate_questions.tsv",
    ),
    "quora-ir": _hub(
        "Quora questions for retrieval and duplicate mining",
        "BeIR/quora",
        f"{OLD_DATASETS}/quora-IR-dataset.zip",
    ),
    "trec": _hub(
        "TREC questions by the kind of answer",
        "omkar334/trec",
        f"{TREC}/train_5500.label",
        f"{TREC}/TREC_10.label",
    ),
    "tatoeba": _web(
        "sentences and their translations, all languages",
        f"{TATOEBA}/sentences.tar.bz2",
        f"{TATOEBA}/links.tar.bz2",
    ),
    "wikimatrix": _hub(
        "mined translations from Wikipedia; wikimatrix-de-en is one pair of languages",
        "sentence-transformers/parallel-sentences-wikimatrix",
    ),
    "wikipedia-doc-frequencies": _web(
        "in how many Wikipedia articles a word stands",
        f"{OLD}/embeddings/wikipedia_doc_frequencies.txt",
    ),
    **{
        name: _web("word vectors as text", f"{OLD}/embeddings/{name}.txt.gz")
        for name in (
            "glove.6B.50d",
            "glove.6B.100d",
            "glove.6B.200d",
            "glove.6B.300d",
            "glove.42B.300d",
            "glove.840B.300d",
        )
    },
}


def find(name: str) -> Target:
    """What a name means: a URL, `dataset:org/name`, a catalogue dataset, else a model.

    Raises UsageError for what cannot be a name.
    """
    if "://" in name:
        return _at_url(name)
    if name.startswith("dataset:"):
        repo = _checked(name.removeprefix("dataset:"))
        return Target(name, "dataset", repo, repo, DATA_FILES, ())
    return find_dataset(name) or find_model(name)


def find_dataset(name: str) -> Target | None:
    """A dataset of the catalogue, `wikimatrix-<language>-<language>` included."""
    if known := DATASETS.get(name):
        return Target(name, "dataset", name, known.repo, known.patterns, known.urls)
    if pair := re.fullmatch(r"wikimatrix-([a-z_]+)-([a-z_]+)", name):
        first, second = sorted(pair.groups())
        url = f"{WIKIMATRIX}/WikiMatrix.{first}-{second}.tsv.gz"
        return Target(name, "dataset", name, None, (), (url,))
    return None


def find_model(name: str) -> Target:
    """A model's repo: a bare name that is not at the hub's root is one of sentence-transformers."""
    _checked(name)
    repo = name if "/" in name or name in ROOT else f"sentence-transformers/{name}"
    urls = (f"{OLD_MODELS}/{name}.zip",) if name in CLASSIC else ()
    return Target(name, "model", repo, repo, (), urls)


def suggestion(name: str) -> str | None:
    """The catalogue name most like a mistyped one."""
    return nearest(name, [*MODELS, *DATASETS, *ROOT])


def _checked(repo: str) -> str:
    if not REPO.fullmatch(repo) or ".." in repo or "--" in repo:
        raise UsageError(
            f"neither a name nor a hub id: '{repo}'",
            fix="type a name of the catalogue, org/name, dataset:org/name or an https:// address",
        )
    return repo


def _at_url(url: str) -> Target:
    try:
        check_hop(url, url, "")
        file = unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        file = ""
    folder = re.sub(r"[^\w.-]+", "-", stem(file)).strip("-.")
    if not folder:
        raise UsageError("no file name at the end of the address", fix="https://host/name.zip")
    return Target(public(url), None, folder, None, (), (url,))
